package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"session-api/internal/cleanup"
	"session-api/internal/jwt"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/token"
)

// Options are what a Server is made of. Sessions, Rules, Cleaner, Logger and
// Contract are required.
type Options struct {
	Sessions *store.Sessions
	Rules    *schema.Rules
	Cleaner  Cleaner
	Logger   *slog.Logger
	// Contract is the OpenAPI document, as it is served.
	Contract []byte
	// Readme is the README, as it is served.
	Readme []byte
	// Version is what /healthz and the metrics say is running.
	Version string
	// Now is the clock; time.Now by default.
	Now func() time.Time

	Secrets Secrets
	JWT     JWT
	Cookie  Cookie

	// Client is what is stored of the client that uses a session.
	Client ClientRecord
	// ClearSiteData is the value of Clear-Site-Data with which a visitor's sign-out is
	// answered, empty for none.
	ClearSiteData string

	// Development logs what developers stumble over.
	Development bool

	// TouchOnAccess lets reads and writes of a session move its deadline.
	TouchOnAccess bool
	// AutoCreate makes GET, PUT and PATCH without a live session create one,
	// unless it is a page of another site or a prefetch that asks.
	AutoCreate bool
	// RequireIfMatch refuses changes without If-Match (RFC 6585 section 3).
	RequireIfMatch bool
	// MaxGrace caps the graceMs of a regenerate.
	MaxGrace time.Duration

	// ReauthAfter is how long ago a user may have signed in for an authorization request
	// to be granted; 0 for any time.
	ReauthAfter time.Duration
	// VerifyTimeout is how long reading the session may keep a gateway waiting,
	// 503 then; DefaultVerifyTimeout by default.
	VerifyTimeout time.Duration

	// AllowedOrigins are the origins, scheme://host[:port], that may use the
	// public routes from another site's pages.
	AllowedOrigins []string
	// AllowedHeaders are headers that their pages may send beside those that
	// frontends usually do.
	AllowedHeaders []string
	// Host is the name or address that the service listens on. Requests may name it,
	// or this machine, while there are no service tokens; AllowedHosts are others.
	// With any of these, no other is answered, whether there are tokens or not. One
	// that begins with *. stands for all names that end so.
	Host         string
	AllowedHosts []string
	// TrustedProxies are the CIDR prefixes of the gateways that are believed who
	// their client is.
	TrustedProxies []netip.Prefix
	// ClientIPHeader is where they say it; clientaddr.Auto by default.
	ClientIPHeader string
	// CreatePerMinute is how many sessions one client address may create in a
	// minute; 0 for any number.
	CreatePerMinute int
	// CreateBytesPerMinute is how many bytes one client address may add in a minute
	// to sessions without a user, new ones or others; 0 for any number. A /48 of
	// IPv6 may add four times as many, and create four times as many sessions.
	CreateBytesPerMinute int

	// BackupRate is how many bytes of a backup are sent in a second at most; 0 for
	// any number.
	BackupRate int64

	// IdempotencyTTL is for how long the answers to requests with an Idempotency-Key are
	// remembered; 0 for not at all: then the header means nothing.
	IdempotencyTTL time.Duration

	// MaxBodyMemory is how many bytes of large bodies are in work at once, and
	// how many of large answers; 32 MiB by default.
	MaxBodyMemory int64
	// IdleTimeout is the idle timeout of connections, which is sent to HTTP/1.1 clients
	// in Keep-Alive; 0 to send none.
	IdleTimeout time.Duration
	// MaxStreams is how many event streams are open at once; 100 by default.
	MaxStreams int
	// Heartbeat is how long an event stream is silent at most; 8 seconds by
	// default.
	Heartbeat time.Duration

	AccessLog AccessLog

	// Audit is where security-relevant acts are recorded; nil for nowhere.
	Audit AuditLog
	// AuditRequired refuses what cannot be recorded.
	AuditRequired bool
}

// Secrets are what credentials are checked against.
type Secrets struct {
	// Session are the secrets of the tokens: the first signs, all verify.
	Session [][]byte
	// Service are the service tokens. With none, the service routes are open.
	Service []token.Service
	// ServiceSecrets are their secrets, as far as they are known, which no log line may
	// hold.
	ServiceSecrets [][]byte
	// JWT are the keys that sign JWTs; nil for those that the service makes.
	JWT *jwt.Keys
}

// Cookie is how the session cookie is sent.
type Cookie struct {
	Name, Domain string
	Secure       bool
	SameSite     http.SameSite
	Partitioned  bool
	// Transient lets it end with the browser, unless the session is remembered.
	Transient bool
}

// AccessLog says which requests get a line. Those that fail, with a status of
// 400 or above, always do.
type AccessLog struct {
	// Every logs one of so many successful requests: 1 logs all of them, 0 none.
	Every int
	// Concise leaves out the fields that only machines read.
	Concise bool
	// Lines, where set, gets most lines as JSON, past the Logger, which says
	// what is logged all the same. Each is one Write; there can be many at once.
	// It is for where the Logger writes JSON to the same place.
	Lines io.Writer
}

// Cleaner is the cleanup job.
type Cleaner interface {
	// Run cleans now, or says what it would do. Returns cleanup.ErrOtherStore or
	// cleanup.ErrDirectory if no files can be cleaned, and cleanup.ErrBusy if
	// another instance did not finish cleaning while it waited.
	Run(ctx context.Context, dryRun bool) (cleanup.Report, error)
	// Last is the report of the last run that was not dry; false before it.
	Last() (cleanup.Report, bool)
	// Totals are the sums of all runs that were not dry.
	Totals() cleanup.Totals
	// Status says whether files are cleaned.
	Status() cleanup.Status
}
