//go:build !unix

package host

// FileLimit is how many files this process may have open; 0 if that is not known.
func FileLimit() uint64 { return 0 }
