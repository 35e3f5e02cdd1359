package supervisor_test

import (
	"net/url"
	"time"

	"dualgram/chaos/matrix"
	"dualgram/chaos/telegramsim"
)

// silent is the rate of a bot that nobody writes to.
var silent = []float64{0}

func falseAlarms() []fault {
	rows := []fault{
		{name: "scanners from anywhere", prepare: (*matrixRun).allowTelegram, lasts: 60 * time.Second, begin: storm("45.88.7."),
			did: "60 connections a second from foreign addresses: no TLS, broken TLS, wrong secrets, other methods and paths, half requests"},
		{name: "scanners from Telegram's networks", prepare: (*matrixRun).allowTelegram, lasts: 60 * time.Second, begin: storm("149.154.170."),
			did: "the same from addresses that may deliver, so that only the secret tells them apart"},
		{name: "quiet bot", rates: silent, lasts: 2 * time.Hour, begin: nothing,
			did: "no update for two hours"},
		{name: "cold bot with slow dials", rates: []float64{0.01}, lasts: 20 * time.Minute, begin: slowNetwork(500 * time.Millisecond),
			did: "an update every 100 s, each on a new connection that takes 2 s to stand"},
		{name: "slow line", lasts: 60 * time.Second, begin: leased(delay(kindOf("net.slow"), 150*time.Millisecond)),
			did: "each read and write on the webhook's connections is 150 ms late"},
		{name: "loss of 5 % (approx.)", lasts: 2 * time.Minute, begin: leased(kindOf("net.loss_approx", "percent", "5")),
			did: "retransmissions as at a loss of 5 % of the packets hold up the exchanges (loss_approx)"},
		{name: "hiccup of 200 ms", rates: []float64{1, 50, 500}, lasts: 200 * time.Millisecond, begin: hiccup(kindOf("http.status")),
			did: "all 40 connections fail with 500 for 200 ms, with an update for each of 40 chats"},
		{name: "connections cut once", lasts: time.Second, begin: cutOnce,
			did: "every open connection is reset once, with an update for each of 40 chats on the way"},
		{name: "bot behind us is slow", lasts: 60 * time.Second, begin: (*matrixRun).slowBot,
			did: "the bot takes 8 s for each update"},
		{name: "bot behind us is dead", lasts: 60 * time.Second, begin: (*matrixRun).deadBot,
			did: "the bot refuses everything"},
		{name: "poison for the bot", lasts: 60 * time.Second, begin: (*matrixRun).poison,
			did: "the bot refuses the updates of one chat"},
		{name: "updates that don't parse", lasts: 30 * time.Second, begin: (*matrixRun).garbage,
			did: "payloads that no decoder takes: no object, nested 2,000 deep, half a megabyte, bytes that are no UTF-8"},
		{name: "disk full", quiet: true, lasts: 45 * time.Second, begin: leased(kindOf("store.fail", "error", "ENOSPC")),
			did: "no commit succeeds for 45 s (ENOSPC): nothing may be acknowledged, and polling stands before the same disk"},
		{name: "I/O errors", quiet: true, lasts: 20 * time.Second, begin: leased(kindOf("store.fail", "error", "EIO")),
			did: "every fdatasync fails for 20 s"},
		{name: "fsync takes 0.7 s", quiet: true, lasts: 60 * time.Second, begin: leased(delay(kindOf("store.slow"), 700*time.Millisecond)),
			did: "every commit takes 0.7 s longer"},
		{name: "fsync takes 1 s", quiet: true, lasts: 60 * time.Second, begin: leased(delay(kindOf("store.slow"), time.Second)),
			did: "every commit takes 1 s longer"},
		{name: "fsync takes 3 s", quiet: true, lasts: 60 * time.Second, begin: leased(delay(kindOf("store.slow"), 3*time.Second)),
			did: "every commit takes 3 s longer"},
		{name: "fsync takes 8 s", quiet: true, rates: []float64{0.05, 1}, lasts: 2 * time.Minute, begin: leased(delay(kindOf("store.slow"), 8*time.Second)),
			did: "every commit takes 8 s longer, so that deliveries wait in it while nothing else arrives"},
		{name: "Telegram is away", quiet: true, lasts: 90 * time.Second, begin: blackhole(testAPI, telegramIP),
			did: "the Bot API is unreachable and Telegram's connections to us are dead, at once"},
		{name: "Bot API unreachable", lasts: 90 * time.Second, begin: blackhole(testAPI),
			did: "the Bot API is unreachable while deliveries go on"},
		{name: "webhook and Bot API both broken", quiet: true, lasts: 45 * time.Second, begin: along(blackhole(testAPI), wait(15*time.Second), leased(kindOf("tls.expired"))), check: onlyBefore,
			did: "15 s after the Bot API became unreachable the certificate expires, until both heal: a failover would bring nothing (one that follows, to fetch what waits, isn't counted)"},
		{name: "Bot API refuses", lasts: 60 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultReset}),
			did: "every call to the Bot API is reset"},
		{name: "Bot API answers HTML", lasts: 60 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultHTML}),
			did: "the front of the Bot API answers 502 with a page"},
		{name: "Bot API's name is gone", lasts: 60 * time.Second, begin: leased(kindOf("botapi.dns")),
			did: "the Bot API's name does not resolve from here"},
		{name: "getWebhookInfo answers 429", lasts: 90 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 20}),
			did: "getWebhookInfo is rate limited with retry_after 20"},
		{name: "Bot API server restarts", lasts: 60 * time.Second, begin: (*matrixRun).serverRestart,
			did: "the Bot API server restarts while 40 of our answers are on their way, over a line of 250 ms: it delivers those again, and answers calls with 502 for 3 s"},
		{name: "probe never good", lasts: 5 * time.Minute, prepare: func(r *matrixRun) { r.net.Blackhole(probeIP, true) }, begin: nothing,
			did: "our own probe can't reach the webhook, and never could"},
		{name: "probe turns bad", lasts: 5 * time.Minute, begin: blackhole(probeIP),
			did: "our own probe can't reach the webhook any more, and Telegram can"},
		{name: "probe's resolver loses the name", lasts: 5 * time.Minute, begin: resolver(),
			did: "the webhook's name does not resolve from here, while Telegram knows its address"},
		{name: "probe's resolver finds somebody else", lasts: 5 * time.Minute, prepare: (*matrixRun).double, begin: resolver(doubleIP),
			did: "the webhook's name leads us, and not Telegram, to another host with a good certificate that answers 200"},
		{name: "one update is eaten", rates: []float64{1, 50}, lasts: 90 * time.Second, prepare: (*matrixRun).proxy, begin: (*matrixRun).eatOne,
			did: "the proxy answers a single update with 200 and keeps it from us: it is told as lost, and one is no pattern"},
		{name: "burst", lasts: 30 * time.Second, begin: (*matrixRun).burst,
			did: "2,000 updates of 200 chats at once"},
		{name: "duplicates", lasts: 60 * time.Second, begin: (*matrixRun).duplicates,
			did: "Telegram sends 20 updates again within a second of our answer, as after a cut at that moment"},
		{name: "new id series", rates: silent, lasts: 60 * time.Second, begin: (*matrixRun).newSeries,
			did: "Telegram starts a new series of update_ids, far below the old one"},
		{name: "an old error", rates: []float64{0.05, 1}, prepare: func(*matrixRun) {}, lasts: 2 * time.Minute, begin: (*matrixRun).oldError,
			did: "last_error shows a failure of before; the process is restarted with it"},
		{name: "restart after 40 s down", quiet: true, lasts: 60 * time.Second, begin: (*matrixRun).downtime,
			did: "the process is stopped, Telegram's back-off grows for 40 s, and it is started again"},
		{name: "our clock is wrong by a day", lasts: 60 * time.Second, prepare: (*matrixRun).ownCertificate, begin: (*matrixRun).fastClock,
			did: "our clock is a day ahead of Telegram's: by ours the certificate ends within the lead, by Telegram's tomorrow"},
		{name: "URL changed by somebody", quiet: true, lasts: 60 * time.Second, begin: (*matrixRun).stolen, check: (*matrixRun).unfought,
			did: "somebody sets a URL of their own, which nothing answers, and deletes it after 60 s: it is named and alarmed, and not overpowered"},
		{name: "max_connections changed by somebody", lasts: 60 * time.Second, begin: foreignSet(url.Values{"url": {testURL}, "secret_token": {secret}, "max_connections": {"2"}}),
			did: "somebody sets our own webhook again with max_connections 2"},
		{name: "allowed_updates changed by somebody", lasts: 60 * time.Second, begin: foreignSet(url.Values{"url": {testURL}, "secret_token": {secret}, "max_connections": {"40"}, "allowed_updates": {`["message","callback_query"]`}}),
			did: "somebody narrows allowed_updates"},
	}
	for i := range rows {
		rows[i].kind = matrix.FalseAlarm
	}
	return rows
}

func flapping() []fault {
	rows := []fault{
		{name: "certificate flaps", begin: flap(leased(kindOf("tls.expired"))),
			did: "the certificate is expired for 20 s and good for 20 s, for an hour"},
		{name: "black hole flaps", begin: flap(blackhole(testIP)),
			did: "the network is a black hole for 20 s and fine for 20 s, for an hour"},
		{name: "handler flaps", begin: flap(leased(kindOf("http.status"))),
			did: "the handler answers 500 for 20 s and works for 20 s, for an hour"},
	}
	for i := range rows {
		rows[i].kind = matrix.Flapping
		rows[i].rates = []float64{0.05, 1, 5}
	}
	return rows
}
