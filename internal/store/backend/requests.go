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
// of it does no harm (draft-ietf-httpapi-idempotency-key-header).
type Request struct {
	Fingerprint Fingerprint
	// Plan is what its first attempt has chosen at random, such as the id of a session
	// that it makes, for later attempts to choose the same.
	Plan string
	// Answer is how it was answered, in its caller's own encoding; nil before that.
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

// InProgress reports whether an attempt is in progress at now.
func (r *Request) InProgress(now time.Time) bool { return r.Answer == nil && r.Lease.After(now) }

// DefaultRequests are how many requests a store that keeps them in memory remembers,
// and DefaultRequestBytes how many bytes of them, where its options do not say.
const (
	DefaultRequests     = 100_000
	DefaultRequestBytes = 64 << 20
)

// RequestOverhead is about what a request takes in memory beside its plan and answer,
// in bytes.
const RequestOverhead = 256

// Cost is how many bytes of memory the request takes.
func (r *Request) Cost() int64 { return RequestOverhead + int64(len(r.Plan)+len(r.Answer)) }

// Requests is the part of a Store that remembers requests with an Idempotency-Key. It
// knows no sessions: what ends a session forgets no request. What is kept is
// as durable as a session is that was created at the same time. An expired request is
// absent.
//
// Where there is no room, the oldest answers are forgotten, those of guests first; a
// request in progress never is.
type Requests interface {
	// BeginRequest stores r, which has no answer, unless the key has a request already.
	// That is returned then, and begun is false where it has an answer or is in
	// progress. Otherwise its attempt was given up, or died: begun is true, and it is now
	// in progress until r.Lease and expires at r.ExpiresAt, with all else as it was.
	// Of any number of calls at the same time exactly one begins. Returns ErrFull.
	BeginRequest(ctx context.Context, now time.Time, key RequestKey, r Request) (stored Request, begun bool, err error)

	// AnswerRequest stores r, which has an answer, in the place of what the key has,
	// unless that has one already: the first answer holds. Returns ErrFull.
	AnswerRequest(ctx context.Context, now time.Time, key RequestKey, r Request) error

	// AbandonRequest ends the attempt with this Lease, unless the key has an answer or
	// another attempt by now. Where nothing was changed, which is said by forget, the key
	// has no request any more. Otherwise the next attempt begins at once, and has its
	// Plan.
	AbandonRequest(ctx context.Context, now time.Time, key RequestKey, lease time.Time, forget bool) error
}
