package jwt

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys are keys from a file.
type Keys struct{ set *keyset }

// maxFileKeys bounds how many keys a file has.
const maxFileKeys = 16

// ParseKeys reads a file of keys: PEM blocks (PKCS #8, SEC 1, or PKIX for keys that only
// verify), a JWK, or a JWK Set. The first has to be a private key: it signs, and all are
// published. The id of a key without a kid is its thumbprint. Errors quote nothing of the
// file.
func ParseKeys(content []byte) (*Keys, error) {
	var keys []*key
	var err error
	if content = bytes.TrimSpace(content); bytes.HasPrefix(content, []byte("{")) {
		keys, err = parseJWKs(content)
	} else {
		keys, err = parsePEM(content)
	}
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return nil, errors.New("there is no key in it: it takes PEM, a JWK or a JWK Set")
	case len(keys) > maxFileKeys:
		return nil, fmt.Errorf("it has more than %d keys", maxFileKeys)
	case keys[0].private == nil:
		return nil, errors.New("its first key is not a private one: that signs")
	}
	ids := make(map[string]bool)
	for _, k := range keys {
		if ids[k.id] {
			return nil, errors.New("two of its keys have the same id")
		}
		ids[k.id] = true
	}
	for _, k := range keys[1:] {
		k.signer = nil
	}
	set, err := newKeyset(keys, time.Time{})
	if err != nil {
		return nil, err
	}
	return &Keys{set}, nil
}

func parsePEM(content []byte) ([]*key, error) {
	var keys []*key
	for len(content) > 0 {
		block, rest := pem.Decode(content)
		if block == nil {
			break
		}
		content = rest
		var material any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			material, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			material, err = x509.ParseECPrivateKey(block.Bytes)
		case "PUBLIC KEY":
			material, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "EC PARAMETERS": // openssl ecparam -genkey writes them in front of the key
			continue
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("a key in it is encrypted: the service has no password for it")
		default:
			return nil, errors.New("it has a PEM block that is no key: PRIVATE KEY, EC PRIVATE KEY and PUBLIC KEY are")
		}
		if err != nil {
			return nil, errors.New("a PEM block in it cannot be read")
		}
		k, err := keyOf(material, "", time.Time{})
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parseJWKs(content []byte) ([]*key, error) {
	var file struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	if file.Keys == nil {
		file.Keys = []json.RawMessage{content}
	}
	keys := make([]*key, 0, len(file.Keys))
	for i, text := range file.Keys {
		var one jose.JSONWebKey
		if err := one.UnmarshalJSON(text); err != nil || !one.Valid() {
			return nil, fmt.Errorf("key %d in it is not a valid JWK", i+1)
		}
		k, err := keyOf(one.Key, one.KeyID, time.Time{})
		switch {
		case err != nil:
			return nil, err
		case one.Use != "" && one.Use != "sig":
			return nil, fmt.Errorf("key %d in it is not for signatures", i+1)
		case one.Algorithm != "" && one.Algorithm != string(k.algorithm):
			return nil, fmt.Errorf("key %d in it is for another algorithm than its kind has", i+1)
		}
		keys = append(keys, k)
	}
	return keys, nil
}
