// Command dist makes what is released: for each platform an archive with the static
// binary and what belongs to it, and SHA256SUMS.
//
// The guarantee: the archives of one commit are the same, byte for byte, whoever
// makes them, when and in which directory, with the Go that go.mod asks for. With
// -check that is tried: the commit is built again from a clone elsewhere, and compared;
// with -cold, too, with nothing of the first build's cache, which takes minutes.
//
// Try it with: make dist
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platforms are what is released.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

func main() {
	out := flag.String("out", ".dist", "`directory` for the archives; what it holds is replaced")
	list := flag.String("platforms", platforms, "`GOOS/GOARCH` pairs, with commas between them")
	check := flag.Bool("check", false, "build the commit again elsewhere, and compare")
	cold := flag.Bool("cold", false, "with -check: compile everything again, too")
	flag.Parse()
	if err := run(*out, strings.Split(*list, ","), *check, *cold, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out string, targets []string, check, cold bool, say io.Writer) error {
	d := &distribution{tree: ".", out: out, say: say}
	if err := d.describe(); err != nil {
		return err
	}
	if check && d.dirty {
		return errors.New("the tree has changes: what is checked is a commit, so commit first")
	}
	if err := d.make(targets); err != nil {
		return err
	}
	if !check {
		return nil
	}
	return d.again(targets, cold)
}

// distribution is one commit's archives.
type distribution struct {
	tree, out string
	version   string
	date      time.Time // of the commit
	dirty     bool
	env       []string // besides the process's
	say       io.Writer
	sums      []string
}

// describe asks git what is being built.
func (d *distribution) describe() error {
	version, err := d.git("describe", "--tags", "--always", "--dirty", "--match", "v*")
	if err != nil {
		return err
	}
	date, err := d.git("log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(date, 10, 64)
	if err != nil {
		return fmt.Errorf("the commit's date: %w", err)
	}
	d.version, d.date, d.dirty = version, time.Unix(seconds, 0).UTC(), strings.HasSuffix(version, "-dirty")
	return nil
}

func (d *distribution) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = d.tree
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// make builds and packs every platform.
func (d *distribution) make(targets []string) error {
	if err := os.RemoveAll(d.out); err != nil {
		return err
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "dualgram-dist")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	host := filepath.Join(work, "dualgram-here")
	if err := d.build(runtime.GOOS, runtime.GOARCH, host); err != nil {
		return err
	}
	extras, err := d.extras(host, work)
	if err != nil {
		return err
	}
	for _, t := range targets {
		goos, goarch, ok := strings.Cut(t, "/")
		if !ok {
			return fmt.Errorf("%q is not GOOS/GOARCH", t)
		}
		binary := filepath.Join(work, goos+"-"+goarch)
		if err := d.build(goos, goarch, binary); err != nil {
			return err
		}
		name := fmt.Sprintf("dualgram_%s_%s_%s", d.version, goos, goarch)
		files := append([]file{{name: name + "/dualgram", path: binary, mode: 0o755}}, under(name, extras)...)
		sum, err := pack(filepath.Join(d.out, name+".tar.gz"), files, d.date)
		if err != nil {
			return err
		}
		d.sums = append(d.sums, sum+"  "+name+".tar.gz")
		fmt.Fprintf(d.say, "%s  %s.tar.gz\n", sum, name)
	}
	slices.SortFunc(d.sums, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	return os.WriteFile(filepath.Join(d.out, "SHA256SUMS"), []byte(strings.Join(d.sums, "\n")+"\n"), 0o644)
}

// build makes one static binary. Neither the directory nor the user is in it.
func (d *distribution) build(goos, goarch, to string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.release="+d.version, "-o", to, "./cmd/dualgram")
	cmd.Dir = d.tree
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=", "GOWORK=off",
		// What else would change the code that comes out.
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT="), d.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s/%s: %w\n%s", goos, goarch, err, out)
	}
	return nil
}

// extras are what belongs to each archive besides the binary.
func (d *distribution) extras(binary, work string) ([]file, error) {
	files := []file{{name: "README.md", path: filepath.Join(d.tree, "README.md"), mode: 0o644}}
	deploy := filepath.Join(d.tree, "runbooks", "deploy")
	entries, err := os.ReadDir(deploy)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		mode := int64(0o644)
		if strings.HasSuffix(e.Name(), ".sh") {
			mode = 0o755
		}
		files = append(files, file{name: "deploy/" + e.Name(), path: filepath.Join(deploy, e.Name()), mode: mode})
	}
	for shell, name := range map[string]string{"bash": "dualgram.bash", "zsh": "_dualgram", "fish": "dualgram.fish"} {
		script, err := exec.Command(binary, "completion", shell).Output()
		if err != nil {
			return nil, fmt.Errorf("completion for %s: %w", shell, err)
		}
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, script, 0o644); err != nil {
			return nil, err
		}
		files = append(files, file{name: "completions/" + name, path: path, mode: 0o644})
	}
	manual := filepath.Join(work, "man")
	if out, err := exec.Command(binary, "help", "man", manual).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("manual pages: %w\n%s", err, out)
	}
	err = filepath.WalkDir(manual, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(manual, path)
		files = append(files, file{name: "man/" + filepath.ToSlash(rel), path: path, mode: 0o644})
		return err
	})
	return files, err
}

// again builds the same commit from a clone, and compares.
func (d *distribution) again(targets []string, cold bool) error {
	work, err := os.MkdirTemp("", "dualgram-again")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if _, err := d.git("clone", "-q", "--no-hardlinks", ".", filepath.Join(work, "clone")); err != nil {
		return err
	}
	commit, err := d.git("rev-parse", "HEAD")
	if err != nil {
		return err
	}
	e := &distribution{tree: filepath.Join(work, "clone"), out: filepath.Join(work, "dist"), say: io.Discard}
	if cold {
		e.env = []string{"GOCACHE=" + filepath.Join(work, "cache")}
	}
	if _, err := e.git("checkout", "-q", "--detach", commit); err != nil {
		return err
	}
	if err := e.describe(); err != nil {
		return err
	}
	if err := e.make(targets); err != nil {
		return err
	}
	if !slices.Equal(d.sums, e.sums) {
		return fmt.Errorf("a second build differs:\n%s\n%s", strings.Join(d.sums, "\n"), strings.Join(e.sums, "\n"))
	}
	fmt.Fprintln(d.say, "a second build, elsewhere, is the same")
	return nil
}
