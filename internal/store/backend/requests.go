package backend

import (
	"context"
	"crypto/sha256"
	"time"
)

// RequestKey names a request with an Idempotency-Key: a digest of its caller and of
// that key. Neither can be found from it.
type RequestKey [sha256.Size]byte

// Fingerprint is a digest of what a request asks. A key that comes again with another
// one is a mistake of the client.
type Fingerprint [sha256.Size]byte

// Request is what a store keeps of a request with an Idempotency-Key, so that a repeat
// of it does no harm (draft-ietf-httpapi-idempotency-key-header). Times are in whole
// milliseconds.
type Request struct {
	Fingerprint Fingerprint
	// Plan is what its first attempt has chosen at random, such as the id of a session
	// that it makes, for later attempts to choose the same.
	Plan string
	// Answer is how it was answered, in its caller's own encoding; empty before that.
	Answer []byte
	// Lease is until when an attempt without an answer is in progress. Of attempts that
	// follow one another, the later one has the later Lease.
	Lease time.Time
	// ExpiresAt is when the request is forgotten.
	ExpiresAt time.Time
	// Guest: its caller has neither a session nor a service token. A store that has
	// room for no more forgets the answers of guests first.
	Guest bool
}

// Answered reports whether the request has an answer.
func (r *Request) Answered() bool { return len(r.Answer) > 0 }

// InProgress reports whether an attempt is in progress at now.
func (r *Request) InProgress(now time.Time) bool { return !r.Answered() && r.Lease.After(now) }

// IsAttempt reports whether the attempt with the lease is the last one, and has no answer.
func (r *Request) IsAttempt(lease time.Time) bool {
	return !r.Answered() && r.Lease.UnixMilli() == lease.UnixMilli()
}

// Begin returns what the attempt next, at now, makes of the stored request r. begun is
// false, and r returned, where r has an answer, is in progress or asks something else.
func (r *Request) Begin(now time.Time, next *Request) (stored Request, begun bool) {
	if r.Answered() || r.InProgress(now) || r.Fingerprint != next.Fingerprint {
		return *r, false
	}
	stored = *r
	stored.Lease, stored.ExpiresAt = next.Lease, next.ExpiresAt
	return stored, true
}

// DefaultRequests are how many requests a store that keeps them in memory remembers,
// and DefaultRequestBytes how many bytes of them, where its options do not say.
const (
	DefaultRequests     = 100_000
	DefaultRequestBytes = 64 << 20
)

// RequestOverhead is about what a request takes in memory beside its plan and answer,
// in bytes.
const RequestOverhead = 320

// Cost is how many bytes of memory the request takes.
func (r *Request) Cost() int64 { return RequestOverhead + int64(len(r.Plan)+len(r.Answer)) }

// Requests is the part of a Store that remembers requests with an Idempotency-Key. It
// knows no sessions: what ends a session forgets no request. What is kept is
// as durable as a session is that was created at the same time. An expired request is
// absent.
//
// Where there is no room, the oldest requests that are not in progress are forgotten,
// those of guests first; one in progress never is. A store whose server has a limit of its
// own forgets none.
type Requests interface {
	// BeginRequest stores r, which has no answer, unless the key has a request already.
	// That is returned then, and begun is false where it has an answer, is in progress or
	// has another Fingerprint. Otherwise its attempt was given up, or died: begun is true,
	// and it is now in progress until r.Lease and expires at r.ExpiresAt, with all else as
	// it was.
	// Of any number of calls at the same time exactly one begins. Returns ErrFull.
	BeginRequest(ctx context.Context, now time.Time, key RequestKey, r Request) (stored Request, begun bool, err error)

	// AnswerRequest stores r, which has an answer, in the place of what the key has,
	// unless that has one already: the first answer holds. Returns ErrFull, and the key
	// has what it had then.
	AnswerRequest(ctx context.Context, now time.Time, key RequestKey, r Request) error

	// AbandonRequest ends the attempt with this Lease, unless the key has an answer or
	// another attempt by now. Where nothing was changed, which is said by forget, the key
	// has no request any more. Otherwise the next attempt begins at once, and has its
	// Plan.
	AbandonRequest(ctx context.Context, now time.Time, key RequestKey, lease time.Time, forget bool) error
}
