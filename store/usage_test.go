package store

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/transport"
)

// TestUsageWhileGrowing: the size can be asked for at any time, also while a commit
// moves the mapping because the file grows.
func TestUsageWhileGrowing(t *testing.T) {
	s := open(t, newPath(t))
	l, err := s.Ledger(testBot)
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				if u, ok := s.Usage(); !ok || u.FileBytes == 0 {
					t.Errorf("%+v %v", u, ok)
				}
				asked.Add(1)
			}
		})
	}
	text := strings.Repeat("x", 400<<10)
	for i := range 60 { // past several sizes at which it is mapped anew
		raw := fmt.Appendf(nil, `{"update_id":%d,"message":{"chat":{"id":1},"text":%q}}`, 1000+i, text)
		if _, err := l.Accept(ctx, transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now(), Updates: []transport.Update{transport.Scan(raw)}}); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	u, ok := s.Usage()
	if !ok || u.FileBytes < 16<<20 || u.FreeBytes < 0 || u.FreeBytes > u.FileBytes || asked.Load() == 0 {
		t.Errorf("%+v %v, asked %d times", u, ok, asked.Load())
	}
}
