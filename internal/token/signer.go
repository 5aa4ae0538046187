package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
)

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
