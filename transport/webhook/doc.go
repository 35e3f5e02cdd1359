// Package webhook takes in the updates that Telegram posts.
//
// The guarantee: a request is answered 200 only after the route's
// [transport.Sink] returned nil for its update, that is, after the update is on
// disk; every other end of a request makes Telegram keep the update and send it
// again. No authenticated body is refused for its content: what doesn't parse
// goes to the sink as it is.
//
// # Answers
//
//	cause           status  when
//	ok, duplicate   200     accepted, or accepted before
//	bad_path        404     no route has the path
//	bad_address     403     the client is in none of the route's networks
//	proxy_header    403     a trusted proxy didn't say who the client is
//	bad_method      405     not a POST
//	bad_secret      403     the secret header is wrong or doubled, or missing while it must not be
//	too_large       413     longer than MaxBody
//	body_missing    503     the promised body didn't come, or came empty
//	store_failed    503     the sink returned an error
//	panicked        500     something of ours panicked
//	handler_failed  any     a handler of WrapHandler answered instead of the intake
//	client_gone     -       the client went away before it had its answer
//
// They are checked in the order path, address, method, secret, size, body, and
// nothing of a body is looked at before the secret is right. A 503 carries no
// Retry-After: one longer than an update's remaining life makes Telegram delete
// the update at once (WebhookActor.cpp:502-515), and 410 is never sent, since it
// can remove the webhook (WebhookActor.cpp:637). A panic is answered, because a
// connection that closes without an answer leaves no trace in
// getWebhookInfo (WebhookActor.cpp:658).
//
// Several secrets may be good at once, so that one can be replaced without an
// update being refused; of those that were replaced only a digest is needed.
//
// # Connections
//
// Telegram opens a connection when the webhook is set, sends nothing, and lets it
// idle for 60 s, as it does with connections between two requests
// (WebhookActor.cpp:231). So a fresh connection may wait 75 s for its first
// request and a used one 120 s for its next, while the TLS handshake has 10 s: the
// server does the handshake itself, before net/http sees the connection, because
// net/http has one time-out for both. That also gives each failed handshake's
// error as a value, where net/http has a log line.
//
// Connections are capped below the limit of file descriptors. At the cap the
// oldest connection that never carried an authenticated request makes room, so
// strangers who hold connections open can't keep Telegram out.
package webhook
