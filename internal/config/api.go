package config

import "session-api/internal/api"

// API returns the options of the API.
func (c *Config) API() api.Options {
	return api.Options{
		Secrets:              c.APISecrets(),
		JWT:                  c.apiJWT(),
		Cookie:               c.apiCookie(),
		Client:               c.ClientRecord.options(),
		ClearSiteData:        c.Cookie.clearSiteData(),
		TouchOnAccess:        c.Sessions.TouchOnAccess,
		AutoCreate:           c.Sessions.AutoCreate,
		RequireIfMatch:       c.Sessions.RequireIfMatch,
		MaxGrace:             c.Sessions.MaxGrace,
		ReauthAfter:          c.Sessions.ReauthAfter,
		VerifyTimeout:        c.HTTP.VerifyTimeout,
		AllowedOrigins:       c.Clients.AllowedOrigins,
		Host:                 c.Server.Host,
		AllowedHosts:         c.Clients.hosts(),
		Development:          !c.Production(),
		AllowedHeaders:       c.Clients.AllowedHeaders,
		TrustedProxies:       c.Clients.TrustedProxies,
		ClientIPHeader:       c.Clients.ClientIPHeader,
		IdleTimeout:          c.HTTP.IdleTimeout,
		CreatePerMinute:      c.Clients.CreateRatePerMinute,
		CreateBytesPerMinute: c.Clients.CreateBytes,
		MaxBodyMemory:        c.HTTP.MaxBodyMemory,
		BackupRate:           c.Store.BackupRate,
		IdempotencyTTL:       c.Idempotency.TTL,
		Heartbeat:            c.Events.Heartbeat,
		AuditRequired:        c.Audit.Required(),
		AccessLog:            api.AccessLog{Every: c.Log.Access.Every, Concise: !c.Log.JSON()},
	}
}

// APISecrets returns the secrets of the API, which may change while it runs.
func (c *Config) APISecrets() api.Secrets {
	return api.Secrets{Session: c.Secrets.Session.bytes(), Service: c.ServiceTokens(), ServiceSecrets: c.Secrets.services.known().bytes(), JWT: c.JWT.keys}
}

// TracedSecrets returns the secrets that spans must not contain.
func (c *Config) TracedSecrets() [][][]byte {
	return [][][]byte{c.Secrets.Session.bytes(), c.Secrets.services.known().bytes()}
}
