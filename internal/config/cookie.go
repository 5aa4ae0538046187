package config

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"session-api/internal/api"
)

// Cookie is the session cookie.
type Cookie struct {
	Name        string        `env:"COOKIE_NAME" envDefault:"validator_session_id" values:"name" doc:"Name of the session cookie. For the prefixes __Host- and __Secure-, their rules are enforced."`
	Prefix      string        `env:"COOKIE_PREFIX" envDefault:"auto" oneof:"auto host secure none" doc:"Prefix of the cookie's name: host for __Host-, which no other host and no page without TLS can set or overwrite, secure for __Secure-, or none for COOKIE_NAME alone. auto is host in production, secure there with COOKIE_DOMAIN, and none in development and if COOKIE_NAME already has a prefix. Changing the name ends the sessions of browsers that have the cookie under the previous one; none avoids that."`
	Domain      string        `env:"COOKIE_DOMAIN" shown:"the host that set it" values:"domain" doc:"Domain that the cookie is sent to, including its subdomains."`
	SameSite    http.SameSite `env:"COOKIE_SAMESITE" envDefault:"lax" oneof:"lax strict none" doc:"SameSite attribute. none requires a Secure cookie."`
	Secure      string        `env:"COOKIE_SECURE" envDefault:"auto" oneof:"auto true false" doc:"Secure attribute; auto is true in production and false in development. Production refuses false."`
	Persistent  bool          `env:"COOKIE_PERSISTENT" envDefault:"true" doc:"Whether the cookie survives the browser (Max-Age, Expires), for as long as the session lives. With false it ends with the browser, unless the session was created or regenerated with \"remember\": true; with true, \"remember\": false ends it."`
	Partitioned bool          `env:"COOKIE_PARTITIONED" envDefault:"false" doc:"Partitioned attribute (CHIPS). Requires a Secure cookie."`
	// ClearSiteData is not a property of the cookie, but what else goes with it.
	ClearSiteData []string `env:"CLEAR_SITE_DATA" values:"list of cache, cookies, storage, executionContexts, clientHints, prefetchCache, prerenderCache or *" doc:"What a browser is told to forget when a visitor signs out by DELETE /api/session, or ends the own session by DELETE /api/user/sessions (the header Clear-Site-Data): data of this service's origin, and with cookies those of its whole registrable domain. Browsers heed it over HTTPS only. Empty for nothing."`
}

// siteData are the types of data that Clear-Site-Data names. * stands for all.
var siteData = []string{"cache", "cookies", "storage", "executionContexts", "clientHints", "prefetchCache", "prerenderCache", "*"}

// checkSiteData refuses what browsers would ignore.
func checkSiteData(name string) string {
	if slices.Contains(siteData, name) {
		return ""
	}
	for _, known := range siteData {
		if strings.EqualFold(known, strings.Trim(name, `"`)) {
			return quoted(name) + " is written " + known
		}
	}
	return quoted(name) + " is not one of " + strings.Join(siteData, ", ")
}

// clearSiteData returns the header's value, a list of quoted strings
// (https://www.w3.org/TR/clear-site-data/#header).
func (c *Cookie) clearSiteData() string {
	var b strings.Builder
	for i, name := range c.ClearSiteData {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}

// sameSite maps the values of COOKIE_SAMESITE, which are listed in its tag.
var sameSite = map[string]http.SameSite{
	"lax":    http.SameSiteLaxMode,
	"strict": http.SameSiteStrictMode,
	"none":   http.SameSiteNoneMode,
}

// secure reports whether the cookie has the attribute.
func (c *Config) secure() bool { return c.Cookie.Secure == "true" }

// prefixes maps the values of COOKIE_PREFIX to prefixes.
var prefixes = map[string]string{"host": "__Host-", "secure": "__Secure-"}

// browserPrefixes are the prefixes with rules that browsers enforce.
var browserPrefixes = []string{"__Host-", "__Secure-", "__Http-", "__Host-Http-"}

// autoPrefix returns the value of COOKIE_PREFIX that auto stands for.
func (c *Config) autoPrefix() string {
	switch {
	case !c.Production(), !c.secure(), c.cookiePrefix(browserPrefixes...):
		return "none"
	case c.Cookie.Domain != "":
		return "secure"
	default:
		return "host"
	}
}

// BrowserCookieName returns the cookie's full name, with its prefix.
func (c *Config) BrowserCookieName() string { return prefixes[c.Cookie.Prefix] + c.Cookie.Name }

// checkCookiePrefix checks a prefix that the service adds against the browsers' rules.
func checkCookiePrefix(c *Config) string {
	prefix := prefixes[c.Cookie.Prefix]
	switch {
	case prefix == "":
		return ""
	case c.cookiePrefix(browserPrefixes...):
		return "COOKIE_NAME has a prefix of its own: leave one of them out"
	case !c.secure():
		return "the prefix " + prefix + " needs a Secure cookie: set COOKIE_SECURE=true"
	case c.Cookie.Prefix == "host" && c.Cookie.Domain != "":
		return "the prefix __Host- rules out COOKIE_DOMAIN: secure is possible with it"
	}
	return ""
}

// cookiePrefix reports whether the cookie's name has one of the prefixes.
// Browsers compare them without regard to case (RFC 6265bis section 5.7).
func (c *Config) cookiePrefix(prefixes ...string) bool {
	name := strings.ToLower(c.Cookie.Name)
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, strings.ToLower(p)) })
}

// apiCookie returns the cookie's options for the API.
func (c *Config) apiCookie() api.Cookie {
	return api.Cookie{
		Name: c.BrowserCookieName(), Domain: c.Cookie.Domain, Secure: c.secure(),
		SameSite: c.Cookie.SameSite, Partitioned: c.Cookie.Partitioned, Transient: !c.Cookie.Persistent,
	}
}
