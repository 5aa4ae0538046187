package config

import (
	"fmt"
	"time"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
)

// Sessions are the settings of lifetimes and of the limit per user.
type Sessions struct {
	TTL            time.Duration            `env:"SESSION_TTL_MS" envDefault:"86400000" min:"1" doc:"Idle timeout: how long a session lives without being used."`
	MaxTTL         time.Duration            `env:"SESSION_MAX_TTL_MS" envDefault:"2592000000" min:"1" doc:"Maximum idle timeout that a request may set with ttlMs. A visitor can only shorten the session's idle timeout; lengthening it requires a service token."`
	RememberTTL    time.Duration            `env:"SESSION_REMEMBER_TTL_MS" shown:"SESSION_MAX_TTL_MS" min:"0" doc:"Idle timeout of a session that was created or regenerated with \"remember\": true, in place of SESSION_TTL_MS; 0 for SESSION_MAX_TTL_MS. Timeouts by role and ttlMs apply as to other sessions."`
	RoleTTL        map[string]time.Duration `env:"SESSION_ROLE_TTL_MS" values:"list of role:milliseconds" doc:"Idle timeouts by role of the user, such as admin:900000,guest:3600000. The shortest of a user's roles applies, and is also the maximum that ttlMs may set for such a session."`
	AbsoluteTTL    time.Duration            `env:"SESSION_ABSOLUTE_TTL_MS" shown:"2592000000 (30 days) in production, 0 in development" min:"0" doc:"Absolute timeout: maximum lifetime of a session, however much it is used; 0 for no limit."`
	TouchOnAccess  bool                     `env:"SESSION_TOUCH_ON_ACCESS" envDefault:"true" doc:"Whether reading or changing a session restarts its idle timeout."`
	TouchInterval  time.Duration            `env:"SESSION_TOUCH_INTERVAL_MS" envDefault:"60000" min:"0" doc:"How far an access must move the deadline before it is written again; a twentieth of the session's idle timeout if that is shorter."`
	AutoCreate     bool                     `env:"SESSION_AUTO_CREATE" envDefault:"false" doc:"Whether GET, PUT and PATCH without a live session create one instead of returning 401. Prefetches do not, nor do requests of other sites' pages or requests that cannot read the response, such as an img."`
	AutoCreateTTL  time.Duration            `env:"SESSION_AUTO_CREATE_TTL_MS" envDefault:"300000" min:"1" doc:"Idle timeout of a session that a GET created automatically, until it is first written to; SESSION_TTL_MS if that is shorter. Such sessions are evicted first: a page whose first visit sends several requests at once leaves some of them unused."`
	RequireIfMatch bool                     `env:"SESSION_REQUIRE_IF_MATCH" envDefault:"false" doc:"Whether PUT, PATCH and DELETE must carry If-Match (428 without)."`
	MaxGrace       time.Duration            `env:"SESSION_MAX_GRACE_MS" envDefault:"60000" min:"0" doc:"Maximum grace period, during which the old token of a regenerated session still opens it."`
	ReauthAfter    time.Duration            `env:"SESSION_REAUTH_AFTER_MS" envDefault:"0" min:"0" doc:"How long a sign-in counts with gateways: /api/session/verify refuses a user who signed in longer ago (401, insufficient_user_authentication); 0 for any time. Without user.auth, the creation of the session counts."`
	Tombstone      time.Duration            `env:"SESSION_TOMBSTONE_MS" envDefault:"300000" min:"0" max:"86400000" doc:"How long the id of a session that was ended, expired or was evicted stays reserved by a tombstone, so that a late write by a service (PUT /api/sessions/{id}) gets 410 and does not bring the session back."`
	MaxPerUser     int                      `env:"SESSION_MAX_PER_USER" envDefault:"0" min:"0" max:"10000" doc:"Maximum number of live sessions of one user in one namespace; 0 for no limit."`
	PerUserPolicy  string                   `env:"SESSION_MAX_PER_USER_POLICY" envDefault:"evict-oldest" oneof:"evict-oldest reject" doc:"What happens when a user exceeds the limit: evict-oldest ends the user's least recently used session (as accurately as SESSION_TOUCH_INTERVAL_MS records its use), reject refuses the new one with 409."`
}

// ClientRecord is what is stored of the client that uses a session.
type ClientRecord struct {
	What string `env:"SESSION_RECORD_CLIENT" envDefault:"agent" oneof:"off agent full" doc:"What is stored of the client that uses a session, beside its document: agent for its User-Agent (at most 512 bytes) and the label that this is given, such as Firefox on Windows; full for its IP address as well, as the trusted proxies report it; off for nothing. This is personal data. A stricter setting removes from a session what it no longer allows, with the next write."`
	IP   string `env:"SESSION_RECORD_IP" envDefault:"cut" oneof:"cut whole" doc:"How much of the address SESSION_RECORD_CLIENT=full stores: cut for its network, a /24 of IPv4 or a /48 of IPv6; whole for all of it."`
}

// options returns the options of the API.
func (c *ClientRecord) options() api.ClientRecord {
	return api.ClientRecord{Agent: c.What != "off", IP: c.What == "full", WholeIP: c.IP == "whole"}
}

// Events are the settings of /api/events.
type Events struct {
	Buffer    int           `env:"SESSION_EVENTS_BUFFER" min:"1" max:"10000000" doc:"How many events are retained for readers of /api/events that reconnect or fall behind."`
	Heartbeat time.Duration `env:"SESSION_EVENTS_HEARTBEAT_MS" min:"100" doc:"Maximum silence on a stream of /api/events, after which a comment is sent. It should be shorter than the timeout of the proxies in front, which is 10 seconds with HAProxy's usual settings and a minute with nginx's."`
}

// Documents are the limits of documents.
type Documents struct {
	MaxBytes      int             `env:"SESSION_MAX_BYTES" envDefault:"1048576" min:"1024" max:"67108864" doc:"Maximum size of a session document, in bytes."`
	MaxFileRefs   int             `env:"SESSION_MAX_FILE_REFS" envDefault:"1000" min:"1" max:"1000000" doc:"Maximum number of files that the results of one session may refer to."`
	Sanitize      schema.Sanitize `env:"SANITIZE_INPUTS" envDefault:"controls" oneof:"controls html off" doc:"What is removed from strings in inputs: control characters, markup as well, or nothing."`
	ForbiddenKeys []string        `env:"SESSION_FORBIDDEN_KEYS" values:"list of names" doc:"Member names that are refused anywhere in a session, compared without regard to case, character width and surrounding white space; for instance apiKey,password."`
}

// Lifetimes returns the lifetimes for the store.
func (s *Sessions) Lifetimes() store.Lifetimes {
	life := store.Lifetimes{TTL: s.TTL, MaxTTL: s.MaxTTL, Remember: s.RememberTTL, Absolute: s.AbsoluteTTL, Roles: s.RoleTTL, TouchInterval: s.TouchInterval}
	if s.AutoCreate {
		life.Unwritten = s.AutoCreateTTL
	}
	return life
}

// UserLimit returns the limit per user for the store.
func (s *Sessions) UserLimit() store.UserLimit {
	return store.UserLimit{Max: s.MaxPerUser, Evict: s.PerUserPolicy == "evict-oldest"}
}

// Rules returns the rules of documents.
func (c *Config) Rules() *schema.Rules {
	d := &c.Documents
	return &schema.Rules{
		MaxBytes: d.MaxBytes, MaxFileRefs: d.MaxFileRefs, MaxTTL: c.Sessions.MaxTTL, Sanitize: d.Sanitize, ForbiddenKeys: d.ForbiddenKeys,
	}
}

func checkRoleTTLs(c *Config) string {
	for role, ttl := range c.Sessions.RoleTTL {
		if ttl > c.Sessions.MaxTTL {
			return fmt.Sprintf("role %s: %d is more than SESSION_MAX_TTL_MS (%d)", quoted(role), ttl.Milliseconds(), c.Sessions.MaxTTL.Milliseconds())
		}
	}
	return ""
}
