package failover

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// fullState has every field set to something of its own.
func fullState(t *testing.T) State {
	t.Helper()
	var s State
	v := reflect.ValueOf(&s).Elem()
	n := 0
	for i := range v.NumField() {
		n++
		switch f := v.Field(i).Addr().Interface().(type) {
		case *Phase:
			*f = Phase(1 + n%int(phases-1))
		case *Mode:
			*f = Mode(1 + n%2)
		case *uint64:
			*f = 1<<63 + uint64(n)
		case *int:
			*f = n
		case *bool:
			*f = true
		case *time.Duration:
			*f = time.Duration(n)*time.Minute + 1
		case *time.Time:
			*f = t0.Add(time.Duration(n)*time.Second + 1)
		case *Cause:
			*f = Cause{"name", "evidence"}
		case *[failoverMemory]time.Time:
			for j := range f {
				f[j] = t0.Add(time.Duration(-j))
			}
		default:
			t.Fatalf("field %s of a new type %T", v.Type().Field(i).Name, f)
		}
	}
	return s
}

func TestStateRoundTrip(t *testing.T) {
	for _, s := range []State{{}, proven(), polling(), held(Webhook, ModeWebhook), fullState(t)} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var n State
		if err := json.Unmarshal(data, &n); err != nil {
			t.Fatal(err)
		}
		if s.Busy = false; n != s {
			t.Errorf("a job dies with the process, nothing else does:\n%+v\n%+v\n%s", s, n, data)
		}
	}
}

func TestNamesInJSON(t *testing.T) {
	s := proven()
	s.Resume, s.Pin = ToPolling, ModePolling
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"phase": "webhook", "resume": "to_polling", "intent": "webhook", "pin": "polling"} {
		if m[k] != want {
			t.Errorf("%s: %v, want %s", k, m[k], want)
		}
	}
	for _, bad := range []string{`{"phase":"nowhere"}`, `{"intent":"none of them"}`, `{"phase":2}`} {
		if err := json.Unmarshal([]byte(bad), &State{}); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	for _, bad := range []State{{Phase: phases}, {Pin: Mode(7)}} {
		if data, err := json.Marshal(bad); err == nil {
			t.Errorf("written and never to be read again: %s", data)
		}
	}
}

func TestModeOfEachPhase(t *testing.T) {
	for p, want := range map[Phase]struct {
		mode  Mode
		polls bool
	}{
		Starting: {ModeNone, false}, Webhook: {ModeWebhook, false}, ToPolling: {ModePolling, true},
		Polling: {ModePolling, true}, ToWebhook: {ModeWebhook, true}, Held: {ModeNone, false},
	} {
		s := State{Phase: p}
		if s.Mode() != want.mode || s.Polls() != want.polls {
			t.Errorf("%v: %v, polls %v", p, s.Mode(), s.Polls())
		}
	}
}

func TestPolicy(t *testing.T) {
	d := Policy{}.WithDefaults()
	if d.HoldDown != time.Minute || d.MaxHoldDown != 30*time.Minute || d.MaxFailovers != 4 {
		t.Errorf("%+v", d)
	}
	if l := (Policy{HoldDown: time.Hour}).WithDefaults(); l.MaxHoldDown != time.Hour || l.Validate() != nil {
		t.Errorf("%+v", l)
	}
	for _, c := range []struct {
		p  Policy
		ok bool
	}{
		{Policy{}, true},
		{Policy{MaxFailovers: 16}, true},
		{Policy{MaxFailovers: 17}, false},
		{Policy{MaxFailovers: -1}, false},
		{Policy{HoldDown: -1}, false},
		{Policy{HoldDown: time.Minute, MaxHoldDown: time.Minute}, true},
		{Policy{HoldDown: time.Minute, MaxHoldDown: time.Second}, false},
	} {
		if err := c.p.WithDefaults().Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
	for _, relapses := range []int{63, 64, 1000, 1 << 40} {
		if got := d.holdDown(relapses, 0); !within(got, d.MaxHoldDown) {
			t.Errorf("after %d relapses: %v", relapses, got)
		}
	}
}
