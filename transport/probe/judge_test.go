package probe

import (
	"strings"
	"testing"
	"time"
)

// TestJudge holds the verdicts. In what was seen, g is a good result, b a bad one, i an
// impostor, l and c one that says nothing, R a reset; in want, U, G, B and I
// are the verdicts after each.
func TestJudge(t *testing.T) {
	tests := []struct {
		name       string
		judge      Judge
		seen, want string
	}{
		{"nothing seen", Judge{}, "", ""},
		{"good at once", Judge{}, "g", "G"},
		{"never good", Judge{}, "bbbbbbbb", "UUUUUUUU"},
		{"what was bad before the first good one doesn't count", Judge{}, "bbbgbb", "UUUGGG"},
		{"but what comes after does", Judge{}, "bbbgbbb", "UUUGGGB"},
		{"three in a row", Judge{}, "gbbb", "GGGB"},
		{"three of four", Judge{}, "ggbbgb", "GGGGGB"},
		{"two of four aren't enough", Judge{}, "ggbgbgbgb", "GGGGGGGGG"},
		{"good again", Judge{}, "gbbbbgg", "GGGBBBG"},
		{"and bad again", Judge{}, "gbbbggbbb", "GGGBBGGGB"},
		{"what says nothing changes nothing", Judge{}, "gblcbclb", "GGGGGGGB"},
		{"what says nothing proves nothing", Judge{}, "lc", "UU"},
		{"a new registration", Judge{}, "gbbbRbbbg", "GGGBUUUUG"},
		{"an impostor", Judge{}, "gii", "GGI"},
		{"an impostor from the start", Judge{}, "ii", "UI"},
		{"one alone is none", Judge{}, "gigigi", "GGGGGG"},
		{"a failure between them", Judge{}, "gibibi", "GGGBBB"},
		{"nothing between them", Judge{}, "gili", "GGGI"},
		{"an impostor goes", Judge{}, "giig", "GGIG"},
		{"an impostor goes, the failure stays", Judge{}, "giiib", "GGIIB"},
		{"an impostor goes, nothing was ever good", Judge{}, "iib", "UIU"},
		{"a new registration ends an impostor", Judge{}, "giiRi", "GGIUU"},
		{"other thresholds", Judge{Bad: 2, Of: 5, Impostors: 3}, "gbggbiii", "GGGGBBBI"},
		{"thresholds outlive a reset", Judge{Bad: 1, Of: 1}, "gbRgb", "GBUGB"},
	}
	verdicts := map[Verdict]string{Unproven: "U", Good: "G", Bad: "B", Impostor: "I"}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			j := tc.judge
			if j.Verdict() != Unproven {
				t.Errorf("begins with %q", j.Verdict())
			}
			var got strings.Builder
			for _, s := range tc.seen {
				if s == 'R' {
					j.Reset()
				} else if v := j.Add(seen(s, time.Time{})); v != j.Verdict() {
					t.Errorf("Add returned %q, the verdict is %q", v, j.Verdict())
				}
				got.WriteString(verdicts[j.Verdict()])
			}
			if got.String() != tc.want {
				t.Errorf("%s gave %s, want %s", tc.seen, got.String(), tc.want)
			}
		})
	}
}

// TestJudgeTurns holds when a verdict is told to have turned. Results come each second.
func TestJudgeTurns(t *testing.T) {
	tests := []struct {
		seen         string
		bad, failing int // seconds; 0 for not
	}{
		{"g", 0, 0},
		{"bbbb", 0, 0},
		{"gb", 0, 2},
		{"gbbb", 4, 2},
		{"gbbbbb", 4, 2},
		{"gbgbb", 5, 4},
		{"gbbbg", 4, 0},
		{"gbbbgg", 0, 0},
		{"gbbbggbbb", 9, 7},
		{"gbbbRb", 0, 0},
		{"giii", 4, 2},
		{"giiib", 4, 2},
		{"glbb", 0, 3},
	}
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range tests {
		var j Judge
		for i, s := range tc.seen {
			if s == 'R' {
				j.Reset()
				continue
			}
			j.Add(seen(s, start.Add(time.Duration(i+1)*time.Second)))
		}
		for name, c := range map[string]struct {
			got  time.Time
			want int
		}{"bad": {j.BadSince(), tc.bad}, "failing": {j.FailingSince(), tc.failing}} {
			want := start.Add(time.Duration(c.want) * time.Second)
			if c.want == 0 {
				want = time.Time{}
			}
			if !c.got.Equal(want) {
				t.Errorf("%s: %s since %v, want %v", tc.seen, name, c.got, want)
			}
		}
	}
}

func seen(s rune, at time.Time) Result {
	switch s {
	case 'g':
		return Result{At: at, OK: true}
	case 'i':
		return Result{At: at, Stage: StageProof, Reason: ReasonNoProof, Impostor: true}
	case 'l':
		return Result{At: at, Stage: StageConnect, Reason: ReasonLocal}
	case 'c':
		return Result{At: at, Stage: StageTLS, Reason: ReasonCancelled}
	}
	return Result{At: at, Stage: StageConnect, Reason: ReasonRefused}
}
