package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	contract "session-api"
	"session-api/internal/api"
)

var loadContract = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // match paths whatever address the test server has
	return doc, nil
})

var contractRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := loadContract()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// contractTransport holds every exchange of the tests against the contract:
// each response, and each request that was accepted.
type contractTransport struct{ t *testing.T }

func (c *contractTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if err != nil {
		return nil, err
	}
	c.check(req, sent, resp, got)
	return resp, nil
}

// check does nothing for an exchange of a form that has been found right before:
// the validator compiles every schema anew, which takes longer than the exchange.
func (c *contractTransport) check(req *http.Request, sent []byte, resp *http.Response, got []byte) {
	form := formOf(req, sent, resp, got)
	if _, known := rightForms.Load(form); known {
		return
	}
	if c.isRight(req, sent, resp, got) {
		rightForms.Store(form, true)
	}
}

func (c *contractTransport) isRight(req *http.Request, sent []byte, resp *http.Response, got []byte) bool {
	router, err := contractRouter()
	if !assert.NoError(c.t, err) {
		return false
	}
	route, params, err := findRoute(router, req)
	if err != nil { // not in the contract, and then nothing may be there
		none := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNoContent}
		if req.Header.Get("Access-Control-Request-Method") != "" {
			none = append(none, http.StatusForbidden) // a preflight is told why
		}
		return assert.Contains(c.t, none, resp.StatusCode,
			"%s %s is not in the contract, but answers", req.Method, req.URL.Path)
	}
	seen := req.Clone(context.Background())
	seen.GetBody = nil // what is validated is this
	seen.Body = io.NopCloser(bytes.NewReader(asTheContractHasIt(sent, req.URL.Path)))
	if seen.Method == http.MethodPatch && seen.Header.Get("Content-Type") == "application/json" {
		seen.Header.Set("Content-Type", "application/merge-patch+json") // accepted for generators, not of the contract
	}
	if strings.HasSuffix(req.URL.Path, "/operations") && seen.Header.Get("Content-Type") == "application/json" {
		seen.Header.Set("Content-Type", "application/json-patch+json")
	}
	in := &openapi3filter.RequestValidationInput{
		Request: seen, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true, MultiError: true,
			ExcludeResponseBody: req.Method == http.MethodHead,
		},
	}
	right := true
	if resp.StatusCode < http.StatusBadRequest {
		right = assert.NoError(c.t, openapi3filter.ValidateRequest(context.Background(), in), "%s %s was accepted, but is not as the contract says", req.Method, req.URL)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options,
	}
	out.SetBodyBytes(got)
	return assert.NoError(c.t, openapi3filter.ValidateResponse(context.Background(), out), "%s %s answers %d not as the contract says: %s", req.Method, req.URL, resp.StatusCode, got) && right
}

// asTheContractHasIt returns a body that was sent with objects for the empty
// arrays that are taken for them: the contract does not offer these to clients.
func asTheContractHasIt(sent []byte, path string) []byte {
	switch {
	case strings.HasSuffix(path, "/operations"):
	case string(bytes.Join(bytes.Fields(sent), nil)) == "[]":
		return []byte("{}")
	default:
		return emptySection.ReplaceAll(sent, []byte("$1{}"))
	}
	return sent
}

var emptySection = regexp.MustCompile(`("(?:inputs|apiConfig|results|meta)":)\[\]`)

// findRoute finds the operation that a request is about. One with x-any-method
// stands for every method, and for all paths below its own. GET stands for HEAD
// where the contract has no operation for it.
func findRoute(router routers.Router, req *http.Request) (*routers.Route, map[string]string, error) {
	route, params, err := router.FindRoute(req)
	if err != nil && req.Method == http.MethodHead {
		stand := req.Clone(context.Background())
		stand.Method = http.MethodGet
		route, params, err = router.FindRoute(stand)
	}
	if err == nil {
		for name, value := range params { // as they stand in the path
			if params[name], err = url.PathUnescape(value); err != nil {
				return nil, nil, err
			}
		}
		return route, params, nil
	}
	doc, loadErr := loadContract()
	if loadErr != nil {
		return nil, nil, loadErr
	}
	for path := range anyMethod(doc) {
		if req.URL.Path == path || strings.HasPrefix(req.URL.Path, path+"/") {
			stand := req.Clone(context.Background())
			stand.Method, stand.URL.Path, stand.URL.RawPath = http.MethodGet, path, ""
			return router.FindRoute(stand)
		}
	}
	return nil, nil, err
}

// anyMethod are the paths that serve any method.
func anyMethod(doc *openapi3.T) map[string]bool {
	paths := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		if serves, _ := item.Get.Extensions["x-any-method"].(bool); serves {
			paths[path] = true
		}
	}
	return paths
}

func TestRoutesAndContractAreTheSame(t *testing.T) {
	doc, err := loadContract()
	require.NoError(t, err)
	var promised, served []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			promised = append(promised, method+" "+path)
		}
		if item.Get != nil && item.Head == nil && !anyMethod(doc)[path] {
			promised = append(promised, "HEAD "+path) // the contract promises it of all GETs at once
		}
	}
	anyOf := anyMethod(doc)
	require.NotEmpty(t, anyOf)
	methods := map[string][]string{} // of the paths that serve any
	require.NoError(t, chi.Walk(start(t).api.Routes(), func(method, path string, handler http.Handler, _ ...func(http.Handler) http.Handler) error {
		if anyOf[strings.TrimSuffix(path, "/*")] {
			methods[path] = append(methods[path], method)
			return nil
		}
		served = append(served, method+" "+path)
		endpoint, ok := handler.(*api.Endpoint)
		if assert.True(t, ok, "%s %s", method, path) {
			assert.ElementsMatch(t, queryOf(doc, method, path), endpoint.QueryParameters(), "the query parameters of %s %s", method, path)
		}
		return nil
	}))
	for path := range anyOf {
		all := []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
		assert.Subset(t, methods[path], all)
		assert.Subset(t, methods[path+"/*"], all)
		served = append(served, http.MethodGet+" "+path)
	}
	require.NotEmpty(t, promised)
	assert.ElementsMatch(t, promised, served)
}

// queryOf are the query parameters that the contract gives an operation.
func queryOf(doc *openapi3.T, method, path string) (names []string) {
	item := doc.Paths.Find(path)
	if item == nil {
		return nil
	}
	operation := item.GetOperation(method)
	if operation == nil && method == http.MethodHead {
		operation = item.Get
	}
	if operation == nil {
		return nil
	}
	for _, p := range slices.Concat(item.Parameters, operation.Parameters) {
		if p.Value.In == openapi3.ParameterInQuery {
			names = append(names, p.Value.Name)
		}
	}
	return names
}
