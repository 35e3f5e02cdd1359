//go:build !linux

package e2e_test

import (
	"errors"
	"syscall"
)

var errNotLinux = errors.New("only on Linux")

func dieWithUs(*syscall.SysProcAttr) {}

func fileLimit(int, uint64) error { return errNotLinux }

func ownMounts() *syscall.SysProcAttr { return nil }

func tryOwnMounts() error { return errNotLinux }

func mountTmpfs(string, string) error { return errNotLinux }
