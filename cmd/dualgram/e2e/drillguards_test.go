package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TestDrillGuards: what a drill must not begin in, each made real; and evidence
// that was edited in the store's file is found, named, and keeps drills from
// beginning.
func TestDrillGuards(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s}"
	p := w.run()
	w.steady(p)
	config := w.file("dualgram.yaml")
	w.write("slow.yaml", slowDrill)
	must0 := func(args ...string) {
		t.Helper()
		if code, out, errs := w.cli(append(args, "--config", config)...); code != 0 {
			t.Errorf("%q: %d %s %s", args, code, out, errs)
		}
	}
	refuses := func(what, says string) {
		t.Helper()
		code, out, errs := w.cli("drill", "run", w.file("slow.yaml"), "--reason", "must not begin", "--config", config)
		if code != 3 || !strings.Contains(out+errs, says) {
			t.Errorf("%s: %d %s %s", what, code, out, errs)
		}
		if w.slowed() {
			t.Errorf("%s: and the fault acts", what)
		}
	}
	proven := func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial }
	refuses("in a trial", "in its trial")
	p.until(60*time.Second, "a proven webhook", proven)
	// A black hole of ten seconds leaves no error at Telegram that it tells of.
	w.path.set(pathSilent)
	p.phase("polling", 10*time.Second)
	w.path.set(pathOpen)
	p.until(60*time.Second, "a proven webhook", proven)
	refuses("soon after an outage", "the last failover")
	must0("hold", "--reason", "a release")
	refuses("on hold", "held or pinned")
	must0("switch", "auto", "--reason", "it is out")
	must0("chaos", "inject", "http.slow", "--delay", "1ms", "--for", "1m", "--detach", "--reason", "something else")
	refuses("beside another fault", "faults are injected already: http.slow")
	must0("chaos", "clear")
	must0("chaos", "inject", "clock.offset", "--param", "by=-24h", "--for", "3s", "--reason", "the clock is set")
	p.logged(time.Second, "the wall clock jumped")
	p.until(30*time.Second, "a proven webhook after the jump", proven)
	must0("drill", "halt", "--reason", "a sale")
	refuses("halted", "a sale")
	must0("drill", "resume", "--reason", "it is over")
	w.bot.become(botRefuses)
	p.until(60*time.Second, "an outage of the bot", func(b botStatus) bool { return b.warning("bot_down") })
	refuses("with a bot that is down", "bot_down")
	w.bot.become(botTakes)
	p.until(60*time.Second, "the end of that", func(b botStatus) bool { return !b.warning("bot_down") })

	w.settle(30*time.Second, 1)

	head := w.drillHistory().Head
	p.stop()
	w.forge(t, head)
}

// forge edits one record after another in the store's file, and sees each found.
func (w *world) forge(t *testing.T, head string) {
	var kept [][]byte // the records as they were
	records := func(change func(b *bolt.Bucket, keys [][]byte) error) {
		t.Helper()
		db, err := bolt.Open(w.conf.Store, 0o600, &bolt.Options{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			var found *bolt.Bucket
			err := tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
				if e := b.Bucket([]byte("evidence")); e != nil && e.Stats().KeyN > 0 {
					found = e
				}
				return nil
			})
			if err != nil || found == nil {
				return errors.Join(err, errors.New("there is no evidence"))
			}
			var keys [][]byte
			first := kept == nil
			_ = found.ForEach(func(k, v []byte) error {
				keys = append(keys, bytes.Clone(k))
				if first {
					kept = append(kept, bytes.Clone(v))
				}
				return nil
			})
			return change(found, keys)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(b *bolt.Bucket, keys [][]byte) error
		says   string
	}{
		{"a reason was changed", func(b *bolt.Bucket, keys [][]byte) error {
			if !bytes.Contains(kept[2], []byte("must not begin")) {
				return errors.New("record 3 is not what it should be")
			}
			return b.Put(keys[2], bytes.Replace(kept[2], []byte("must not begin"), []byte("was a success!"), 1))
		}, "record 3"},
		{"one in the middle is gone", func(b *bolt.Bucket, keys [][]byte) error { return b.Delete(keys[1]) }, "record 3"},
		{"two have changed places", func(b *bolt.Bucket, keys [][]byte) error {
			return errors.Join(b.Put(keys[0], kept[1]), b.Put(keys[1], kept[0]))
		}, "record 1"},
		{"a halt that never was", func(b *bolt.Bucket, keys [][]byte) error {
			for i, v := range kept {
				if bytes.Contains(v, []byte(`"kind":"halt"`)) {
					return b.Put(keys[i], bytes.Replace(v, []byte(`"kind":"halt"`), []byte(`"kind":"held"`), 1))
				}
			}
			return errors.New("there is no halt")
		}, "is not as it was written"},
	} {
		records(func(b *bolt.Bucket, keys [][]byte) error { return c.change(b, keys) })
		p := w.run()
		p.phase("webhook", 15*time.Second)
		config := w.file("dualgram.yaml")
		for _, args := range [][]string{{"drill", "history", "--verify"}, {"drill", "run", w.file("slow.yaml"), "--reason", "x"}} {
			code, out, errs := w.cli(append(args, "--config", config)...)
			if code != 1 || !strings.Contains(out+errs, "tampered with") || !strings.Contains(out+errs, c.says) {
				t.Errorf("%s: %q: %d %s %s", c.name, args, code, out, errs)
			}
		}
		if code, out, _ := w.cli("drill", "status", "--config", config); code != 0 || !strings.Contains(out, "no drill can run") {
			t.Errorf("%s: status: %d %s", c.name, code, out)
		}
		p.stop()
		records(func(b *bolt.Bucket, keys [][]byte) error {
			for i, v := range kept {
				key := bytes.Clone(keys[0])
				key[len(key)-1] = byte(i + 1)
				if err := b.Put(key, v); err != nil {
					return err
				}
			}
			return nil
		})
	}

	// A history that was cut at its end is whole in itself. Whoever kept the head of
	// a report knows.
	records(func(b *bolt.Bucket, keys [][]byte) error { return b.Delete(keys[len(keys)-1]) })
	p := w.run()
	p.phase("webhook", 15*time.Second)
	if w.drillHistory().Head == head {
		t.Error("the last record is not gone")
	}
	code, out, errs := w.cli("drill", "history", "--head", head, "--output", "json", "--config", w.file("dualgram.yaml"))
	var h drillHistory
	if err := json.Unmarshal([]byte(out), &h); err != nil || code != 1 || !strings.Contains(h.Verify, head) {
		t.Errorf("cut at its end: %d %v %s %s", code, err, out, errs)
	}
	p.stop()
}
