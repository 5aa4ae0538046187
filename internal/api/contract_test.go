package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
	whole, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	// For OpenAPI 3.1, the validator compiles every schema anew as JSON Schema 2020-12,
	// and then, where it uses nothing that only this has, validates with its own rules
	// after all. Without such keywords, these rules are all that there is to know.
	if !jsonSchema2020.Match(whole) {
		doc.OpenAPI = "3.0.3"
	}
	return doc, nil
})

// jsonSchema2020 are the keywords that the validator's own rules do not know.
var jsonSchema2020 = regexp.MustCompile(`"(const|prefixItems|contains|patternProperties|dependentSchemas|dependentRequired|propertyNames|` +
	`unevaluatedItems|unevaluatedProperties|if|then|else|\$defs|contentSchema)":`)

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

// check holds an exchange against the contract. That takes longer than the exchange
// where it is about a large document, so each part is validated once for all
// exchanges in which it is alike: the request, and of the answer its header and its
// body.
func (c *contractTransport) check(req *http.Request, sent []byte, resp *http.Response, got []byte) {
	header, body := headerForm(resp.Header), bodyForm(got)
	request := requestForm(req, sent)
	exchange := formOf("exchange", request, strconv.Itoa(resp.StatusCode), header, body)
	if exchange.isRight() {
		return
	}
	router, err := contractRouter()
	if !assert.NoError(c.t, err) {
		return
	}
	route, params, err := findRoute(router, req)
	if err != nil { // not in the contract, and then nothing may be there
		none := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNoContent}
		if req.Header.Get("Access-Control-Request-Method") != "" {
			none = append(none, http.StatusForbidden) // a preflight is told why
		}
		if assert.Contains(c.t, none, resp.StatusCode,
			"%s %s is not in the contract, but answers", req.Method, req.URL.Path) {
			exchange.setRight()
		}
		return
	}
	answer := []string{req.Method, route.Method, route.Path, strconv.Itoa(resp.StatusCode)}
	accepted := formOf("accepted request", request)
	withHeader := formOf(append([]string{"answer's header", header}, answer...)...)
	withBody := formOf(append([]string{"answer's body", resp.Header.Get("Content-Type"), body}, answer...)...)

	in := &openapi3filter.RequestValidationInput{
		Request: asTheContractHasIt(req, sent), PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true, MultiError: true,
			ExcludeResponseBody: req.Method == http.MethodHead || withBody.isRight(),
		},
	}
	right := true
	if resp.StatusCode < http.StatusBadRequest && !accepted.isRight() {
		right = assert.NoError(c.t, openapi3filter.ValidateRequest(context.Background(), in), "%s %s was accepted, but is not as the contract says", req.Method, req.URL)
		if right {
			accepted.setRight()
		}
	}
	if !withHeader.isRight() || !withBody.isRight() {
		out := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options,
		}
		out.SetBodyBytes(got)
		if !assert.NoError(c.t, openapi3filter.ValidateResponse(context.Background(), out), "%s %s answers %d not as the contract says: %s", req.Method, req.URL, resp.StatusCode, got) {
			return
		}
		withHeader.setRight()
		withBody.setRight()
	}
	if right {
		exchange.setRight()
	}
}

// asTheContractHasIt returns a request as the contract describes it to clients,
// which leaves some out that is taken, too: media types that generators send, and
// empty arrays for objects.
func asTheContractHasIt(req *http.Request, sent []byte) *http.Request {
	seen := req.Clone(context.Background())
	seen.GetBody = nil // what is validated is this
	if seen.Method == http.MethodPatch && seen.Header.Get("Content-Type") == "application/json" {
		seen.Header.Set("Content-Type", "application/merge-patch+json")
	}
	switch {
	case strings.HasSuffix(req.URL.Path, "/operations"):
		if seen.Header.Get("Content-Type") == "application/json" {
			seen.Header.Set("Content-Type", "application/json-patch+json")
		}
	case string(bytes.Join(bytes.Fields(sent), nil)) == "[]":
		sent = []byte("{}")
	default:
		sent = emptySection.ReplaceAll(sent, []byte("$1{}"))
	}
	seen.Body = io.NopCloser(bytes.NewReader(sent))
	return seen
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
