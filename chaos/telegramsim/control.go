package telegramsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// ControlHandler serves the control surface under /control/v1, JSON in and out.
// It has no authentication: it belongs on a loopback address.
//
//	GET    /control/v1/bots                  ids
//	POST   /control/v1/bots                  {"token": "1:AA"}
//	POST   /control/v1/bots/{id}/push        an Update, or {"kind": …, "raw": {…}}; "count" repeats it
//	POST   /control/v1/bots/{id}/redeliver   {"update_id": 1}
//	POST   /control/v1/bots/{id}/series      {"next": 0}
//	POST   /control/v1/bots/{id}/webhook     {"url": "https://…"}: somebody else sets it; "" deletes
//	PUT    /control/v1/bots/{id}/traffic     {"rate": 5, "chats": 50, "seed": 1, "max": 0}; replaces what runs
//	DELETE /control/v1/bots/{id}/traffic     stops it
//	PUT    /control/v1/bots/{id}/poller      {"timeout": 20}: a foreign poller, seconds
//	DELETE /control/v1/bots/{id}/poller      stops it
//	GET    /control/v1/bots/{id}/info        as getWebhookInfo
//	GET    /control/v1/truth                 everything; ?bot=1 for one
//	GET    /control/v1/knobs                 Knobs
//	PUT    /control/v1/knobs                 Knobs; what is left out stays
//	POST   /control/v1/faults                Fault
//	DELETE /control/v1/faults                ends all faults
//	PUT    /control/v1/hosts/{name}          ["1.2.3.4"]
//	DELETE /control/v1/dns                   flushes the resolver's cache
//	POST   /control/v1/restart               {"down": nanoseconds, "tell": false}
//	POST   /control/v1/reset                 ends faults, traffic and pollers, knobs back to the options
//
// Durations are nanoseconds where nothing else is said.
func (s *Sim) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := f(r)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				code := http.StatusBadRequest
				if errors.Is(err, ErrUnknownBot) || errors.Is(err, ErrNoUpdate) {
					code = http.StatusNotFound
				}
				w.WriteHeader(code)
				v = map[string]string{"error": err.Error()}
			}
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	done := map[string]bool{"ok": true}
	handle("GET /control/v1/bots", func(*http.Request) (any, error) {
		ids := []int64{}
		for _, b := range s.Truth().Bots {
			ids = append(ids, b.ID)
		}
		return ids, nil
	})
	handle("POST /control/v1/bots", func(r *http.Request) (any, error) {
		var in struct{ Token string }
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		id, err := s.AddBot(in.Token)
		return map[string]int64{"id": id}, err
	})
	handle("POST /control/v1/bots/{id}/push", s.controlPush)
	handle("POST /control/v1/bots/{id}/redeliver", func(r *http.Request) (any, error) {
		var in struct {
			ID int64 `json:"update_id"`
		}
		id, err := decodeBot(r, &in)
		if err != nil {
			return nil, err
		}
		return done, s.Redeliver(id, in.ID)
	})
	handle("POST /control/v1/bots/{id}/series", func(r *http.Request) (any, error) {
		var in struct{ Next int64 }
		id, err := decodeBot(r, &in)
		if err != nil {
			return nil, err
		}
		return done, s.ResetSeries(id, in.Next)
	})
	handle("POST /control/v1/bots/{id}/webhook", func(r *http.Request) (any, error) {
		var in struct{ URL string }
		id, err := decodeBot(r, &in)
		if err != nil {
			return nil, err
		}
		code, text, err := s.ForeignSetWebhook(id, in.URL)
		return map[string]any{"code": code, "description": text}, err
	})
	handle("GET /control/v1/bots/{id}/info", func(r *http.Request) (any, error) {
		id, err := pathID(r)
		if err != nil {
			return nil, err
		}
		return s.Info(id)
	})
	s.controlRunning(handle)
	handle("GET /control/v1/truth", func(r *http.Request) (any, error) {
		if q := r.FormValue("bot"); q != "" {
			id, err := strconv.ParseInt(q, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("bot: %w", err)
			}
			return s.Bot(id)
		}
		return s.Truth(), nil
	})
	handle("GET /control/v1/knobs", func(*http.Request) (any, error) { return s.Knobs(), nil })
	handle("PUT /control/v1/knobs", func(r *http.Request) (any, error) {
		k := s.Knobs()
		if err := decode(r, &k); err != nil {
			return nil, err
		}
		s.SetKnobs(k)
		return k, nil
	})
	handle("POST /control/v1/faults", func(r *http.Request) (any, error) {
		var f Fault
		if err := decode(r, &f); err != nil {
			return nil, err
		}
		s.SetFault(f)
		return done, nil
	})
	handle("DELETE /control/v1/faults", func(*http.Request) (any, error) {
		return map[string][]int{"hits": s.ClearFaults()}, nil
	})
	handle("PUT /control/v1/hosts/{name}", s.controlHost)
	handle("DELETE /control/v1/dns", func(*http.Request) (any, error) { s.FlushDNS(); return done, nil })
	handle("POST /control/v1/restart", func(r *http.Request) (any, error) {
		var in struct {
			Down time.Duration
			Tell bool
		}
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		s.Restart(in.Down, in.Tell)
		return done, nil
	})
	handle("POST /control/v1/reset", func(*http.Request) (any, error) {
		s.ClearFaults()
		s.stopAll()
		s.SetKnobs(Knobs{Local: s.o.Local})
		return done, nil
	})
	return mux
}

func (s *Sim) controlPush(r *http.Request) (any, error) {
	var in struct {
		Update
		Raw   json.RawMessage `json:"raw"`
		Count int             `json:"count"`
	}
	id, err := decodeBot(r, &in)
	if err != nil {
		return nil, err
	}
	ids := []int64{}
	for range max(in.Count, 1) {
		var update int64
		if in.Raw != nil {
			update, err = s.PushRaw(id, in.Kind, in.Raw)
		} else {
			update, err = s.Push(id, in.Update)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, update)
	}
	return map[string][]int64{"update_ids": ids}, nil
}

func (s *Sim) controlHost(r *http.Request) (any, error) {
	var ips []string
	if err := decode(r, &ips); err != nil {
		return nil, err
	}
	for _, ip := range ips {
		if _, err := netip.ParseAddr(ip); err != nil {
			return nil, fmt.Errorf("not an IP address: %q", ip)
		}
	}
	s.SetHost(r.PathValue("name"), ips...)
	return map[string]bool{"ok": true}, nil
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("bot id: %w", err)
	}
	return id, nil
}

func decodeBot(r *http.Request, v any) (int64, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, err
	}
	return id, decode(r, v)
}

func decode(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("body: %w", err)
	}
	return nil
}
