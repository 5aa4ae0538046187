package token

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSecrets(t *testing.T) {
	const short, secret, longer = "short", `a/secret "quoted"`, `a/secret "quoted" and more`
	s := NewSecrets([][]byte{[]byte(short), []byte(secret)}, [][]byte{[]byte(longer)})
	for in, want := range map[string]string{
		"nothing":                           "nothing",
		short:                               short, // in every other word
		"x " + secret + " y":                "x [redacted] y",
		longer + ".":                        "[redacted].", // and not what is left of it behind the other
		"a%2Fsecret%20%22quoted%22":         "[redacted]",
		"a%2Fsecret+%22quoted%22":           "[redacted]",
		"a%252Fsecret%2520%2522quoted%2522": "[redacted]",
		`{"a/secret \"quoted\""}`:           `{"[redacted]"}`,
	} {
		assert.Equal(t, want, s.Hide(in), in)
		assert.Equal(t, want != in, s.In([]byte(in)), in)
	}
}
