package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const hookName = "bot.example.com"

// TestSettling walks the decision through what the looks may find.
func TestSettling(t *testing.T) {
	id := func(b byte) contentID { return contentID{b} }
	good := func(b byte) found { return found{pair: &pair{id: id(b)}, id: id(b)} }
	broken := func(b byte) found { return found{id: id(b), err: ErrCertificate} }
	none := found{id: id(99), err: os.ErrNotExist}
	worse := ErrRefused
	type look struct {
		after time.Duration
		found found
		worse error
		want  verdict
	}
	for _, c := range []struct {
		name  string
		empty bool // nothing is in service; otherwise good(1)
		looks []look
	}{
		{"nothing new", false, []look{{0, good(1), nil, keep}, {2, good(1), nil, keep}}},
		{"renewed", false, []look{{0, good(2), nil, wait}, {2, good(2), nil, take}}},
		{"written in parts that each look whole", false, []look{{0, good(2), nil, wait}, {2, good(3), nil, wait}, {2, good(3), nil, take}}},
		{"one file after the other", false, []look{{0, broken(2), nil, wait}, {2, broken(2), nil, wait}, {12, broken(2), nil, wait}, {0, good(3), nil, wait}, {2, good(3), nil, take}}},
		{"broken for good", false, []look{{0, broken(2), nil, wait}, {14, broken(2), nil, wait}, {1, broken(2), nil, refuse}, {2, broken(2), nil, refuse}}},
		{"broken in another way, in between", false, []look{{0, broken(2), nil, wait}, {14, broken(3), nil, wait}, {14, broken(3), nil, wait}, {1, broken(3), nil, refuse}}},
		{"worse", false, []look{{0, good(2), worse, wait}, {2, good(2), worse, refuse}, {2, good(2), worse, refuse}}},
		{"worse, until the one in service is no better", false, []look{{0, good(2), worse, wait}, {2, good(2), worse, refuse}, {2, good(2), nil, take}}},
		{"put back", false, []look{{0, good(2), worse, wait}, {2, good(2), worse, refuse}, {2, good(1), nil, keep}}},
		{"none promised", true, []look{{0, none, nil, wait}, {20, none, nil, wait}, {2, good(1), nil, wait}, {2, good(1), nil, take}}},
		{"gone", false, []look{{0, none, nil, wait}, {15, none, nil, refuse}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s settling
			now := time.Now()
			var in *pair
			if !c.empty {
				in = good(1).pair
				s.seen = in.id
			}
			for i, l := range c.looks {
				now = now.Add(l.after * time.Second)
				if got := s.look(now, l.found, in, l.worse); got != l.want {
					t.Fatalf("look %d: %v, want %v", i, got, l.want)
				}
			}
		})
	}
}

// TestWatchPatterns replaces the files as the world's tools do.
func TestWatchPatterns(t *testing.T) {
	for _, c := range []struct {
		name string
		// lay puts the first pair into dir, so that cert.pem and key.pem lead to it,
		// and replace the next.
		lay, replace func(t *testing.T, dir string, next tls.Certificate)
	}{
		{"in place, the certificate first", writeFirst, func(t *testing.T, dir string, next tls.Certificate) {
			write(t, dir, "cert.pem", certPEM(next))
			time.Sleep(10 * time.Second)
			write(t, dir, "key.pem", keyPEM(t, next))
		}},
		{"in place, the key first, in pieces", writeFirst, func(t *testing.T, dir string, next tls.Certificate) {
			key, cert := keyPEM(t, next), certPEM(next)
			write(t, dir, "key.pem", key[:50])
			time.Sleep(3 * time.Second)
			write(t, dir, "key.pem", key)
			time.Sleep(3 * time.Second)
			write(t, dir, "cert.pem", nil)
			time.Sleep(3 * time.Second)
			write(t, dir, "cert.pem", cert)
		}},
		{"by renaming", writeFirst, func(t *testing.T, dir string, next tls.Certificate) {
			write(t, dir, "new-cert.pem", certPEM(next))
			write(t, dir, "new-key.pem", keyPEM(t, next))
			rename(t, dir, "new-cert.pem", "cert.pem")
			time.Sleep(time.Second)
			rename(t, dir, "new-key.pem", "key.pem")
		}},
		{"the same size and time", writeFirst, func(t *testing.T, dir string, next tls.Certificate) {
			old, err := os.Stat(filepath.Join(dir, "cert.pem"))
			if err != nil {
				t.Fatal(err)
			}
			writePair(t, dir, next)
			for _, f := range []string{"cert.pem", "key.pem"} {
				if err := os.Chtimes(filepath.Join(dir, f), old.ModTime(), old.ModTime()); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"one link for each file, as certbot", func(t *testing.T, dir string, first tls.Certificate) {
			generation(t, dir, "1", first)
			link(t, dir, filepath.Join("1", "cert.pem"), "cert.pem")
			link(t, dir, filepath.Join("1", "key.pem"), "key.pem")
		}, func(t *testing.T, dir string, next tls.Certificate) {
			generation(t, dir, "2", next)
			link(t, dir, filepath.Join("2", "key.pem"), "key.pem")
			time.Sleep(3 * time.Second)
			link(t, dir, filepath.Join("2", "cert.pem"), "cert.pem")
		}},
		{"one link for both, as Kubernetes", func(t *testing.T, dir string, first tls.Certificate) {
			generation(t, dir, "..1", first)
			link(t, dir, "..1", "..data")
			link(t, dir, filepath.Join("..data", "cert.pem"), "cert.pem")
			link(t, dir, filepath.Join("..data", "key.pem"), "key.pem")
		}, func(t *testing.T, dir string, next tls.Certificate) {
			generation(t, dir, "..2", next)
			link(t, dir, "..2", "..data")
			if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				first, next := mint(t, certSpec{names: []string{hookName}}), mint(t, certSpec{names: []string{hookName}})
				c.lay(t, dir, first)
				cert, news, stop := watched(t, dir)
				defer stop()
				time.Sleep(20 * time.Second)
				if got := news.take(); len(got) > 0 {
					t.Fatalf("nothing changed, and %+v", got)
				}
				c.replace(t, dir, next)
				time.Sleep(2*lookEvery + time.Millisecond)
				if !cert.Leaf().Equal(next.Leaf) {
					t.Error("the new pair is not in service")
				}
				time.Sleep(time.Minute)
				if got, want := news.take(), []Change{{Replaced: true}}; !slices.Equal(got, want) {
					t.Errorf("%+v, want %+v", got, want)
				}
			})
		})
	}
}

// TestWatchRefuses: a bad pair is told of once, and stays refused until it is
// replaced or the one in service is no better.
func TestWatchRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		now := time.Now()
		good := mint(t, certSpec{names: []string{hookName}, expire: now.Add(time.Hour)})
		writePair(t, dir, good)
		cert, news, stop := watched(t, dir)
		defer stop()
		expect := func(what string, want error) {
			t.Helper()
			got := news.take()
			if len(got) != 1 || !errors.Is(got[0].Refused, want) || got[0].Replaced || !cert.Leaf().Equal(good.Leaf) {
				t.Fatalf("%s: %+v", what, got)
			}
			if r := cert.Refused(); !errors.Is(r.Err, want) || r.Since.IsZero() {
				t.Fatalf("%s: refused %+v", what, r)
			}
		}
		write(t, dir, "key.pem", []byte("garbage"))
		time.Sleep(replacing)
		if got := news.take(); len(got) > 0 || cert.Refused().Err != nil {
			t.Fatalf("too early: %+v", got)
		}
		time.Sleep(time.Minute)
		expect("garbage", ErrCertificate)

		other := mint(t, certSpec{names: []string{"other.example.com"}, expire: now.Add(10 * time.Hour)})
		writePair(t, dir, other)
		time.Sleep(time.Minute)
		expect("another host", ErrRefused)

		writePair(t, dir, good)
		time.Sleep(lookEvery + time.Millisecond)
		if got := news.take(); len(got) != 1 || got[0] != (Change{Mended: true}) || cert.Refused().Err != nil {
			t.Fatalf("put back: %+v", got)
		}

		// Once it has expired, nothing is worse than it.
		writePair(t, dir, other)
		time.Sleep(time.Minute)
		expect("another host again", ErrRefused)
		time.Sleep(time.Hour)
		if got := news.take(); len(got) != 1 || got[0] != (Change{Replaced: true, WasBad: true}) || !cert.Leaf().Equal(other.Leaf) {
			t.Fatalf("none good: %+v", got)
		}
	})
}

// TestTelegramsClock: what is expired is judged by the clock that Watch is given.
func TestTelegramsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := mint(t, certSpec{names: []string{hookName}})
		writePair(t, dir, first)
		cert := load(t, dir)
		ahead := time.Now().Add(24 * time.Hour)
		next := mint(t, certSpec{names: []string{hookName}, notBefore: ahead.Add(-time.Hour), expire: ahead.Add(24 * time.Hour)})
		writePair(t, dir, next)
		if _, err := cert.Reload(time.Now(), hookName); !errors.Is(err, ErrRefused) {
			t.Errorf("by a clock that is a day behind: %v", err)
		}
		if ch, err := cert.Reload(ahead, hookName); err != nil || !ch.Replaced || ch.WasBad {
			t.Errorf("by the right one: %+v, %v", ch, err)
		}
	})
}

// TestAwaitCertificate: the files need not be there from the start.
func TestAwaitCertificate(t *testing.T) {
	dir := t.TempDir()
	cert := AwaitCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if _, err := cert.GetCertificate(nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("none: %v", err)
	}
	if s := cert.Check(time.Now(), hookName, 0); s.Status != CertMissing || !s.Status.Fatal() || cert.Leaf() != nil || cert.PEM() != nil {
		t.Errorf("none: %+v", s)
	}
	if _, err := cert.Reload(time.Now(), hookName); !errors.Is(err, os.ErrNotExist) || cert.Refused().Err != nil {
		t.Errorf("none: %v, refused %+v", err, cert.Refused())
	}
	// There is nothing better, so what there is is served.
	writePair(t, dir, mint(t, certSpec{names: []string{"x.y"}}))
	if ch, err := cert.Reload(time.Now(), hookName); err != nil || !ch.Replaced || !ch.WasBad || cert.Leaf() == nil {
		t.Errorf("the first: %+v, %v", ch, err)
	}
}

// TestOffer: what is offered is in service and in the files, or in neither.
func TestOffer(t *testing.T) {
	dir := t.TempDir()
	cert := AwaitCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	first, next := mint(t, certSpec{names: []string{hookName}}), mint(t, certSpec{names: []string{hookName}})
	if ch, err := cert.Offer(time.Now(), certPEM(first), keyPEM(t, first), hookName); err != nil || ch != (Change{Replaced: true, WasBad: true}) {
		t.Fatalf("the first: %+v, %v", ch, err)
	}
	stays := func(what string) {
		t.Helper()
		if !cert.Leaf().Equal(first.Leaf) || !load(t, dir).Leaf().Equal(first.Leaf) {
			t.Errorf("%s took its place", what)
		}
		if ch := cert.Look(time.Now(), hookName); ch != (Change{}) {
			t.Errorf("%s: %+v", what, ch)
		}
	}
	stays("nothing")
	if _, err := cert.Offer(time.Now(), certPEM(next), keyPEM(t, first), hookName); !errors.Is(err, ErrCertificate) {
		t.Errorf("another key: %v", err)
	}
	stays("a pair that doesn't match")
	other := mint(t, certSpec{names: []string{"x.y"}})
	if _, err := cert.Offer(time.Now(), certPEM(other), keyPEM(t, other), hookName); !errors.Is(err, ErrRefused) {
		t.Errorf("another host: %v", err)
	}
	stays("one for another host")
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 { // to whom the mode means nothing
		if _, err := cert.Offer(time.Now(), certPEM(next), keyPEM(t, next), hookName); !errors.Is(err, ErrCertificate) {
			t.Errorf("a directory that can't be written: %v", err)
		}
		stays("one that can't be kept")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if ch, err := cert.Offer(time.Now(), certPEM(next), keyPEM(t, next), hookName); err != nil || ch != (Change{Replaced: true}) {
		t.Errorf("renewed: %+v, %v", ch, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", st, err)
	}
}

// TestHostsOfOneListener: a pair must do for every webhook of its listener.
func TestHostsOfOneListener(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, mint(t, certSpec{names: []string{"a.example.com", "b.example.com"}}))
	cert := load(t, dir)
	writePair(t, dir, mint(t, certSpec{names: []string{"a.example.com"}}))
	if _, err := cert.Reload(time.Now(), "a.example.com", "b.example.com"); !errors.Is(err, ErrRefused) {
		t.Errorf("one of two hosts: %v", err)
	}
	if ch, err := cert.Reload(time.Now(), "a.example.com"); err != nil || !ch.Replaced {
		t.Errorf("the only host: %+v, %v", ch, err)
	}
}

// TestRenewalTakesEffect: over real handshakes, a good renewal drops nobody, and
// whoever connects anew is shown the new certificate, with a session to resume or
// without; when the old one was bad, the connections made with it can be closed.
func TestRenewalTakesEffect(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				first, next := mint(t, certSpec{names: []string{hookName}}), mint(t, certSpec{names: []string{hookName}})
				writePair(t, dir, first)
				cert, news, stop := watched(t, dir)
				defer stop()
				startRig(t, Options{TLS: cert.TLSConfig()}, nil, func(g *rig) {
					pool := x509.NewCertPool()
					pool.AddCert(first.Leaf)
					pool.AddCert(next.Leaf)
					g.tls = &tls.Config{RootCAs: pool, ServerName: hookName, MinVersion: version, MaxVersion: version,
						ClientSessionCache: tls.NewLRUClientSessionCache(8)}
					shown := func(p *peer) tls.ConnectionState { return p.Conn.(*tls.Conn).ConnectionState() }
					kept := g.dialTLS(telegram)
					kept.open() // and a ticket, if there is one, is read with the answer
					if !shown(kept).PeerCertificates[0].Equal(first.Leaf) {
						t.Fatal("the first certificate is not served")
					}
					writePair(t, dir, next)
					time.Sleep(2 * lookEvery)
					if got, want := news.take(), []Change{{Replaced: true}}; !slices.Equal(got, want) {
						t.Fatalf("%+v, want %+v", got, want)
					}
					kept.open()
					anew := g.dialTLS(telegram)
					if st := shown(anew); st.DidResume || !st.PeerCertificates[0].Equal(next.Leaf) {
						t.Errorf("resumed %v, serial %v", st.DidResume, st.PeerCertificates[0].SerialNumber)
					}
					anew.open()
					if n := g.s.CloseConns(); n != 2 {
						t.Errorf("closed %d", n)
					}
					kept.closed()
				})
			})
		})
	}
}

// changes is what a Watch reported.
type changes struct {
	mu   sync.Mutex
	list []Change
}

func (c *changes) add(ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, ch)
}

// take returns what was reported since the last take.
func (c *changes) take() []Change {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

// watched is the certificate of dir under a Watch.
func watched(t *testing.T, dir string) (*Certificate, *changes, func()) {
	t.Helper()
	cert := load(t, dir)
	news := new(changes)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cert.Watch(ctx, time.Now, news.add, hookName)
	}()
	return cert, news, func() { cancel(); <-done }
}

func writeFirst(t *testing.T, dir string, first tls.Certificate) {
	t.Helper()
	writePair(t, dir, first)
}

func generation(t *testing.T, dir, name string, c tls.Certificate) {
	t.Helper()
	sub := filepath.Join(dir, name)
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	writePair(t, sub, c)
}

// link makes name lead to target, in one step if it led elsewhere.
func link(t *testing.T, dir, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	rename(t, dir, "tmp", name)
}

func rename(t *testing.T, dir, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}
