package config

import (
	"net/http"

	"session-api/internal/api"
)

var sameSite = map[string]http.SameSite{
	"lax":    http.SameSiteLaxMode,
	"strict": http.SameSiteStrictMode,
	"none":   http.SameSiteNoneMode,
}

func (c *Config) APISecrets() api.Secrets {
	return api.Secrets{Session: bytesOf(c.SessionSecret), Service: bytesOf(c.ServiceTokens)}
}

func bytesOf(values secrets) [][]byte {
	list := make([][]byte, len(values))
	for i, v := range values {
		list[i] = []byte(v)
	}
	return list
}

func (c *Config) APIHosts() []string {
	list := make([]string, len(c.AllowedHosts))
	for i, host := range c.AllowedHosts {
		list[i] = unbracketed(host)
	}
	return list
}

func (c *Config) APIProxies() []string {
	list := make([]string, len(c.TrustedProxies))
	for i, p := range c.TrustedProxies {
		list[i] = p.String()
	}
	return list
}

// TracedSecrets are what no span may hold.
func (c *Config) TracedSecrets() [][][]byte {
	return [][][]byte{bytesOf(c.SessionSecret), bytesOf(c.ServiceTokens)}
}

// APICookie is the session cookie, as the API takes it.
func (c *Config) APICookie() api.Cookie {
	return api.Cookie{
		Name: c.BrowserCookieName(), Domain: c.CookieDomain, Secure: c.secure(),
		SameSite: sameSite[c.CookieSameSite], Partitioned: c.CookiePartitioned,
	}
}
