//go:build !unix

package webhook

// fdLimit returns how many files this process may have open; 0 if unknown.
func fdLimit() uint64 { return 0 }
