package backend

import "time"

// EventType says what happened to a session.
type EventType string

// What can happen to a session.
const (
	EventCreated EventType = "created"
	// EventUpdated: a section, the idle life or the facts changed.
	EventUpdated EventType = "updated"
	// EventClientChanged: the client is of another family than before. It comes after
	// the EventUpdated of the change that brought the client, or as an event of the old
	// id before the EventRegenerated of a regeneration that did.
	EventClientChanged EventType = "client_changed"
	// EventTouched: only the deadline moved.
	EventTouched EventType = "touched"
	// EventRegenerated: the session goes on under another id.
	EventRegenerated EventType = "regenerated"
	// EventDeleted: somebody ended it.
	EventDeleted EventType = "deleted"
	// EventExpired: its time had come. The event comes when the store notices.
	EventExpired EventType = "expired"
	// EventEvicted: it gave way to others.
	EventEvicted EventType = "evicted"
)

// EventTypes are all there are.
var EventTypes = []EventType{
	EventCreated, EventUpdated, EventClientChanged, EventTouched, EventRegenerated, EventDeleted, EventExpired, EventEvicted,
}

// Event is something that happened to a session. It holds nothing that opens
// one: an id is no credential.
type Event struct {
	// ID is the event's place among the others, for Follow.
	ID      string
	Type    EventType
	At      time.Time
	Session Key
	// Previous is the id before, of a regenerated session.
	Previous string
	// Client and PreviousClient are the labels of a client that changed.
	Client, PreviousClient string
	// UserID is whose session it is, or was; empty for nobody's. Of a session
	// that expired or was evicted it may be empty where the store no longer
	// knows.
	UserID string
	// Revision is the session's after the event; 0 where the store no longer
	// knows.
	Revision int64
	// ExpiresAt is the session's deadline after the event; zero for one that
	// has ended.
	ExpiresAt time.Time
}
