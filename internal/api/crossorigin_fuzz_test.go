package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/memory"
)

// FuzzCrossOrigin sends what browsers say of the page that a request is from. Only
// pages of the service's own origin and of listed ones may change something, and read
// answers.
func FuzzCrossOrigin(f *testing.F) {
	const listed = "https://shop.example"
	rules := &schema.Rules{MaxBytes: 1 << 20}
	opts := options(store.NewSessions(memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10}), rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{}), rules)
	opts.AllowedOrigins = []string{listed}
	srv, err := api.New(opts)
	if err != nil {
		f.Fatal(err)
	}
	for _, origin := range []string{"", "null", listed, "http://shop.example", "https://shop.example.evil.example", "https://SHOP.example", "http://localhost", "https://shop.example:443", "https://shop.example/", "//", "https://a@shop.example", listed + " https://evil.example"} {
		f.Add(origin, "cross-site", "content-type")
		f.Add(origin, "", "authorization, x-evil")
		f.Add(origin, "same-origin", "")
		f.Add(origin, "same-site", ",,\x00")
	}
	f.Fuzz(func(t *testing.T, origin, site, headers string) {
		request := func(method string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost/api/session", http.NoBody)
			for name, value := range map[string]string{"Origin": origin, "Sec-Fetch-Site": site} {
				if value != "" {
					r.Header[name] = []string{value}
				}
			}
			if method == http.MethodOptions {
				r.Header["Access-Control-Request-Method"] = []string{http.MethodDelete}
				r.Header["Access-Control-Request-Headers"] = []string{headers}
			}
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, r)
			require.Less(t, w.Code, http.StatusInternalServerError)
			if may, ok := w.Header()["Access-Control-Allow-Origin"]; ok {
				require.Equal(t, []string{origin}, may)
				require.Equal(t, listed, origin)
			}
			return w
		}
		request(http.MethodOptions)
		w := request(http.MethodDelete)
		u, err := url.Parse(origin)
		own := err == nil && u.Host == "localhost"
		allowed := origin == listed || slices.Contains([]string{"same-origin", "none"}, site) || site == "" && (origin == "" || own)
		if allowed {
			require.Equal(t, http.StatusNoContent, w.Code, w.Body)
		} else {
			require.Equal(t, http.StatusForbidden, w.Code, w.Body)
		}
	})
}
