package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"dualgram/transport"
)

const childEnv = "DUALGRAM_STORE_TEST_CHILD"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if os.Getenv(childEnv+"_DEAD") != "" {
			deadChild(path)
		}
		child(path)
		return
	}
	os.Exit(m.Run())
}

// child accepts ids from several goroutines, prints each that is acknowledged,
// and takes some of them.
func child(path string) {
	s, err := Open(Options{Path: path, Holder: "child"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	l, err := s.Ledger(testBot)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	start := l.Stats().LastID + 1
	if start == 1 {
		start = 5_000_000
	}
	var mu sync.Mutex
	say := func(what string, id int64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, "%s %d\n", what, id)
	}
	for w := range int64(8) {
		go func() {
			for id := start + w; ; id += 8 {
				b := hook(id)
				b.Updates[0].Lane = fmt.Sprint("c", id%20)
				if _, err := l.Accept(ctx, b); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(3)
				}
				say("acked", id)
			}
		}()
	}
	for {
		r, ok, _, err := l.Next(time.Now())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		if !ok {
			<-l.Ready()
			continue
		}
		if r.ID%2 == 0 {
			if err := l.Done(ctx, r.Ref); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(3)
			}
			say("done", r.ID)
		} else if err := l.Retry(ctx, r.Ref, Attempt{Count: 1, NotBefore: time.Now().Add(time.Hour)}); err != nil {
			os.Exit(3)
		}
	}
}

// TestKill kills a process with SIGKILL while it accepts, several times over the
// same file: whatever it had acknowledged is there, whatever it had removed is
// gone.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := newPath(t)
	acked, done := map[int64]bool{}, map[int64]bool{}
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			if n == 300 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			var what string
			var num string
			if _, err := fmt.Sscan(sc.Text(), &what, &num); err != nil {
				continue // cut
			}
			id, err := strconv.ParseInt(num, 10, 64)
			if err != nil || id < 5_000_000 {
				continue
			}
			if what == "acked" {
				acked[id] = true
			} else if what == "done" {
				done[id] = true
			}
		}
		_ = cmd.Wait()
		s := open(t, path)
		if s.Clean() {
			t.Fatal("a killed process left the clean-end mark")
		}
		l := ledger(t, s)
		waiting := map[int64]bool{}
		far := time.Now().Add(100 * time.Hour)
		var left []Ref
		for {
			r, ok, _, err := l.Next(far)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				if len(left) == 0 {
					break
				}
				for _, r := range left {
					if err := l.Done(ctx, r); err != nil {
						t.Fatal(err)
					}
					done[r.ID] = true
				}
				left = left[:0]
				continue
			}
			if string(r.Raw) != string(raw(r.ID)) {
				t.Fatalf("id %d: %q", r.ID, r.Raw)
			}
			waiting[r.ID] = true
			if done[r.ID] {
				t.Fatalf("%d was removed and is there again", r.ID)
			}
			left = append(left, r.Ref)
		}
		for id := range acked {
			if !waiting[id] && !done[id] && id%2 != 0 {
				t.Fatalf("%d was acknowledged and is lost", id)
			}
			if r := accept(t, l, hook(id)); r.Count(transport.StatusDuplicate) != 1 {
				t.Fatalf("%d was acknowledged and is not known", id)
			}
		}
		s.Abandon()
	}
	if len(acked) < 400 {
		t.Fatalf("only %d acknowledged", len(acked))
	}
}
