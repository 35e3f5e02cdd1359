package probe

import (
	"net/netip"
	"time"
)

// Stage is a part of a probe.
type Stage string

// The stages, in their order. The zero Stage means that all were passed.
const (
	StageDNS     Stage = "dns"
	StageConnect Stage = "connect"
	StageTLS     Stage = "tls"
	StageHTTP    Stage = "http"
	StageProof   Stage = "proof"
)

// Reason is why a probe isn't good. The zero Reason means that it is.
type Reason string

// The reasons by stage. Those of the DNS are codes of advice as well, where
// the address that Telegram uses is known.
const (
	ReasonNXDomain        Reason = "nxdomain"         // the name doesn't exist, or has no address
	ReasonDNSTimeout      Reason = "dns_timeout"      // no answer in half the time
	ReasonDNSFailed       Reason = "dns_failed"       // the DNS answers with an error
	ReasonAAAAOnly        Reason = "aaaa_only"        // no IPv4 address
	ReasonReservedAddress Reason = "reserved_address" // an address that Telegram refuses

	ReasonRefused        Reason = "refused"
	ReasonUnreachable    Reason = "unreachable" // no route to the host or the network
	ReasonConnectTimeout Reason = "connect_timeout"
	ReasonConnectFailed  Reason = "connect_failed" // another error
	ReasonReset          Reason = "reset"          // in any stage from connect on

	ReasonTLSExpired          Reason = "tls_expired"
	ReasonTLSNotYetValid      Reason = "tls_not_yet_valid"
	ReasonTLSWrongHost        Reason = "tls_wrong_host"
	ReasonTLSUnknownAuthority Reason = "tls_unknown_authority" // also: an intermediate certificate is missing
	ReasonTLSBadCertificate   Reason = "tls_bad_certificate"   // another fault of the chain
	ReasonTLSOldVersion       Reason = "tls_old_version"       // nothing newer than TLS 1.1
	ReasonTLSHandshake        Reason = "tls_handshake"         // an alert of the server, or nonsense
	ReasonTLSClosed           Reason = "tls_closed"            // the connection ended in the handshake
	ReasonTLSTimeout          Reason = "tls_timeout"
	ReasonPlainHTTP           Reason = "plain_http" // the server speaks HTTP where TLS is expected

	ReasonHTTPTimeout   Reason = "http_timeout"
	ReasonHTTPClosed    Reason = "http_closed"    // the connection ended before the answer did
	ReasonHTTPMalformed Reason = "http_malformed" // the answer isn't HTTP/1, or is endless
	ReasonHTTPStatus    Reason = "http_status"    // neither 2xx nor 3xx
	ReasonRedirect      Reason = "redirect"       // Telegram doesn't follow it

	ReasonNoProof    Reason = "no_proof"    // 2xx without a proof
	ReasonWrongProof Reason = "wrong_proof" // 2xx with a proof of something else

	// ReasonLocal and ReasonCancelled say nothing about the webhook: this host
	// couldn't open a connection (no descriptors, ports, memory or permission, or no
	// address to go to), or the probe's context was cancelled.
	ReasonLocal     Reason = "local"
	ReasonCancelled Reason = "cancelled"
)

// Judged reports whether a probe that ended so says something about the webhook.
func (r Reason) Judged() bool { return r != ReasonLocal && r != ReasonCancelled }

// Codes of findings, besides the reasons of the DNS.
const (
	AdviceAAAAPresent        = "aaaa_present"        // Telegram takes no IPv6
	AdviceAddressDiffers     = "address_differs"     // the DNS has not the address that Telegram uses
	AdviceSeveralAddresses   = "several_addresses"   // Telegram takes the first and stays with it
	AdviceCertificateExpires = "certificate_expires" // within 14 days, or a sixth of its life if that is less
)

// Finding is something worth knowing that doesn't make a probe bad.
type Finding struct {
	Code   string // one of the Advice constants, or a Reason of the DNS
	Detail string // a sentence with what to do
}

// Timings is how long each stage took; 0 for one that wasn't begun. The DNS is
// asked while the rest goes on where it doesn't decide.
type Timings struct {
	DNS, Connect, TLS, HTTP time.Duration
}

// Result is what a probe found.
type Result struct {
	// At is when the probe ended, by the local clock; Took is how long it took.
	At   time.Time
	Took time.Duration

	OK     bool
	Stage  Stage  // the one that failed
	Reason Reason // why
	Detail string // the reason as a sentence, with what to do; empty if OK

	Status int // the answer's HTTP status; 0 if none came
	// Impostor: at the address that Telegram uses, and under the name that it
	// verifies, somebody else answers 2xx, and so takes our updates. It is only
	// ever true if the address was given to Probe, or as Options.Address.
	Impostor bool

	Address netip.AddrPort // dialled; zero if there was none to dial, or it isn't an IP address
	Advice  []Finding
	// NotBefore and NotAfter bound the certificate served; zero if none was.
	NotBefore, NotAfter time.Time
	Timings             Timings
}
