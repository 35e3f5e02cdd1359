package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	protocol "github.com/mholt/acmez/v3/acme"
)

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

const (
	// callTimeout bounds one HTTP call to the authority.
	callTimeout = 30 * time.Second
	// obtainTimeout bounds one attempt as a whole, polling included.
	obtainTimeout = 5 * time.Minute
)

// Options configures an Issuer. The fields that have no other default
// must be set.
type Options struct {
	Directory string // its URL; empty: LetsEncrypt
	CAFile    string // PEM file with the roots that the directory's own certificate is verified with; empty: the system's
	Email     string // where the authority writes to; may be empty
	Profile   string // of the certificate; empty: the authority's default
	UserAgent string
	// Hosts are the names and addresses that the certificate is for.
	Hosts []string
	// AccountFile keeps the account's key; it is made if it isn't there.
	AccountFile string
	Challenge   Challenge
	Listen      string // address for HTTP01
	// Turn, if set, is held during an attempt: for issuers that share Listen.
	Turn sync.Locker

	// Leaf returns the certificate in service; nil if there is none, or none that is
	// good for all hosts: then another is obtained at once.
	Leaf func() *x509.Certificate
	// Save puts a pair, in PEM, into service and keeps it.
	Save func(certPEM, keyPEM []byte) error
	// Report is told of each attempt; nil is success. It must not block.
	Report func(error)
	// Clock is the time that certificates are judged by; nil means time.Now.
	Clock func() time.Time
}

// Issuer keeps one certificate renewed. Make it with New, and Run it.
type Issuer struct {
	o      Options
	client *acmez.Client
	http   httpSolver
	tls    tlsSolver
	kick   chan struct{}

	mu     sync.Mutex // guards failed
	failed Failure

	// What follows belongs to Run.
	account protocol.Account
	info    protocol.RenewalInfo
	infoFor string // the serial number that info is about
	infoAt  time.Time
}

// Failure is an attempt that failed, and no later one succeeded.
type Failure struct {
	Since time.Time // when the first of them failed
	Err   error     // the last one's *Error; nil: there is none
}

// New checks the options. It asks nobody.
func New(o Options) (*Issuer, error) {
	if o.Directory == "" {
		o.Directory = LetsEncrypt
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	switch {
	case len(o.Hosts) == 0:
		return nil, &Error{Op: "options", Err: errors.New("no host")}
	case o.Challenge != HTTP01 && o.Challenge != TLSALPN01:
		return nil, &Error{Op: "options", Err: fmt.Errorf("no such challenge: %q", o.Challenge)}
	case o.Challenge == HTTP01 && o.Listen == "":
		return nil, &Error{Op: "options", Err: errors.New("http-01 needs an address to listen on")}
	case o.AccountFile == "" || o.Leaf == nil || o.Save == nil || o.Report == nil:
		return nil, &Error{Op: "options", Err: errors.New("AccountFile, Leaf, Save and Report must be set")}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.ResponseHeaderTimeout = callTimeout
	if o.CAFile != "" {
		raw, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, &Error{Op: "options", Err: err, Hint: "name a file that dualgram's user can read"}
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(raw) {
			return nil, &Error{Op: "options", Err: fmt.Errorf("no certificate in %s", o.CAFile), Hint: "write the root's certificate in PEM"}
		}
	}
	i := &Issuer{o: o, kick: make(chan struct{}, 1), http: httpSolver{listen: o.Listen}}
	i.client = &acmez.Client{
		Client: &protocol.Client{
			Directory: o.Directory, UserAgent: o.UserAgent, PollTimeout: obtainTimeout,
			HTTPClient: &http.Client{Transport: transport, Timeout: callTimeout,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		},
		ChallengeSolvers: map[string]acmez.Solver{string(HTTP01): &i.http},
	}
	if o.Challenge == TLSALPN01 {
		i.client.ChallengeSolvers = map[string]acmez.Solver{string(TLSALPN01): &i.tls}
	}
	return i, nil
}

// Failed returns the present failure.
func (i *Issuer) Failed() Failure {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.failed
}

// Retry makes Run look again at once.
func (i *Issuer) Retry() {
	select {
	case i.kick <- struct{}{}:
	default:
	}
}

// Run keeps the certificate renewed until ctx ends.
func (i *Issuer) Run(ctx context.Context) {
	defer i.client.HTTPClient.CloseIdleConnections()
	failures := 0
	for {
		pause := lookEvery
		if due(i.o.Leaf(), i.renewalTime(ctx), i.o.Clock()) {
			err := i.renew(ctx)
			if ctx.Err() != nil {
				return
			}
			i.record(err)
			i.o.Report(err)
			if failures++; err == nil {
				failures = 0
			}
			pause = pauseAfter(failures, refused(err))
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-i.kick:
			t.Stop()
		}
	}
}

func (i *Issuer) record(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case err == nil:
		i.failed = Failure{}
	case i.failed.Err == nil:
		i.failed = Failure{Since: time.Now(), Err: err}
	default:
		i.failed.Err = err
	}
}

// renew obtains a pair and has it kept.
func (i *Issuer) renew(ctx context.Context) error {
	if i.o.Turn != nil {
		i.o.Turn.Lock() // who holds it obeys the same context, or ends within obtainTimeout
		defer i.o.Turn.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, obtainTimeout)
	defer cancel()
	cert, key, err := i.obtain(ctx)
	if err != nil {
		return err
	}
	if err := i.o.Save(cert, key); err != nil {
		return &Error{Op: "keep", Err: err}
	}
	return nil
}

func (i *Issuer) obtain(ctx context.Context) (certPEM, keyPEM []byte, err error) {
	if err := i.signUp(ctx); err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, &Error{Op: "obtain", Err: err}
	}
	csr, err := acmez.NewCSR(key, i.o.Hosts)
	if err != nil {
		return nil, nil, &Error{Op: "obtain", Err: err}
	}
	params, err := acmez.OrderParametersFromCSR(i.account, csr)
	if err != nil {
		return nil, nil, &Error{Op: "obtain", Err: err}
	}
	params.Profile = i.o.Profile
	if leaf := i.o.Leaf(); leaf != nil && i.info.HasWindow() {
		params.Replaces = leaf
	}
	chains, err := i.client.ObtainCertificate(ctx, params)
	if err == nil && len(chains) == 0 {
		err = errors.New("the authority sent no certificate")
	}
	if err != nil {
		i.account = protocol.Account{} // it may have been closed
		var own *Error
		if errors.As(err, &own) {
			return nil, nil, own
		}
		return nil, nil, i.explain("obtain", err)
	}
	keyPEM, err = encodeKey(key)
	return chains[0].ChainPEM, keyPEM, err
}

// signUp makes sure of an account: the authority gives the one that the key has
// already, or a new one.
func (i *Issuer) signUp(ctx context.Context) error {
	if i.account.Status == protocol.StatusValid {
		return nil
	}
	key, err := accountKey(i.o.AccountFile)
	if err != nil {
		return err
	}
	a := protocol.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.o.Email != "" {
		a.Contact = []string{"mailto:" + i.o.Email}
	}
	if a, err = i.client.NewAccount(ctx, a); err != nil {
		return i.explain("account", err)
	}
	i.account = a
	return nil
}

// accountKey reads the account's key, or makes it.
func accountKey(path string) (*ecdsa.PrivateKey, error) {
	fail := func(err error) (*ecdsa.PrivateKey, error) {
		return nil, &Error{Op: "account", Err: err, Hint: "dualgram's user must be able to read and write " + path}
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return fail(err)
		}
		text, err := encodeKey(key)
		if err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fail(err)
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return fail(errors.Join(err, os.Remove(path)))
		}
		return key, nil
	}
	if err != nil {
		return fail(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return fail(fmt.Errorf("no key in %s", path))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fail(fmt.Errorf("no key in %s", path)) // the error is silent about what it read
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return fail(fmt.Errorf("the key in %s is of another kind", path))
	}
	return key, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, &Error{Op: "obtain", Err: err}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
