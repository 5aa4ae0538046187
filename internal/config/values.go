package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// parsers parse the values of Config's fields by type. Their error messages are shown to
// the operator.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():                     func(v string) (any, error) { return parseBool(v) },
	reflect.TypeFor[int]():                      func(v string) (any, error) { n, err := parseInt(v, strconv.IntSize); return int(n), err },
	reflect.TypeFor[int64]():                    func(v string) (any, error) { return parseInt(v, 64) },
	reflect.TypeFor[time.Duration]():            func(v string) (any, error) { return parseMillis(v) },
	reflect.TypeFor[[]string]():                 func(v string) (any, error) { return split(v, ","), nil },
	reflect.TypeFor[secret]():                   func(v string) (any, error) { return secret(v), nil },
	reflect.TypeFor[secrets]():                  func(v string) (any, error) { return parseSecrets(v), nil },
	reflect.TypeFor[slog.Level]():               func(v string) (any, error) { return parseLevel(v) },
	reflect.TypeFor[claimMappings]():            func(v string) (any, error) { return parseClaimMappings(v) },
	reflect.TypeFor[jwtAlgorithm]():             func(v string) (any, error) { return jwtAlgorithm(v), nil },
	reflect.TypeFor[http.SameSite]():            func(v string) (any, error) { return sameSite[v], nil },
	reflect.TypeFor[AccessLog]():                func(v string) (any, error) { return parseAccessLog(v) },
	reflect.TypeFor[AuditLog]():                 func(v string) (any, error) { return parseAuditLog(v) },
	reflect.TypeFor[TraceHeaders]():             func(v string) (any, error) { return parseTraceHeaders(v) },
	reflect.TypeFor[[]netip.Prefix]():           func(v string) (any, error) { return parsePrefixes(v) },
	reflect.TypeFor[map[string]time.Duration](): func(v string) (any, error) { return parseRoleTTLs(v) },
}

func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", quoted(v))
}

func parseInt(v string, bits int) (int64, error) {
	n, err := strconv.ParseInt(v, 10, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is too far from zero", quoted(v))
	case err != nil:
		return 0, fmt.Errorf("%s is not a whole number", quoted(v))
	}
	return n, nil
}

// parseMillis parses milliseconds, and refuses durations above maxMillis.
func parseMillis(v string) (time.Duration, error) {
	n, err := parseInt(v, 64)
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, fmt.Errorf("%d is negative", n)
	case n > maxMillis:
		return 0, fmt.Errorf("%d is more than %d milliseconds (a hundred years)", n, int64(maxMillis))
	}
	return time.Duration(n) * time.Millisecond, nil
}

// parseRoleTTLs parses "admin:900000,guest:3600000".
func parseRoleTTLs(v string) (map[string]time.Duration, error) {
	ttls := make(map[string]time.Duration)
	for _, one := range split(v, ",") {
		at := strings.LastIndexByte(one, ':')
		if at < 1 {
			return nil, fmt.Errorf("%s is not of the form role:milliseconds", quoted(one))
		}
		role := strings.TrimSpace(one[:at])
		ttl, err := parseMillis(strings.TrimSpace(one[at+1:]))
		switch {
		case err != nil:
			return nil, fmt.Errorf("role %s: %w", quoted(role), err)
		case ttl == 0:
			return nil, fmt.Errorf("role %s: an idle timeout is at least 1 millisecond", quoted(role))
		case ttls[role] != 0:
			return nil, fmt.Errorf("role %s is named twice", quoted(role))
		}
		ttls[role] = ttl
	}
	return ttls, nil
}

// split returns the non-empty parts of s, without the space around them.
func split(s, separators string) []string {
	var parts []string
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// quoted quotes a value for a message: on one line, and truncated.
func quoted(v string) string {
	const most = 80
	if len(v) > most {
		return strconv.Quote(v[:most]) + "…"
	}
	return strconv.Quote(v)
}
