package botapi

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"plain text 12:34":                  "plain text 12:34",
		testToken:                           "[token]",
		"/bot" + testToken + "/getMe":       "/bot[token]/getMe",
		"x=" + url.QueryEscape(testToken):   "x=[token]",
		strings.ToLower("A%3A") + testToken: "a%3a[token]",
		"12345%3a" + strings.Repeat("a", 30) + " and " + testToken: "[token] and [token]",
		"12345%253A" + strings.Repeat("b", 35):                     "[token]",
		"2026-01-02T10:20:30 1234:short":                           "2026-01-02T10:20:30 1234:short",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestRedactURL(t *testing.T) {
	seen := map[string]string{}
	for in, prefix := range map[string]string{
		"https://b.example.com":                        "https://b.example.com",
		"https://b.example.com/":                       "https://b.example.com",
		"https://b.example.com:8443/hook/" + testToken: "https://b.example.com:8443/#",
		"https://b.example.com/a":                      "https://b.example.com/#",
		"https://b.example.com/a?s=1":                  "https://b.example.com/#",
		"https://b.example.com/a#s":                    "https://b.example.com/#",
		"https://u:hunter2@b.example.com/a":            "https://b.example.com/#",
		"/bot" + testToken:                             "[url #",
		"%zz" + testToken:                              "[url #",
	} {
		got := RedactURL(in)
		if !strings.HasPrefix(got, prefix) || strings.Contains(got, "hunter2") || strings.Contains(got, testToken[10:]) || got != RedactURL(in) {
			t.Errorf("%q: %q", in, got)
		}
		if other, ok := seen[got]; ok && prefix != "https://b.example.com" {
			t.Errorf("%q and %q look the same: %q", in, other, got)
		}
		seen[got] = in
	}
	if RedactURL("") != "" {
		t.Error("the empty URL isn't empty")
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("a", "b")
	f.Add("1", "%")
	f.Fuzz(func(t *testing.T, before, after string) {
		scrub := scrubFunc(testToken, nil)
		for _, tok := range []string{testToken, url.QueryEscape(testToken)} {
			s := before + tok + after
			for _, out := range []string{Redact(s), scrub(s), RedactURL(s), RedactURL("https://h/" + s)} {
				if strings.Contains(out, testToken[10:]) {
					t.Fatalf("%q: %q", s, out)
				}
			}
		}
	})
}
