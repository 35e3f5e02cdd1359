// Package acme obtains certificates from an authority that speaks ACME (RFC 8555),
// such as Let's Encrypt, and renews them.
//
// The guarantee: what is in service is touched only by a complete, matching pair.
// Whatever goes wrong on the way (the authority away, a challenge that fails, a
// full disk) leaves everything as it was, is reported, and is tried again by
// itself, at a pace that stays below the limits of Let's Encrypt
// (https://letsencrypt.org/docs/rate-limits/). Nothing here waits beyond its
// context, and when [Issuer.Run] has returned, no connection, no listener and no
// goroutine of the Issuer is left.
//
// A pair is renewed when a third of its life is left, or when the authority says
// so (ARI, RFC 9773).
//
// # The library
//
// acmez speaks the protocol: the engine of certmagic and Caddy, with a context in
// every call, no goroutines, no global state to maintain and only x/net and
// x/crypto beneath it. autocert issues within handshakes and can't be stopped
// (https://github.com/golang/go/issues/63706); certmagic brings a cache with
// maintenance of its own, a second logger and a DNS library; lego's module names the
// clients of a hundred DNS providers.
package acme
