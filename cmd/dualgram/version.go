package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version, set by the linker for what make dist builds.
var release string

// versionInfo is what dualgram version prints, dualgram/version/v1.
type versionInfo struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`
	// Revision is the commit, empty if the build doesn't know it; Modified says
	// that the tree had changes on top of it.
	Revision   string `json:"revision,omitempty"`
	Modified   bool   `json:"modified"`
	RevisionAt string `json:"revision_at,omitempty"`
	Go         string `json:"go"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
}

// version reads what the Go toolchain wrote into the binary.
func version() versionInfo {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	if release != "" {
		v.Version = release
	}
	return v
}

func versionOf(info *debug.BuildInfo) versionInfo {
	v := versionInfo{Schema: "dualgram/version/v1", Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info == nil {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	if info.GoVersion != "" {
		v.Go = info.GoVersion
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "vcs.time":
			v.RevisionAt = s.Value
		}
	}
	return v
}

// String is one line.
func (v versionInfo) String() string {
	s := "dualgram " + v.Version
	if v.Revision != "" {
		s += fmt.Sprintf(" (%.12s", v.Revision)
		if v.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s + fmt.Sprintf(" %s %s/%s", v.Go, v.OS, v.Arch)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if a.json() {
				return a.printJSON(v)
			}
			a.printer(a.stdout).printf("%s\n", v)
			return nil
		},
	}
}
