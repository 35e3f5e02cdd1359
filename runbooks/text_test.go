package runbooks

import (
	"strings"
	"testing"
)

const textSource = "---\nsummary: A page\n---\n# some\n\n## Steps\n\n" +
	"```sh {name=look effect=ro}\ndualgram status\n```\n\n" +
	"```text {of=look when=bad exit=1}\ncritical: … [some]\n```\n\n" +
	"```text {of=look when=good}\nall is well\n```\n\n" +
	"1. A step:\n\n   ```sh {name=do effect=rw needs=systemd}\n   systemctl restart dualgram\n   ```\n\n" +
	"```text {of=do when=bad}\n…\n```\n\n" +
	"```yaml\nbots: []\n```\n"

// What the attributes of a fence say stands above it, and they themselves nowhere.
func TestText(t *testing.T) {
	p, err := parse("some", false, textSource)
	if err != nil {
		t.Fatal(err)
	}
	const want = "# some\n\n## Steps\n\n" +
		"*only reads:*\n```sh\ndualgram status\n```\n\n" +
		"*you see, while it is wrong (exit code 1):*\n```text\ncritical: … [some]\n```\n\n" +
		"*you see, when it is right (exit code 0, no [some]):*\n```text\nall is well\n```\n\n" +
		"1. A step:\n\n   *changes something:*\n   ```sh\n   systemctl restart dualgram\n   ```\n\n" +
		"\n" + // an output that may be anything is none
		"```yaml\nbots: []\n```\n"
	if got := p.Text(); got != want {
		t.Errorf("%s", got)
	}
	body := string(p.HTML())
	for _, want := range []string{"<p><em>only reads:</em></p>", "<p><em>you see, while it is wrong (exit code 1):</em></p>", "<em>changes something:</em>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page in HTML is without %q:\n%s", want, body)
		}
	}
}

// No reader of any page sees an attribute; and two outputs of one command, or an output
// that proves the repair, say which they are.
func TestNoAttributeIsShown(t *testing.T) {
	for _, p := range List() {
		inside, commands, reading := false, 0, 0
		for line := range strings.Lines(p.Text()) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "```") {
				if inside = !inside; inside && strings.Contains(line, " ") {
					t.Errorf("%s shows %s", p.Path(), line)
				}
				if line == "```sh" {
					commands++
				}
			}
			if line == "*only reads:*" || line == "*changes something:*" {
				reading++
			}
		}
		if commands != len(p.Fences) || reading != commands {
			t.Errorf("%s: %d commands, %d shown, %d of them marked", p.Path(), len(p.Fences), commands, reading)
		}
		if strings.Contains(p.Text(), "{name=") || strings.Contains(p.Text(), "{of=") {
			t.Errorf("%s shows attributes", p.Path())
		}
	}
}
