package token

import (
	"crypto/subtle"
	"errors"
)

// Keyring holds the secrets that sign and verify tokens. It is safe for
// concurrent use.
type Keyring struct {
	signers []*signer
	// current caches tokens of the secret that signs, retired those of the
	// others; nil where there are none.
	current, retired *cache
}

// Opened is what a token that verifies stands for.
type Opened struct {
	// ID is the session's id; empty where the token does not verify. Whether the
	// session lives, only the store knows.
	ID string
	// Retired says that the secret that signed the token signs no more.
	Retired bool
}

// NewKeyring returns a keyring of the secrets: the first signs, all verify.
func NewKeyring(secrets [][]byte) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("at least one session secret is required")
	}
	k := &Keyring{current: newCache()}
	for _, secret := range secrets {
		k.signers = append(k.signers, newSigner(secret))
	}
	if len(k.signers) > 1 {
		k.retired = newCache()
	}
	return k, nil
}

// Sign returns the token of the id.
func (k *Keyring) Sign(id string) string {
	var sig [signatureLen]byte
	k.signers[0].sign(&sig, id)
	return prefix + id + "." + string(sig[:])
}

// AppendEscaped appends the token of the id, percent-encoded for a cookie, to b.
func (k *Keyring) AppendEscaped(b []byte, id string) []byte {
	var sig [signatureLen]byte
	k.signers[0].sign(&sig, id)
	return appendEscaped(b, id, &sig)
}

// Open returns the session that the token names, or the zero value unless one of
// the secrets signed it.
func (k *Keyring) Open(token string) Opened {
	if len(token) > maxLen {
		return Opened{}
	}
	id, hash := k.current.find(token)
	if id != "" {
		return Opened{ID: id}
	}
	var retiredHash uint64
	if k.retired != nil {
		if id, retiredHash = k.retired.find(token); id != "" {
			return Opened{ID: id, Retired: true}
		}
	}
	o := k.verify(token)
	switch {
	case o.ID == "":
	case o.Retired:
		k.retired.add(retiredHash, token, o.ID)
	default:
		k.current.add(hash, token, o.ID)
	}
	return o
}

// verify is Open for a token that is not cached. The signature is compared as
// text, so that each id has one spelling of it.
func (k *Keyring) verify(token string) Opened {
	id, given, ok := parse(token)
	if !ok {
		return Opened{}
	}
	for i, s := range k.signers {
		var sig [signatureLen]byte
		s.sign(&sig, id)
		if subtle.ConstantTimeCompare(sig[:], []byte(given)) == 1 {
			return Opened{ID: id, Retired: i > 0}
		}
	}
	return Opened{}
}
