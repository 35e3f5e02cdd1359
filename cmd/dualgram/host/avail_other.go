//go:build !(linux || darwin || freebsd)

package host

// available is not known here.
func available(string) (float64, bool) { return 0, false }
