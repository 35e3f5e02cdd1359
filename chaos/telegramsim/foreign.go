package telegramsim

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// inside makes a call that does not come over the network: another program with
// the same token.
func (s *Sim) inside(botID int64, method string, args map[string]string) (*call, error) {
	c := &call{method: method, args: args, done: make(chan *answer, 1), foreign: true}
	return c, s.with(botID, func(b *bot) error { b.do(c); return nil })
}

func (s *Sim) outcome(c *call) (int, string) {
	select {
	case a := <-c.done:
		if a != nil {
			return a.code, a.description
		}
	case <-s.ctx.Done():
	}
	return 0, ""
}

// ForeignSetWebhook sets a webhook as another program with the token would. It
// returns status and description of the answer.
func (s *Sim) ForeignSetWebhook(botID int64, url string) (int, string, error) {
	c, err := s.inside(botID, "setwebhook", map[string]string{"url": url})
	if err != nil {
		return 0, "", err
	}
	code, text := s.outcome(c)
	return code, text, nil
}

// ForeignDeleteWebhook deletes the webhook as another program would.
func (s *Sim) ForeignDeleteWebhook(botID int64) (int, string, error) {
	c, err := s.inside(botID, "deletewebhook", map[string]string{})
	if err != nil {
		return 0, "", err
	}
	code, text := s.outcome(c)
	return code, text, nil
}

// ForeignPoller starts a second consumer of getUpdates with long polls of the
// given timeout. It confirms, and so takes away, what it gets; the records say
// Foreign. stop ends it and waits for it.
func (s *Sim) ForeignPoller(botID int64, timeout time.Duration) (stop func(), err error) {
	if err := s.with(botID, func(*bot) error { return nil }); err != nil {
		return nil, err
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	s.lock()
	s.spawn(func() {
		defer close(ended)
		s.stealUpdates(botID, timeout, quit)
	})
	if s.closed {
		close(ended)
	}
	s.unlock()
	var once sync.Once
	return func() {
		once.Do(func() { close(quit) })
		<-ended
	}, nil
}

func (s *Sim) stealUpdates(botID int64, timeout time.Duration, quit chan struct{}) {
	offset := int64(0)
	for {
		args := map[string]string{"timeout": strconv.Itoa(int(timeout / time.Second))}
		if offset != 0 {
			args["offset"] = strconv.FormatInt(offset, 10)
		}
		c, err := s.inside(botID, "getupdates", args)
		if err != nil {
			return
		}
		var a *answer
		select {
		case a = <-c.done:
		case <-quit:
			s.lock()
			if b := s.bots[botID]; b != nil && b.parked != nil && b.parked.c == c {
				b.drop(nil)
			}
			s.unlock()
			return
		case <-s.ctx.Done():
			return
		}
		var page []struct {
			ID int64 `json:"update_id"`
		}
		if a != nil && a.code == 200 && json.Unmarshal(a.result, &page) == nil && len(page) > 0 {
			offset = page[len(page)-1].ID + 1
			continue
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-wait.C:
		case <-quit:
			wait.Stop()
			return
		case <-s.ctx.Done():
			wait.Stop()
			return
		}
	}
}

// Restart is a restart of the server: webhook connections and what is in flight
// are cut, last_error and all backoff are forgotten, parked calls are dropped
// (or, with tell, told "restart"). Queues and webhooks stay. For the given
// time calls get the front end's 502.
func (s *Sim) Restart(down time.Duration, tell bool) {
	s.lock()
	defer s.unlock()
	if s.closed {
		return
	}
	s.downTil = time.Now().Add(down)
	var end *answer
	if tell {
		end = failure(500, "Internal Server Error: restart")
	}
	for _, b := range s.bots {
		if b.actor != nil {
			b.actor.end("restart")
		}
		b.drop(end)
		if b.setting != nil {
			b.answer(b.setting, end)
			b.setting, b.hook = nil, nil // not written down before it was verified
		}
		b.err = lastError{}
		b.lastGet.at, b.lastSet, b.calm = time.Time{}, time.Time{}, time.Time{}
	}
	clear(s.cache)
	s.timer(down, func() {
		for _, b := range s.bots {
			b.started = time.Now()
			if b.hook != nil && b.actor == nil {
				b.start(true, func() {}, func(string) {})
			}
		}
	})
}

// LogIn ends what logOut began.
func (s *Sim) LogIn(botID int64) error {
	return s.with(botID, func(b *bot) error { b.loggedOut = false; return nil })
}

// SetSyncError sets last_synchronization_error_date; the zero time removes it.
func (s *Sim) SetSyncError(botID int64, at time.Time) error {
	return s.with(botID, func(b *bot) error { b.syncErr = at; return nil })
}

// Info returns what getWebhookInfo would answer, without a call.
func (s *Sim) Info(botID int64) (WebhookInfo, error) {
	var i WebhookInfo
	err := s.with(botID, func(b *bot) error { i = b.info(); return nil })
	return i, err
}
