package api

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// secretTexts are the configured secrets in all spellings in which a client may
// have put one into what is logged: as it is, as a path or a query escapes it,
// once or twice, and as JSON quotes it.
type secretTexts struct {
	needles  [][]byte
	replacer *strings.Replacer
}

// newSecretTexts returns the texts of the secrets. Ones of fewer than
// minSecretText bytes are left out: they are in every other word.
func newSecretTexts(secrets ...[][]byte) *secretTexts {
	const minSecretText = 8
	seen := make(map[string]bool)
	t := &secretTexts{}
	var pairs []string
	for _, list := range secrets {
		for _, secret := range list {
			if len(secret) < minSecretText {
				continue
			}
			for _, text := range spellings(string(secret)) {
				if !seen[text] {
					seen[text] = true
					t.needles = append(t.needles, []byte(text))
					pairs = append(pairs, text, redacted)
				}
			}
		}
	}
	t.replacer = strings.NewReplacer(pairs...)
	return t
}

func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always marshals
	path, query := url.PathEscape(secret), url.QueryEscape(secret)
	return []string{secret, path, query, url.PathEscape(path), url.QueryEscape(query), string(quoted[1 : len(quoted)-1])}
}

// in reports whether a text holds one of the secrets.
func (t *secretTexts) in(text []byte) bool {
	for _, needle := range t.needles {
		if bytes.Contains(text, needle) {
			return true
		}
	}
	return false
}

// hide takes the secrets out of a text.
func (t *secretTexts) hide(text string) string { return t.replacer.Replace(text) }

// hideSecrets takes what is configured as a secret at present out of a text.
func (s *Server) hideSecrets(text string) string {
	if keys := s.keys.Load(); keys != nil {
		return keys.texts.hide(text)
	}
	return text
}

// holdsSecret reports whether a text holds what is configured as a secret.
func (s *Server) holdsSecret(text []byte) bool {
	keys := s.keys.Load()
	return keys != nil && keys.texts.in(text)
}
