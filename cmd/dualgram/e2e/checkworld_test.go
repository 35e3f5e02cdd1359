package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"

	"golang.org/x/net/dns/dnsmessage"
)

// hookIP is the address by which the world knows the webhook. It is a public one, as
// Telegram wants it; what is dialled in fact is the relay.
const hookIP = "5.45.72.9"

// cloudWorld is a world in which dualgram takes the simulator for Telegram's own
// server, so that the rules hold which only that enforces: ports, https, public IPv4
// addresses. The way there is a proxy, which ends TLS.
func cloudWorld(t *testing.T) *world {
	t.Helper()
	var w *world
	dialer := &net.Dialer{}
	w = newWorldFrom(t, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, w.path.addr)
	})
	w.sim.SetHost(hookHost, hookIP)
	w.write("root.pem", string(w.ca.RootPEM()))
	w.conf.PublicURL = "https://" + hookHost + ":8443/webhook/orders"
	w.conf.API = "https://api.telegram.org"
	w.conf.CA = ", ca_file: " + w.file("root.pem") + ", proxy: http://" + serveProxy(t, w.ca, w.api.addr)
	w.conf.Webhook = w.probing(w.path.addr, hookIP)
	w.conf.Failover = "hold_down: 30s, info_interval: 500ms"
	w.sim.SetKnobs(telegramsim.Knobs{Latency: 10 * time.Millisecond, LatencyMax: 60 * time.Millisecond})
	return w
}

// probing is the line of webhook by which a probe trusts the world's authority, asks
// the world's DNS, which has the host with the addresses, and dials the given address
// if it isn't empty.
func (w *world) probing(dial string, addrs ...string) string {
	s := "probe: {ca_file: " + w.file("root.pem") + ", resolver: " + serveDNS(w.t, addrs...)
	if dial != "" {
		s += ", dial: " + dial
	}
	return s + "}"
}

// serveProxy is an HTTP proxy that leads every CONNECT to one server, ending TLS as
// api.telegram.org.
func serveProxy(t *testing.T, ca *pki.CA, to string) string {
	t.Helper()
	pair := must(ca.Issue(time.Now(), pki.Leaf{Hosts: []string{"api.telegram.org"}})).TLS()
	ln, err := listenAt(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	keep := func(c net.Conn) net.Conn { mu.Lock(); defer mu.Unlock(); open[c] = true; return c }
	serve := func(c net.Conn) {
		defer c.Close()
		br := bufio.NewReader(c)
		req, err := http.ReadRequest(br)
		if err != nil || req.Method != http.MethodConnect {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		keep(out)
		defer out.Close()
		wg.Go(func() { _, _ = io.Copy(out, secure); out.Close() })
		_, _ = io.Copy(secure, out)
	}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(keep(c)) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// serveDNS answers every question for A and AAAA with those of the addresses that fit.
func serveDNS(t *testing.T, addrs ...string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.RecursionAvailable = true, true
			head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
			for _, s := range addrs {
				switch a := netip.MustParseAddr(s); {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			m.Additionals = nil
			if packed, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { pc.Close(); wg.Wait() })
	return pc.LocalAddr().String()
}

// checked is what dualgram check printed, in the words of its contract.
type checked struct {
	Schema, Mode string
	OK           bool
	Checks       []checkRow

	code  int
	table string
}

type checkRow struct{ Code, Category, Name, Bot, Status, Detail, Fix, Runbook string }

func (r checkRow) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s %s: %s | fix: %s", r.Status, r.Code, r.Bot, r.Detail, r.Fix), " | fix: ")
}

// check runs dualgram check in both forms; they have to agree.
func (w *world) check(args ...string) checked {
	w.t.Helper()
	args = append([]string{"check", "--config", w.configure()}, args...)
	var c checked
	code, out, errs := w.cli(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &c); err != nil || errs != "" {
		w.t.Fatalf("check: %d %v\n%s\n%s", code, err, out, errs)
	}
	c.code = code
	_, c.table, _ = w.cli(args...)
	w.wellFormed(c)
	return c
}

// wellFormed holds what is true of every report.
func (w *world) wellFormed(c checked) {
	w.t.Helper()
	if c.Schema != "dualgram/check/v1" || len(c.Checks) == 0 || c.OK != (c.code == 0) {
		w.t.Errorf("%s, %d checks, ok %v with exit code %d", c.Schema, len(c.Checks), c.OK, c.code)
	}
	for _, r := range c.Checks {
		bad := r.Status == "WARN" || r.Status == "FAIL"
		if r.Detail == "" || bad != (r.Fix != "") || bad != (r.Runbook != "") {
			w.t.Errorf("%s without what belongs to it: %+v", r.Code, r)
		}
	}
	lines := strings.Split(strings.TrimSpace(c.table), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "SUMMARY: ") || !strings.Contains(lines[0], "COMPONENT") {
		w.t.Errorf("the table ends with %q", last)
	}
	if strings.Contains(c.table, "/webhook/orders") {
		w.t.Error("the table shows the path of the webhook")
	}
}

// find returns the result of a code; there has to be one.
func (c checked) find(t testing.TB, code string) checkRow {
	t.Helper()
	var found []checkRow
	for _, r := range c.Checks {
		if r.Code == code {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d results of %s\n%s", len(found), code, c.table)
	}
	return found[0]
}

// bad lists what isn't well.
func (c checked) bad() (out []checkRow) {
	for _, r := range c.Checks {
		if r.Status != "PASS" && r.Status != "SKIP" {
			out = append(out, r)
		}
	}
	return out
}

// only wants one thing to be wrong, and nothing else, with the fix that helps.
func (c checked) only(t testing.TB, code, status, detail, fix string) {
	t.Helper()
	r := c.find(t, code)
	if r.Status != status || !strings.Contains(r.Detail, detail) || !strings.Contains(r.Fix, fix) {
		t.Errorf("%v\nwant %s with %q and the fix %q", r, status, detail, fix)
	}
	if bad := c.bad(); len(bad) != 1 {
		t.Errorf("%d things are wrong, want one: %v", len(bad), bad)
	}
	if c.code != 1 {
		t.Errorf("exit code %d", c.code)
	}
	if !strings.Contains(c.table, status+" "+code) || !strings.Contains(c.table, "dualgram runbook "+r.Runbook) {
		t.Errorf("the table doesn't say so:\n%s", c.table)
	}
	transcript(t, c, code)
}

// transcript keeps the lines about a code, if E2E_CHECK_DIR says where.
func transcript(t testing.TB, c checked, code string) {
	dir := os.Getenv("E2E_CHECK_DIR")
	if dir == "" {
		return
	}
	var b strings.Builder
	for line := range strings.Lines(c.table) {
		if strings.Contains(line, code) || strings.Contains(line, "COMPONENT") || strings.HasPrefix(line, "SUMMARY") || strings.Contains(line, "more:") {
			b.WriteString(line)
		}
	}
	name := strings.ReplaceAll(t.Name(), "/", "_")
	if err := os.WriteFile(dir+"/"+name+".txt", []byte(b.String()), 0o600); err != nil {
		t.Error(err)
	}
}

// checkOnTmpfs runs check with the store's directory on a file system of its own that
// is full.
func (w *world) checkOnTmpfs(dir, size string, args ...string) checked {
	w.t.Helper()
	if err := tryOwnMounts(); err != nil {
		w.t.Skipf("this system lets no user mount a file system of his own: %v", err)
	}
	self := must(os.Executable())
	run := func(form string) (int, string) {
		cmd := exec.Command(self)
		cmd.Env = environment(childEnv+"="+childIsTmpfs, childBinary+"="+binary, childTmpfsDir+"="+dir, childTmpfsSize+"="+size,
			childTmpfsFill+"=1", childArgs+"="+strings.Join(append([]string{"check", "--config", w.configure(), "-o", form}, args...), " "))
		cmd.SysProcAttr = ownMounts()
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			w.t.Fatal(err)
		}
		w.vault.search(w.t, "check on a full disk", string(out))
		return cmd.ProcessState.ExitCode(), string(out)
	}
	var c checked
	code, out := run("json")
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		w.t.Fatalf("%d %v\n%s", code, err, out)
	}
	c.code = code
	_, c.table = run("table")
	w.wellFormed(c)
	return c
}

// serveSquatter has the webhook's address and its certificate, and answers 200 to
// everybody.
func serveSquatter(t *testing.T, w *world) (stop func()) {
	t.Helper()
	ln, err := listenAt(w.conf.Listen)
	if err != nil {
		t.Fatal(err)
	}
	pair := must(w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{hookHost}})).TLS()
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}}))
	}()
	stop = sync.OnceFunc(func() { srv.Close(); <-done })
	t.Cleanup(stop)
	return stop
}
