package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// botMood is how the sample bot answers.
type botMood int

const (
	botTakes   botMood = iota // 200
	botRefuses                // 500
	botHangs                  // no answer, until it is told otherwise
)

// sampleBot is the bot behind dualgram: an HTTP server that writes down what it
// gets. It is written as one for webhooks would be.
type sampleBot struct {
	url string
	srv *http.Server

	mu      sync.Mutex
	mood    botMood
	changed chan struct{} // closed when the mood changes
	refuse  func(id int64) bool
	taken   []taken
	asked   int // requests, taken or not
	secrets map[string]bool
	strange []string // requests that are not as documented
}

// taken is one update that the bot has answered with 200.
type taken struct {
	ID      int64
	Attempt int
	Source  string
	At      time.Time
	Body    string
}

func newSampleBot(t testing.TB) *sampleBot {
	return startSampleBot(t, freeAddr(t))
}

func startSampleBot(t testing.TB, addr string) *sampleBot {
	t.Helper()
	ln, err := listenAt(addr)
	if err != nil {
		t.Fatal(err)
	}
	b := &sampleBot{url: "http://" + ln.Addr().String() + "/updates", changed: make(chan struct{}), secrets: map[string]bool{}}
	b.srv = &http.Server{Handler: b}
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.srv.Serve(ln) })
	t.Cleanup(func() {
		b.become(botRefuses) // whoever hangs is let go
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.srv.Shutdown(ctx)
		b.srv.Close()
		wg.Wait()
	})
	return b
}

// ServeHTTP implements http.Handler.
func (b *sampleBot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, err := strconv.ParseInt(r.Header.Get("Dualgram-Update-Id"), 10, 64)
	attempt, aerr := strconv.Atoi(r.Header.Get("Dualgram-Attempt"))
	source := r.Header.Get("Dualgram-Source")
	b.mu.Lock()
	b.asked++
	b.secrets[r.Header.Get("X-Telegram-Bot-Api-Secret-Token")] = true
	if err != nil || aerr != nil || attempt < 1 || source != "webhook" && source != "polling" ||
		r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		b.strange = append(b.strange, r.Method+" id "+r.Header.Get("Dualgram-Update-Id")+" attempt "+r.Header.Get("Dualgram-Attempt")+" source "+source)
	}
	for b.mood == botHangs {
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		b.mu.Lock()
		if r.Context().Err() != nil { // given up meanwhile: it comes again
			b.mu.Unlock()
			return
		}
	}
	no := b.mood == botRefuses || b.refuse != nil && b.refuse(id)
	if !no {
		b.taken = append(b.taken, taken{id, attempt, source, time.Now(), string(body)})
	}
	b.mu.Unlock()
	if no {
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (b *sampleBot) become(m botMood) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mood = m
	close(b.changed)
	b.changed = make(chan struct{})
}

// refusing makes the bot refuse the updates for which f is true; nil: none.
func (b *sampleBot) refusing(f func(id int64) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = f
}

// record returns what the bot has taken, in order.
func (b *sampleBot) record() []taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]taken(nil), b.taken...)
}

func (b *sampleBot) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.taken)
}

// requests is how often the bot was asked.
func (b *sampleBot) requests() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *sampleBot) has(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.taken {
		if t.ID == id {
			return true
		}
	}
	return false
}

// bySource counts what came by a transport.
func (b *sampleBot) bySource(source string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, t := range b.taken {
		if t.Source == source {
			n++
		}
	}
	return n
}
