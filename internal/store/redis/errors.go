package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"session-api/internal/store"
)

// failed wraps an error of the server, or of the way to it, in what it means
// for the store. nil stays nil.
func failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err, "OOM "):
		// Out of memory under the policy noeviction.
		return fmt.Errorf("redis: %s: %w: %w", doing, store.ErrFull, err)
	case answered(err, "FOREIGN "), answered(err, "WRONGTYPE "):
		err = fmt.Errorf("%w: %w", errForeign, err)
	}
	return fmt.Errorf("redis: %s: %w: %w", doing, store.ErrUnavailable, err)
}

// answered reports whether err is an answer of the server that starts so.
func answered(err error, prefixes ...string) bool {
	answer, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return false
	}
	text := answer.Error()
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
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
	return errors.Is(err, store.ErrUnavailable) && !answered && !errors.Is(err, errNotBegun)
}

// errNotBegun: the server was not asked at all.
var errNotBegun = errors.New("waiting for other changes of the session")

// refused reports whether the server answered that it did nothing, and will
// perhaps do it a moment later: that is safe to repeat, whatever was asked.
func refused(err error) bool {
	return answered(err, "LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "READONLY ")
}

// temporary reports whether a server that could not be opened may be there
// later, without anybody changing a setting.
func temporary(err error) bool {
	if refused(err) {
		return true
	}
	if _, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return false // a wrong password, no permission, a command that is not known
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return !untrusted && !errors.Is(err, rueidis.ErrNoCache) && !errors.Is(err, errVersion) && !errors.Is(err, errMode)
}
