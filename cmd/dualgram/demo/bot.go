package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// delivered is one delivery as the sample bot saw it.
type delivered struct {
	ID     int64
	Source string // what the header Dualgram-Source said
	At     time.Time
	Body   []byte
}

// sampleBot is a bot as anybody might have one: an HTTP server that takes what is
// posted to it, and here also keeps a record.
type sampleBot struct {
	srv *http.Server
	url string
	wg  sync.WaitGroup

	mu  sync.Mutex
	all []delivered
	ids map[int64]bool
	by  Counts
}

func newSampleBot(ctx context.Context) (*sampleBot, error) {
	ln, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	b := &sampleBot{url: "http://" + ln.Addr().String() + "/updates", ids: map[int64]bool{}}
	b.srv = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	b.wg.Go(func() { _ = b.srv.Serve(ln) }) // ends with close
	return b, nil
}

func (b *sampleBot) close() {
	_ = b.srv.Close()
	b.wg.Wait()
}

// ServeHTTP takes an update.
func (b *sampleBot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	b.all = append(b.all, delivered{ID: *u.ID, Source: source, At: time.Now(), Body: body})
	b.ids[*u.ID] = true
	if source == "polling" {
		b.by.Polling++
	} else {
		b.by.Webhook++
	}
	b.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

func (b *sampleBot) record() []delivered {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]delivered(nil), b.all...)
}

// distinct is how many different updates the bot has.
func (b *sampleBot) distinct() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}

func (b *sampleBot) counts() Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.by
}
