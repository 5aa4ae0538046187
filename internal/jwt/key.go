package jwt

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Algorithm is an algorithm that signs tokens, by its name in RFC 7518 section 3.1 or
// RFC 8037.
type Algorithm = jose.SignatureAlgorithm

// The algorithms that tokens are signed with. No others verify.
const (
	ES256 Algorithm = jose.ES256 // ECDSA on P-256 with SHA-256
	EdDSA Algorithm = jose.EdDSA // Ed25519
)

var algorithms = []Algorithm{ES256, EdDSA}

// ParseAlgorithm returns the algorithm of that name, in any case.
func ParseAlgorithm(name string) (Algorithm, bool) {
	i := slices.IndexFunc(algorithms, func(a Algorithm) bool { return strings.EqualFold(string(a), name) })
	if i < 0 {
		return "", false
	}
	return algorithms[i], true
}

// key is a key that signs, or one that only verifies.
type key struct {
	id        string // kid, RFC 7515 section 4.1.4
	algorithm Algorithm
	// signsFrom is when the key signs, in place of the one before; zero for keys of a
	// file.
	signsFrom time.Time
	private   crypto.Signer // nil where it only verifies
	public    crypto.PublicKey
	signer    jose.Signer // nil where it only verifies
}

// newKey returns a random key.
func newKey(a Algorithm, signsFrom time.Time) (*key, error) {
	var private crypto.Signer
	var err error
	switch a {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("no algorithm %q", a)
	}
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return keyOf(private, "", signsFrom)
}

// errKeyKind is the error for keys of other kinds.
var errKeyKind = errors.New("a key is neither on P-256 (ES256) nor an Ed25519 key (EdDSA)")

// algorithmOf returns the algorithm of a public key.
func algorithmOf(public crypto.PublicKey) (Algorithm, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return ES256, nil
		}
	case ed25519.PublicKey:
		return EdDSA, nil
	}
	return "", errKeyKind
}

// keyOf returns the key of a crypto.Signer or of a public key. Without an id, it is the
// key's thumbprint.
func keyOf(material any, id string, signsFrom time.Time) (*key, error) {
	k := &key{id: id, signsFrom: signsFrom}
	if private, ok := material.(crypto.Signer); ok {
		k.private, k.public = private, private.Public()
	} else {
		k.public = material
	}
	var err error
	if k.algorithm, err = algorithmOf(k.public); err != nil {
		return nil, err
	}
	if k.id == "" {
		if k.id, err = thumbprint(k.public); err != nil {
			return nil, err
		}
	}
	if k.private == nil {
		return k, nil
	}
	k.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: k.algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}},
		new(jose.SignerOptions).WithType("JWT"),
	)
	if err != nil {
		return nil, fmt.Errorf("key %s cannot sign: %w", k.id, err)
	}
	return k, nil
}

// thumbprint is the SHA-256 thumbprint of RFC 7638, in base64url.
func thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// jwk returns the key as a JWK, without its private part.
func (k *key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"}
}

// byTurn orders keys by when they sign, the same everywhere.
func byTurn(a, b *key) int {
	return cmp.Or(a.signsFrom.Compare(b.signsFrom), strings.Compare(a.id, b.id))
}

// keyset is a set of keys as it is used and published; it does not change.
type keyset struct {
	keys []*key
	byID map[string]*key
	// published is the JWK Set, and tag its entity tag.
	published []byte
	tag       string
	// checkedAt is when the set was last compared with the shared one.
	checkedAt time.Time
}

// newKeyset returns the set of keys, which are in the order of their turns.
func newKeyset(keys []*key, checkedAt time.Time) (*keyset, error) {
	s := &keyset{keys: keys, byID: make(map[string]*key, len(keys)), checkedAt: checkedAt}
	public := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(keys))}
	for _, k := range keys {
		s.byID[k.id] = k
		public.Keys = append(public.Keys, k.jwk())
	}
	var err error
	if s.published, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("publishing keys: %w", err)
	}
	sum := sha256.Sum256(s.published)
	s.tag = `"` + hex.EncodeToString(sum[:16]) + `"`
	return s, nil
}

// signing returns the key whose turn it is at now: the last that signs from then or
// before, or the first, where another instance's clock is ahead of this one's.
func (s *keyset) signing(now time.Time) *key {
	var found *key
	for _, k := range s.keys {
		if k.signer != nil && (found == nil || !k.signsFrom.After(now)) {
			found = k
		}
	}
	return found
}
