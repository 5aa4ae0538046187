package api_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// rightForms are forms of exchanges that are as the contract says.
var rightForms sync.Map

// varies is what differs between exchanges that are alike, each well-formed: ids,
// the signatures of tokens, times, ports.
var varies = regexp.MustCompile(`[0-9a-f]{64}(?:\.[0-9A-Za-z+/%]{43,})?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|127\.0\.0\.1:\d+`)

// formOf returns what is the same for two exchanges exactly if they are alike but
// for what varies.
func formOf(req *http.Request, sent []byte, resp *http.Response, got []byte) [sha256.Size]byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, req.Method, req.URL, resp.StatusCode)
	writeForm(&b, req.Header)
	writeForm(&b, resp.Header)
	fmt.Fprintf(&b, "%d %d\n", len(sent), len(got))
	b.Write(sent)
	b.Write(got)
	return sha256.Sum256(varies.ReplaceAllFunc(b.Bytes(), func(found []byte) []byte {
		switch {
		case len(found) < 20:
			return []byte("<address>")
		case len(found) < 64:
			return []byte("<time>")
		case len(found) == 64:
			return []byte("<id>")
		}
		return []byte("<signed id>")
	}))
}

func writeForm(b *bytes.Buffer, header http.Header) {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			if name == "X-Request-Id" || name == "Date" || name == "Etag" || name == "If-Match" || name == "If-None-Match" || name == "Traceparent" {
				value = classes(value)
			}
			fmt.Fprintf(b, "%s: %s\n", name, value)
		}
	}
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
	exchange := func(id, time, etag, body string) [sha256.Size]byte {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:4711/api/sessions/"+id, http.NoBody)
		assert.NoError(t, err)
		return formOf(req, nil, &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {etag}}}, []byte(`{"createdAt":"`+time+`",`+body+`}`))
	}
	one, other := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	const now, later, etag, body = "2026-11-21T17:04:05.123Z", "2026-11-22T17:04:05.124Z", `"a1-b"`, `"n":1`
	form := exchange(one, now, etag, body)
	assert.Equal(t, form, exchange(other, later, `"b2-c"`, body))
	assert.NotEqual(t, form, exchange(one[:63], now, etag, body))
	assert.NotEqual(t, form, exchange(one, now[:19]+"Z", etag, body))
	assert.NotEqual(t, form, exchange(one, now, "a1-b", body))
	assert.NotEqual(t, form, exchange(one, now, etag, `"n":2`))
}
