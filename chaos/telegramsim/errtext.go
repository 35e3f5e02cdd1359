package telegramsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// connectTimeout is how a connection that never stood is reported after 60 s.
func (k *Knobs) connectTimeout() string {
	if k.ConnectionTimedOut {
		return "Connection timed out"
	}
	return "Write timeout expired"
}

// errorText turns the end of a webhook connection into last_error_message;
// empty for a clean end, of which nothing is recorded.
func (k *Knobs) errorText(err error) string {
	var proto protocolError
	var op *net.OpError
	var header tls.RecordHeaderError
	var errno syscall.Errno
	switch {
	case errors.As(err, &proto):
		return string(proto)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, errCertificate):
		return k.ssl(0x86, "tls_process_server_certificate", "1416F086", "certificate verify failed")
	case errors.Is(err, errLegacy):
		return k.ssl(0x14d, "tls12_check_peer_sigalg", "1414D14D", "legacy sigalg disallowed or unsupported")
	case errors.As(err, &op) && op.Op == "remote error":
		return k.alert(op.Err.Error())
	case errors.As(err, &header):
		return k.ssl(0x10b, "ssl3_get_record", "1408F10B", "wrong version number")
	case errors.As(err, &errno):
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "Connection timed out"
	case strings.HasPrefix(err.Error(), "tls: "):
		return k.tlsText(err.Error())
	}
	return err.Error()
}

// tlsText covers what crypto/tls has no types for.
func (k *Knobs) tlsText(text string) string {
	switch {
	case strings.Contains(text, "unsupported protocol version"), strings.Contains(text, "unsupported version"):
		return k.ssl(0x102, "ssl_choose_client_version", "14171102", "unsupported protocol")
	case strings.Contains(text, "first record does not look like"):
		return k.ssl(0x10b, "ssl3_get_record", "1408F10B", "wrong version number")
	case strings.Contains(text, "certificate"):
		return k.ssl(0x86, "tls_process_server_certificate", "1416F086", "certificate verify failed")
	}
	return k.ssl(0xf4, "ossl_statem_client_read_transition", "141640F4", "unexpected message")
}

// alertNames are OpenSSL's words for what the peer's alert says.
var alertNames = map[uint8]string{
	10: "sslv3 alert unexpected message", 20: "sslv3 alert bad record mac", 40: "sslv3 alert handshake failure",
	42: "sslv3 alert bad certificate", 43: "sslv3 alert unsupported certificate", 44: "sslv3 alert certificate revoked",
	45: "sslv3 alert certificate expired", 46: "sslv3 alert certificate unknown", 47: "sslv3 alert illegal parameter",
	48: "tlsv1 alert unknown ca", 49: "tlsv1 alert access denied", 50: "tlsv1 alert decode error",
	51: "tlsv1 alert decrypt error", 70: "tlsv1 alert protocol version", 71: "tlsv1 alert insufficient security",
	80: "tlsv1 alert internal error", 90: "tlsv1 alert user cancelled", 112: "tlsv1 unrecognized name",
	116: "tlsv13 alert certificate required",
}

// alert names the peer's alert; crypto/tls gives it away by its text only.
func (k *Knobs) alert(text string) string {
	for n, name := range alertNames {
		if tls.AlertError(n).Error() == text {
			reason := 1000 + int(n)
			return k.ssl(reason, "ssl3_read_bytes", fmt.Sprintf("14094%03X", reason), name)
		}
	}
	return k.ssl(0xf4, "ssl3_read_bytes", "140940F4", "unexpected message")
}

func (k *Knobs) ssl(reason int, function, old, text string) string {
	if k.OpenSSL11 {
		return fmt.Sprintf("SSL error {error:%s:SSL routines:%s:%s}", old, function, text)
	}
	return fmt.Sprintf("SSL error {error:0A%06X:SSL routines::%s}", reason, text)
}
