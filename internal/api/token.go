package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strings"
	"sync"

	"session-api/internal/redact"
	"session-api/internal/schema"
)

const (
	tokenPrefix = "s:"
	// maxTokenLen is the length of the longest token, percent-encoded.
	maxTokenLen = 3*(len(tokenPrefix)+128+1) + 3*signatureLen
)

// signatureLen is the length of an HMAC-SHA256 in base64 without padding.
const signatureLen = 43

// keyring holds the secrets and what is made of them once.
type keyring struct {
	signers []*signer
	service [][sha256.Size]byte
	// opened are tokens of the secret that signs, retired those of the others;
	// nil where there are none.
	opened, retired *remembered
	// texts are what no line of the log may hold.
	texts *redact.Secrets
}

func newKeyring(secrets Secrets) *keyring {
	k := &keyring{opened: newRemembered(), texts: redact.NewSecrets(secrets.Session, secrets.Service)}
	for _, secret := range secrets.Session {
		k.signers = append(k.signers, newSigner(secret))
	}
	if len(k.signers) > 1 {
		k.retired = newRemembered()
	}
	for _, token := range secrets.Service {
		k.service = append(k.service, sha256.Sum256(token))
	}
	return k
}

// token returns the token of the id: "s:<id>.<signature>", the signature an
// HMAC-SHA256 of the id in standard base64 without padding, as the npm package
// cookie-signature makes it.
func (k *keyring) token(id string) string {
	var sig [signatureLen]byte
	k.signers[0].sign(&sig, id)
	return tokenPrefix + id + "." + string(sig[:])
}

// appendEscapedToken appends the token of the id as url.QueryEscape spells it:
// only these three of its characters need an escape.
func (k *keyring) appendEscapedToken(b []byte, id string) []byte {
	var sig [signatureLen]byte
	k.signers[0].sign(&sig, id)
	b = append(append(append(b, "s%3A"...), id...), '.')
	for _, c := range sig {
		switch c {
		case '+':
			b = append(b, "%2B"...)
		case '/':
			b = append(b, "%2F"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// open returns the id that a token names, or nothing unless one of the secrets
// signed it.
func (k *keyring) open(token string) (id string) { return k.read(token).id }

// read is open, and tells whether the secret is one that only verifies.
func (k *keyring) read(token string) opener {
	if len(token) > maxTokenLen {
		return opener{}
	}
	id, hash := k.opened.find(token)
	if id != "" {
		return opener{id: id}
	}
	var retiredHash uint64
	if k.retired != nil {
		if id, retiredHash = k.retired.find(token); id != "" {
			return opener{id: id, retired: true}
		}
	}
	o := k.verify(token)
	switch {
	case o.id == "":
	case o.retired:
		k.retired.add(retiredHash, token, o.id)
	default:
		k.opened.add(hash, token, o.id)
	}
	return o
}

// verify is read for a token that nobody remembers. The signature is compared
// as text, so that each id has one spelling of it.
func (k *keyring) verify(token string) opener {
	id, given, ok := parseToken(token)
	if !ok {
		return opener{}
	}
	for i, s := range k.signers {
		var sig [signatureLen]byte
		s.sign(&sig, id)
		if subtle.ConstantTimeCompare(sig[:], []byte(given)) == 1 {
			return opener{id: id, retired: i > 0}
		}
	}
	return opener{}
}

// parseToken takes a token apart, in either spelling; ok says that it is
// well-formed, not that anybody signed it.
func parseToken(token string) (id, signature string, ok bool) {
	if len(token) > maxTokenLen {
		return "", "", false
	}
	if strings.Contains(token, "%") {
		var plain [maxTokenLen]byte
		n, ok := percentDecode(plain[:], token)
		if !ok {
			return "", "", false
		}
		token = string(plain[:n])
	}
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return "", "", false
	}
	id, signature, ok = strings.Cut(rest, ".")
	return id, signature, ok && len(signature) == signatureLen && schema.ValidForeignID(id)
}

// percentDecode writes what s stands for to dst, which is at least as long, and
// returns how much that is; ok is false where a % is not followed by two hex
// digits.
func percentDecode(dst []byte, s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if len(s)-i < 3 {
				return 0, false
			}
			high, highOK := hexDigit(s[i+1])
			low, lowOK := hexDigit(s[i+2])
			if !highOK || !lowOK {
				return 0, false
			}
			c = high<<4 | low
			i += 2
		}
		dst[n] = c
		n++
	}
	return n, true
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// serviceNumber returns the place of a service token in the settings, from 1 on,
// 0 for what is none. Hashes are compared, so that neither the content nor the
// length of a token shows in the time taken.
func (k *keyring) serviceNumber(token string) int {
	var room [128]byte // most tokens have less
	sum := sha256.Sum256(append(room[:0], token...))
	found := 0
	for i := range k.service {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.service[i][:]), i+1, found)
	}
	return found
}

// signer signs with one secret. Its states are pooled, because setting up an
// HMAC costs more than running it over an id.
type signer struct{ states sync.Pool }

type signerState struct {
	mac hash.Hash
	in  []byte
	sum []byte
}

func newSigner(secret []byte) *signer {
	return &signer{states: sync.Pool{New: func() any {
		return &signerState{mac: hmac.New(sha256.New, secret)}
	}}}
}

func (s *signer) sign(dst *[signatureLen]byte, id string) {
	st := s.states.Get().(*signerState) //nolint:forcetypeassert // the pool holds nothing else
	st.mac.Reset()
	st.in = append(st.in[:0], id...)
	st.mac.Write(st.in)
	st.sum = st.mac.Sum(st.sum[:0])
	base64.RawStdEncoding.Encode(dst[:], st.sum)
	s.states.Put(st)
}

// looksLikeToken tells a session's token from a service token in an
// Authorization header.
func looksLikeToken(s string) bool {
	return strings.HasPrefix(s, tokenPrefix) || strings.HasPrefix(s, "s%3A") || strings.HasPrefix(s, "s%3a")
}
