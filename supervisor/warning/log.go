package warning

import (
	"cmp"
	"slices"
	"time"
)

// Log tells what is new. The zero value is ready; it is used by one goroutine.
//
// A warning is raised once, when it becomes visible, and cleared once, when its
// condition has ended. What is muted meanwhile is neither: it was told, and it
// has not ended. One that becomes more severe is raised again.
type Log struct{ open map[key]Active }

// Update takes in the conditions of now and returns what was raised and what was
// cleared since the last call, each in the order of [Evaluate].
func (l *Log) Update(conditions []Condition, now time.Time) (raised, cleared []Active) {
	if l.open == nil {
		l.open = map[key]Active{}
	}
	lasts := map[key]bool{}
	for _, c := range conditions {
		lasts[c.key()] = true
	}
	for k, a := range l.open {
		if !lasts[k] {
			cleared = append(cleared, a)
			delete(l.open, k)
		}
	}
	slices.SortFunc(cleared, func(a, b Active) int {
		return cmp.Or(cmp.Compare(index[a.Code], index[b.Code]), cmp.Compare(a.Bot, b.Bot))
	})
	for _, a := range Evaluate(conditions, now) {
		if was, told := l.open[a.key()]; !told || a.Severity.above(was.Severity) {
			raised = append(raised, a)
			l.open[a.key()] = a
		}
	}
	return raised, cleared
}
