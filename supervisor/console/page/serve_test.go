package page

import (
	"context"
	"dualgram/supervisor/console"
	"net/http"
	"os"
	"testing"
	"time"
)

func TestServe(t *testing.T) {
	if os.Getenv("SERVE") == "" {
		t.Skip()
	}
	f := newFixture(time.Now())
	p := f.page()
	go p.Run(context.Background())
	go http.ListenAndServe("127.0.0.1:19474", p.Observe())
	http.ListenAndServe("127.0.0.1:19475", p.Control(func(r *http.Request) console.Caller {
		return console.Caller{User: "tcp token", UID: -1, Remote: r.RemoteAddr}
	}))
}
