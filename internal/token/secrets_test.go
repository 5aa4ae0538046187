package token

import (
	"fmt"
	"net/url"
	"strings"
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

// Which bytes a client escapes, how and how often is its own choice.
func TestSecretsInAnyEscaping(t *testing.T) {
	const secret = "Zk3+/9x%Q7+Lm2/PqRs5==" // as `openssl rand -base64` may print, and a %
	s := NewSecrets([][]byte{[]byte(secret)})
	all := ""
	for i := range len(secret) {
		all += fmt.Sprintf("%%%02x", secret[i])
	}
	upper := url.QueryEscape(secret)
	for _, spelling := range []string{
		secret,
		all, strings.ToUpper(all), url.QueryEscape(all), url.QueryEscape(url.QueryEscape(all)),
		upper, strings.NewReplacer("%2B", "%2b", "%2F", "%2f").Replace(upper), url.QueryEscape(upper), url.PathEscape(secret),
		"Zk3%2b/9x%25Q7%2bLm2/PqRs5==", "Zk3+%2f9x%Q7+Lm2%2fPqRs5%3d%3D", "%5ak3+/9x%Q7+Lm2/PqRs5==",
		"Zk3+/9x%Q7+Lm2/PqRs5", "Zk3%2B/9x%25Q7%2BLm2/PqRs5",
	} {
		in := "GET /a%20b/" + spelling + " => 404 100%"
		assert.Equal(t, "GET /a%20b/[redacted] => 404 100%", s.Hide(in), spelling)
		assert.True(t, s.In([]byte(in)), spelling)
	}
	for _, other := range []string{"100%", "%", "%2", "%25", "%2525", "a%20b", "Zk3%2B", "Zk3%2B/9x%25Q7%2BLm2/PqRs6"} {
		assert.Equal(t, other, s.Hide(other))
		assert.False(t, s.In([]byte(other)), other)
	}
}
