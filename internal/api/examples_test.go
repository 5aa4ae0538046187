package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every example of a request does what its route is for, when it is sent as it
// stands: together with everything that a page such as /docs fills in, with
// service tokens and without any, to a session that is new and to one that holds
// what the example of its creation says.
func TestRequestExamplesWorkWhenSent(t *testing.T) {
	doc, err := loadContract()
	require.NoError(t, err)
	create := doc.Paths.Find("/api/session").Post.RequestBody.Value.Content["application/json"]
	starts := []string{"{}"}
	for _, example := range bodyExamples(t, create) {
		starts = append(starts, example)
	}
	require.Greater(t, len(starts), 1)
	for _, tokens := range []bool{true, false} {
		for _, begin := range starts {
			for path, item := range doc.Paths.Map() {
				for method, op := range item.Operations() {
					for name, body := range requestBodies(t, op) {
						t.Run(fmt.Sprint(op.OperationID, "/", name, "/tokens=", tokens), func(t *testing.T) {
							sendExample(t, exampleRequest{method, path, op, slices.Concat(item.Parameters, op.Parameters), body}, begin, tokens)
						})
					}
				}
			}
		}
	}
}

type exampleRequest struct {
	method, path string
	op           *openapi3.Operation
	parameters   openapi3.Parameters
	body         string
}

func sendExample(t *testing.T, r exampleRequest, begin string, tokens bool) {
	t.Helper()
	headers := []string{"Content-Type", ""}
	var change []func(*settings)
	if tokens {
		change = append(change, withServiceTokens)
		if isServiceOperation(r.op) {
			headers = append(headers, "Authorization", "Bearer "+serviceToken)
		}
	}
	if r.body != "" {
		for mediaType := range r.op.RequestBody.Value.Content {
			headers[1] = mediaType
		}
		if headers[1] == "application/x-www-form-urlencoded" {
			r.body = asForm(t, r.body)
		}
	}
	s := start(t, change...)
	c := s.client()
	session := c.create(begin)
	path, query := r.path, url.Values{}
	for _, parameter := range r.parameters {
		p := parameter.Value
		value := prefilled(p)
		switch {
		case p.In == openapi3.ParameterInPath && p.Name == "id":
			assert.Nil(t, value, "no session has the id of an example")
			path = strings.Replace(path, "{id}", session.ID, 1)
		case p.In == openapi3.ParameterInPath:
			require.NotNil(t, value, "%s has an example", p.Name)
			path = strings.Replace(path, "{"+p.Name+"}", fmt.Sprint(value), 1)
		case value == nil:
			assert.False(t, p.Required, "%s has an example", p.Name)
		case p.In == openapi3.ParameterInQuery:
			query.Set(p.Name, fmt.Sprint(value))
		case p.In == openapi3.ParameterInHeader:
			headers = append(headers, p.Name, fmt.Sprint(value))
		}
	}
	path += "?" + query.Encode()
	switch r.op.OperationID {
	case "streamEvents": // does not end by itself
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		req, err := http.NewRequestWithContext(ctx, r.method, s.url+path, nil)
		require.NoError(t, err)
		if tokens {
			req.Header.Set("Authorization", "Bearer "+serviceToken)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { assert.NoError(t, resp.Body.Close()) }()
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	case "deleteSessions": // nobody is signed out before somebody has said who
		c.do(r.method, path, r.body, headers...).problem(http.StatusBadRequest, "invalid_query")
	default:
		a := c.do(r.method, path, r.body, headers...)
		assert.Less(t, a.StatusCode, http.StatusMultipleChoices, "%s %s %s: %s", r.method, path, r.body, a.body)
	}
}

// asForm returns the form that an example in JSON stands for.
func asForm(t *testing.T, body string) string {
	t.Helper()
	var fields map[string]string
	require.NoError(t, json.Unmarshal([]byte(body), &fields))
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	return form.Encode()
}

// prefilled is the value of a parameter that pages for trying out fill in, or
// nil.
func prefilled(p *openapi3.Parameter) any {
	if p.Example != nil {
		return p.Example
	}
	for _, name := range slices.Sorted(maps.Keys(p.Examples)) {
		return p.Examples[name].Value.Value
	}
	if p.Schema.Value.Example != nil {
		return p.Schema.Value.Example
	}
	return p.Schema.Value.Default
}

// requestBodies are the bodies that the contract shows for an operation, by
// name; one that takes none, or need not have one, is tried without.
func requestBodies(t *testing.T, op *openapi3.Operation) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	if op.RequestBody == nil || !op.RequestBody.Value.Required {
		bodies["no body"] = ""
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Value.Content {
			maps.Copy(bodies, bodyExamples(t, media))
		}
	}
	return bodies
}

func bodyExamples(t *testing.T, media *openapi3.MediaType) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	add := func(name string, value any) {
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			require.NoError(t, err)
			text = string(encoded)
		}
		bodies[name] = text
	}
	if media.Example != nil {
		add("example", media.Example)
	}
	for name, example := range media.Examples {
		add(name, example.Value.Value)
	}
	require.NotEmpty(t, bodies)
	return bodies
}
