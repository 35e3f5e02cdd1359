package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Check is one question of a health endpoint.
type Check struct {
	// Name is stable: one word of a-z and dashes.
	Name string
	// Run returns nil if all is well; its error is shown to anybody who can
	// reach the listener and holds no secret. It ends when ctx does.
	Run func(ctx context.Context) error
	// Info only shows the check: its failure doesn't make the endpoint fail.
	Info bool
}

// checkTimeout is below the one second that probes of Kubernetes wait by
// default: a hanging check has to be named, not cut off.
const checkTimeout = 800 * time.Millisecond

// Observe returns the handler of the observe listener. livez answers whether
// the process has to be restarted, readyz whether deliveries may be sent to it.
// metrics may be nil.
//
// Both answer 200 or 503 with a line for each check, [+]name ok or [-]name
// failed: reason, if asked with ?verbose or if one failed; ?exclude=name leaves
// a check out, and may be repeated. With Accept: application/json the answer is
// a [Health].
func Observe(metrics http.Handler, livez, readyz []Check) http.Handler {
	mux := http.NewServeMux()
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	mux.Handle("GET /livez", health("livez", livez))
	mux.Handle("GET /readyz", health("readyz", readyz))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, "dualgram\n/metrics\n/livez?verbose\n/readyz?verbose\n")
	})
	return mux
}

// Health is the JSON form of a health endpoint.
type Health struct {
	Schema string        `json:"schema"`
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Checks []CheckResult `json:"checks"`
}

// CheckResult is the outcome of one [Check].
type CheckResult struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Info  bool   `json:"info"`
	Error string `json:"error,omitempty"`
}

func health(name string, checks []Check) http.Handler {
	askers := make([]*asker, len(checks))
	for i, c := range checks {
		askers[i] = &asker{check: c}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		run := slices.DeleteFunc(slices.Clone(askers), func(a *asker) bool { return slices.Contains(q["exclude"], a.check.Name) })
		h := Health{Schema: SchemaHealth, Name: name, OK: true, Checks: runChecks(r.Context(), run)}
		for _, c := range h.Checks {
			h.OK = h.OK && (c.OK || c.Info)
		}
		code := http.StatusOK
		if !h.OK {
			code = http.StatusServiceUnavailable
		}
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			WriteJSON(w, code, h)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(code)
		_, verbose := q["verbose"]
		_, _ = w.Write([]byte(h.text(verbose)))
	})
}

// text is the form of Kubernetes' own endpoints.
func (h Health) text(verbose bool) string {
	if h.OK && !verbose {
		return "ok\n"
	}
	var b strings.Builder
	for _, c := range h.Checks {
		switch {
		case c.OK:
			fmt.Fprintf(&b, "[+]%s ok\n", c.Name)
		case c.Info:
			fmt.Fprintf(&b, "[!]%s failed, not counted: %s\n", c.Name, c.Error)
		default:
			fmt.Fprintf(&b, "[-]%s failed: %s\n", c.Name, c.Error)
		}
	}
	verdict := "passed"
	if !h.OK {
		verdict = "failed"
	}
	fmt.Fprintf(&b, "%s check %s\n", h.Name, verdict)
	return b.String()
}

// asker runs one check at a time: whoever asks while it runs shares the
// outcome. So a check that hangs for ever costs one goroutine, not one per
// request.
type asker struct {
	check Check
	mu    sync.Mutex
	last  *answer
}

type answer struct {
	done chan struct{}
	err  error // valid once done is closed
}

// ask starts the check unless it runs already. The goroutine ends when the
// check does: at the latest checkTimeout after its start, for one that obeys
// its context.
func (a *asker) ask(ctx context.Context) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last != nil {
		select {
		case <-a.last.done:
		default:
			return a.last
		}
	}
	ans := &answer{done: make(chan struct{})}
	a.last = ans
	go func() {
		// The first to ask may go away; the others still wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		defer close(ans.done)
		defer func() {
			if r := recover(); r != nil {
				ans.err = fmt.Errorf("panicked: %v", r)
			}
		}()
		ans.err = a.check.Run(ctx)
	}()
	return ans
}

// runChecks asks all at once and waits for those that keep to the time.
func runChecks(ctx context.Context, askers []*asker) []CheckResult {
	answers := make([]*answer, len(askers))
	for i, a := range askers {
		answers[i] = a.ask(ctx)
	}
	// A little longer than the checks have: one that obeys its context says
	// better than we do what it was waiting for.
	late := time.NewTimer(checkTimeout + 50*time.Millisecond)
	defer late.Stop()
	expired := false
	out := make([]CheckResult, len(askers))
	for i, a := range askers {
		out[i] = CheckResult{Name: a.check.Name, Info: a.check.Info}
		if !expired {
			select {
			case <-answers[i].done:
			case <-late.C:
				expired = true
			}
		}
		err := fmt.Errorf("no answer within %s", checkTimeout)
		select {
		case <-answers[i].done:
			err = answers[i].err
		default:
		}
		out[i].OK = err == nil
		if err != nil {
			out[i].Error = strings.Join(strings.Fields(err.Error()), " ")
		}
	}
	return out
}
