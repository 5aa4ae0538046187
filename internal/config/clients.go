package config

import "net/netip"

// Clients are the settings of which clients are served, and their limits.
type Clients struct {
	AllowedOrigins      []string       `env:"ALLOWED_ORIGINS" values:"list of origins" doc:"Web origins whose pages may call the service with credentials, written as a browser sends them: https://app.example.com, or capacitor://localhost, tauri://localhost and chrome-extension://<id> for applications and extensions. It is the one list for CORS and for the check of cross-site requests. The log names origins that are refused."`
	AllowedHosts        []string       `env:"ALLOWED_HOSTS" values:"list of host names" doc:"Names and addresses, without ports, that clients and gateways may give in the Host header; *.example.com stands for all names below example.com. Others get 421. Names of this machine (localhost, 127.0.0.0/8, ::1) always count; without the setting they and HOST are the only ones while SERVICE_TOKENS is not set, so that no page on the web gets at the service by a name that it has point here (DNS rebinding), and all are answered where tokens are set. Recommended in production. /healthz, /readyz, /metrics and verify answer for any name."`
	AllowedHeaders      []string       `env:"CORS_ALLOWED_HEADERS" values:"list of header names" doc:"Request headers that pages of ALLOWED_ORIGINS may send, beside those that frontends usually do: content types and conditions, Authorization, X-Requested-With, Cache-Control, X-Request-Id, Idempotency-Key, and the headers of tracers such as traceparent, baggage and sentry-trace."`
	TrustedProxies      []netip.Prefix `env:"TRUSTED_PROXIES" values:"list of addresses and networks" doc:"Addresses or networks (CIDR) of the gateways in front. Who their client is they are believed, and nobody else."`
	ClientIPHeader      string         `env:"CLIENT_IP_HEADER" envDefault:"auto" oneof:"auto x-forwarded-for forwarded" doc:"Where those gateways name their client: X-Forwarded-For, or Forwarded (RFC 7239). auto takes the one that comes; where both come and disagree, one may be the client's own, and the gateway's address counts."`
	CreateRatePerMinute int            `env:"CREATE_RATE_PER_MINUTE" envDefault:"300" min:"0" max:"1000000000" doc:"New sessions that one client address may create in a minute; 0 for no limit. One address is a /64 of IPv6; a whole /48 may create four times as many."`
	CreateBytes         int            `env:"CREATE_BYTES_PER_MINUTE" shown:"65536 for each of CREATE_RATE_PER_MINUTE, at least twice SESSION_MAX_BYTES" min:"0" max:"1000000000000" doc:"Bytes that one client address may add in a minute to sessions without a user, by creating and by changing them; 0 for no limit. A /48 of IPv6 may add four times as many."`
}

// hosts returns AllowedHosts without the brackets of IPv6 addresses.
func (c *Clients) hosts() []string {
	list := make([]string, len(c.AllowedHosts))
	for i, host := range c.AllowedHosts {
		list[i] = unbracketed(host)
	}
	return list
}
