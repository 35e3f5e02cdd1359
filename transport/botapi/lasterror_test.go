package botapi

import "testing"

// TestClassifyWebhookError has every text that the server can write into
// last_error_message, and those of a failed setWebhook.
func TestClassifyWebhookError(t *testing.T) {
	const hard, soft, telegrams = "hard", "soft", "telegram's"
	for _, c := range []struct {
		text   string
		class  WebhookErrorClass
		status int
		weight string
	}{
		{"Wrong response from the webhook: 500 Internal Server Error", WebhookErrorHTTP, 500, soft},
		{"Wrong response from the webhook: 502 Bad Gateway", WebhookErrorHTTP, 502, soft},
		{"Wrong response from the webhook: 503 Service Unavailable", WebhookErrorHTTP, 503, soft},
		{"Wrong response from the webhook: 403 Forbidden", WebhookErrorHTTP, 403, soft},
		{"Wrong response from the webhook: 401 Unauthorized", WebhookErrorHTTP, 401, soft},
		{"Wrong response from the webhook: 404 Not Found", WebhookErrorHTTP, 404, soft},
		{"Wrong response from the webhook: 410 Gone", WebhookErrorHTTP, 410, soft},
		{"Wrong response from the webhook: 429 Too Many Requests", WebhookErrorHTTP, 429, soft},
		{"Wrong response from the webhook: 302 Found", WebhookErrorHTTP, 302, soft},
		{"Wrong response from the webhook: 301 Moved Permanently", WebhookErrorHTTP, 301, soft},
		{"Wrong response from the webhook: 100 Continue", WebhookErrorHTTP, 100, soft},
		{"Wrong response from the webhook: 526 ", WebhookErrorHTTP, 526, soft},
		{"Wrong response from the webhook: 504", WebhookErrorHTTP, 504, soft},
		{"Wrong response from the webhook: 413 Request timed out", WebhookErrorHTTP, 413, soft}, // the reason is anybody's
		{"Wrong response from the webhook: GET / HTTP/1.1\nHost: x", WebhookErrorProtocol, 0, soft},
		{"Wrong response from the webhook: POST /timed out HTTP/1.1", WebhookErrorProtocol, 0, soft},
		{"SSL error {error:0A000086:SSL routines::certificate verify failed}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed}", WebhookErrorTLS, 0, hard},
		{"SSL error {336134278, error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:0A00010B:SSL routines::wrong version number}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:140770FC:SSL routines:SSL23_GET_SERVER_HELLO:unknown protocol}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:0A000438:SSL routines::tlsv1 alert internal error}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:0A000410:SSL routines::sslv3 alert handshake failure}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:0A000150:SSL routines::legacy sigalg disallowed or unsupported}", WebhookErrorTLS, 0, hard},
		{"SSL error {error:0A000102:SSL routines::unsupported protocol}", WebhookErrorTLS, 0, hard},
		{"Can't create an SSL context: Failed to set custom certificate file", WebhookErrorTLS, 0, hard},
		{"Can't create an SSL connection: Unknown", WebhookErrorTLS, 0, hard},
		{"Read timeout expired", WebhookErrorTimeout, 0, hard},
		{"Write timeout expired", WebhookErrorTimeout, 0, hard},
		{"Connection timed out", WebhookErrorTimeout, 0, hard},
		{"Connection timeout expired", WebhookErrorTimeout, 0, hard},
		{"Connection refused", WebhookErrorRefused, 0, hard},
		{"Connection reset by peer", WebhookErrorClosed, 0, soft},
		{"Broken pipe", WebhookErrorClosed, 0, soft},
		{"Connection closed", WebhookErrorClosed, 0, soft},
		{"Webhook connection closed", WebhookErrorClosed, 0, soft},
		{"Canceled", WebhookErrorClosed, 0, soft},
		{"No route to host", WebhookErrorNetwork, 0, hard},
		{"Network is unreachable", WebhookErrorNetwork, 0, hard},
		{"Host is down", WebhookErrorNetwork, 0, hard},
		{"Can't connect to the webhook", WebhookErrorNetwork, 0, hard},
		{"Can't connect to the webhook proxy", WebhookErrorNetwork, 0, hard},
		{"Failed to connect to 5.45.72.10:443", WebhookErrorNetwork, 0, hard},
		{"Proxy has sent too many data", WebhookErrorNetwork, 0, hard},
		{"Not Implemented", WebhookErrorProtocol, 0, soft},
		{"HTTP Version Not Supported", WebhookErrorProtocol, 0, soft},
		{"Unsupported Media Type: unsupported content-encoding", WebhookErrorProtocol, 0, soft},
		{"Unimplemented: unsupported transfer-encoding", WebhookErrorProtocol, 0, soft},
		{"Request Entity Too Large: too many parameters", WebhookErrorProtocol, 0, soft},
		{"Request Header Fields Too Large: too many headers", WebhookErrorProtocol, 0, soft},
		{"Bad Request: can't parse", WebhookErrorProtocol, 0, soft},
		{"Bad Request", WebhookErrorProtocol, 0, soft},
		{"Internal Server Error: can't create temporary file", WebhookErrorTelegram, 0, telegrams},
		{"Internal Server Error: can't upload the file", WebhookErrorTelegram, 0, telegrams},
		{"Failed to resolve host: Name or service not known", WebhookErrorDNS, 0, hard},
		{"Bad Request: bad webhook: Failed to resolve host: Temporary failure in name resolution", WebhookErrorDNS, 0, hard},
		{"IP address 10.0.0.1 is reserved", WebhookErrorDNS, 0, hard},
		{"IPv6-only addresses are not allowed", WebhookErrorDNS, 0, hard},
		{"Invalid IP address specified", WebhookErrorDNS, 0, hard},
		{"something that nobody has seen", WebhookErrorUnknown, 0, soft},
	} {
		got := ClassifyWebhookError(c.text)
		if got.Class != c.class || got.Status != c.status {
			t.Errorf("%q: %+v, want %s %d", c.text, got, c.class, c.status)
		}
		if got.Hard() != (c.weight == hard) || got.Path() != (c.weight != telegrams) {
			t.Errorf("%q: hard %v, path %v, want %s", c.text, got.Hard(), got.Path(), c.weight)
		}
		if got.Class != WebhookErrorUnknown && got.Hint() == "" {
			t.Errorf("%q has no hint", c.text)
		}
	}
	if e := ClassifyWebhookError(""); e.Class != WebhookErrorNone || e.Path() || e.Hard() {
		t.Errorf("no message: %+v", e)
	}
}
