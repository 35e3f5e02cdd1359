package probe_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"dualgram/transport/probe"
)

// TestOptions holds what New refuses, without repeating the URL.
func TestOptions(t *testing.T) {
	good := probe.Options{URL: hookURL}
	tests := map[string]func(*probe.Options){
		"no URL":              func(o *probe.Options) { o.URL = "" },
		"another scheme":      func(o *probe.Options) { o.URL = "ftp://" + host + path },
		"no host":             func(o *probe.Options) { o.URL = "https://" + path },
		"doesn't parse":       func(o *probe.Options) { o.URL = "https://" + host + path + "%zz\x7f" },
		"not ASCII":           func(o *probe.Options) { o.URL = "https://bücher.example" + path },
		"short key":           func(o *probe.Options) { o.Key = key[:31] },
		"uploaded, no root":   func(o *probe.Options) { o.Uploaded = true },
		"negative time-out":   func(o *probe.Options) { o.Timeout = -time.Second },
		"address, no port":    func(o *probe.Options) { o.Address = "10.0.0.5" },
		"an empty key is one": func(o *probe.Options) { o.Key = []byte{} },
	}
	for name, edit := range tests {
		o := good
		edit(&o)
		p, err := probe.New(o)
		if p != nil || !errors.Is(err, probe.ErrOptions) {
			t.Errorf("%s: got %v, %v", name, p, err)
		} else if strings.Contains(err.Error(), path) || strings.Contains(err.Error(), string(key[:10])) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*probe.Options){
		"the least":  func(*probe.Options) {},
		"plain http": func(o *probe.Options) { o.URL = plainURL },
		"uploaded":   func(o *probe.Options) { o.Roots, o.Uploaded = x509.NewCertPool(), true },
		"dial":       func(o *probe.Options) { o.Address = "[::1]:8443" },
	} {
		o := good
		edit(&o)
		if p, err := probe.New(o); err != nil || p.Responder() == nil || p.Busy() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
