// Package check looks at everything that a working webhook needs, and says of each
// thing whether it is well, and what to do if it isn't.
//
// The guarantee: a check disturbs nothing. Of Telegram it asks getMe and
// getWebhookInfo only, but for the one getUpdates that Options.Poll asks for; of a
// running dualgram its status, its vitals and its drills, over the control socket. It
// never waits for the lock of a store that is in use, never takes an address that is
// in use, never confirms an update, and never changes a mode. Neither the token nor a
// secret nor the path of a URL is in a [Report].
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
// # The codes
//
// A code keeps its meaning for ever, and one that falls out of use isn't given to
// another check. Each result that warns or fails has a fix, often a more particular
// one than this list's, and the name of a page: dualgram runbook NAME.
//
//	DG-CFG-001  config: The configuration is refused, so dualgram would not start with it.
//	            → Correct what is named; dualgram config validate lists all of it.
//	DG-CFG-002  config: Something is legal, and odd in production.
//	            → Do what the detail says, or leave it if it is meant so.
//	DG-CFG-003  config: The running dualgram was started with another configuration than the one that is read here.
//	            → Restart dualgram to take the file up, or name with --config the one that it runs with.
//	DG-CFG-004  config: The Bot API is not reached, and the environment names a proxy, which dualgram doesn't use.
//	            → Write the proxy into telegram.proxy.
//	DG-CFG-005  config: Others on this host can read a file that holds the token, the secret or the key.
//	            → Run chmod 600 on the file, owned by the user that dualgram runs as.
//	DG-RUN-001  live: No dualgram answers on the control socket; or, with --pre, one does.
//	            → Start it with dualgram run, and see its log; before an installation use dualgram check --pre.
//	DG-RUN-002  live: Another version runs than the one that checks.
//	            → Restart dualgram if it was upgraded, or use the command of the version that runs.
//	DG-RUN-003  live: The running dualgram warns of something that no other check covers.
//	            → Do what the warning says.
//	DG-RUN-004  live: Polling could not take over now.
//	            → Restore the way to the Bot API, then see dualgram status.
//	DG-STO-001  store: The store's directory isn't there, or can't be written.
//	            → Create it with mode 0700, owned by the user that dualgram runs as.
//	DG-STO-002  store: Others can read the store or write beside it, or it belongs to somebody else.
//	            → Give directory and file to the user that dualgram runs as, with modes 0700 and 0600.
//	DG-STO-003  store: There is no room for the store to grow, and without it updates are refused; Telegram keeps them for a day at most.
//	            → Free some space on the file system of the store, or enlarge it.
//	DG-STO-004  store: The disk takes long to confirm a write, and each update waits for one.
//	            → Move the store to a faster or less busy disk, never to a network file system.
//	DG-STO-005  store: The store's file is damaged, no store at all, or can't be read.
//	            → Restore it from a copy, or move it away and start with an empty store; what Telegram still holds comes again.
//	DG-STO-006  store: The store was written by a newer version of dualgram.
//	            → Use the newer dualgram, or another store.
//	DG-STO-007  store: Another process has the store.
//	            → Stop the process that is named; only one may use a store.
//	DG-STO-008  store: The running dualgram can't commit, or not in time; deliveries are refused meanwhile.
//	            → Free or repair the disk of the store; it goes on by itself.
//	DG-LIM-001  limits: The limit of open files leaves no room for the connections that are configured.
//	            → Raise it: LimitNOFILE= in the unit, or ulimit -n.
//	DG-UNIT-001 systemd: The unit keeps systemd from knowing when dualgram is ready, and how it is.
//	            → Write Type=notify into the unit, or make the unit with dualgram service install.
//	DG-UNIT-002 systemd: The unit leaves the limit of open files to the system, or sets it too low.
//	            → Write LimitNOFILE=65536 into the unit.
//	DG-UNIT-003 systemd: Nobody restarts a dualgram that hangs.
//	            → Write WatchdogSec=30s and Restart=always into the unit.
//	DG-OBS-001  observe: The observe listener can't be had (before installation), doesn't answer, or says that dualgram isn't ready.
//	            → Free the address or correct observe.listen; see /readyz?verbose for what isn't ready.
//	DG-OBS-002  observe: Prometheus would find no metrics of dualgram.
//	            → See what listens at observe.listen, and scrape /metrics there.
//	DG-API-001  telegram: The bot's token can't be read, or hasn't the shape of one.
//	            → Write the token from @BotFather into the file, and nothing else.
//	DG-API-002  telegram: The Bot API can't be reached from this host, so there is neither registering nor polling.
//	            → Look at the DNS, the firewall, the clock and the proxy of this host, and at telegram.api_url.
//	DG-API-003  telegram: Telegram refuses the token.
//	            → Copy the token from @BotFather again; after a revocation only the new one is good.
//	DG-API-004  telegram: The Bot API answers more slowly than the 500 ms with which the ten seconds are reckoned.
//	            → Look at the way from this host to the Bot API, and at telegram.proxy.
//	DG-API-005  telegram: The clock of this host is off, compared with the Bot API's.
//	            → Set it by NTP: timedatectl set-ntp true.
//	DG-API-006  telegram: The Bot API server has lately lost its own connection to Telegram.
//	            → Nothing is to be done with Telegram's own server; with one of yours, see its log.
//	DG-PORT-001 port: The webhook's listen address can't be had, or dualgram doesn't accept connections there.
//	            → Stop what has the address, or correct webhook.listen; a port below 1024 needs CAP_NET_BIND_SERVICE.
//	DG-PORT-002 port: Telegram delivers to the ports 443, 80, 88 and 8443 only.
//	            → Publish the webhook on one of them; webhook.listen may differ behind a proxy.
//	DG-PORT-003 port: The control socket can't be made.
//	            → Create its directory for the user that dualgram runs as, or correct control.socket.
//	DG-PORT-004 port: The authority's challenge can't be answered: its address can't be had.
//	            → Free the address of tls.acme.http_listen, or lead port 80 to another one.
//	DG-DNS-001  dns: The host of public_url doesn't resolve.
//	            → Add an A record for it, or correct public_url.
//	DG-DNS-002  dns: The host has IPv6 addresses only, and Telegram delivers to IPv4 only.
//	            → Add an A record.
//	DG-DNS-003  dns: The host's address is private or reserved, and Telegram refuses it.
//	            → Publish the public address; if this network's DNS differs from the public one, name a public server in probe.resolver.
//	DG-DNS-004  dns: Telegram delivers to another address than the DNS names.
//	            → Keep the old address in service: Telegram looks again every half hour, and never if ip_address is set.
//	DG-DNS-005  dns: The host has several addresses; Telegram uses one and stays with it when it fails.
//	            → Leave one, or pin it with webhook.ip_address.
//	DG-TCP-001  tcp: No connection to the webhook's public address could be had from this host.
//	            → Open the port in the firewall, and lead it to webhook.listen.
//	DG-TLS-001  tls: The certificate can't be read, or the key doesn't belong to it.
//	            → Write the chain, the server's own certificate first, and its key into the files that tls names.
//	DG-TLS-002  tls: What answers at the public address doesn't speak TLS 1.2 or newer.
//	            → Turn TLS 1.2 and 1.3 on there, or publish the port that has it.
//	DG-TLS-003  tls: The chain doesn't lead to an authority that is trusted; often an intermediate certificate is missing, which Telegram doesn't fetch.
//	            → Serve the full chain: fullchain.pem, not cert.pem.
//	DG-TLS-004  tls: The certificate is for another host than that of public_url.
//	            → Get one for that name.
//	DG-TLS-005  tls: The certificate, or the one that signed it, has expired or isn't valid yet.
//	            → Renew it, and have the server take it up.
//	DG-TLS-006  tls: The certificate expires soon: within 14 days, or 3 days, or an eighth or a thirtieth of a shorter life.
//	            → See why it isn't renewed, and that the server takes the new one up.
//	DG-TLS-007  tls: The certificate is self-signed, and isn't uploaded to Telegram.
//	            → Set webhook.upload_certificate: true, or get a certificate from a public authority.
//	DG-HTTP-001 http: A request to public_url gets no whole answer.
//	            → See the log of what stands in front of dualgram.
//	DG-HTTP-002 http: A request to public_url is answered with an error or a redirect.
//	            → Lead the host and path of public_url to dualgram's listener.
//	DG-HTTP-003 http: Somebody else answers 2xx under public_url, and so takes updates for itself.
//	            → Lead the host and path of public_url to dualgram's listener.
//	DG-HTTP-004 http: A request with a wrong secret is taken.
//	            → See which program answers at public_url: dualgram refuses a wrong secret always.
//	DG-SEC-001  secret: The file of the webhook's secret can't be used.
//	            → Write 1 to 256 of A-Z, a-z, 0-9, _ and - into it, or remove it, and a new one is made.
//	DG-SEC-002  secret: Telegram's deliveries are refused as unauthorised: the secret that Telegram sends isn't the bot's, or something in front takes it out of the request.
//	            → Pass X-Telegram-Bot-Api-Secret-Token on in the proxy; if somebody set the webhook anew, register it again: dualgram switch polling, then dualgram switch auto.
//	DG-HOOK-001 webhook: Somebody else's webhook is registered for the bot; dualgram never overpowers one.
//	            → Stop what serves it, then dualgram run --take-over, or dualgram switch auto --take-over if dualgram runs.
//	DG-HOOK-002 webhook: Updates don't come by webhook, though one is configured.
//	            → See dualgram status for why; dualgram goes back by itself when the webhook is well.
//	DG-HOOK-003 webhook: Telegram has other parameters for the webhook than the configuration.
//	            → Register it again: dualgram switch polling, then dualgram switch auto; and see who changed it.
//	DG-HOOK-004 webhook: Updates wait at Telegram: over 50, or over 100.
//	            → See dualgram status for what keeps them.
//	DG-HOOK-005 webhook: Telegram has lately failed to deliver.
//	            → Look where the detail says.
//	DG-POLL-001 poller: Another program polls with the bot's token, and takes updates for itself.
//	            → Stop that program, or revoke the token with @BotFather and put the new one into the token file.
//	DG-DLV-001  delivery: Nobody listens where updates are delivered to; they wait in the store.
//	            → Start the bot, or correct deliver.
//	DG-DRL-001  drills: A drill that is scheduled was not run.
//	            → Run it: dualgram drill run NAME, or see dualgram drill schedule for what keeps it.
package check
