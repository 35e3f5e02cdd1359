// Package probe checks a webhook from outside: it goes to the webhook's URL the
// way Telegram does, and asks whoever answers to prove that it is this process.
//
// The guarantee: a probe is good only if the answer came from this process's own
// listener, over a new connection to the address that Telegram uses, with a full
// TLS handshake whose certificates Telegram would take. Nothing but the handshake
// is sent to a server before its certificate is verified, and what is sent then
// holds neither the bot's token nor the webhook's secret. A [Result] holds neither
// the path of the URL nor a word of the answer; the names in a certificate are
// quoted.
//
// # Stages
//
//	stage    bad when
//	dns      there is no IPv4 address, or a reserved one (IPAddress.cpp:203-233)
//	connect  nobody answers at the address
//	tls      the handshake fails, or Telegram wouldn't take the certificate
//	http     no answer comes, or one that isn't 2xx
//	proof    a 2xx comes without proof: somebody else answers for us
//
// Telegram looks the host up when the webhook is set and every half hour, and
// keeps the old address when that fails (WebhookActor.cpp:789-796). So where the
// address is known that Telegram uses, it alone is dialled, and what the DNS says
// is advice, which doesn't fail a probe. Where it isn't known, in polling mode, the
// DNS decides, as it would when the webhook is set.
//
// TLS is verified as by OpenSSL in Telegram's hands (SslStream.cpp:154-180): no
// version below 1.2, SNI for names only, no ALPN, an IP address matched with the
// certificate's IP addresses, or, where the certificate was uploaded, as if it were
// a name. A missing intermediate certificate isn't fetched and no session is
// resumed. (On macOS and Windows the system's own verifier does fetch; there, give
// Roots.)
//
// # Proof
//
// The challenge is a random number that is good during its probe, on the path of
// its URL, in this process; so an old one, one from a process that is gone, and one
// that a proxy led to another bot's path are no challenge to the [Responder]. The
// proof is an HMAC of it that only the owner of the key can make.
//
// A probe sees the way from this host, which isn't Telegram's: a router that can't
// be reached from inside by its outer address makes every probe bad while Telegram
// has no trouble. So a bad probe alone proves nothing, and [Judge] gives no verdict
// on a webhook whose probe was never good.
package probe
