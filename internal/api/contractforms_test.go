package api_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// form identifies what is alike in many exchanges.
type form [sha256.Size]byte

// rightForms holds the forms that have been found as the contract says.
var rightForms sync.Map

func (f form) isRight() bool {
	_, known := rightForms.Load(f)
	return known
}

func (f form) setRight() { rightForms.Store(f, true) }

// formOf returns the same form for the same parts alone.
func formOf(parts ...string) form {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d %s", len(part), part)
	}
	return form(h.Sum(nil))
}

// appendForm appends the body to b, with names for what differs between exchanges
// that are alike, each well-formed: ids, the signatures of tokens, ids of requests,
// times, ports.
// It is written out because regexp takes seconds for a megabyte under the race
// detector.
func appendForm(b, body []byte) []byte {
	for len(body) > 0 {
		name, n := "", 0
		if class[body[0]]&begins != 0 {
			name, n = varying(body)
		}
		if n > 0 {
			b, body = append(b, name...), body[n:]
			continue
		}
		n = 1
		for n < len(body) && class[body[n]]&begins == 0 {
			n++
		}
		b, body = append(b, body[:n]...), body[n:]
	}
	return b
}

// Classes of bytes.
const (
	digit     = 1 << iota
	hex       // a lower-case one
	signature // of base64, or escaped in a cookie
	base32
	begins // what varies
)

var class = func() (of [256]byte) {
	for set, bits := range map[string]byte{
		"0123456789":                 digit | hex | signature | begins,
		"234567":                     base32,
		"abcdef":                     hex | begins,
		"abcdefghijklmnopqrstuvwxyz": signature,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ": signature | base32,
		"+/%":                        signature,
		`"`:                          begins,
	} {
		for _, c := range []byte(set) {
			of[c] |= bits
		}
	}
	return of
}()

// requestIDLength is that of the ids that the service makes.
const requestIDLength = 26

// span returns how many bytes of a class the text begins with, and looks at no more
// than limit.
func span(text []byte, of byte, limit int) int {
	n := 0
	for n < min(len(text), limit) && class[text[n]]&of != 0 {
		n++
	}
	return n
}

// varying returns what the text begins with, and how long it is; 0 where that is
// nothing that varies.
func varying(text []byte) (name string, n int) {
	const idLength, shortestSignature = 64, 43
	if span(text, hex, idLength) == idLength {
		if rest := text[idLength:]; len(rest) > 0 && rest[0] == '.' {
			if n := span(rest[1:], signature, len(rest)); n >= shortestSignature {
				return "<signed id>", idLength + 1 + n
			}
		}
		return "<id>", idLength
	}
	const member = `"requestId":"`
	if rest, is := bytes.CutPrefix(text, []byte(member)); is {
		if n := span(rest, base32, len(rest)); n == requestIDLength && len(rest) > n && rest[n] == '"' {
			return member + "<request id>", len(member) + n
		}
		return "", 0
	}
	const layout = "0000-00-00T00:00:00.000Z"
	if len(text) >= len(layout) && text[4] == '-' && fits(text, layout) {
		return "<time>", len(layout)
	}
	const host = "127.0.0.1:"
	if bytes.HasPrefix(text, []byte(host)) {
		if n := span(text[len(host):], digit, len(text)); n > 0 {
			return "<address>", len(host) + n
		}
	}
	return "", 0
}

// fits reports whether the text begins as the layout has it, with any digits for
// its zeros.
func fits(text []byte, layout string) bool {
	for i, c := range []byte(layout) {
		if c == '0' && class[text[i]]&digit == 0 || c != '0' && c != text[i] {
			return false
		}
	}
	return true
}

// requestForm returns the same for two requests exactly if they are alike but for
// what varies; headerForm and bodyForm do so for the parts of an answer.
func requestForm(req *http.Request, sent []byte) string {
	return fmt.Sprintln(req.Method, bodyForm([]byte(req.URL.String()))) + headerForm(req.Header) + bodyForm(sent)
}

func bodyForm(body []byte) string { return string(appendForm(nil, body)) }

func headerForm(header http.Header) string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			switch name {
			case "X-Request-Id":
				if len(value) == requestIDLength && span([]byte(value), base32, len(value)) == len(value) {
					value = "<request id>"
				}
			case "Date", "Etag", "If-Match", "If-None-Match", "Traceparent", "Content-Length":
				value = classes(value)
			}
			b = fmt.Appendf(b, "%s: %s\n", name, value)
		}
	}
	return bodyForm(b)
}

// classes returns which kinds of characters a value has, and how many.
func classes(value string) string {
	kinds := map[string]bool{}
	for _, r := range value {
		switch {
		case r >= '0' && r <= '9':
			kinds["0"] = true
		case r >= 'a' && r <= 'z':
			kinds["a"] = true
		case r >= 'A' && r <= 'Z':
			kinds["A"] = true
		default:
			kinds[string(r)] = true
		}
	}
	all := make([]string, 0, len(kinds))
	for kind := range kinds {
		all = append(all, kind)
	}
	slices.Sort(all)
	return strconv.Itoa(len(value)) + strings.Join(all, "")
}

func TestForms(t *testing.T) {
	request := func(id, etag, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://127.0.0.1:4711/api/sessions/"+id, http.NoBody)
		assert.NoError(t, err)
		req.Header.Set("If-Match", etag)
		return requestForm(req, []byte(`{"createdAt":"2026-11-21T17:04:05.123Z",`+body+`}`))
	}
	one, other := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	const etag, body = `"a1-b"`, `"n":1`
	form := request(one, etag, body)
	assert.Equal(t, form, request(other, `"b2-c"`, body))
	assert.NotEqual(t, form, request(one[:63], etag, body))
	assert.NotEqual(t, form, request(one, "a1-b", body))
	assert.NotEqual(t, form, request(one, etag, `"n":2`))

	header := http.Header{"Etag": {etag}, "Retry-After": {"1"}}
	assert.Equal(t, headerForm(header), headerForm(http.Header{"Etag": {`"c7-d"`}, "Retry-After": {"1"}}))
	assert.NotEqual(t, headerForm(header), headerForm(http.Header{"Etag": {etag}, "Retry-After": {"2"}}))
	assert.NotEqual(t, headerForm(header), headerForm(http.Header{"Etag": {etag}}))

	assert.NotEqual(t, formOf("a", "b"), formOf("ab"))
	assert.NotEqual(t, formOf("a", "b"), formOf("b", "a"))
}

func TestAppendForm(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	signed := id + "." + strings.Repeat("aZ9+/", 8) + "%3D"
	for text, want := range map[string]string{
		"":                           "",
		"a 1 b":                      "a 1 b",
		id:                           "<id>",
		"x" + id + "0":               "x<id>0",
		id[1:]:                       id[1:],
		strings.ToUpper(id):          strings.ToUpper(id),
		id + id:                      "<id><id>",
		"=" + signed + ";":           "=<signed id>;",
		signed[:64+1+42]:             "<id>" + signed[64:64+1+42],
		id + ".":                     "<id>.",
		`"2026-11-21T17:04:05.123Z"`: `"<time>"`,
		"2026-11-21T17:04:05Z":       "2026-11-21T17:04:05Z",
		"2026-11-21T17:04:05.123":    "2026-11-21T17:04:05.123",
		"12026-11-21T17:04:05.123Z":  "1<time>",
		"http://127.0.0.1:4711/":     "http://<address>/",
		"http://127.0.0.1:/":         "http://127.0.0.1:/",
		"127.0.0.2:1":                "127.0.0.2:1",
		`{"requestId":"` + strings.Repeat("AZ", 13) + `"}`: `{"requestId":"<request id>"}`,
		`{"requestId":"` + strings.Repeat("AZ", 12) + `"}`: `{"requestId":"` + strings.Repeat("AZ", 12) + `"}`,
		`{"requestId":"` + strings.Repeat("A1", 13) + `"}`: `{"requestId":"` + strings.Repeat("A1", 13) + `"}`,
	} {
		assert.Equal(t, want, string(appendForm(nil, []byte(text))), "%s", text)
	}
}
