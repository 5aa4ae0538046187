package config

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"session-api/internal/api"
)

// maxShutdown bounds both phases of a shutdown together, so that the process exits before
// orchestrators kill it, after 30 seconds.
const maxShutdown = 29 * time.Second

// rule checks a setting, alone or together with others. check returns an error message,
// or "". requires names the other settings that check reads: if one of them is invalid,
// the rule is skipped.
type rule struct {
	name     string
	requires []string
	check    func(*Config) string
}

// checks are the rules, except those of the data file, Redis and own files.
var checks = []rule{
	{"HOST", nil, func(c *Config) string { return checkHost(c.Server.Host, "PORT") }},
	{"ALLOWED_ORIGINS", nil, func(c *Config) string { return firstProblem(c.Clients.AllowedOrigins, checkOrigin) }},
	{"ALLOWED_HOSTS", nil, func(c *Config) string { return firstProblem(c.Clients.AllowedHosts, checkAllowedHost) }},
	{"CORS_ALLOWED_HEADERS", nil, func(c *Config) string { return firstProblem(c.Clients.AllowedHeaders, checkAllowedHeader) }},
	{"SHUTDOWN_TIMEOUT_MS", []string{"SHUTDOWN_DELAY_MS"}, func(c *Config) string {
		return messageIf(c.HTTP.ShutdownDelay+c.HTTP.ShutdownTimeout > maxShutdown,
			"with SHUTDOWN_DELAY_MS it makes %d, at most %d are possible", (c.HTTP.ShutdownDelay + c.HTTP.ShutdownTimeout).Milliseconds(), maxShutdown.Milliseconds())
	}},
	{"SESSION_TTL_MS", []string{"SESSION_MAX_TTL_MS"}, func(c *Config) string {
		return messageIf(c.Sessions.TTL > c.Sessions.MaxTTL, "%d is more than SESSION_MAX_TTL_MS (%d)", c.Sessions.TTL.Milliseconds(), c.Sessions.MaxTTL.Milliseconds())
	}},
	{"SESSION_REMEMBER_TTL_MS", []string{"SESSION_MAX_TTL_MS"}, func(c *Config) string {
		return messageIf(c.Sessions.RememberTTL > c.Sessions.MaxTTL, "%d is more than SESSION_MAX_TTL_MS (%d)", c.Sessions.RememberTTL.Milliseconds(), c.Sessions.MaxTTL.Milliseconds())
	}},
	{"SESSION_ROLE_TTL_MS", []string{"SESSION_MAX_TTL_MS"}, checkRoleTTLs},
	{"CREATE_BYTES_PER_MINUTE", []string{"SESSION_MAX_BYTES"}, func(c *Config) string {
		return messageIf(c.Clients.CreateBytes > 0 && c.Clients.CreateBytes < c.Documents.MaxBytes,
			"%d is less than SESSION_MAX_BYTES (%d): nobody could create the largest session", c.Clients.CreateBytes, c.Documents.MaxBytes)
	}},
	{"SESSION_MAX_MEMORY_BYTES", []string{"SESSION_MAX_BYTES"}, func(c *Config) string {
		return messageIf(c.Store.MaxMemoryBytes > 0 && c.Store.MaxMemoryBytes < 2*int64(c.Documents.MaxBytes),
			"%d is less than twice SESSION_MAX_BYTES (%d): the largest session would not fit", c.Store.MaxMemoryBytes, c.Documents.MaxBytes)
	}},
	{"COOKIE_NAME", nil, func(c *Config) string {
		return messageIf((&http.Cookie{Name: c.Cookie.Name}).Valid() != nil,
			"%s is no cookie name: letters, digits and !#$%%&'*+-.^_`|~ are (RFC 6265)", quoted(c.Cookie.Name))
	}},
	{"COOKIE_PREFIX", []string{"COOKIE_NAME", "COOKIE_DOMAIN", "COOKIE_SECURE", "APP_ENV"}, checkCookiePrefix},
	{"COOKIE_NAME", []string{"COOKIE_DOMAIN"}, func(c *Config) string {
		return messageIf(c.cookiePrefix("__Host-") && c.Cookie.Domain != "", "the prefix __Host- rules out COOKIE_DOMAIN")
	}},
	{"COOKIE_NAME", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return messageIf(!c.secure() && c.cookiePrefix("__Host-", "__Secure-", "__Http-"),
			"its prefix needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_DOMAIN", nil, func(c *Config) string {
		cookie := http.Cookie{Name: "name", Domain: c.Cookie.Domain}
		return messageIf(c.Cookie.Domain != "" && cookie.Valid() != nil, "%s is no domain name", quoted(c.Cookie.Domain))
	}},
	{"COOKIE_SAMESITE", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return messageIf(!c.secure() && c.Cookie.SameSite == http.SameSiteNoneMode, "none needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_PARTITIONED", []string{"COOKIE_SECURE", "APP_ENV"}, func(c *Config) string {
		return messageIf(!c.secure() && c.Cookie.Partitioned, "true needs a Secure cookie: set COOKIE_SECURE=true")
	}},
	{"COOKIE_SECURE", []string{"APP_ENV"}, func(c *Config) string {
		return messageIf(!c.secure() && c.Production(), "false would send sessions over plain HTTP, which production refuses")
	}},
	{"CLEAR_SITE_DATA", nil, func(c *Config) string { return firstProblem(c.Cookie.ClearSiteData, checkSiteData) }},
	{"ANALYSIS_TMP_DIR", nil, checkAnalysisDir},
	{"FILE_TTL_MS", []string{"FILE_GRACE_MS"}, func(c *Config) string {
		return messageIf(c.Files.TTL < c.Files.Grace, "%d is less than FILE_GRACE_MS (%d)", c.Files.TTL.Milliseconds(), c.Files.Grace.Milliseconds())
	}},
	{"OTEL_EXPORTER_OTLP_ENDPOINT", nil, func(c *Config) string {
		u, err := url.Parse(c.Tracing.Endpoint)
		return messageIf(c.Tracing.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == ""),
			"is no http:// or https:// address")
	}},
}

// check applies the rules. found are the problems so far.
func (c *Config) check(found Problems) Problems {
	var more Problems
	for _, one := range slices.Concat(checks, jwtChecks, boltChecks, redisChecks, ownFileChecks()) {
		if found.has(one.name) || found.has(one.requires...) {
			continue
		}
		if text := one.check(c); text != "" {
			more = append(more, Problem{one.name, text})
		}
	}
	return more
}

// messageIf returns the message if the condition holds.
func messageIf(wrong bool, format string, args ...any) string {
	if !wrong {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// firstProblem returns the first message of check for the elements of a list.
func firstProblem(list []string, check func(string) string) string {
	for _, one := range list {
		if text := check(one); text != "" {
			return text
		}
	}
	return ""
}

// checkAllowedHost refuses what no Host header can equal.
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

// unbracketed returns an address without the brackets of IPv6 in URLs.
func unbracketed(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func checkHost(host, port string) string {
	return messageIf(!isHost(host), "%s is neither an IP address nor a host name; the port goes into %s", quoted(host), port)
}

// isHost reports whether the text is a host name or an address. A name whose last label
// is a number is neither: it is an invalid IPv4 address.
func isHost(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || hostName.MatchString(text) && !ipv4Like.MatchString(strings.ToLower(text))
}

// checkAllowedHeader refuses headers that pages cannot set, or may always set.
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
