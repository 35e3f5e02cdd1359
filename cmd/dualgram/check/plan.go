package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// task is one thing that is looked at. It may give several results.
type task struct {
	bot   string
	codes []Code // each gets a result, in any case
	// needs are codes, of the same bot or of the host, without whose success there
	// is nothing to look at; after are codes whose end is waited for.
	needs, after []Code
	// atLeast is the time it gets even if Each is shorter.
	atLeast time.Duration
	run     func(ctx context.Context, f *findings)
}

// findings collects the results of one task. It is used by one goroutine.
type findings struct {
	bot string
	all []Result
}

func (f *findings) add(c Code, s Status, detail, fix string) {
	f.all = append(f.all, Result{Code: c, Bot: f.bot, Status: s, Detail: detail, Fix: fix})
}

func (f *findings) pass(c Code, detail string, args ...any) {
	f.add(c, Pass, fmt.Sprintf(detail, args...), "")
}
func (f *findings) skip(c Code, detail string, args ...any) {
	f.add(c, Skip, fmt.Sprintf(detail, args...), "")
}

// warn and fail take the registry's fix if the given one is empty.
func (f *findings) warn(c Code, fix, detail string, args ...any) {
	f.add(c, Warn, fmt.Sprintf(detail, args...), fix)
}
func (f *findings) fail(c Code, fix, detail string, args ...any) {
	f.add(c, Fail, fmt.Sprintf(detail, args...), fix)
}

// insist is fail in place of what was found of the code before.
func (f *findings) insist(c Code, fix, detail string, args ...any) {
	f.all = slices.DeleteFunc(f.all, func(r Result) bool { return r.Code == c })
	f.fail(c, fix, detail, args...)
}

func (f *findings) skipAll(codes []Code, detail string) {
	for _, c := range codes {
		f.skip(c, "%s", detail)
	}
}

// has returns the worst result of a code.
func (f *findings) has(c Code) (worst Result, ok bool) {
	for _, r := range f.all {
		if r.Code == c && (!ok || r.Status.worse(worst.Status)) {
			worst, ok = r, true
		}
	}
	return worst, ok
}

// node is a task under way.
type node struct {
	task
	done chan struct{}
	got  findings
}

// schedule runs the tasks, each as soon as what it depends on has ended, and returns
// all results. each bounds a task.
type schedule struct {
	nodes    []*node
	each     time.Duration
	progress func(done, total int, code Code)
}

func newSchedule(tasks []task, each time.Duration, progress func(done, total int, code Code)) *schedule {
	s := &schedule{each: each, progress: progress}
	for _, t := range tasks {
		s.nodes = append(s.nodes, &node{task: t, done: make(chan struct{}), got: findings{bot: t.bot}})
	}
	return s
}

// find returns the tasks that give the code: that of the bot, that of the host, and
// for a task of the host those of all bots.
func (s *schedule) find(c Code, bot string) (out []*node) {
	for _, n := range s.nodes {
		if (n.bot == bot || n.bot == "" || bot == "") && slices.Contains(n.codes, c) {
			out = append(out, n)
		}
	}
	return out
}

// closure keeps the tasks that give a wanted code, and what they depend on.
func (s *schedule) closure(wanted func(Code, string) bool) {
	keep := map[*node]bool{}
	var take func(n *node)
	take = func(n *node) {
		if keep[n] {
			return
		}
		keep[n] = true
		for _, c := range slices.Concat(n.needs, n.after) {
			for _, d := range s.find(c, n.bot) {
				take(d)
			}
		}
	}
	for _, n := range s.nodes {
		if slices.ContainsFunc(n.codes, func(c Code) bool { return wanted(c, n.bot) }) {
			take(n)
		}
	}
	s.nodes = slices.DeleteFunc(s.nodes, func(n *node) bool { return !keep[n] })
}

func (s *schedule) run(ctx context.Context) []Result {
	var all sync.WaitGroup
	var mu sync.Mutex
	ended := 0
	tell := func(c Code) {
		if s.progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		s.progress(ended, len(s.nodes), c)
	}
	for _, n := range s.nodes {
		all.Go(func() {
			defer close(n.done)
			for _, c := range slices.Concat(n.needs, n.after) {
				for _, d := range s.find(c, n.bot) {
					<-d.done
				}
			}
			if why := s.unmet(n); why != "" {
				n.got.skipAll(n.codes, why)
			} else {
				tell(n.codes[0])
				s.do(ctx, n)
			}
			mu.Lock()
			ended++
			mu.Unlock()
			tell(n.codes[0])
		})
	}
	all.Wait()
	var out []Result
	for _, n := range s.nodes {
		out = append(out, n.got.all...)
	}
	return out
}

// nothingToSee is why a code of a task that succeeded has no result.
const nothingToSee = "there was nothing to look at"

// prerequisite stands before the code that something is skipped for.
const prerequisite = "prerequisite failed: "

// unmet says which prerequisite of a task is missing; empty if none is.
func (s *schedule) unmet(n *node) string {
	for _, c := range n.needs {
		for _, d := range s.find(c, n.bot) {
			switch r, ok := d.got.has(c); {
			case !ok:
			case r.Status == Fail:
				return prerequisite + string(c)
			case r.Status == Skip:
				return r.Detail // why, or which one it all follows from
			}
		}
	}
	return ""
}

// do runs a task within its time, and sees to it that no code is without a result.
func (s *schedule) do(ctx context.Context, n *node) {
	within, cancel := context.WithTimeout(ctx, max(s.each, n.atLeast))
	defer cancel()
	if ctx.Err() == nil {
		func() {
			defer func() {
				if p := recover(); p != nil {
					n.got.fail(n.codes[0], "This is a fault of dualgram: report it.", "the check itself broke down: %v", p)
				}
			}()
			n.run(within, &n.got)
		}()
	}
	failed := ""
	for _, r := range n.got.all {
		if r.Status == Fail && failed == "" {
			failed = string(r.Code)
		}
	}
	for _, c := range n.codes {
		if _, ok := n.got.has(c); ok {
			continue
		}
		const more = "See which checks hang, or give more time with --timeout."
		switch {
		case failed != "":
			n.got.skip(c, "%s", prerequisite+failed)
		case errors.Is(ctx.Err(), context.Canceled):
			n.got.skip(c, "broken off")
		case ctx.Err() != nil:
			n.got.fail(c, more, "it did not come to it within the time for all checks")
		case within.Err() != nil:
			n.got.fail(c, more, "no answer within %s", max(s.each, n.atLeast))
		default:
			n.got.skip(c, "%s", nothingToSee)
		}
	}
}
