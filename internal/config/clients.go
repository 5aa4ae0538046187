package config

import "net/netip"

// Clients are the settings of which clients are served, and their limits.
type Clients struct {
	AllowedOrigins      []string       `env:"ALLOWED_ORIGINS" values:"list of origins" doc:"Web origins whose pages may call the service with credentials, written as a browser sends them: https://app.example.com, or capacitor://localhost, tauri://localhost and chrome-extension://<id> for applications and extensions. The list applies both to CORS and to the check of cross-site requests. The log names refused origins."`
	AllowedHosts        []string       `env:"ALLOWED_HOSTS" values:"list of host names" doc:"Names and addresses, without ports, that clients and gateways may send in the Host header; *.example.com matches all names below example.com. Others get 421. Names of this machine (localhost, 127.0.0.0/8, ::1) are always allowed. If the setting is empty, only they and HOST are allowed while SERVICE_TOKENS is not set, so that no web page can reach the service by pointing its own name here (DNS rebinding); with SERVICE_TOKENS set, every name is allowed. Recommended in production. /healthz, /readyz, /metrics and verify accept any name."`
	AllowedHeaders      []string       `env:"CORS_ALLOWED_HEADERS" values:"list of header names" doc:"Request headers that pages of ALLOWED_ORIGINS may send, in addition to those that frontends commonly use: content types and conditions, Authorization, X-Requested-With, Cache-Control, X-Request-Id, Idempotency-Key, and the headers of tracers such as traceparent, baggage and sentry-trace."`
	TrustedProxies      []netip.Prefix `env:"TRUSTED_PROXIES" values:"list of addresses and networks" doc:"Addresses or networks (CIDR) of the gateways in front of the service. Only they are trusted to report the address of their client."`
	ClientIPHeader      string         `env:"CLIENT_IP_HEADER" envDefault:"auto" oneof:"auto x-forwarded-for forwarded" doc:"Header in which those gateways report their client: X-Forwarded-For, or Forwarded (RFC 7239). auto uses whichever is present; if both are present and disagree, the client may have forged one, and the gateway's address is used instead."`
	CreateRatePerMinute int            `env:"CREATE_RATE_PER_MINUTE" envDefault:"300" min:"0" max:"1000000000" doc:"New sessions that one client address may create per minute; 0 for no limit. An IPv6 /64 counts as one address; a whole /48 may create four times as many."`
	CreateBytes         int            `env:"CREATE_BYTES_PER_MINUTE" shown:"65536 for each of CREATE_RATE_PER_MINUTE, at least twice SESSION_MAX_BYTES" min:"0" max:"1000000000000" doc:"Bytes that one client address may add per minute to sessions without a user, by creating and by changing them; 0 for no limit. An IPv6 /48 may add four times as many."`
}

// hosts returns AllowedHosts without the brackets of IPv6 addresses.
func (c *Clients) hosts() []string {
	list := make([]string, len(c.AllowedHosts))
	for i, host := range c.AllowedHosts {
		list[i] = unbracketed(host)
	}
	return list
}
