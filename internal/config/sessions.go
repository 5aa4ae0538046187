package config

import (
	"fmt"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
)

// Sessions are the settings of lifetimes and of the limit per user.
type Sessions struct {
	TTL            time.Duration            `env:"SESSION_TTL_MS" envDefault:"86400000" min:"1" doc:"Idle life of a session: how long it lives without being used."`
	MaxTTL         time.Duration            `env:"SESSION_MAX_TTL_MS" envDefault:"2592000000" min:"1" doc:"Longest idle life that a request may ask for with ttlMs. A visitor may only ask for a shorter one than the session has; a longer one takes a service token."`
	RoleTTL        map[string]time.Duration `env:"SESSION_ROLE_TTL_MS" values:"list of role:milliseconds" doc:"Idle lives by role of the user, such as admin:900000,guest:3600000. The shortest of a user's roles counts, and is the most that such a session may ask for."`
	AbsoluteTTL    time.Duration            `env:"SESSION_ABSOLUTE_TTL_MS" shown:"2592000000 (30 days) in production, 0 in development" min:"0" doc:"Longest life of a session however much it is used; 0 for no limit."`
	TouchOnAccess  bool                     `env:"SESSION_TOUCH_ON_ACCESS" envDefault:"true" doc:"Whether reading or changing a session extends its life."`
	TouchInterval  time.Duration            `env:"SESSION_TOUCH_INTERVAL_MS" envDefault:"60000" min:"0" doc:"How far the deadline must move before an access writes it again; a twentieth of the session's idle life where that is shorter."`
	AutoCreate     bool                     `env:"SESSION_AUTO_CREATE" envDefault:"false" doc:"Whether GET, PUT and PATCH without a live session start one in place of answering 401. Prefetches do not, nor do requests of other sites' pages and of what cannot read the answer, such as an img."`
	AutoCreateTTL  time.Duration            `env:"SESSION_AUTO_CREATE_TTL_MS" envDefault:"300000" min:"1" doc:"Idle life of a session that a GET has started by itself, until something is written to it; SESSION_TTL_MS where that is shorter. Such sessions are the first to be evicted: a page whose first visit sends several requests at once leaves some of them behind."`
	RequireIfMatch bool                     `env:"SESSION_REQUIRE_IF_MATCH" envDefault:"false" doc:"Whether PUT, PATCH and DELETE must carry If-Match (428 without)."`
	MaxGrace       time.Duration            `env:"SESSION_MAX_GRACE_MS" envDefault:"60000" min:"0" doc:"Longest time that the old token of a regenerated session may go on opening the new one."`
	Tombstone      time.Duration            `env:"SESSION_TOMBSTONE_MS" envDefault:"300000" min:"0" max:"86400000" doc:"How long the id of a session that was ended, expired or was evicted stays taken, so that a late write by a service (PUT /api/sessions/{id}) gets 410 and does not bring the session back."`
	MaxPerUser     int                      `env:"SESSION_MAX_PER_USER" envDefault:"0" min:"0" max:"10000" doc:"Most live sessions of one user in one namespace; 0 for no limit."`
	PerUserPolicy  string                   `env:"SESSION_MAX_PER_USER_POLICY" envDefault:"evict-oldest" oneof:"evict-oldest reject" doc:"What happens to one session more: the user's session that was used longest ago ends, as far as uses have moved deadlines (SESSION_TOUCH_INTERVAL_MS), or the new one gets 409."`
}

// Events are the settings of /api/events.
type Events struct {
	Buffer    int           `env:"SESSION_EVENTS_BUFFER" min:"1" max:"10000000" doc:"How many events are kept for readers of /api/events that come back or fall behind."`
	Heartbeat time.Duration `env:"SESSION_EVENTS_HEARTBEAT_MS" min:"100" doc:"How long a stream of /api/events is silent at most: a comment is sent then. Shorter than what the proxies in front wait for a silent answer, which is 10 seconds with HAProxy's usual settings and a minute with nginx's."`
}

// Documents are the limits of documents.
type Documents struct {
	MaxBytes      int             `env:"SESSION_MAX_BYTES" envDefault:"1048576" min:"1024" max:"67108864" doc:"Largest session document, in bytes."`
	MaxFileRefs   int             `env:"SESSION_MAX_FILE_REFS" envDefault:"1000" min:"1" max:"1000000" doc:"Most files that the results of one session may refer to."`
	Sanitize      schema.Sanitize `env:"SANITIZE_INPUTS" envDefault:"controls" oneof:"controls html off" doc:"What is taken out of strings in inputs: control characters, markup as well, or nothing."`
	ForbiddenKeys []string        `env:"SESSION_FORBIDDEN_KEYS" values:"list of names" doc:"Member names that are refused anywhere in a session, whatever their case, width and the white space around them; for instance apiKey,password."`
}

// Lifetimes returns the lifetimes for the store.
func (s *Sessions) Lifetimes() store.Lifetimes {
	life := store.Lifetimes{TTL: s.TTL, MaxTTL: s.MaxTTL, Absolute: s.AbsoluteTTL, Roles: s.RoleTTL, TouchInterval: s.TouchInterval}
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
