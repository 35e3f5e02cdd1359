package telegramsim

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// controlRunning serves what goes on until it is stopped.
func (s *Sim) controlRunning(handle func(string, func(*http.Request) (any, error))) {
	done := map[string]bool{"ok": true}
	handle("PUT /control/v1/bots/{id}/traffic", func(r *http.Request) (any, error) {
		in := struct {
			Rate  float64
			Chats int
			Seed  uint64
			Max   int
			Kinds map[string]int
		}{Rate: 1}
		id, err := decodeBot(r, &in)
		if err != nil {
			return nil, err
		}
		if in.Rate <= 0 {
			return nil, fmt.Errorf("rate is %v, want more than 0", in.Rate)
		}
		t := Traffic{Seed: in.Seed, Bot: id, Rate: in.Rate, Chats: in.Chats, Kinds: in.Kinds, Max: in.Max}
		return done, s.run(fmt.Sprintf("traffic %d", id), id, func() (func(), error) {
			ctx, cancel := context.WithCancel(s.ctx)
			ended := make(chan struct{})
			s.lock()
			defer s.unlock()
			if s.closed {
				cancel()
				return nil, ErrClosed
			}
			s.spawn(func() {
				defer close(ended)
				_ = t.Run(ctx, s) // ends when its bot does
			})
			return func() { cancel(); <-ended }, nil
		})
	})
	handle("PUT /control/v1/bots/{id}/poller", func(r *http.Request) (any, error) {
		in := struct{ Timeout int }{20}
		id, err := decodeBot(r, &in)
		if err != nil {
			return nil, err
		}
		return done, s.run(fmt.Sprintf("poller %d", id), id, func() (func(), error) {
			return s.ForeignPoller(id, time.Duration(in.Timeout)*time.Second)
		})
	})
	for _, what := range []string{"traffic", "poller"} {
		handle("DELETE /control/v1/bots/{id}/"+what, func(r *http.Request) (any, error) {
			id, err := pathID(r)
			if err != nil {
				return nil, err
			}
			s.stop(fmt.Sprintf("%s %d", what, id))
			return done, nil
		})
	}
}

// run starts something under a name, in place of what ran under it.
func (s *Sim) run(name string, botID int64, start func() (stop func(), err error)) error {
	if err := s.with(botID, func(*bot) error { return nil }); err != nil {
		return err
	}
	s.stop(name)
	stop, err := start()
	if err != nil {
		return err
	}
	s.lock()
	old := s.running[name]
	s.running[name] = stop
	s.unlock()
	if old != nil { // two started at once
		old()
	}
	return nil
}

// stop ends what runs under a name and waits for it.
func (s *Sim) stop(name string) {
	s.lock()
	f := s.running[name]
	delete(s.running, name)
	s.unlock()
	if f != nil {
		f()
	}
}

func (s *Sim) stopAll() {
	s.lock()
	fs := s.running
	s.running = map[string]func(){}
	s.unlock()
	for _, f := range fs {
		f()
	}
}
