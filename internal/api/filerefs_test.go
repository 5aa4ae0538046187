package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// named returns results that refer to n files.
func named(prefix string, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprint(prefix, i))
	}
	return `{"results":{"analysis":{"files":[` + strings.Join(names, ",") + `]}}}`
}

// No way through the API leaves a session that refers to more files than it may.
func TestFileReferenceLimit(t *testing.T) {
	s := start(t, func(s *settings) { s.rules.MaxFileRefs = 100 })
	c := s.client()
	refused := func(method, path, body, pointer string) {
		t.Helper()
		problem := c.do(method, path, body).problem(422, "validation_failed")
		assert.Equal(t, pointer, problem.Errors[0].Pointer)
	}
	const first = "/results/analysis/files/100"
	refused("POST", "/api/session", named("f", 101), first)
	refused("POST", "/api/sessions", named("f", 5000), first)
	refused("PUT", "/api/sessions/an-id-of-the-callers-own", named("f", 101), first)
	c.do("POST", "/api/session", named("f", 100)).expect(201)
	refused("PUT", "/api/session", named("f", 101), first)
	refused("PATCH", "/api/session", `{"results":{"more":{"reportUrl":"g"}}}`, "/results/more/reportUrl")
	refused("POST", "/api/session/operations", `[{"op":"add","path":"/results/analysis/files/-","value":"g"}]`, first)
	c.do("PATCH", "/api/session", `{"results":{"more":{"text":"g"}}}`).expect(200)
	c.do("PATCH", "/api/session", named("g", 100)).expect(200)
	c.do("PATCH", "/api/session", named("g", 3)).expect(200)
}
