package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
)

func TestASlipInTheNameOfAParameterEndsNothing(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	made := b.do("POST", "/api/sessions", `{"user":{"id":"bob"}}`).expect(201).json()["session"].(map[string]any)["id"].(string)
	b.do("POST", "/api/sessions", `{"user":{"id":"bob"}}`).expect(201)
	for query, meant := range map[string]string{
		"userId=bob&exxept=" + made:        "except",
		"exxept=" + made + "&userId=bob":   "except",
		"userId=bob&Except=" + made:        "except",
		"userId=bob&ecxept=" + made:        "except",
		"userId=bob&e%78ept=" + made:       "except",
		"userid=bob&all=true":              "userId",
		"user_id=bob&all=true":             "userId",
		"userId=bob&namespaces=other":      "namespace",
		"userId=bob&NAMESPACE=other":       "namespace",
		"All=true":                         "all",
		"userId=bob&except=" + made + "&a": "all",
	} {
		p := b.do("DELETE", "/api/sessions?"+query, "").problem(400, "invalid_query")
		assert.Contains(t, p.Detail, "It knows all, except, namespace and userId.", query)
		if !strings.HasSuffix(query, "&a") {
			assert.Contains(t, p.Detail, "Did you mean "+meant+"?", query)
		}
	}
	p := b.do("DELETE", "/api/sessions?userId=bob&exxept="+made, "").problem(400, "invalid_query")
	assert.Contains(t, p.Detail, `"exxept"`)
	assert.Equal(t, 2, b.count("?userId=bob"))
	b.do("DELETE", "/api/sessions?userId=bob&except="+made, "").expect(200)
	assert.Equal(t, 1, b.count("?userId=bob"))
}

// Every route that changes something, or is for services, refuses what it does
// not know, before it looks at anything else; all others let it pass.
func TestUnknownParametersByRoute(t *testing.T) {
	s := start(t, withServiceTokens)
	id := strings.Repeat("a", 20)
	asked := 0
	require.NoError(t, chi.Walk(s.api.Routes(), func(method, path string, h http.Handler, _ ...func(http.Handler) http.Handler) error {
		endpoint, ok := h.(*api.Endpoint)
		if !ok || strings.Contains(path, "/verify") || path == "/api/events" && method == http.MethodGet {
			return nil
		}
		asked++
		at := strings.NewReplacer("{id}", id, "{file}", "docs.js").Replace(path)
		own := !strings.HasPrefix(path, "/api/sessions") && path != "/api/events" && path != "/api/export" && path != "/api/import" && path != "/api/backup" && path != "/api/cleanup"
		safe := method == http.MethodGet || method == http.MethodHead
		for _, query := range []string{"utm_source=x", "utm_source", "x=1&x=2", "=1", "%e2%98%83=1", "a+b=1"} {
			caller := s.backend()
			if own {
				caller = &serviceCaller{s.client()}
				caller.client.create("")
			}
			a := caller.do(method, at+"?"+query, "")
			switch {
			case own && safe:
				assert.Equal(t, 200, a.StatusCode, "%s %s?%s", method, at, query)
			case safe && method == http.MethodHead:
				assert.Equal(t, 400, a.StatusCode, "%s %s?%s", method, at, query)
			default:
				p := a.problem(400, "invalid_query")
				for _, name := range endpoint.QueryParameters() {
					assert.Contains(t, p.Detail, name)
				}
			}
		}
		return nil
	}))
	assert.Greater(t, asked, 30)
}

func TestUnknownParametersAreShownInPart(t *testing.T) {
	b := start(t, withServiceTokens).backend()
	p := b.do("GET", "/api/sessions?"+strings.Repeat("x", 5000)+"=1", "").problem(400, "invalid_query")
	assert.Less(t, len(p.Detail), 300)
	p = b.do("GET", "/api/sessions?%0a%22%e2%80%ae=1", "").problem(400, "invalid_query")
	assert.Contains(t, p.Detail, `"\n\"\u202e"`)
	p = b.do("POST", "/api/import?namespace=shop", "").problem(400, "invalid_query")
	assert.Contains(t, p.Detail, "nor any other")
	s := start(t, withServiceTokens)
	s.client().do("GET", "/api/sessions?limt=3", "").problem(401, "unauthorized") // nothing is told to strangers
}
