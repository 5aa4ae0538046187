package audit

import "time"

// Act says what was done.
type Act string

// The acts.
const (
	// Of sessions.
	SessionCreated     Act = "session.created" // with a user
	SessionUserChanged Act = "session.user_changed"
	SessionSignedIn    Act = "session.signed_in"
	SessionRegenerated Act = "session.regenerated"
	SessionEnded       Act = "session.ended"
	SessionsEnded      Act = "sessions.ended" // several: Details has how many, and of what filter
	SessionExpired     Act = "session.expired"
	SessionEvicted     Act = "session.evicted"
	// SessionsOver sums up sessions of visitors that have expired or were evicted, and have
	// no entry of their own.
	SessionsOver Act = "sessions.over"
	// EventsLost: sessions may have expired or been evicted without an entry.
	EventsLost Act = "events.lost"

	// Of service tokens.
	CredentialRefused Act = "credential.refused" //nolint:gosec // the name of an act
	// CredentialsRefused sums up refusals that have no entry of their own.
	CredentialsRefused Act = "credentials.refused"

	// Of the service.
	ConfigLoaded   Act = "config.loaded"
	ConfigReloaded Act = "config.reloaded"
	Cleanup        Act = "cleanup"
	Export         Act = "export"
	Backup         Act = "backup"
	Import         Act = "import"

	// Of the log itself.
	LogBegun     Act = "audit.begun"     // the first line of a chain
	LogContinued Act = "audit.continued" // the first line of the next file of a chain
	LogRecovered Act = "audit.recovered" // after what a crash has left of a line
	LogLost      Act = "audit.lost"      // entries that could not be written
)

// Outcome says what became of an act.
type Outcome string

// The outcomes.
const (
	Begun   Outcome = "begun" // another entry follows when it is over
	Done    Outcome = "done"
	Refused Outcome = "refused"
	Failed  Outcome = "failed"  // it stopped half-way
	Unknown Outcome = "unknown" // the store did not say
)

// Actors that have no name of their own.
const (
	Visitor = "visitor"
	System  = "system"
	// Open is a caller of a service route while there are no service tokens.
	Open = "open"
)

// Token is the actor with a service token of the name.
func Token(name string) string { return "token:" + name }

// Entry is what is known of an act. It never holds a credential, the id of a session or
// what a session holds but for its user's id.
type Entry struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Act     Act       `json:"act"`
	Outcome Outcome   `json:"outcome"`
	// Namespace and Session, a short hash of the id, are what the act is about.
	Namespace string `json:"namespace,omitempty"`
	Session   string `json:"session,omitempty"`
	UserID    string `json:"userId,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Route is the request's method and pattern of a path.
	Route     string `json:"route,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	// Client is a short name of the program that sent the request, and ClientIP its
	// address, cut.
	Client   string         `json:"client,omitempty"`
	ClientIP string         `json:"clientIp,omitempty"`
	Details  map[string]any `json:"details,omitempty"`
}
