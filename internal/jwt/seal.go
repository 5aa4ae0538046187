package jwt

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The state of the shared keys is a JSON object with a copy of the keys for each session
// secret that an instance has, which that secret opens. So instances share their keys
// while a secret is being replaced, whatever the order in which they learn of it.

// stateVersion is the version of the state's layout.
const stateVersion = 1

// storedState is the state as it is stored.
type storedState struct {
	Version int          `json:"version"`
	Copies  []sealedCopy `json:"copies"`
}

// sealedCopy is the keys, encrypted with AES-256-GCM under a key that is derived from one
// secret.
type sealedCopy struct {
	// For is the name of the secret: derived from it as well, and of no use otherwise.
	For string `json:"for"`
	// At is when it was sealed, in Unix milliseconds.
	At int64 `json:"at"`
	// Sealed is the nonce and the ciphertext.
	Sealed []byte `json:"sealed"`
}

// sealedKeys is what is encrypted.
type sealedKeys struct {
	Keys []sealedKey `json:"keys"`
}

type sealedKey struct {
	SignsFrom int64           `json:"signsFrom"` // Unix milliseconds
	Key       jose.JSONWebKey `json:"key"`
}

const (
	// foreignFor is how long a copy stays that no secret of this instance opens. Another
	// may still have that secret; afterwards, a secret that nobody has any more must not
	// open the keys.
	foreignFor = time.Hour
	// maxCopies bounds the state, where every start has another secret.
	maxCopies = 8
)

// sealer encrypts under a key that is derived from a secret.
type sealer struct {
	name string
	aead cipher.AEAD
}

// newSealers returns the sealers of the secrets, in their order.
func newSealers(secrets [][]byte) ([]sealer, error) {
	sealers := make([]sealer, 0, len(secrets))
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "session-api jwt keys: encryption", 32)
		if err != nil {
			return nil, fmt.Errorf("deriving a key: %w", err)
		}
		name, err := hkdf.Key(sha256.New, secret, nil, "session-api jwt keys: name", 8)
		if err != nil {
			return nil, fmt.Errorf("deriving a name: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("deriving a key: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("deriving a key: %w", err)
		}
		sealers = append(sealers, sealer{hex.EncodeToString(name), aead})
	}
	if len(sealers) == 0 {
		return nil, errors.New("at least one session secret is required")
	}
	return sealers, nil
}

// additionalData is authenticated with the keys: what they are, and the layout.
func (s sealer) additionalData() []byte {
	return fmt.Appendf(nil, "session-api jwt keys %d %s", stateVersion, s.name)
}

func (s sealer) seal(keys []*key, now time.Time) (sealedCopy, error) {
	var plain sealedKeys
	for _, k := range keys {
		plain.Keys = append(plain.Keys, sealedKey{k.signsFrom.UnixMilli(), jose.JSONWebKey{Key: k.private, KeyID: k.id, Algorithm: string(k.algorithm)}})
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return sealedCopy{}, fmt.Errorf("sealing keys: %w", err)
	}
	return sealedCopy{For: s.name, At: now.UnixMilli(), Sealed: s.aead.Seal(nil, nil, text, s.additionalData())}, nil //nolint:gosec // it makes the nonce itself
}

var (
	errSealed = errors.New("they are damaged")
	errNewer  = errors.New("a newer version of the service has written them")
)

// open returns the keys of a copy. Its error quotes nothing of it.
func (s sealer) open(c *sealedCopy) ([]*key, error) {
	text, err := s.aead.Open(nil, nil, c.Sealed, s.additionalData())
	if err != nil {
		return nil, errSealed
	}
	var plain sealedKeys
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, errSealed
	}
	keys := make([]*key, 0, len(plain.Keys))
	for _, one := range plain.Keys {
		k, err := keyOf(one.Key.Key, one.Key.KeyID, time.UnixMilli(one.SignsFrom).UTC())
		if err != nil || k.private == nil {
			return nil, errSealed
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// openState returns the keys that any of the sealers opens, each once. complete reports
// that each sealer has a copy with all of them, and that nothing else has to go. The error
// is that of one copy that does not open; the others count all the same.
func openState(raw []byte, sealers []sealer, now time.Time) (keys []*key, complete bool, err error) {
	var state storedState
	if raw != nil && json.Unmarshal(raw, &state) != nil {
		return nil, false, errSealed
	}
	if state.Version > stateVersion {
		return nil, false, errNewer
	}
	found := make(map[string]*key)
	counts := make(map[string]int)
	complete = true
	for i := range state.Copies {
		c := &state.Copies[i]
		at := slices.IndexFunc(sealers, func(s sealer) bool { return s.name == c.For })
		if at < 0 {
			complete = complete && !isStale(c, now)
			continue
		}
		copied, openErr := sealers[at].open(c)
		if openErr != nil {
			complete, err = false, openErr
			continue
		}
		counts[c.For] = len(copied)
		for _, k := range copied {
			if found[k.id] == nil {
				found[k.id] = k
				keys = append(keys, k)
			}
		}
	}
	for _, s := range sealers {
		complete = complete && counts[s.name] == len(keys)
	}
	return keys, complete && len(keys) > 0, err
}

// isStale reports whether a copy that no secret here opens has to go.
func isStale(c *sealedCopy, now time.Time) bool {
	return now.Sub(time.UnixMilli(c.At)).Abs() > foreignFor
}

// sealState returns the state with the keys for all sealers, and what raw has for others.
func sealState(raw []byte, sealers []sealer, keys []*key, now time.Time) ([]byte, error) {
	var before storedState
	if raw != nil && json.Unmarshal(raw, &before) != nil {
		before = storedState{}
	}
	next := storedState{Version: stateVersion}
	for _, s := range sealers {
		c, err := s.seal(keys, now)
		if err != nil {
			return nil, err
		}
		next.Copies = append(next.Copies, c)
	}
	slices.SortFunc(before.Copies, func(a, b sealedCopy) int { return cmp.Compare(b.At, a.At) })
	for _, c := range before.Copies {
		mine := slices.ContainsFunc(sealers, func(s sealer) bool { return s.name == c.For })
		if !mine && !isStale(&c, now) && len(next.Copies) < max(maxCopies, len(sealers)) {
			next.Copies = append(next.Copies, c)
		}
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(next); err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	return out.Bytes(), nil
}
