package probe

import (
	"bufio"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes. Ours has a few hundred.
	maxAnswer = 64 << 10
	// maxInterim bounds the 1xx answers before the answer.
	maxInterim = 5
	// secretHeader is where Telegram puts the webhook's secret (WebhookActor.cpp:552).
	secretHeader = "X-Telegram-Bot-Api-Secret-Token"
)

var errNoAnswer = errors.New("nothing but interim answers")

// post sends the challenge and judges the answer.
func (a *attempt) post(conn net.Conn) *failure {
	req := a.request()
	if err := req.Write(conn); err != nil {
		return httpFailure(err, false)
	}
	limit := &io.LimitedReader{R: conn, N: maxAnswer}
	resp, err := readAnswer(bufio.NewReader(limit), req)
	if err != nil {
		return httpFailure(err, limit.N == 0)
	}
	defer resp.Body.Close()
	a.result.Status = resp.StatusCode
	switch {
	case resp.StatusCode/100 == 3:
		return &failure{StageHTTP, ReasonRedirect, fmt.Sprintf("the answer is a redirect (%d), which Telegram doesn't follow: write the URL that it leads to as public_url", resp.StatusCode)}
	case resp.StatusCode/100 != 2:
		return &failure{StageHTTP, ReasonHTTPStatus, statusDetail(resp.StatusCode)}
	}
	if f := a.judgeProof(resp.Header[ProofHeader]); f != nil {
		return f
	}
	// Telegram takes an answer that breaks off for none (WebhookActor.cpp:658).
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return httpFailure(err, limit.N == 0)
	}
	return nil
}

// request is as like one of Telegram's as can be (WebhookActor.cpp:552-577), but for
// the secret, so that rules of a firewall treat it alike.
func (a *attempt) request() *http.Request {
	const body = "{}"
	p := a.p
	host := p.url.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p.port != "443" && p.port != "80" {
		host += ":" + p.port
	}
	req := &http.Request{
		Method: http.MethodPost, URL: p.url, Host: host, Close: true,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		Header: http.Header{
			"User-Agent":      {""}, // none
			"Content-Type":    {"application/json"},
			"Accept-Encoding": {"gzip, deflate"},
			ChallengeHeader:   {a.ask.ask},
		},
	}
	if p.o.Stranger {
		req.Header.Set(secretHeader, rand.Text())
	}
	if u := p.url.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	return req
}

// readAnswer reads the head of the answer, past interim ones.
func readAnswer(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(r, req)
		if err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, errNoAnswer
}

// judgeProof judges what a 2xx said for itself.
func (a *attempt) judgeProof(got []string) *failure {
	const who = "something else answers for the webhook with success (a default site, a maintenance page, another program), so Telegram counts updates as delivered that nobody got"
	switch {
	case len(got) == 0:
		return &failure{StageProof, ReasonNoProof, who + ": lead this host and path to dualgram's listener"}
	case len(got) > 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(a.ask.proof)) != 1:
		return &failure{StageProof, ReasonWrongProof, who + ", and with an old or forged proof: look for a cache in front of the listener"}
	}
	return nil
}

// httpFailure says why no whole answer came; full is true if it was too long.
func httpFailure(err error, full bool) *failure {
	f := func(r Reason, detail string) *failure { return &failure{StageHTTP, r, detail} }
	switch {
	case full:
		return f(ReasonHTTPMalformed, fmt.Sprintf("the answer has more than %d KiB: see which program answers at this URL", maxAnswer>>10))
	case alert(err): // with TLS 1.3 it comes after the handshake
		return &failure{StageTLS, ReasonTLSHandshake, "the server ends TLS with an alert: if it wants a client's certificate, Telegram has none"}
	case timedOut(err):
		return f(ReasonHTTPTimeout, "the request is taken and not answered: see whether the proxy or the listener hangs")
	case reset(err):
		return f(ReasonReset, "the connection is reset before the answer: look at the proxy's log, and at dualgram's")
	case closed(err):
		return f(ReasonHTTPClosed, "the connection is closed before the answer is complete: look at the proxy's log, and at dualgram's")
	}
	return f(ReasonHTTPMalformed, "the answer isn't HTTP/1.1: see which program listens at this port")
}

func statusDetail(status int) string {
	hint := "see in the log of what stands in front who gave it"
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = "something in front turned the probe away (allow only Telegram's addresses and this host's), or another process of dualgram answered"
	case http.StatusNotFound:
		hint = "no bot has the path: compare public_url with what the proxy passes on"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		hint = "the proxy gets no answer from dualgram's listener: see that it runs and where the proxy leads"
	}
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("the answer is %d (%s): %s", status, text, hint)
	}
	return fmt.Sprintf("the answer is %d: %s", status, hint)
}
