package jwt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"session-api/internal/schema"
)

// MaxLen is the length of the longest token that is read, in bytes.
const MaxLen = 16 << 10

// ErrInvalid is the error for a token that this issuer did not issue, or that has expired.
var ErrInvalid = errors.New("the token is not valid")

// Opened is a token that verifies.
type Opened struct {
	// SessionID and Subject are the session's id and its user's, empty for none.
	SessionID, Subject  string
	IssuedAt, ExpiresAt time.Time
	// Claims are all claims, a JSON object, as they were signed.
	Claims []byte
}

// Open verifies a token that an instance of this service has issued, for any audience.
// Returns ErrInvalid, or the error of the store.
func (i *Issuer) Open(ctx context.Context, now time.Time, text string) (Opened, error) {
	if len(text) > MaxLen || strings.Count(text, ".") != 2 {
		return Opened{}, ErrInvalid
	}
	parsed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return Opened{}, ErrInvalid
	}
	// A token has one spelling; base64 has several.
	if spelt, err := parsed.CompactSerialize(); err != nil || spelt != text {
		return Opened{}, ErrInvalid
	}
	header := parsed.Signatures[0].Protected
	if header.KeyID == "" || header.ExtraHeaders[jose.HeaderType] != "JWT" {
		return Opened{}, ErrInvalid
	}
	k, err := i.find(ctx, now, header.KeyID)
	if err != nil {
		return Opened{}, err
	}
	// What else the header says of keys (jwk, jku, x5c) is not used.
	if k == nil || header.Algorithm != string(k.algorithm) {
		return Opened{}, ErrInvalid
	}
	payload, err := parsed.Verify(k.public)
	if err != nil {
		return Opened{}, ErrInvalid
	}
	return i.read(payload, now)
}

// find returns the key of that id; nil if there is none.
func (i *Issuer) find(ctx context.Context, now time.Time, id string) (*key, error) {
	if set := i.fixed.Load(); set != nil {
		return set.byID[id], nil
	}
	return i.shared.find(ctx, now, id)
}

// read checks the claims of a token whose signature is valid. Keys from a file may sign
// for others as well, so none of them is taken for granted.
func (i *Issuer) read(payload []byte, now time.Time) (Opened, error) {
	var c struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		SessionID string `json:"sid"`
		IssuedAt  int64  `json:"iat"`
		ExpiresAt int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return Opened{}, ErrInvalid
	}
	o := Opened{c.SessionID, c.Subject, time.Unix(c.IssuedAt, 0), time.Unix(c.ExpiresAt, 0), bytes.TrimSpace(payload)}
	switch {
	case c.Issuer != i.options.Issuer, c.SessionID == "", !now.Before(o.ExpiresAt), o.IssuedAt.After(now.Add(maxSkew)), o.ExpiresAt.Sub(o.IssuedAt) > MaxTTL:
		return Opened{}, ErrInvalid
	}
	return o, nil
}

// Stands reports whether a token still says the truth about the session that its id leads
// to: the session is the one that it was issued for, and of the same user.
func (o *Opened) Stands(sess *schema.Session) bool {
	return sess.UserID == o.Subject && !sess.CreatedAt.Truncate(time.Second).After(o.IssuedAt)
}
