package token

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlainJSON(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                     true,
		"GET /api/session => HTTP 200 (1.2ms)": true,
		"127.0.0.1:8080":                       true,
		strings.Repeat("f", 63):                true,
		strings.Repeat("f", 64):                false,
		`a"b`:                                  false,
		"/x?a=b":                               false,
		"ä":                                    false,
		"/api/sessions/an-id-of-a-caller":      false,
		"a_b":                                  true,
		NewServiceSecret():                     false,
	} {
		assert.Equal(t, want, PlainJSON([]byte(text)), text)
	}
}

// FuzzPlainJSON: what is plain is neither quoted nor redacted.
func FuzzPlainJSON(f *testing.F) {
	f.Add("s:" + strings.Repeat("a", 20) + ".x")
	f.Add("x s%3A" + strings.Repeat("0", 64) + ".x y")
	f.Add("Bearer x")
	f.Add("/api/sessions/an-id-of-a-caller")
	f.Add("GET /api/session => HTTP 200 (1.2ms)")
	f.Add("x sat_" + strings.Repeat("0", 20))
	f.Add("<a href=b>\x7f")
	f.Fuzz(func(t *testing.T, text string) {
		if !PlainJSON([]byte(text)) || len(text) > MaxText {
			return
		}
		require.Equal(t, text, Redact(text))
		quoted, err := jsontext.AppendQuote(nil, text)
		require.NoError(t, err)
		require.Equal(t, `"`+text+`"`, string(quoted))
	})
}
