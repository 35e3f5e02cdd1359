package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// SchemaIndex names the answer of GET /v1.
const SchemaIndex = "dualgram/index/v1"

// Route is one resource of the API and what it takes and gives.
type Route struct {
	// Pattern is as for [http.ServeMux], such as "POST /v1/bots/{name}/hold".
	Pattern string
	// Doc is a sentence without a full stop.
	Doc string
	// Request names the schema of the body, empty if there is none; Response that of
	// the answer, or its content type if it is no JSON object.
	Request, Response string
	Handler           http.Handler
}

// Effects of a route.
const (
	ReadOnly  = "ro" // changes nothing
	ReadWrite = "rw" // may change something, and is audited if it does
)

// Index is the answer of GET /v1.
type Index struct {
	Schema string       `json:"schema"`
	Routes []IndexRoute `json:"routes"`
}

// IndexRoute is one resource in an [Index].
type IndexRoute struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Effect   string `json:"effect"` // ro or rw
	Request  string `json:"request,omitempty"`
	Response string `json:"response"`
	Doc      string `json:"doc"`
}

// Routes lists every resource of a server with these options, by path.
func (o Options) Routes() []Route { return (&Server{o: o}).routes() }

func (s *Server) routes() []Route {
	all := []Route{
		{"GET /v1", "Every resource of this API", "", SchemaIndex, http.HandlerFunc(s.index)},
		{"GET /v1/status", "What each bot does, and what is wrong", "", SchemaStatus, http.HandlerFunc(s.status)},
		{"GET /v1/events", "The journals of all bots, by one cursor", "", SchemaEvents, http.HandlerFunc(s.events)},
		{"POST /v1/bots/{name}/switch", "Pin webhook or polling, or lift pin and hold", SchemaSwitch, SchemaChange, http.HandlerFunc(s.postSwitch)},
		{"POST /v1/bots/{name}/hold", "Pause automation in the present mode", SchemaHold, SchemaChange, http.HandlerFunc(s.postHold)},
		{"POST /v1/bots/{name}/ack", "End a freeze", SchemaAck, SchemaChange, http.HandlerFunc(s.postAck)},
	}
	all = append(all, s.faultRoutes()...)
	all = append(all, s.o.More...)
	slices.SortStableFunc(all, func(a, b Route) int {
		am, ap, _ := strings.Cut(a.Pattern, " ")
		bm, bp, _ := strings.Cut(b.Pattern, " ")
		return cmp.Or(cmp.Compare(ap, bp), cmp.Compare(am, bm))
	})
	return all
}

// Index describes the route.
func (r Route) Index() IndexRoute {
	method, path, _ := strings.Cut(r.Pattern, " ")
	effect := ReadWrite
	if safe(method) {
		effect = ReadOnly
	}
	return IndexRoute{method, path, effect, r.Request, r.Response, r.Doc}
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	out := Index{Schema: SchemaIndex, Routes: []IndexRoute{}}
	for _, r := range s.routes() {
		out.Routes = append(out.Routes, r.Index())
	}
	WriteJSON(w, http.StatusOK, out)
}
