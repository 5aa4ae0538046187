package store

import (
	"context"
	"errors"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// ActKind says what was done to sessions.
type ActKind string

// What a Recorder is told of.
const (
	ActCreated     ActKind = "created"      // with a user
	ActUserChanged ActKind = "user_changed" // who it is, or the e-mail or a role
	ActSignedIn    ActKind = "signed_in"
	ActRegenerated ActKind = "regenerated"
	ActEnded       ActKind = "ended"
	ActEndedMany   ActKind = "ended_many"
)

// EndReason is why a session was ended.
type EndReason string

// The reasons.
const (
	EndRequested EndReason = "requested"
	EndUserLimit EndReason = "user_limit" // its user began another one
	EndDamaged   EndReason = "damaged"    // nobody could read it
)

// Act is what a request has done to sessions, as far as somebody may want to know later
// who it was.
type Act struct {
	Kind      ActKind
	Namespace string
	// ID is that of the session afterwards, and Previous the one before a regenerate;
	// both are empty for several sessions.
	ID, Previous string
	// UserID is whose session it is or was, and PreviousUserID whose before the act.
	UserID, PreviousUserID string
	Reason                 EndReason
	// Grace is how long the previous id goes on to lead to the session.
	Grace time.Duration
	// IDs, or Filter and Except, say which sessions were meant, and Count how many it
	// was. IDs are those that were ended.
	IDs    []string
	Filter *schema.Filter
	Except string
	Count  int
	// Repeated: an earlier attempt at the request has done it. It may have been recorded.
	Repeated bool
}

// Recorder keeps a record of what a request does.
type Recorder interface {
	// Admit returns an error if nothing could be recorded at present and nothing is to be
	// done without a record.
	Admit(ctx context.Context) error
	// Record records an act that was done, or of which the store has not said whether it
	// was. Its error is returned for an act that was done.
	Record(ctx context.Context, act *Act, known bool) error
}

// RecorderKey is the context key of the Recorder of a request. Without one nothing is
// recorded.
type RecorderKey struct{}

// WithRecorder returns a context with the recorder.
func WithRecorder(ctx context.Context, r Recorder) context.Context {
	return context.WithValue(ctx, RecorderKey{}, r)
}

// admit asks the recorder of ctx.
func admit(ctx context.Context) error {
	if r, ok := ctx.Value(RecorderKey{}).(Recorder); ok {
		return r.Admit(ctx)
	}
	return nil
}

// record has the recorder of ctx record an act that has ended with err, which it
// returns. An act that certainly was not done has no record.
func record(ctx context.Context, act Act, err error) error {
	r, ok := ctx.Value(RecorderKey{}).(Recorder)
	if !ok || err != nil && !isUncertain(err) {
		return err
	}
	kept := act // the parameter does not escape, so that no record costs no allocation
	if failed := r.Record(ctx, &kept, err == nil); err == nil {
		return failed
	}
	return err
}

// isUncertain reports whether a change that has ended with err may be stored.
func isUncertain(err error) bool {
	var unready *backend.UnreadyError
	return errors.Is(err, backend.ErrUnavailable) && !errors.Is(err, backend.ErrReadOnly) && !errors.As(err, &unready)
}
