package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/tracing"
)

// maxShutdown is what both phases of a shutdown may take together, so that the
// process is gone before the 30 seconds are over after which orchestrators
// kill it.
const maxShutdown = 29 * time.Second

// rule holds settings to what their meaning asks, alone or together. check
// returns what is wrong, or nothing. needs names the settings besides name
// that it looks at: where one of them could not be read, it is left out.
type rule struct {
	name  string
	needs []string
	check func(*Config) string
}

// checks are the rules, those of Redis apart.
var checks = []rule{
	{"HOST", nil, func(c *Config) string { return checkHost(c.Host, "PORT") }},
	{"ALLOWED_ORIGINS", nil, func(c *Config) string { return first(c.AllowedOrigins, checkOrigin) }},
	{"ALLOWED_HOSTS", nil, func(c *Config) string { return first(c.AllowedHosts, checkAllowedHost) }},
	{"CORS_ALLOWED_HEADERS", nil, func(c *Config) string { return first(c.AllowedHeaders, checkAllowedHeader) }},
	{"SHUTDOWN_TIMEOUT_MS", []string{"SHUTDOWN_DELAY_MS"}, func(c *Config) string {
		return where(c.ShutdownDelay+c.ShutdownTimeout > maxShutdown,
			"with SHUTDOWN_DELAY_MS it makes %d, at most %d are possible", (c.ShutdownDelay + c.ShutdownTimeout).Milliseconds(), maxShutdown.Milliseconds())
	}},
	{"SESSION_TTL_MS", []string{"SESSION_MAX_TTL_MS"}, func(c *Config) string {
		return where(c.TTL > c.MaxTTL, "%d is more than SESSION_MAX_TTL_MS (%d)", c.TTL.Milliseconds(), c.MaxTTL.Milliseconds())
	}},
	{"SESSION_ROLE_TTL_MS", []string{"SESSION_MAX_TTL_MS"}, checkRoleTTLs},
	{"CREATE_BYTES_PER_MINUTE", []string{"SESSION_MAX_BYTES"}, func(c *Config) string {
		return where(c.CreateBytes > 0 && c.CreateBytes < c.MaxBytes,
			"%d is less than SESSION_MAX_BYTES (%d): nobody could create the largest session", c.CreateBytes, c.MaxBytes)
	}},
	{"SESSION_MAX_MEMORY_BYTES", []string{"SESSION_MAX_BYTES"}, func(c *Config) string {
		return where(c.MaxMemoryBytes > 0 && c.MaxMemoryBytes < 2*int64(c.MaxBytes),
			"%d is less than twice SESSION_MAX_BYTES (%d): the largest session would not fit", c.MaxMemoryBytes, c.MaxBytes)
	}},
	{"COOKIE_NAME", nil, func(c *Config) string {
		return where((&http.Cookie{Name: c.CookieName}).Valid() != nil,
			"%s is no cookie name: letters, digits and !#$%%&'*+-.^_`|~ are (RFC 6265)", quoted(c.CookieName))
	}},
	{"COOKIE_PREFIX", []string{"COOKIE_NAME", "COOKIE_DOMAIN", "COOKIE_SECURE", "APP_ENV"}, checkCookiePrefix},
	{"COOKIE_NAME", []string{"COOKIE_DOMAIN"}, func(c *Config) string {
		return where(c.cookiePrefix("__Host-") && c.CookieDomain != "", "the prefix __Host- rules out COOKIE_DOMAIN")
	}},
	{"COOKIE_NAME", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return where(!c.secure() && c.cookiePrefix("__Host-", "__Secure-", "__Http-"),
			"its prefix needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_DOMAIN", nil, func(c *Config) string {
		cookie := http.Cookie{Name: "name", Domain: c.CookieDomain}
		return where(c.CookieDomain != "" && cookie.Valid() != nil, "%s is no domain name", quoted(c.CookieDomain))
	}},
	{"COOKIE_SAMESITE", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return where(!c.secure() && c.CookieSameSite == "none", "none needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_PARTITIONED", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return where(!c.secure() && c.CookiePartitioned, "true needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_SECURE", []string{"APP_ENV"}, func(c *Config) string {
		return where(!c.secure() && c.Production(), "false would send sessions over plain HTTP, which production refuses")
	}},
	{"ANALYSIS_TMP_DIR", nil, checkAnalysisDir},
	{"FILE_TTL_MS", []string{"FILE_GRACE_MS"}, func(c *Config) string {
		return where(c.FileTTL < c.FileGrace, "%d is less than FILE_GRACE_MS (%d)", c.FileTTL.Milliseconds(), c.FileGrace.Milliseconds())
	}},
	{"OTEL_EXPORTER_OTLP_ENDPOINT", nil, func(c *Config) string {
		u, err := url.Parse(c.TraceEndpoint)
		return where(c.TraceEndpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == ""),
			"is no http:// or https:// address")
	}},
	{"OTEL_EXPORTER_OTLP_HEADERS", nil, func(c *Config) string {
		_, err := tracing.ParseHeaders(string(c.TraceHeaders))
		return where(err != nil, "is %v", err)
	}},
	{"ACCESS_LOG", nil, func(c *Config) string {
		_, ok := ParseAccessLog(c.AccessLog)
		return where(!ok, "%s is not all, errors or sample:N with a whole N above 0", quoted(c.AccessLog))
	}},
}

// check runs the checks. found is what is wrong already.
func (c *Config) check(found Problems) Problems {
	var more Problems
	for _, one := range slices.Concat(checks, boltChecks, redisChecks, ownFileChecks()) {
		if found.of(one.name) || found.of(one.needs...) {
			continue
		}
		if text := one.check(c); text != "" {
			more = append(more, Problem{one.name, text})
		}
	}
	return more
}

// where returns the text if the condition holds.
func where(wrong bool, format string, args ...any) string {
	if !wrong {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// first returns what check says of the first bad one in the list.
func first(list []string, check func(string) string) string {
	for _, one := range list {
		if text := check(one); text != "" {
			return text
		}
	}
	return ""
}

// secure reports whether the cookie has the attribute.
func (c *Config) secure() bool { return c.CookieSecure == "true" }

// prefixes are what COOKIE_PREFIX stands for.
var prefixes = map[string]string{"host": "__Host-", "secure": "__Secure-"}

// knownPrefixes are those that browsers hold to rules.
var knownPrefixes = []string{"__Host-", "__Secure-", "__Http-", "__Host-Http-"}

// usualPrefix is the COOKIE_PREFIX that auto stands for.
func (c *Config) usualPrefix() string {
	switch {
	case !c.Production(), !c.secure(), c.cookiePrefix(knownPrefixes...):
		return "none"
	case c.CookieDomain != "":
		return "secure"
	default:
		return "host"
	}
}

// BrowserCookieName is the cookie's name as browsers have it.
func (c *Config) BrowserCookieName() string { return prefixes[c.CookiePrefix] + c.CookieName }

// checkCookiePrefix holds a prefix that the service adds to what browsers ask of it.
func checkCookiePrefix(c *Config) string {
	prefix := prefixes[c.CookiePrefix]
	switch {
	case prefix == "":
		return ""
	case c.cookiePrefix(knownPrefixes...):
		return "COOKIE_NAME has a prefix of its own: leave one of them out"
	case !c.secure():
		return "the prefix " + prefix + " needs a Secure cookie: set COOKIE_SECURE=true"
	case c.CookiePrefix == "host" && c.CookieDomain != "":
		return "the prefix __Host- rules out COOKIE_DOMAIN: secure is possible with it"
	}
	return ""
}

// checkAllowedHost refuses what no Host header can be compared with.
func checkAllowedHost(host string) string {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case host == "*":
		return "* would let any page on the web get at the service by a name of its own (DNS rebinding): name the hosts, or *.example.com for all below it"
	case strings.Contains(host, "://"), strings.ContainsAny(host, "/@"):
		return quoted(host) + " is no host name: scheme, user and path do not belong to it"
	case isHost(unbracketed(name)) && (name == host || !strings.Contains(name, ":")):
		return ""
	}
	if bare, port, err := net.SplitHostPort(host); err == nil && isHost(bare) && port != "" {
		return quoted(host) + ": ports do not count, write " + quoted(bare)
	}
	return quoted(host) + " is neither a host name, as browsers send it, nor an address"
}

// unbracketed is an address without the brackets that IPv6 has in URLs.
func unbracketed(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// cookiePrefix reports whether the cookie's name has one of the prefixes.
// Browsers compare them without regard to case (RFC 6265bis section 5.7).
func (c *Config) cookiePrefix(prefixes ...string) bool {
	name := strings.ToLower(c.CookieName)
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, strings.ToLower(p)) })
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func checkHost(host, port string) string {
	return where(!isHost(host), "%s is neither an IP address nor a host name; the port goes into %s", quoted(host), port)
}

// isHost reports whether the text can be looked up or is an address. A name
// whose last label is a number is none: it was to be an address of IPv4.
func isHost(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || hostName.MatchString(text) && !numeric.MatchString(strings.ToLower(text))
}

// checkAllowedHeader refuses what browsers never ask for: pages cannot set such
// headers, or need not ask.
func checkAllowedHeader(name string) string {
	lower := strings.ToLower(name)
	switch {
	case name == "*":
		return "wildcards are not allowed: where cookies are sent, browsers take * for a header of that name"
	case !api.IsHeaderName(name):
		return quoted(name) + " is no name of a header"
	case strings.HasPrefix(lower, "sec-"), strings.HasPrefix(lower, "proxy-"), strings.HasPrefix(lower, "access-control-"),
		slices.Contains([]string{"cookie", "host", "origin", "referer", "connection", "content-length", "transfer-encoding"}, lower):
		return quoted(name) + " is a header that browsers set by themselves: pages cannot send it"
	}
	return ""
}

func checkRoleTTLs(c *Config) string {
	for role, ttl := range c.RoleTTL {
		if ttl > c.MaxTTL {
			return fmt.Sprintf("role %s: %d is more than SESSION_MAX_TTL_MS (%d)", quoted(role), ttl.Milliseconds(), c.MaxTTL.Milliseconds())
		}
	}
	return ""
}

// checkAnalysisDir asks the cleanup, which knows where it must not delete.
func checkAnalysisDir(c *Config) string {
	if _, err := os.Lstat(c.AnalysisDir); errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(c.AnalysisDir) && !c.dirIsDefault {
		return quoted(c.AnalysisDir) + " does not exist"
	}
	options := c.CleanupOptions()
	all, ok := options.Validate().(interface{ Unwrap() []error })
	if !ok {
		return ""
	}
	for _, err := range all.Unwrap() {
		if wrong, ok := errors.AsType[*cleanup.OptionError](err); ok && wrong.Option == "Dir" {
			return wrong.Err.Error()
		}
	}
	return ""
}

// ParseAccessLog returns of how many requests that succeed one is logged: 1 for
// all of them, 0 for none.
func ParseAccessLog(v string) (every int, ok bool) {
	switch v {
	case "all":
		return 1, true
	case "errors":
		return 0, true
	}
	n, ok := strings.CutPrefix(v, "sample:")
	every, err := strconv.Atoi(n)
	return every, ok && err == nil && every > 0
}
