package conn

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// Answered reports whether err is an answer of the server that starts so. The
// library leaves out the code ERR.
func Answered(err error, prefixes ...string) bool {
	answer, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return false
	}
	text := answer.Error()
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, strings.TrimPrefix(prefix, "ERR ")) {
			return true
		}
	}
	return false
}

// Refused reports whether the server answered that it did nothing, and will
// perhaps do it a moment later: that is safe to repeat, whatever was asked.
func Refused(err error) bool {
	return Answered(err, "LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "READONLY ", leftMeanwhile)
}

// leftMeanwhile is what a script answers whose key was moved to another server of
// a Cluster, or expired there, before the script wrote anything.
const leftMeanwhile = "ERR Script attempted to access a non local key"

// permanentAnswers are answers that waiting does not change, but a change of a
// setting does, here or at the server.
var permanentAnswers = []string{
	"WRONGPASS ", "NOAUTH ", "NOPERM ", "DENIED ", "NOPROTO ",
	"ERR AUTH ", "ERR Client sent AUTH", "ERR invalid password",
	"ERR DB index", "ERR invalid DB index", "ERR SELECT is not allowed",
	"ERR unknown command", "ERR unknown subcommand", "ERR No such master",
}

// temporary reports whether a server that could not be opened may be there
// later, without anybody changing a setting. One that is full of clients, busy,
// loading or a replica answers, and is as good as away.
func temporary(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	return !Answered(err, permanentAnswers...) && !untrusted && !noTLS && !rejected(err) &&
		!errors.Is(err, rueidis.ErrNoCache) && !errors.Is(err, errVersion) && !errors.Is(err, errMode) &&
		!errors.Is(err, errMismatch) && !isPermanent(err)
}

// rejections are the alerts by which a server ends a handshake that would not
// succeed another time, either (RFC 8446 section 6.2): handshake_failure,
// those about certificates, access_denied, decrypt_error, protocol_version,
// unrecognized_name and certificate_required.
var rejections = []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 51, 70, 112, 116}

// rejected reports whether the server refused the TLS handshake for good.
func rejected(err error) bool {
	// Package tls does not export the type of an alert that was received.
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" && slices.ContainsFunc(rejections, func(alert tls.AlertError) bool {
		return remote.Err.Error() == alert.Error()
	})
}

// Permanent returns an error that waiting does not change. It reads as err, and
// wraps it.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

// IsAnswer reports whether err is an answer of the server.
func IsAnswer(err error) bool {
	_, ok := errors.AsType[*rueidis.RedisError](err)
	return ok
}
