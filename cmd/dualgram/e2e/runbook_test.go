//go:build runbooks && linux

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/drill"
	"dualgram/runbooks"
)

// The pages of package runbooks are executed (`make runbooks`): a host is put into
// the state that a page is about, and its commands are run in their order, by sh,
// as somebody who has been paged would paste them. What they print has to be what
// the page says; what verifies the repair has to fail before the Fix, and to hold
// after it. It needs curl, nsenter (util-linux) and prometheus, and fails without.

const (
	// bookState is how long a page's state may take to show, and bookMended how long
	// the repair may: with a hold-down of a second or two, but never a whole trial
	// that is quiet.
	bookState  = 45 * time.Second
	bookMended = 60 * time.Second
	// bookCommand is how long one command may take.
	bookCommand = 40 * time.Second
	// bookRate is the traffic, in updates a second.
	bookRate = 5
)

// state is how a host comes to what a page is about.
type state struct {
	page string
	// conf changes the configuration before the start.
	conf func(w *world)
	// begin breaks something in a running host; nil: it is broken by what it is.
	begin func(b *book)
	// mend is the part of the Fix that no command on the page does: it happens
	// somewhere else. nil: there is none.
	mend func(b *book)
	// fresh: the host isn't waited for before begin, because it never gets well.
	fresh bool
	// quiet: there is no traffic.
	quiet bool
	// front puts a proxy before dualgram.
	front bool
	// disk is the size of a file system of its own that the store is on; empty: it is
	// on the one that all share.
	disk string
	// patience is how long the repair may take instead of bookMended.
	patience time.Duration
}

// book is a host and a page about it.
type book struct {
	*world
	p      *process
	page   *runbooks.Page
	state  state
	front  *front
	api    *relay // from dualgram to the Bot API
	data   string // the directory of the store
	inside string // the same, if the host alone sees it
	prom   string // where Prometheus would listen

	// What a state's begin leaves for its mend.
	fresh string
	stop  func()
}

func TestRunbooks(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range states {
		t.Run(s.page, func(t *testing.T) {
			page, ok := runbooks.Lookup(s.page)
			if !ok {
				t.Fatalf("there is no page %s", s.page)
			}
			b := &book{world: newWorld(t), page: page, state: s}
			b.play()
		})
	}
}

// TestEveryPageIsPlayed holds the list of states complete.
func TestEveryPageIsPlayed(t *testing.T) {
	played := map[string]bool{}
	for _, s := range states {
		played[s.page] = true
	}
	for _, p := range runbooks.List() {
		if p.Kind == runbooks.Alert && !played[p.Name] {
			t.Errorf("%s is not played", p.Name)
		}
	}
}

// TestRunbookTasks goes through the pages of tasks, on a host that is well.
func TestRunbookTasks(t *testing.T) {
	t.Parallel()
	for _, p := range runbooks.List() {
		if p.Kind == runbooks.Task {
			t.Run(p.Name, func(t *testing.T) {
				b := &book{world: newWorld(t), page: p}
				b.start()
				for _, f := range p.Fences {
					b.step(f, runbooks.Good, bookMended)
				}
			})
		}
	}
}

// TestRunbookDrills asks for every shipped drill whether it may begin on a host that
// is well.
func TestRunbookDrills(t *testing.T) {
	b := &book{world: newWorld(t)}
	b.start()
	b.trialPassed()
	for _, p := range runbooks.List() {
		if p.Kind == runbooks.Drill {
			for _, f := range p.Fences {
				b.step(f, runbooks.Bad, bookState)
			}
		}
	}
}

// impatientDrills writes the shipped drills anew, with a steady state that has to hold
// for a second only. Those that the pages run have a fault that acts for as long as it
// takes to judge what the host does.
func (b *book) impatientDrills() string {
	b.t.Helper()
	dir := b.file("drills")
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	for _, e := range drill.Templates() {
		_, source, err := drill.Template(e.Name)
		if err != nil {
			b.t.Fatal(err)
		}
		short := strings.Replace(string(source), "hold: 10s", "hold: 1s", 1)
		if short == string(source) {
			b.t.Fatalf("%s: its steady state has to hold for another time than 10s", e.Name)
		}
		if e.Name == "refused" || e.Name == "certificate-expired" {
			short = strings.Replace(short, "for: 45s", "for: 13s", 1)
		}
		b.write("drills/"+e.Name+".yaml", short)
	}
	return dir
}

// play goes through the page.
func (b *book) play() {
	b.start()
	if b.state.begin != nil {
		b.state.begin(b)
	}
	b.read()
}

// start starts the host.
func (b *book) start() {
	b.data, b.prom = b.dir, freeAddr(b.t)
	b.api = newRelay(b.t, b.world.api.addr)
	b.conf.API = "http://" + b.api.addr
	b.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s, quiet_after_error: 0s, experiments: " + b.impatientDrills() + "}"
	if b.state.front {
		b.front = b.newFront()
	}
	if b.state.conf != nil {
		proxies := b.conf.Webhook
		b.state.conf(b.world)
		if b.state.front && b.conf.Webhook != proxies {
			b.conf.Webhook += "\n      " + proxies
		}
	}
	if b.state.disk != "" {
		b.onDisk(b.state.disk)
	} else {
		b.p = b.run()
	}
	if !b.state.quiet {
		b.flowing(bookRate)
	}
	if !b.state.fresh {
		mode := "webhook"
		if b.conf.Webhook == "off" {
			mode = "polling"
		}
		b.p.phase(mode, 20*time.Second)
	}
}

// read does what the page says, from its beginning to its end.
func (b *book) read() {
	var before, fix, verify []runbooks.Fence
	for _, f := range b.page.Fences {
		switch f.Section {
		case runbooks.SectionFix:
			fix = append(fix, f)
		case runbooks.SectionVerify:
			verify = append(verify, f)
		case runbooks.SectionRehearse: // the drill's own page does it
		default:
			before = append(before, f)
		}
	}
	for _, f := range before {
		b.step(f, runbooks.Bad, bookState)
	}
	verified := 0
	for _, f := range verify {
		if f.Effect == runbooks.ReadOnly && f.Needs == "" {
			verified++
			// What is broken shows within a while, as on the page.
			eventually(b.t, bookState, f.Name+" to be false before the Fix", func() error {
				if printed, err := b.try(f, runbooks.Good); err == nil {
					return fmt.Errorf("it holds:\n%s", printed)
				}
				return nil
			})
		}
	}
	if verified == 0 {
		b.t.Errorf("nothing verifies the repair")
	}
	if b.state.mend != nil {
		b.state.mend(b)
	}
	patience := max(bookMended, b.state.patience)
	for _, f := range fix {
		b.step(f, runbooks.Bad, patience)
	}
	for _, f := range verify {
		b.step(f, runbooks.Good, patience)
	}
	for _, f := range before {
		if _, said := f.At(runbooks.Good); said && f.Effect == runbooks.ReadOnly {
			b.step(f, runbooks.Good, patience)
		}
	}
}

// step runs a fence until it prints what the page says; what changes something is
// run once.
func (b *book) step(f runbooks.Fence, when runbooks.When, most time.Duration) {
	b.t.Helper()
	if f.Needs != "" {
		b.t.Logf("%s needs %s", f.Name, f.Needs)
		return
	}
	deadline := time.Now().Add(most)
	for {
		printed, err := b.try(f, when)
		if err == nil {
			return
		}
		if f.Effect == runbooks.ReadWrite || time.Now().After(deadline) {
			b.t.Fatalf("%s (%s, %s): %v; it printed\n%s", f.Name, f.Section, when, err, printed)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// try runs a fence once, and compares.
func (b *book) try(f runbooks.Fence, when runbooks.When) (printed string, err error) {
	b.t.Helper()
	exit, printed := b.shell(f.Code)
	want := runbooks.Output{Exit: f.Exit}
	if o, ok := f.At(when); ok {
		want = o
	}
	if exit != want.Exit {
		err = fmt.Errorf("exit code %d, want %d", exit, want.Exit)
	}
	return printed, errors.Join(err, want.Match(printed))
}

// shell runs commands as a person would, on this host instead of the one that the
// pages speak of.
func (b *book) shell(code string) (exit int, printed string) {
	b.t.Helper()
	here := strings.NewReplacer(
		"127.0.0.1:9464", b.conf.Observe,
		"/etc/dualgram/", b.dir+"/",
		"/var/lib/dualgram", b.data,
		"/run/dualgram/", b.dir+"/",
		"http://127.0.0.1:9000/updates", b.bot.url,
		"127.0.0.1:9090", b.prom,
	)
	ctx, cancel := context.WithTimeout(context.Background(), max(bookCommand, b.state.patience))
	defer cancel()
	args := []string{"sh", "-c", here.Replace(code)}
	if b.state.disk != "" { // where the host sees its disk
		args = append([]string{"nsenter", "--target", strconv.Itoa(b.p.cmd.Process.Pid), "--user", "--preserve-credentials", "--mount"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "DUALGRAM_CONFIG="+b.file("dualgram.yaml"))
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		b.t.Fatalf("sh: %v", err)
	}
	b.vault.search(b.t, "what a page's command prints", out.String())
	return cmd.ProcessState.ExitCode(), out.String()
}
