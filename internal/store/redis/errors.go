package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// failed wraps an error of the server, or of the way to it, in what it means
// for the store. nil stays nil.
func failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err, "OOM "):
		// Out of memory under the policy noeviction.
		return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrFull, err)
	case errors.Is(err, format.ErrNotSession), errors.Is(err, format.ErrCompressed), answered(err, "FOREIGN "):
		return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrDamaged, err)
	}
	return fmt.Errorf("redis: %s: %w: %w", doing, backend.ErrUnavailable, err)
}

// answered reports whether err is an answer of the server that starts so. The
// library leaves out the code ERR.
func answered(err error, prefixes ...string) bool {
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

// unknown reports whether an operation may have been done in spite of its error:
// whether its answer was lost. A script that answers with an error has changed
// nothing.
func unknown(err error) bool {
	_, answered := errors.AsType[*rueidis.RedisError](err)
	return errors.Is(err, backend.ErrUnavailable) && !answered && !errors.Is(err, errNotBegun)
}

// errNotBegun: the server was not asked at all.
var errNotBegun = errors.New("waiting for other changes of the session")

// refused reports whether the server answered that it did nothing, and will
// perhaps do it a moment later: that is safe to repeat, whatever was asked.
func refused(err error) bool {
	return answered(err, "LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "READONLY ", leftMeanwhile)
}

// leftMeanwhile is what a script answers whose key was moved to another server of
// a Cluster, or expired there, before the script wrote anything.
const leftMeanwhile = "ERR Script attempted to access a non local key"

// lasting are answers that no waiting changes: somebody has to change a setting,
// here or at the server.
var lasting = []string{
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
	return !answered(err, lasting...) && !untrusted && !noTLS && !rejected(err) &&
		!errors.Is(err, rueidis.ErrNoCache) && !errors.Is(err, errVersion) && !errors.Is(err, errMode) &&
		!errors.Is(err, errMismatch) && !errors.Is(err, errRights) && !errors.Is(err, errOverlap)
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
