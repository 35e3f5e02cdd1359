package chaos

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Info describes a kind of fault.
type Info struct {
	Kind Kind `json:"kind"`
	// Doc is what the fault does, as the other side sees it.
	Doc string `json:"doc"`
	// Layer is where it acts: net, tls, http, botapi, dial, probe, clock, store,
	// delivery or crash.
	Layer string `json:"layer"`
	// Unit is what Share and Count speak of.
	Unit string `json:"unit"`
	// Delay says what Spec.Delay means; empty if the kind takes none.
	Delay  string  `json:"delay,omitempty"`
	Params []Param `json:"params,omitempty"`
	// Whole: the fault is all or nothing and takes neither Share nor Count.
	Whole bool `json:"whole,omitempty"`
	// ProdSafe: fit for a scheduled drill of a production bot, because no update
	// can be lost and everything heals by itself when the lease ends.
	ProdSafe bool `json:"prod_safe"`
	// Destructive: refused unless Options.Destructive is set.
	Destructive bool `json:"destructive"`
}

// Param describes a parameter of a kind.
type Param struct {
	Name    string `json:"name"`
	Doc     string `json:"doc"`
	Default string `json:"default,omitempty"`
	// Secret values are never listed.
	Secret bool `json:"secret,omitempty"`
}

// Kinds returns the catalogue, grouped by layer.
func Kinds() []Info {
	all := catalogue()
	out := make([]Info, len(all))
	for i, k := range all {
		out[i] = k.Info
	}
	return out
}

// Describe returns the catalogue's entry of a kind; false if there is none.
func Describe(name Kind) (Info, bool) {
	k, ok := lookup(name)
	return k.Info, ok
}

// kind is an entry of the catalogue: its description, and how a Spec becomes
// a behaviour.
type kind struct {
	Info
	prepare func(r *Registry, s Spec, p *params) (behaviour, error)
}

// behaviour is what a fault does at each seam. A nil part does nothing there.
type behaviour struct {
	conn *connRule
	// kick closes all accepted connections at the injection, for faults that a
	// kept-alive connection or a resumed session would hide.
	kick bool

	tls func(f *fault, hello *tls.ClientHelloInfo, good *tls.Config) (*tls.Config, error)
	// request changes requests before anything judges them.
	request *requestRule
	http    *httpRule
	api     *apiRule
	dial    *dialRule
	hook    *hookRule

	probe *dialRule
	look  *lookRule
	clock *clockRule
}

type requestRule struct {
	match  func(*http.Request) bool
	change func(*http.Request) *http.Request
}

type httpRule struct {
	match func(*http.Request) bool
	serve func(f *fault, w http.ResponseWriter, r *http.Request, next http.Handler)
}

type apiRule struct {
	match func(*http.Request) bool
	trip  func(f *fault, r *http.Request, next http.RoundTripper) (*http.Response, error)
}

type dialRule struct {
	match func(addr string) bool
	// cut closes the connections that are open when the fault begins, which
	// would hide it.
	cut  bool
	dial func(ctx context.Context, f *fault, addr string, next redial) (net.Conn, error)
}

type hookRule struct {
	seam  Seam // the only one at which it acts; empty: all
	match func(seam Seam, point string) bool
	at    func(ctx context.Context, f *fault, point string) error
}

type lookRule struct {
	at func(ctx context.Context, f *fault, network, host string, next LookupFunc) ([]netip.Addr, error)
}

type clockRule struct{ offset time.Duration }

// catalogue is built anew for each look-up: it is small, look-ups are rare, and
// nobody can change it for others.
func catalogue() []kind {
	return []kind{
		netBlackhole(), netRefuse(), netReset(), netSlow(), netLossApprox(), netStopAccept(), netAcceptError(),
		tlsExpired(), tlsWrongHost(), tlsIncompleteChain(), tlsHandshakeStall(), tlsOldVersion(),
		httpStatus(), httpSlow(), httpHang(), httpWrongSecret(), httpPanic(), httpAnswerLost(), httpImpostor(), httpSwallow(),
		botapi429(), botapi5xx(), botapiHTML(), botapiHang(), botapiReset(), botapiAnswerLost(), botapiConflict(), botapiDNS(), botapiUnauthorized(), botapiForeignWebhook(),
		dialDNS(), dialRefused(), dialHang(),
		probeFail(),
		clockOffset(),
		storeSlow(), storeFail(),
		deliveryFail(), deliverySlow(),
		crashAt(),
	}
}

func lookup(name Kind) (kind, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(k kind) bool { return k.Kind == name })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}
