package token

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Secrets are the configured secrets in all spellings in which a client may have
// put one into a text that is logged: as it is, as a path or a query escapes it,
// once or twice, and as JSON quotes it.
type Secrets struct {
	needles  [][]byte
	replacer *strings.Replacer
}

// NewSecrets returns the secrets of the lists. It leaves out those of fewer than
// minSecretText bytes, which occur in ordinary words.
func NewSecrets(secrets ...[][]byte) *Secrets {
	const minSecretText = 8
	var texts []string
	for _, list := range secrets {
		for _, secret := range list {
			if len(secret) >= minSecretText {
				texts = append(texts, spellings(string(secret))...)
			}
		}
	}
	slices.SortFunc(texts, func(a, b string) int { // a secret goes before its own prefixes
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	t := &Secrets{}
	var pairs []string
	for _, text := range slices.Compact(texts) {
		t.needles = append(t.needles, []byte(text))
		pairs = append(pairs, text, Mark)
	}
	t.replacer = strings.NewReplacer(pairs...)
	return t
}

func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always marshals
	path, query := url.PathEscape(secret), url.QueryEscape(secret)
	return []string{secret, path, query, url.PathEscape(path), url.QueryEscape(query), string(quoted[1 : len(quoted)-1])}
}

// In reports whether the text holds one of the secrets.
func (t *Secrets) In(text []byte) bool {
	for _, needle := range t.needles {
		if bytes.Contains(text, needle) {
			return true
		}
	}
	return false
}

// Hide replaces the secrets in the text by Mark.
func (t *Secrets) Hide(text string) string { return t.replacer.Replace(text) }
