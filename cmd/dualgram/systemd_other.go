//go:build !linux

package main

// monotonicMicroseconds is of use where systemd is.
func monotonicMicroseconds() int64 { return 0 }
