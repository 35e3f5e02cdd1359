package check

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

// maxRead bounds what is read of an answer of the observe listener.
const maxRead = 4 << 20

// observe looks at the listener that Prometheus and Kubernetes ask: whether it can be
// had, or how it answers.
func (k *checkup) observe(ctx context.Context, f *findings) {
	addr := k.cfg.Observe.Listen
	if k.vitals != nil {
		addr = k.vitals.Observe
	}
	switch {
	case addr == "":
		f.skipAll([]Code{ObserveListen, ObserveMetrics}, "observe.listen is off")
		return
	case k.o.Pre:
		ln, err := k.o.Listen(ctx, "tcp", addr)
		if err != nil {
			f.fail(ObserveListen, "", "observe.listen %s can't be had: %s", addr, bare(err))
			return
		}
		_ = ln.Close()
		f.pass(ObserveListen, "%s is free", addr)
		f.skip(ObserveMetrics, "dualgram isn't running")
		return
	}
	c := &http.Client{
		Transport:     &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) { return k.o.Dial(ctx, network, addr) }, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	get := func(path string) (int, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(addr)+path, nil)
		if err != nil {
			return 0, "", err
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxRead))
		return resp.StatusCode, string(body), err
	}
	switch code, body, err := get("/readyz"); {
	case err != nil:
		f.fail(ObserveListen, "", "no answer at %s: %s", addr, bare(err))
		return
	case code == http.StatusServiceUnavailable:
		f.fail(ObserveListen, "", "not ready: %s", notReady(body))
	case code != http.StatusOK:
		f.fail(ObserveListen, "", "/readyz at %s is answered with %d", addr, code)
	default:
		f.pass(ObserveListen, "%s answers that it is ready", addr)
	}
	switch code, body, err := get("/metrics"); {
	case err != nil:
		f.fail(ObserveMetrics, "", "no metrics at %s: %s", addr, bare(err))
	case code != http.StatusOK || !strings.Contains(body, "\ndualgram_"):
		f.fail(ObserveMetrics, "", "/metrics at %s is answered with %d, and without a metric of dualgram", addr, code)
	default:
		n := 0
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "dualgram_") {
				n++
			}
		}
		f.pass(ObserveMetrics, "%d series at %s/metrics", n, addr)
	}
}

// notReady takes the failed checks out of a health endpoint's answer.
func notReady(body string) string {
	var bad []string
	sc := bufio.NewScanner(strings.NewReader(body))
	for sc.Scan() {
		if line, ok := strings.CutPrefix(sc.Text(), "[-]"); ok {
			bad = append(bad, line)
		}
	}
	return strings.Join(bad, "; ")
}
