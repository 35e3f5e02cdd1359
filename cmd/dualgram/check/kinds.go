package check

// The categories.
const (
	categoryConfig   Category = "config"
	categoryLive     Category = "live"
	categoryStore    Category = "store"
	categoryLimits   Category = "limits"
	categorySystemd  Category = "systemd"
	categoryObserve  Category = "observe"
	categoryTelegram Category = "telegram"
	categoryPort     Category = "port"
	categoryDNS      Category = "dns"
	categoryTCP      Category = "tcp"
	categoryTLS      Category = "tls"
	categoryHTTP     Category = "http"
	categorySecret   Category = "secret"
	categoryWebhook  Category = "webhook"
	categoryPoller   Category = "poller"
	categoryDelivery Category = "delivery"
	categoryDrills   Category = "drills"
)

// The codes. One that falls out of use stays reserved.
const (
	ConfigRefused Code = "DG-CFG-001"
	ConfigOdd     Code = "DG-CFG-002"
	ConfigOther   Code = "DG-CFG-003"
	ConfigProxy   Code = "DG-CFG-004"
	ConfigFiles   Code = "DG-CFG-005"

	LiveAnswers  Code = "DG-RUN-001"
	LiveVersion  Code = "DG-RUN-002"
	LiveWarnings Code = "DG-RUN-003"
	LiveStandby  Code = "DG-RUN-004"

	StoreDirectory   Code = "DG-STO-001"
	StorePermissions Code = "DG-STO-002"
	StoreSpace       Code = "DG-STO-003"
	StoreSync        Code = "DG-STO-004"
	StoreReadable    Code = "DG-STO-005"
	StoreSchema      Code = "DG-STO-006"
	StoreHolder      Code = "DG-STO-007"
	StoreCommits     Code = "DG-STO-008"

	LimitFiles Code = "DG-LIM-001"

	UnitType     Code = "DG-UNIT-001"
	UnitFiles    Code = "DG-UNIT-002"
	UnitWatchdog Code = "DG-UNIT-003"

	ObserveListen  Code = "DG-OBS-001"
	ObserveMetrics Code = "DG-OBS-002"

	APIToken   Code = "DG-API-001"
	APIReached Code = "DG-API-002"
	APIGetMe   Code = "DG-API-003"
	APILatency Code = "DG-API-004"
	APIClock   Code = "DG-API-005"
	APIHealth  Code = "DG-API-006"

	PortListen  Code = "DG-PORT-001"
	PortPublic  Code = "DG-PORT-002"
	PortControl Code = "DG-PORT-003"
	PortACME    Code = "DG-PORT-004"

	DNSExists  Code = "DG-DNS-001"
	DNSIPv4    Code = "DG-DNS-002"
	DNSPublic  Code = "DG-DNS-003"
	DNSSame    Code = "DG-DNS-004"
	DNSSeveral Code = "DG-DNS-005"

	TCPConnect Code = "DG-TCP-001"

	TLSPair      Code = "DG-TLS-001"
	TLSHandshake Code = "DG-TLS-002"
	TLSChain     Code = "DG-TLS-003"
	TLSName      Code = "DG-TLS-004"
	TLSDates     Code = "DG-TLS-005"
	TLSExpires   Code = "DG-TLS-006"
	TLSUpload    Code = "DG-TLS-007"

	HTTPAnswer  Code = "DG-HTTP-001"
	HTTPStatus  Code = "DG-HTTP-002"
	HTTPProof   Code = "DG-HTTP-003"
	HTTPRefuses Code = "DG-HTTP-004"

	SecretFile   Code = "DG-SEC-001"
	SecretAgrees Code = "DG-SEC-002"

	WebhookOwner      Code = "DG-HOOK-001"
	WebhookRegistered Code = "DG-HOOK-002"
	WebhookSame       Code = "DG-HOOK-003"
	WebhookPending    Code = "DG-HOOK-004"
	WebhookError      Code = "DG-HOOK-005"

	PollerForeign Code = "DG-POLL-001"

	DeliveryBot Code = "DG-DLV-001"

	DrillsFresh Code = "DG-DRL-001"
)

// kinds is the registry, in the order of the table.
var kinds = []Kind{
	{Code: ConfigRefused, Category: categoryConfig, Name: "accepted", Runbook: "install",
		Meaning: "The configuration is refused, so dualgram would not start with it.",
		Fix:     "Correct what is named; dualgram config validate lists all of it."},
	{Code: ConfigOdd, Category: categoryConfig, Name: "no oddities", Runbook: "install",
		Meaning: "Something is legal, and odd in production.",
		Fix:     "Do what the detail says, or leave it if it is meant so."},
	{Code: ConfigOther, Category: categoryConfig, Name: "in use", Runbook: "upgrade",
		Meaning: "The running dualgram was started with another configuration than the one that is read here.",
		Fix:     "Restart dualgram to take the file up, or name with --config the one that it runs with."},
	{Code: ConfigProxy, Category: categoryConfig, Name: "proxy", Runbook: "bot_api_unreachable",
		Meaning: "The Bot API is not reached, and the environment names a proxy, which dualgram doesn't use.",
		Fix:     "Write the proxy into telegram.proxy."},
	{Code: ConfigFiles, Category: categoryConfig, Name: "files with secrets", Runbook: "install",
		Meaning: "Others on this host can read a file that holds the token, the secret or the key.",
		Fix:     "Run chmod 600 on the file, owned by the user that dualgram runs as."},

	{Code: LiveAnswers, Category: categoryLive, Name: "process", Runbook: "down",
		Meaning: "No dualgram answers on the control socket; or, with --pre, one does.",
		Fix:     "Start it with dualgram run, and see its log; before an installation use dualgram check --pre."},
	{Code: LiveVersion, Category: categoryLive, Name: "version", Runbook: "upgrade",
		Meaning: "Another version runs than the one that checks.",
		Fix:     "Restart dualgram if it was upgraded, or use the command of the version that runs."},
	{Code: LiveWarnings, Category: categoryLive, Name: "warnings", Runbook: "index",
		Meaning: "The running dualgram warns of something that no other check covers.",
		Fix:     "Do what the warning says."},
	{Code: LiveStandby, Category: categoryLive, Name: "standby", Runbook: "blind", PerBot: true,
		Meaning: "Polling could not take over now.",
		Fix:     "Restore the way to the Bot API, then see dualgram status."},

	{Code: StoreDirectory, Category: categoryStore, Name: "directory", Runbook: "install",
		Meaning: "The store's directory isn't there, or can't be written.",
		Fix:     "Create it with mode 0700, owned by the user that dualgram runs as."},
	{Code: StorePermissions, Category: categoryStore, Name: "permissions", Runbook: "install",
		Meaning: "Others can read the store or write beside it, or it belongs to somebody else.",
		Fix:     "Give directory and file to the user that dualgram runs as, with modes 0700 and 0600."},
	{Code: StoreSpace, Category: categoryStore, Name: "space", Runbook: "store_filling",
		Meaning: "There is no room for the store to grow, and without it updates are refused; Telegram keeps them for a day at most.",
		Fix:     "Free some space on the file system of the store, or enlarge it."},
	{Code: StoreSync, Category: categoryStore, Name: "synced writes", Runbook: "store_slow",
		Meaning: "The disk takes long to confirm a write, and each update waits for one.",
		Fix:     "Move the store to a faster or less busy disk, never to a network file system."},
	{Code: StoreReadable, Category: categoryStore, Name: "readable", Runbook: "restore_store",
		Meaning: "The store's file is damaged, no store at all, or can't be read.",
		Fix:     "Restore it from a copy, or move it away and start with an empty store; what Telegram still holds comes again."},
	{Code: StoreSchema, Category: categoryStore, Name: "schema", Runbook: "rollback",
		Meaning: "The store was written by a newer version of dualgram.",
		Fix:     "Use the newer dualgram, or another store."},
	{Code: StoreHolder, Category: categoryStore, Name: "holder", Runbook: "install",
		Meaning: "Another process has the store.",
		Fix:     "Stop the process that is named; only one may use a store."},
	{Code: StoreCommits, Category: categoryStore, Name: "commits", Runbook: "store_failing",
		Meaning: "The running dualgram can't commit, or not in time; deliveries are refused meanwhile.",
		Fix:     "Free or repair the disk of the store; it goes on by itself."},

	{Code: LimitFiles, Category: categoryLimits, Name: "open files", Runbook: "listener_lost",
		Meaning: "The limit of open files leaves no room for the connections that are configured.",
		Fix:     "Raise it: LimitNOFILE= in the unit, or ulimit -n."},

	{Code: UnitType, Category: categorySystemd, Name: "Type=notify", Runbook: "install",
		Meaning: "The unit keeps systemd from knowing when dualgram is ready, and how it is.",
		Fix:     "Write Type=notify into the unit, or make the unit with dualgram service install."},
	{Code: UnitFiles, Category: categorySystemd, Name: "LimitNOFILE", Runbook: "install",
		Meaning: "The unit leaves the limit of open files to the system, or sets it too low.",
		Fix:     "Write LimitNOFILE=65536 into the unit."},
	{Code: UnitWatchdog, Category: categorySystemd, Name: "WatchdogSec", Runbook: "install",
		Meaning: "Nobody restarts a dualgram that hangs.",
		Fix:     "Write WatchdogSec=30s and Restart=always into the unit."},

	{Code: ObserveListen, Category: categoryObserve, Name: "listener", Runbook: "down",
		Meaning: "The observe listener can't be had (before installation), doesn't answer, or says that dualgram isn't ready.",
		Fix:     "Free the address or correct observe.listen; see /readyz?verbose for what isn't ready."},
	{Code: ObserveMetrics, Category: categoryObserve, Name: "metrics", Runbook: "down",
		Meaning: "Prometheus would find no metrics of dualgram.",
		Fix:     "See what listens at observe.listen, and scrape /metrics there."},

	{Code: APIToken, Category: categoryTelegram, Name: "token", Runbook: "token_refused", PerBot: true,
		Meaning: "The bot's token can't be read, or hasn't the shape of one.",
		Fix:     "Write the token from @BotFather into the file, and nothing else."},
	{Code: APIReached, Category: categoryTelegram, Name: "Bot API", Runbook: "bot_api_unreachable", PerBot: true, Online: true,
		Meaning: "The Bot API can't be reached from this host, so there is neither registering nor polling.",
		Fix:     "Look at the DNS, the firewall, the clock and the proxy of this host, and at telegram.api_url."},
	{Code: APIGetMe, Category: categoryTelegram, Name: "token accepted", Runbook: "token_refused", PerBot: true, Online: true,
		Meaning: "Telegram refuses the token.",
		Fix:     "Copy the token from @BotFather again; after a revocation only the new one is good."},
	{Code: APILatency, Category: categoryTelegram, Name: "latency", Runbook: "switch_slow", PerBot: true, Online: true,
		Meaning: "The Bot API answers more slowly than the 500 ms with which the ten seconds are reckoned.",
		Fix:     "Look at the way from this host to the Bot API, and at telegram.proxy."},
	{Code: APIClock, Category: categoryTelegram, Name: "clock", Runbook: "install", PerBot: true, Online: true,
		Meaning: "The clock of this host is off, compared with the Bot API's.",
		Fix:     "Set it by NTP: timedatectl set-ntp true."},
	{Code: APIHealth, Category: categoryTelegram, Name: "Telegram's own health", Runbook: "telegram_errors", PerBot: true, Online: true,
		Meaning: "The Bot API server has lately lost its own connection to Telegram.",
		Fix:     "Nothing is to be done with Telegram's own server; with one of yours, see its log."},

	{Code: PortListen, Category: categoryPort, Name: "listener", Runbook: "listener_lost", PerBot: true,
		Meaning: "The webhook's listen address can't be had, or dualgram doesn't accept connections there.",
		Fix:     "Stop what has the address, or correct webhook.listen; a port below 1024 needs CAP_NET_BIND_SERVICE."},
	{Code: PortPublic, Category: categoryPort, Name: "public port", Runbook: "install", PerBot: true,
		Meaning: "Telegram delivers to the ports 443, 80, 88 and 8443 only.",
		Fix:     "Publish the webhook on one of them; webhook.listen may differ behind a proxy."},
	{Code: PortControl, Category: categoryPort, Name: "control socket", Runbook: "install",
		Meaning: "The control socket can't be made.",
		Fix:     "Create its directory for the user that dualgram runs as, or correct control.socket."},
	{Code: PortACME, Category: categoryPort, Name: "ACME challenge", Runbook: "certificate_renewal_failed", PerBot: true,
		Meaning: "The authority's challenge can't be answered: its address can't be had.",
		Fix:     "Free the address of tls.acme.http_listen, or lead port 80 to another one."},

	{Code: DNSExists, Category: categoryDNS, Name: "name", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "The host of public_url doesn't resolve.",
		Fix:     "Add an A record for it, or correct public_url."},
	{Code: DNSIPv4, Category: categoryDNS, Name: "IPv4 address", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "The host has IPv6 addresses only, and Telegram delivers to IPv4 only.",
		Fix:     "Add an A record."},
	{Code: DNSPublic, Category: categoryDNS, Name: "public address", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "The host's address is private or reserved, and Telegram refuses it.",
		Fix:     "Publish the public address; if this network's DNS differs from the public one, name a public server in probe.resolver."},
	{Code: DNSSame, Category: categoryDNS, Name: "same as Telegram's", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "Telegram delivers to another address than the DNS names.",
		Fix:     "Keep the old address in service: Telegram looks again every half hour, and never if ip_address is set."},
	{Code: DNSSeveral, Category: categoryDNS, Name: "one address", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "The host has several addresses; Telegram uses one and stays with it when it fails.",
		Fix:     "Leave one, or pin it with webhook.ip_address."},

	{Code: TCPConnect, Category: categoryTCP, Name: "connection", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "No connection to the webhook's public address could be had from this host.",
		Fix:     "Open the port in the firewall, and lead it to webhook.listen."},

	{Code: TLSPair, Category: categoryTLS, Name: "pair", Runbook: "certificate_refused", PerBot: true,
		Meaning: "The certificate can't be read, or the key doesn't belong to it.",
		Fix:     "Write the chain, the server's own certificate first, and its key into the files that tls names."},
	{Code: TLSHandshake, Category: categoryTLS, Name: "handshake", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "What answers at the public address doesn't speak TLS 1.2 or newer.",
		Fix:     "Turn TLS 1.2 and 1.3 on there, or publish the port that has it."},
	{Code: TLSChain, Category: categoryTLS, Name: "full chain", Runbook: "renew_certificate", PerBot: true,
		Meaning: "The chain doesn't lead to an authority that is trusted; often an intermediate certificate is missing, which Telegram doesn't fetch.",
		Fix:     "Serve the full chain: fullchain.pem, not cert.pem."},
	{Code: TLSName, Category: categoryTLS, Name: "host name", Runbook: "renew_certificate", PerBot: true,
		Meaning: "The certificate is for another host than that of public_url.",
		Fix:     "Get one for that name."},
	{Code: TLSDates, Category: categoryTLS, Name: "dates", Runbook: "renew_certificate", PerBot: true,
		Meaning: "The certificate, or the one that signed it, has expired or isn't valid yet.",
		Fix:     "Renew it, and have the server take it up."},
	{Code: TLSExpires, Category: categoryTLS, Name: "time left", Runbook: "certificate_expires", PerBot: true,
		Meaning: "The certificate expires soon: within 14 days, or 3 days, or an eighth or a thirtieth of a shorter life.",
		Fix:     "See why it isn't renewed, and that the server takes the new one up."},
	{Code: TLSUpload, Category: categoryTLS, Name: "self-signed", Runbook: "renew_certificate", PerBot: true,
		Meaning: "The certificate is self-signed, and isn't uploaded to Telegram.",
		Fix:     "Set webhook.upload_certificate: true, or get a certificate from a public authority."},

	{Code: HTTPAnswer, Category: categoryHTTP, Name: "answer", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "A request to public_url gets no whole answer.",
		Fix:     "See the log of what stands in front of dualgram."},
	{Code: HTTPStatus, Category: categoryHTTP, Name: "status", Runbook: "probe_bad", PerBot: true, Online: true,
		Meaning: "A request to public_url is answered with an error or a redirect.",
		Fix:     "Lead the host and path of public_url to dualgram's listener."},
	{Code: HTTPProof, Category: categoryHTTP, Name: "dualgram answers", Runbook: "impostor", PerBot: true, Online: true,
		Meaning: "Somebody else answers 2xx under public_url, and so takes updates for itself.",
		Fix:     "Lead the host and path of public_url to dualgram's listener."},
	{Code: HTTPRefuses, Category: categoryHTTP, Name: "strangers refused", Runbook: "impostor", PerBot: true, Online: true,
		Meaning: "A request with a wrong secret is taken.",
		Fix:     "See which program answers at public_url: dualgram refuses a wrong secret always."},

	{Code: SecretFile, Category: categorySecret, Name: "secret token", Runbook: "rotate_secret", PerBot: true,
		Meaning: "The file of the webhook's secret can't be used.",
		Fix:     "Write 1 to 256 of A-Z, a-z, 0-9, _ and - into it, or remove it, and a new one is made."},
	{Code: SecretAgrees, Category: categorySecret, Name: "secret accepted", Runbook: "rotate_secret", PerBot: true, Online: true,
		Meaning: "Telegram's deliveries are refused as unauthorised: the secret that Telegram sends isn't the bot's, or something in front takes it out of the request.",
		Fix:     "Pass X-Telegram-Bot-Api-Secret-Token on in the proxy; if somebody set the webhook anew, register it again: dualgram switch polling, then dualgram switch auto."},

	{Code: WebhookOwner, Category: categoryWebhook, Name: "no foreign webhook", Runbook: "foreign_webhook", PerBot: true, Online: true,
		Meaning: "Somebody else's webhook is registered for the bot; dualgram never overpowers one.",
		Fix:     "Stop what serves it, then dualgram run --take-over, or dualgram switch auto --take-over if dualgram runs."},
	{Code: WebhookRegistered, Category: categoryWebhook, Name: "registered", Runbook: "on_standby", PerBot: true,
		Meaning: "Updates don't come by webhook, though one is configured.",
		Fix:     "See dualgram status for why; dualgram goes back by itself when the webhook is well."},
	{Code: WebhookSame, Category: categoryWebhook, Name: "as configured", Runbook: "drift", PerBot: true, Online: true,
		Meaning: "Telegram has other parameters for the webhook than the configuration.",
		Fix:     "Register it again: dualgram switch polling, then dualgram switch auto; and see who changed it."},
	{Code: WebhookPending, Category: categoryWebhook, Name: "pending updates", Runbook: "pending_high", PerBot: true, Online: true,
		Meaning: "Updates wait at Telegram: over 50, or over 100.",
		Fix:     "See dualgram status for what keeps them."},
	{Code: WebhookError, Category: categoryWebhook, Name: "last error", Runbook: "telegram_errors", PerBot: true, Online: true,
		Meaning: "Telegram has lately failed to deliver.",
		Fix:     "Look where the detail says."},

	{Code: PollerForeign, Category: categoryPoller, Name: "no foreign poller", Runbook: "foreign_poller", PerBot: true, Online: true,
		Meaning: "Another program polls with the bot's token, and takes updates for itself.",
		Fix:     "Stop that program, or revoke the token with @BotFather and put the new one into the token file."},

	{Code: DeliveryBot, Category: categoryDelivery, Name: "your bot", Runbook: "bot_down", PerBot: true,
		Meaning: "Nobody listens where updates are delivered to; they wait in the store.",
		Fix:     "Start the bot, or correct deliver."},

	{Code: DrillsFresh, Category: categoryDrills, Name: "drills", Runbook: "drill_overdue", PerBot: true,
		Meaning: "A drill that is scheduled was not run.",
		Fix:     "Run it: dualgram drill run NAME, or see dualgram drill schedule for what keeps it."},
}
