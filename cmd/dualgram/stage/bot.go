package stage

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// Delivery is one delivery as the sample bot saw it.
type Delivery struct {
	ID     int64
	Source string // what the header Dualgram-Source said
	At     time.Time
	Body   []byte
}

// SampleBot is a bot as anybody might have one: an HTTP server that takes what is
// posted to it, and here also keeps a record.
type SampleBot struct {
	srv *http.Server
	url string
	wg  sync.WaitGroup

	mu                 sync.Mutex
	all                []Delivery
	ids                map[int64]bool
	byWebhook, byPolls int
}

func newSampleBot(ctx context.Context) (*SampleBot, error) {
	ln, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	b := &SampleBot{url: "http://" + ln.Addr().String() + "/updates", ids: map[int64]bool{}}
	b.srv = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	b.wg.Go(func() { _ = b.srv.Serve(ln) }) // ends with close
	return b, nil
}

func (b *SampleBot) close() {
	_ = b.srv.Close()
	b.wg.Wait()
}

// ServeHTTP takes an update.
func (b *SampleBot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var u struct {
		ID *int64 `json:"update_id"`
	}
	if err == nil {
		err = json.Unmarshal(body, &u)
	}
	if err != nil || u.ID == nil {
		http.Error(w, "not an update", http.StatusBadRequest)
		return
	}
	source := r.Header.Get("Dualgram-Source")
	b.mu.Lock()
	b.all = append(b.all, Delivery{ID: *u.ID, Source: source, At: time.Now(), Body: body})
	b.ids[*u.ID] = true
	if source == "polling" {
		b.byPolls++
	} else {
		b.byWebhook++
	}
	b.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// Record returns what it got, in the order in which it came.
func (b *SampleBot) Record() []Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Delivery(nil), b.all...)
}

// Distinct is how many different updates the bot has.
func (b *SampleBot) Distinct() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}

// Counts tells how many deliveries each transport brought.
func (b *SampleBot) Counts() (webhook, polling int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byWebhook, b.byPolls
}
