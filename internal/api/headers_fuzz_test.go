package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"
)

// FuzzETags: what is read is read the same again as the header would be written, and
// comparisons hold for exactly the tags in it.
func FuzzETags(f *testing.F) {
	for _, seed := range []string{`*`, `"a"`, `W/"a"`, `"a", W/"b" ,,"c"`, `"a""b"`, `W/`, `"`, `"a`, "\"\x00\"", `"a",*`, `, ,`, "\"\xe9\"", `w/"a"`, `"a,b"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		read, err := parseETags(&http.Request{Header: http.Header{"If-Match": {sent}}}, "If-Match")
		if err != nil {
			require.Equal(t, etags{}, read)
			return
		}
		require.True(t, read.present)
		if read.any {
			require.Equal(t, "*", strings.Trim(sent, " \t"))
			return
		}
		require.NotEmpty(t, read.tags)
		for _, tag := range read.tags {
			require.Regexp(t, `\A(W/)?"[^"]*"\z`, tag)
			require.Contains(t, sent, tag)
			require.True(t, read.matchWeak(strings.TrimPrefix(tag, "W/")))
			require.True(t, read.matchStrong(tag))
		}
		require.False(t, read.matchStrong(`"another `), "a space is in no tag")
		again, err := parseETags(&http.Request{Header: http.Header{"If-Match": read.tags}}, "If-Match")
		require.NoError(t, err)
		require.Equal(t, read, again)
	})
}

// FuzzHost: the name that a Host header is compared by is the one that a URL with it
// has.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"localhost", "localhost:8080", "[::1]:80", "[::1]", "127.0.0.1", "shop.example", "a.shop.example.:443", "EVIL.example:", "localhost.evil.example", "[localhost]", "::1", ":", ".", "[::1].evil.example"} {
		f.Add(seed)
	}
	h := newHosts([]string{"shop.example", "*.shop.example"}, "")
	f.Fuzz(func(t *testing.T, sent string) {
		u, err := url.Parse("http://" + sent + "/")
		if err != nil || !httpguts.ValidHostHeader(sent) || u.Host != sent || sent == "" {
			return // net/http or the browser refuses it
		}
		name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		require.Equal(t, name, namedHost(sent))
		allowed := isLoopback(name) || name == "shop.example" || strings.HasSuffix(name, ".shop.example") && name != ".shop.example"
		require.Equal(t, allowed, h.has(sent))
	})
}
