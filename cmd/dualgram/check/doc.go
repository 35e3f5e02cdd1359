// Package check looks at everything that a working webhook needs, and says of each
// thing whether it is well, and what to do if it isn't.
//
// The guarantee: a check disturbs nothing. Of Telegram it asks getMe and
// getWebhookInfo only; of a running dualgram its status, its vitals and its drills,
// over the control socket. It never takes the lock of a store that is in use, never
// takes an address that is in use, never gets or confirms an update, and never changes
// a mode. Neither the token nor a secret nor the path of a URL is in a [Report].
//
// And it doesn't say that something is well unless it has seen it: what could not be
// looked at is skipped, with why, and what the running dualgram warns of is never
// shown as passed.
//
// # Before an installation
//
// With Options.Pre, and only if nobody answers on the control socket, the check writes
// a small file beside the store, which it removes, and listens at the webhook's own
// address. It then comes to that listener by the public URL, with a challenge, as
// dualgram's own probe does; so the DNS, the firewall, the proxy and the certificate
// are tried as they will be used. Anybody else who arrives there meanwhile gets a 503,
// as from a dualgram whose disk is full: an update that Telegram tries to deliver comes
// again.
//
// # What strangers are sent
//
// Whether a wrong secret is refused is tried with an empty update, "{}", that carries a
// made-up secret: a listener that takes requests without any (webhook.secret_migration)
// refuses that all the same.
//
// # The foreign poller
//
// A getUpdates could show whether another program polls, since the server breaks the
// older of two waiting ones off. It has no offset, and so confirms nothing; but it
// breaks off the other's poll once, and would make a running dualgram believe that
// there is another poller. So it is sent only with Options.Poll, before an
// installation, where no webhook is set; otherwise the running dualgram's word counts,
// which meets other pollers by itself.
//
// # Codes
//
// A code keeps its meaning for ever, and one that falls out of use isn't given to
// another check. Each result that warns or fails has a fix, often a more particular
// one than this list's, and the name of a page: dualgram runbook NAME.
//
// TABLE
package check
