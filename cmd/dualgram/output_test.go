package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

func TestColor(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		flag string
		env  []string
		want bool
	}{{"auto", nil, false}, {"always", nil, true}, {"always", []string{"NO_COLOR=1"}, true}, {"never", nil, false}} {
		a := &app{env: c.env, color: choice{value: c.flag}}
		for _, w := range []any{file, &bytes.Buffer{}} {
			if got := a.useColor(w.(interface{ Write([]byte) (int, error) })); got != c.want {
				t.Errorf("%s %v %T: %v", c.flag, c.env, w, got)
			}
		}
	}
}

func TestTable(t *testing.T) {
	for _, color := range []bool{false, true} {
		var b bytes.Buffer
		p := &printer{w: &b, color: color}
		p.table(header("NAME", "STATE", "DETAIL"),
			[]cell{text("ä"), styled(red, "bad"), text("evil\x1b[2Jtext\nin two lines\u202e")},
			[]cell{text("longer"), styled(green, "ok"), textf("%d", 3)}, []cell{text("one")})
		got := b.String()
		if color {
			if !strings.Contains(got, "\x1b[31mbad\x1b[0m    evil") {
				t.Errorf("%q", got)
			}
			continue
		}
		want := "  NAME    STATE  DETAIL\n  ä       bad    evil[2Jtext in two lines\n  longer  ok     3\n  one\n"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := dualgram(nil, "version", "-o", "json")
	var v versionInfo
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != exitOK || stderr != "" || v.Schema != "dualgram/version/v1" || v.Version == "" || v.Go == "" {
		t.Errorf("%d %q %q %v", code, stdout, stderr, err)
	}
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}}}
	v = versionOf(info)
	v.OS, v.Arch = "linux", "arm64"
	if got := v.String(); got != "dualgram v1.2.3 (0123456789ab, modified) go1.26.8 linux/arm64" {
		t.Errorf("%q", got)
	}
	if v := versionOf(nil); v.Version != "(devel)" || v.Revision != "" {
		t.Errorf("%+v", v)
	}
}

func TestExitOfAnyError(t *testing.T) {
	var out bytes.Buffer
	a := &app{stderr: &out}
	if code := a.exit(errors.New("disk on fire")); code != exitFailed || out.String() != "error: disk on fire\n" {
		t.Errorf("%d %q", code, out.String())
	}
}
