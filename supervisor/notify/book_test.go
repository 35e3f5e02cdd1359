package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor/warning"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk plays a book second by second.
type desk struct {
	book *Book
	now  time.Time
	// on are the conditions that last; down lets every message fail.
	on   map[string]warning.Condition
	down bool
	// drill names the bots whose trouble is a fault's doing.
	drill map[string]bool
	told  []string
}

func newDesk(r Rules) *desk {
	r.Quiet = max(r.Quiet, 1)
	return &desk{book: NewBook(r, t0), now: t0, on: map[string]warning.Condition{}, drill: map[string]bool{}}
}

func (d *desk) raise(bot string, code warning.Code, severity warning.Severity) {
	d.on[bot+"/"+string(code)] = warning.Condition{Bot: bot, Code: code, Severity: severity, Evidence: "so it is"}
}

func (d *desk) clear(bot string, code warning.Code) { delete(d.on, bot+"/"+string(code)) }

// run plays for so long; what is told is noted with the second in which it is.
func (d *desk) run(for_ time.Duration) {
	for end := d.now.Add(for_); d.now.Before(end); {
		d.now = d.now.Add(time.Second)
		var cs []warning.Condition
		for _, c := range d.on {
			cs = append(cs, c)
		}
		d.book.See(Snapshot{Conditions: cs, Drilled: func(bot string) bool { return d.drill[bot] }}, d.now)
		m, due := d.book.Next(d.now)
		if !due {
			continue
		}
		line := fmt.Sprintf("%v", d.now.Sub(t0))
		for _, i := range m.Items {
			line += fmt.Sprintf(" %s:%s/%s", i.State, i.Bot, i.Code)
			if i.Drill {
				line += "!"
			}
		}
		if d.down {
			d.book.Failed(m)
			d.told = append(d.told, "("+line+")")
			continue
		}
		d.book.Sent(m, d.now)
		d.told = append(d.told, line)
	}
}

func (d *desk) want(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := strings.Join(d.told, "\n"), strings.Join(lines, "\n"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

const (
	w = warning.Warning
	c = warning.Critical
	i = warning.Info
)

// One that lasts is told once, again after Repeat, and once when it has ended.
func TestOnce(t *testing.T) {
	d := newDesk(Rules{Repeat: time.Hour})
	d.raise("a", warning.Blind, w)
	d.run(2*time.Hour + 10*time.Minute)
	d.clear("a", warning.Blind)
	d.run(3 * time.Hour)
	d.want(t, "6s raised:a/blind", "1h0m6s continues:a/blind", "2h0m6s continues:a/blind", "2h11m1s resolved:a/blind")
}

func TestNeverRepeated(t *testing.T) {
	d := newDesk(Rules{Repeat: -1})
	d.raise("a", warning.Blind, w)
	d.run(24 * time.Hour)
	d.want(t, "6s raised:a/blind")
}

// Ten that come within seconds are one message.
func TestTogether(t *testing.T) {
	d := newDesk(Rules{})
	for n := range 10 {
		d.raise(fmt.Sprint("bot", n), warning.Blind, w)
		if n == 4 {
			d.run(3 * time.Second)
		}
	}
	d.run(time.Minute)
	if len(d.told) != 1 || strings.Count(d.told[0], "raised") != 10 {
		t.Errorf("told\n%s", strings.Join(d.told, "\n"))
	}
}

// One that comes and goes is told when it came, and when it stays away.
func TestFlapping(t *testing.T) {
	d := newDesk(Rules{})
	for range 20 {
		d.raise("a", warning.ProbeBad, w)
		d.run(20 * time.Second)
		d.clear("a", warning.ProbeBad)
		d.run(20 * time.Second)
	}
	d.run(5 * time.Minute)
	d.want(t, "6s raised:a/probe_bad", "14m1s resolved:a/probe_bad")
}

// What is over before it was told is nobody's business.
func TestBlip(t *testing.T) {
	d := newDesk(Rules{})
	d.raise("a", warning.Blind, w)
	d.run(3 * time.Second)
	d.clear("a", warning.Blind)
	d.run(time.Hour)
	d.want(t)
}

// What only follows from something worse is not told beside it; when that ends
// before it does, it is.
func TestMuted(t *testing.T) {
	d := newDesk(Rules{})
	d.raise("a", warning.OnStandby, w)
	d.raise("a", warning.Frozen, c)
	d.run(time.Minute)
	d.clear("a", warning.Frozen)
	d.run(3 * time.Minute)
	d.want(t, "6s raised:a/frozen", "1m6s raised:a/on_standby", "2m1s resolved:a/frozen")

	// Told before it is muted: it has not ended, and is not told again.
	d = newDesk(Rules{Repeat: time.Hour})
	d.raise("a", warning.OnStandby, w)
	d.run(time.Minute)
	d.raise("a", warning.Frozen, c)
	d.run(10 * time.Minute)
	d.clear("a", warning.OnStandby)
	d.run(10 * time.Minute)
	d.want(t, "6s raised:a/on_standby", "1m6s raised:a/frozen", "12m1s resolved:a/on_standby")
}

func TestFloor(t *testing.T) {
	d := newDesk(Rules{MinSeverity: c})
	d.raise("a", warning.CertificateExpires, i)
	d.run(time.Minute)
	d.raise("a", warning.CertificateExpires, w)
	d.raise("a", warning.Blind, c)
	d.run(time.Minute)
	d.raise("a", warning.CertificateExpires, c)
	d.run(time.Minute)
	d.want(t, "1m6s raised:a/blind", "2m6s raised:a/certificate_expires")
}

// What gets worse is told at once; what gets better is not.
func TestWorse(t *testing.T) {
	d := newDesk(Rules{MinSeverity: i})
	d.raise("a", warning.CertificateExpires, i)
	d.run(time.Minute)
	d.raise("a", warning.CertificateExpires, c)
	d.run(time.Minute)
	d.raise("a", warning.CertificateExpires, w)
	d.run(time.Hour)
	d.want(t, "6s raised:a/certificate_expires", "1m1s worse:a/certificate_expires")
}

// While a channel is down nothing piles up: in the end, what is so is told, and
// what has passed.
func TestDown(t *testing.T) {
	d := newDesk(Rules{})
	d.raise("a", warning.Blind, c)
	d.down = true
	d.run(8 * time.Second)
	d.raise("a", warning.BotDown, c)
	d.run(time.Second)
	d.clear("a", warning.Blind)
	d.run(time.Minute)
	d.told, d.down = nil, false
	d.run(time.Hour)
	d.want(t, "1m10s raised:a/bot_down passed:a/blind")

	// Also an end that could not be told.
	d = newDesk(Rules{})
	d.raise("a", warning.Blind, c)
	d.run(10 * time.Second)
	d.down = true
	d.clear("a", warning.Blind)
	d.run(5 * time.Minute)
	d.told, d.down = nil, false
	d.run(time.Minute)
	d.want(t, "5m11s resolved:a/blind")
}

// A start is quiet, and so are two messages apart.
func TestQuietAndPause(t *testing.T) {
	d := newDesk(Rules{Quiet: 30 * time.Second, Pause: time.Minute})
	d.raise("a", warning.Blind, c)
	d.run(32 * time.Second)
	d.raise("b", warning.Blind, c)
	d.run(5 * time.Minute)
	d.want(t, "30s raised:a/blind", "1m30s raised:b/blind")
}

// Repeating one repeats all: they are one message.
func TestRepeatTogether(t *testing.T) {
	d := newDesk(Rules{Repeat: time.Hour})
	d.raise("a", warning.Blind, c)
	d.run(30 * time.Minute)
	d.raise("b", warning.Blind, w)
	d.run(50 * time.Minute)
	d.want(t, "6s raised:a/blind", "30m6s raised:b/blind", "1h0m6s continues:a/blind continues:b/blind")
}

// What begins while a fault acts is a drill's; what lasted before isn't.
func TestDrill(t *testing.T) {
	d := newDesk(Rules{})
	d.raise("a", warning.Drift, w)
	d.run(time.Minute)
	d.drill["a"] = true
	d.raise("a", warning.OnStandby, w)
	d.raise("b", warning.OnStandby, w)
	d.run(time.Minute)
	d.drill["a"] = false
	d.clear("a", warning.OnStandby)
	d.clear("a", warning.Drift)
	d.run(2 * time.Minute)
	d.want(t, "6s raised:a/drift", "1m6s raised:a/on_standby! raised:b/on_standby", "3m1s resolved:a/drift resolved:a/on_standby!")
}

// A message's number is that of its attempts alone.
func TestIDs(t *testing.T) {
	d := newDesk(Rules{})
	d.raise("a", warning.Blind, c)
	d.now = d.now.Add(time.Second)
	see := func() {
		d.now = d.now.Add(10 * time.Second)
		d.book.See(Snapshot{Conditions: []warning.Condition{d.on["a/blind"]}}, d.now)
	}
	see()
	see()
	m1, _ := d.book.Next(d.now)
	d.book.Failed(m1)
	m2, _ := d.book.Next(d.now)
	if m1.ID == "" || m1.ID == m2.ID {
		t.Errorf("%q, %q", m1.ID, m2.ID)
	}
}
