package runbooks

import (
	"strings"
	"testing"
	"testing/fstest"
)

const goodPage = `---
summary: A page
alert: DualgramGood
severity: [critical, warning]
auto: partly
drill: black-hole
---
# DualgramGood

## Is it real?

` + "```sh {name=is-it-real effect=ro exit=1}\ndualgram status\n```\n\n```text {of=is-it-real}\nbad\n```\n\n```text {of=is-it-real when=good exit=0}\nfine\n```" + `

See [another](other.md#fix).

## Fix

1. Mend it:

   ` + "```sh {name=\"mend it\" effect=rw needs=systemd}\n   systemctl restart dualgram\n   ```" + `

   Done.
`

func TestParse(t *testing.T) {
	p, err := parse("good", false, goodPage)
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind != Alert || p.Title != "DualgramGood" || p.Alert != p.Title || len(p.Severities) != 2 || p.Auto != "partly" || p.Drill != "black-hole" || p.Path() != "good" {
		t.Errorf("%+v", p)
	}
	if len(p.Sections) != 2 || p.Sections[0].Title != SectionReal || !strings.HasPrefix(p.Sections[0].Text, "```sh") || !strings.HasSuffix(p.Sections[1].Text, "Done.") {
		t.Errorf("sections: %q", p.Sections)
	}
	if len(p.Links) != 1 || p.Links[0] != "other.md#fix" {
		t.Errorf("links: %q", p.Links)
	}
	if len(p.Fences) != 2 {
		t.Fatalf("fences: %+v", p.Fences)
	}
	real, mend := p.Fences[0], p.Fences[1]
	bad, _ := real.At(Bad)
	good, ok := real.At(Good)
	if real.Effect != ReadOnly || real.Code != "dualgram status\n" || bad != (Output{Bad, 1, "bad\n"}) || !ok || good != (Output{Good, 0, "fine\n"}) {
		t.Errorf("%+v", real)
	}
	if mend.Name != "mend it" || mend.Effect != ReadWrite || mend.Needs != "systemd" || mend.Section != SectionFix || mend.Code != "systemctl restart dualgram\n" {
		t.Errorf("%+v", mend)
	}
}

// What isn't understood is an error, and never left out.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"---\nsummary", "summary", "the first line is not ---"},
		{"drill: black-hole\n---\n", "drill: black-hole\n", "has no end"},
		{"summary: A page\n", "", "summary is needed"},
		{"auto: partly", "auto: maybe", "auto is yes, partly or no"},
		{"auto: partly", "automatic: yes", "unknown field"},
		{"severity: [critical, warning]", "severity: [page]", `severity "page"`},
		{"drill: black-hole\n", "", "no_drill"},
		{"drill: black-hole\n", "drill: black-hole\nno_drill: none\n", "no_drill"},
		{"# DualgramGood\n", "", "no title"},
		{"## Fix", "# Fix", "a second title"},
		{"effect=ro", "", "effect=ro or effect=rw"},
		{"effect=ro", "effect=maybe", "effect=ro or effect=rw"},
		{"name=is-it-real ", "", "needs a name"},
		{"name=\"mend it\"", "name=is-it-real", "two fences"},
		{"needs=systemd", "needs=luck", "needs is"},
		{"needs=systemd", "colour=red", "unknown attribute colour"},
		{"exit=1}", "exit=one}", "exit is no number"},
		{"of=is-it-real}", "of=nobody}", "no command before it"},
		{"when=good", "when=bad", "once each"},
		{"when=good", "when=soon", "once each"},
		{"{name=is-it-real", "name=is-it-real", "attributes are written"},
	} {
		source := strings.Replace(goodPage, c.old, c.new, 1)
		if source == goodPage {
			t.Fatalf("%q is not in the page", c.old)
		}
		if _, err := parse("good", false, source); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want %q", c.new, c.old, err, c.want)
		}
	}
	if _, err := parse("good", true, goodPage); err == nil || !strings.Contains(err.Error(), "for the pages of alerts") {
		t.Errorf("as a drill: %v", err)
	}
}

func TestMatch(t *testing.T) {
	o := Output{Text: "orders  webhook…, for 12s\n…\nstore  0 waiting, 4 dead\nrun 20261125T163534Z-black-hole-a7f015 took 1m3.5s\n"}
	good := "dualgram v1, up 3s\norders  webhook (on trial), for 1h\n\n  store        0 waiting, 17 dead\n  run 20270101T000000Z-black-hole-beef01 took 900ms\n"
	if err := o.Match(good); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{"0 waiting", "3 waiting"},
		{"17 dead", "0 dead"},
		{"webhook", "polling"},
		{"black-hole", "white-hole"},
		{"  store        0 waiting, 17 dead\n", ""},
	} {
		if err := o.Match(strings.Replace(good, c[0], c[1], 1)); err == nil {
			t.Errorf("%q for %q goes unnoticed", c[1], c[0])
		}
	}
	lines := strings.SplitAfter(good, "\n")
	lines[1], lines[3] = lines[3], lines[1]
	if err := o.Match(strings.Join(lines, "")); err == nil {
		t.Error("another order goes unnoticed")
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	_, err := load(fstest.MapFS{"good.md": {Data: []byte(goodPage)}, "bad.md": {Data: []byte("# Bad\n")}, "drills/worse.md": {Data: []byte("---\n---\n")}})
	if err == nil || !strings.Contains(err.Error(), "bad.md: ") || !strings.Contains(err.Error(), "drills/worse.md: ") || strings.Contains(err.Error(), "good.md") {
		t.Error(err)
	}
}
