package jwt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"session-api/internal/schema"
)

// MaxTTL is the longest life of a token.
const MaxTTL = 10 * time.Minute

// Options are the settings of an Issuer.
type Options struct {
	// Issuer is the claim iss, a URL.
	Issuer string
	// Algorithm is that of the keys that are made; one that is changed takes effect with
	// the next key.
	Algorithm Algorithm
	// TTL is how long a token lives for which nothing else is asked, at most MaxTTL.
	TTL time.Duration
	// Audience are the audiences that tokens may have; the first is that of tokens for
	// which nothing else is asked. With none, that is Issuer, and any may be asked for.
	Audience []string
	// Mappings are claims of the sections.
	Mappings []Mapping
	// Rotate is how long a key that is made signs, an hour or more.
	Rotate time.Duration
	// Keys are the keys; nil for those that the instances make and share.
	Keys *Keys
}

// Issuer issues tokens and verifies them. It is safe for concurrent use.
type Issuer struct {
	options  Options
	schedule schedule
	shared   *sharedKeys
	// fixed are the keys of a file; nil where they are shared.
	fixed atomic.Pointer[keyset]
	cache cache
}

// New returns an issuer whose shared keys are kept in states, sealed with the secrets:
// the first and all others open them.
func New(o Options, states States, secrets [][]byte, logger *slog.Logger) (*Issuer, error) {
	switch {
	case o.Issuer == "":
		return nil, errors.New("jwt: an issuer is required")
	case !slices.Contains(algorithms, o.Algorithm):
		return nil, fmt.Errorf("jwt: no algorithm %q", o.Algorithm)
	case o.TTL < time.Second || o.TTL > MaxTTL:
		return nil, fmt.Errorf("jwt: the life of tokens is not between %v and %v", time.Second, MaxTTL)
	case o.Rotate < MinRotate:
		return nil, fmt.Errorf("jwt: a key signs for %v at least", MinRotate)
	}
	i := &Issuer{options: o, schedule: schedule{algorithm: o.Algorithm, rotate: o.Rotate}}
	i.cache.init()
	var err error
	if i.shared, err = newSharedKeys(states, i.schedule, secrets, logger); err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	if o.Keys != nil {
		i.fixed.Store(o.Keys.set)
	}
	return i, nil
}

// MinRotate is the least time for which a key signs.
const MinRotate = time.Hour

// SetSecrets replaces the secrets that seal the shared keys, and the keys of the file,
// for all that is asked from now on. keys must be nil where there is no file.
func (i *Issuer) SetSecrets(secrets [][]byte, keys *Keys) error {
	if keys != nil {
		i.fixed.Store(keys.set)
	}
	return i.shared.setSecrets(secrets)
}

// keys returns the present keys.
func (i *Issuer) keys(ctx context.Context, now time.Time) (*keyset, error) {
	if set := i.fixed.Load(); set != nil {
		return set, nil
	}
	return i.shared.get(ctx, now)
}

// KeySet is the published keys.
type KeySet struct {
	// JSON is the JWK Set.
	JSON []byte
	// ETag is its entity tag, with quotes.
	ETag string
	// MaxAge is how long consumers may cache it.
	MaxAge time.Duration
}

// KeySet returns the published keys. The error is that of the store.
func (i *Issuer) KeySet(ctx context.Context, now time.Time) (KeySet, error) {
	set, err := i.keys(ctx, now)
	if err != nil {
		return KeySet{}, err
	}
	return KeySet{set.published, set.tag, i.schedule.maxAge()}, nil
}

// Audience returns the audience that a caller gets who asks for one, or for none. ok is
// false for one that it cannot have.
func (i *Issuer) Audience(asked string) (audience string, ok bool) {
	allowed := i.options.Audience
	switch {
	case asked == "" && len(allowed) > 0:
		return allowed[0], true
	case asked == "":
		return i.options.Issuer, true
	}
	return asked, len(allowed) == 0 || slices.Contains(allowed, asked)
}

// Token is a token that was issued.
type Token struct {
	Text      string
	ExpiresAt time.Time // in whole seconds
	// signedBy is the id of the key.
	signedBy string
}

// Issue returns a token of the session for an audience, which lives for ttl, or 0 for the
// time of the settings, but not beyond the session's deadline. The error is that of the
// store.
func (i *Issuer) Issue(ctx context.Context, now time.Time, sess *schema.Session, audience string, ttl time.Duration) (Token, error) {
	set, err := i.keys(ctx, now)
	if err != nil {
		return Token{}, err
	}
	return i.issue(set.signing(now), now, sess, audience, ttl)
}

func (i *Issuer) issue(k *key, now time.Time, sess *schema.Session, audience string, ttl time.Duration) (Token, error) {
	if ttl <= 0 {
		ttl = i.options.TTL
	}
	if sess.CreatedAt.After(now) { // by another instance's clock
		now = sess.CreatedAt
	}
	expires := deadline(now.Add(min(ttl, MaxTTL)), sess)
	payload, err := appendClaims(nil, &claims{
		issuer: i.options.Issuer, audience: audience, id: rand.Text(),
		issuedAt: now, expiresAt: expires, mappings: i.options.Mappings,
	}, sess)
	if err != nil {
		return Token{}, err
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return Token{}, fmt.Errorf("signing a token: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return Token{}, fmt.Errorf("signing a token: %w", err)
	}
	return Token{text, expires, k.id}, nil
}

// deadline is the end of a token that would end at t, in whole seconds: some consumers
// read no others.
func deadline(t time.Time, sess *schema.Session) time.Time {
	if sess.ExpiresAt.Before(t) {
		t = sess.ExpiresAt
	}
	return t.UTC().Truncate(time.Second)
}

// IssueCached is Issue for the audience and the life of the settings. It returns one token
// several times, as long as the session is as it was and half of the token's life is left.
func (i *Issuer) IssueCached(ctx context.Context, now time.Time, sess *schema.Session) (Token, error) {
	set, err := i.keys(ctx, now)
	if err != nil {
		return Token{}, err
	}
	k := set.signing(now)
	full := deadline(now.Add(i.options.TTL), sess)
	if found := i.cache.find(sess); found != nil && found.signedBy == k.id &&
		!found.ExpiresAt.After(deadline(found.ExpiresAt, sess)) &&
		(found.ExpiresAt.Equal(full) || found.ExpiresAt.Sub(now) > i.options.TTL/2) {
		return found.Token, nil
	}
	audience, _ := i.Audience("")
	t, err := i.issue(k, now, sess, audience, 0)
	if err == nil {
		i.cache.add(sess, t)
	}
	return t, err
}
