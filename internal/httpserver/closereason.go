package httpserver

// CloseReason is why a connection was closed to make room for another. It is
// short enough for the label of a metric.
type CloseReason string

// The reasons.
const (
	ClosedStalled CloseReason = "stalled" // its body did not arrive
	ClosedIdle    CloseReason = "idle"    // it waited for a request
	ClosedShare   CloseReason = "share"   // its client had more than its share
	ClosedQueued  CloseReason = "line"    // it still waited for admission
)

// CloseReasons lists all of them.
var CloseReasons = []CloseReason{ClosedStalled, ClosedIdle, ClosedShare, ClosedQueued}
