package main

import "golang.org/x/sys/unix"

// monotonicMicroseconds is what systemd compares the time of a reload with.
func monotonicMicroseconds() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano() / 1000
}
