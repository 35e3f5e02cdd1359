package telegramsim

// Clause is one rule of the real server that the simulator keeps.
type Clause struct {
	ID   string
	Text string
}

// Clauses is the table of what this simulator promises; each has a test of the
// same number. Sources are the server's (tdlib/telegram-bot-api, tdlib/td) and
// the Bot API documentation; the code names the lines.
func Clauses() []Clause {
	return []Clause{
		// The queue.
		{"S1", "update_ids are dense; the first is random in 2000001..1000000000; at 2000000000 the queue is wiped and starts anew; what is filtered or discarded takes no id"},
		{"S2", "retention by type: inline_query 30 s, callback_query, shipping_query and pre_checkout_query 150 s, chosen_inline_result 600 s, the rest 24 h from the message's, edit's or event's date, or from arrival"},
		{"S3", "messages that are 24 h old on arrival are skipped"},
		{"S4", "one ordering queue per chat for messages, per user and type for the others, per poll for polls"},
		{"S5", "a queue holds 100000 events of up to 512 KiB, 128 MiB in all; what does not fit is silently discarded"},
		{"S6", "pending_update_count counts what is in flight, fetched but unconfirmed, and expired until the collection each 60 s"},
		{"S7", "allowed_updates is one sticky mask for both transports, applied when an update is created; [] is the default; unreadable is ignored"},
		// getUpdates.
		{"S8", "getUpdates is refused with 409, and confirms nothing, while a webhook is set or being set"},
		{"S9", "limit is clamped to 1..100, timeout to 0..50; method names in any case; parameters by query, form, JSON, multipart"},
		{"S10", "offset > 0 forgets what is before it when the call is processed, even if it is displaced or its client is gone"},
		{"S11", "offset <= 0 reads from the head and confirms nothing; -N first deletes all but the last N"},
		{"S12", "an offset beyond tail+10 or before head-100000 reads from the head and confirms nothing"},
		{"S13", "an offset of tail+1 to tail+10 eats the updates that come below it"},
		{"S14", "expired updates are never returned"},
		{"S15", "an answer ends at 4 MiB of JSON"},
		{"S16", "the same offset within 3 s raises the timeout to 3 s, within 0.5 s lowers the limit to 1"},
		{"S17", "an empty result with a timeout parks; a new update wakes it after 1 ms, 2 ms at most; at its end the answer is []"},
		{"S18", "a second getUpdates kills the parked one with 409 only if it must park itself"},
		{"S19", "a client that disconnects leaves its call parked"},
		{"S20", "the first 409 comes at once, further ones within 3 s are each 3 s late"},
		// setWebhook and deleteWebhook.
		{"S21", "setWebhook within a second of the last one checked: 429, no-op and failing calls count; deleteWebhook is not limited"},
		{"S22", "of two sets or deletes at once the older gets 409"},
		{"S23", "a set that changes nothing does nothing (but applies allowed_updates); never with a certificate or drop_pending_updates"},
		{"S24", "a set kills the parked getUpdates, even if the set then fails"},
		{"S25", "the old webhook goes first and stays gone if the new one is refused; drop_pending_updates acts before validation"},
		{"S26", "bad URL, secret and certificate are refused with the server's texts"},
		{"S27", "bad port, scheme, host and address are refused as bad webhook with the server's texts"},
		{"S28", "setWebhook does not wait for the connection: a dead target is set all the same"},
		{"S29", "what a set leaves out is removed or reset: secret, max_connections, ip_address, certificate; clamped to 1..100"},
		{"S30", "deleteWebhook cuts what is in flight and keeps it queued; getUpdates has all of it at once; texts"},
		{"S31", "local mode: any port, plain http, any address, max_connections up to 100000, 100 by default"},
		{"S32", "a certificate is a file, as the parameter or by attach://; a string is ignored; what is not PEM is refused"},
		// Delivery.
		{"S33", "the request on the wire: these headers, in this form, and no others"},
		{"S34", "one update a request, a line break after update_id, the bytes that getUpdates would return"},
		{"S35", "per ordering queue first in, first out, one in flight, a failing head holds its queue; queues run in parallel"},
		{"S36", "between queues the earliest due goes first, then the smaller queue id, not the smaller update_id"},
		{"S37", "at most 2*max_connections queues are loaded: behind as many failing ones a new chat is not tried"},
		{"S38", "without a success in the last 10 s: one connection, a new one each 2 s at most"},
		{"S39", "after a success: ten new connections at once, then one each 50 ms, up to max_connections"},
		{"S40", "while an update is pending it redials every 2 s, even if the update is in backoff"},
		{"S41", "an idle connection is closed silently after 60 s"},
		{"S42", "no full answer in 60 s: Read timeout expired; single bytes do not extend it"},
		{"S43", "no connection in 60 s: Write timeout expired, or Connection timed out"},
		{"S44", "retries after 0, 2, 4, 8, 16, 32, 64 s, then 60 to 120 s, without a limit of attempts"},
		{"S45", "Retry-After in seconds overrides the delay, at most an hour, and does not grow the backoff"},
		{"S46", "an update is dropped when its next attempt would come after its expiry"},
		{"S47", "every 2xx is success, whatever the body; each update is forgotten by itself"},
		{"S48", "1xx and 3xx are failures; redirects are not followed"},
		{"S49", "nothing but 410 for more than 23 h removes the webhook"},
		{"S50", "after a dropped head the next update of its queue starts with fresh counters"},
		{"S51", "Connection: close and HTTP/1.0 end the connection after the answer, without an error"},
		{"S52", "answers that are not HTTP/1.x, requests, other encodings, oversized headers: the server's texts"},
		{"S53", "parsed bodies up to 1 MiB, others of any size; without length or chunks a body is empty"},
		{"S54", "a method in a 2xx answer is executed, except set, delete, close, logOut and get*"},
		{"S55", "expired, wrong host, unknown authority: certificate verify failed, in OpenSSL 3's or 1.1's words"},
		{"S56", "an uploaded certificate is the only root, and addresses then match by common name or DNS text, not by IP SAN"},
		{"S57", "SNI for names, none for addresses; no ALPN; TLS 1.1, plain HTTP and alerts have their texts"},
		{"S58", "a set opens one connection without a request; its failure is recorded, its success is silent"},
		{"S59", "last_error for everything but a clean FIN; a success does not clear it"},
		{"S60", "a real re-set clears last_error and all backoff; answers of cut connections are ignored"},
		{"S61", "names: IPv4 first, cached 29 min, failures 5 min, looked up again each 30 to 33 min, failures then ignored; a new address takes over after the next answer"},
		{"S62", "with ip_address no name is looked up"},
		{"S63", "a loaded update is delivered even if it expires while it waits"},
		// Around it.
		{"S64", "getWebhookInfo: which fields when"},
		{"S65", "the envelope, Date, Retry-After, and the errors of bad tokens, methods and paths"},
		{"S66", "getMe, logOut, close"},
		{"S67", "restart: cut, last_error and backoff lost, queue and webhook kept, no new probe"},
		{"S68", "a new series of ids"},
		{"S69", "faults of the API: 429, 5xx, HTML, hang, reset, lost answers"},
		{"S70", "latency of the API"},
		{"S71", "a foreign poller and a foreign webhook"},
		{"S72", "a duplicate of an acknowledged update, in both transports"},
		{"S73", "the truth: every update's attempts, returns, end; calls; registrations; counters"},
	}
}
