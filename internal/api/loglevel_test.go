package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What well-behaved clients meet every day is no warning; what somebody has to
// mend is.
func TestLogLevels(t *testing.T) {
	for _, concise := range []bool{false, true} {
		s := start(t, func(set *settings) { set.AccessLog.Concise = concise; set.CreatePerMinute = 1 })
		c := s.client()
		tag := c.create(ada)
		require.NotEmpty(t, tag)
		for _, tc := range []struct {
			level  string
			status int
			do     func()
		}{
			{"INFO", 401, func() { s.client().do("GET", "/api/session", "").expect(401) }},
			{"INFO", 404, func() { c.do("GET", "/api/sessions/an-id-of-nobodys", "").expect(404) }},
			{"INFO", 412, func() { c.do("DELETE", "/api/session", "", "If-Match", `"other"`).expect(412) }},
			{"INFO", 409, func() {
				c.do("POST", "/api/session/operations", `[{"op":"test","path":"/inputs","value":1}]`, "Content-Type", "application/json-patch+json").expect(409)
			}},
			{"INFO", 429, func() { s.client().do("POST", "/api/session", "").expect(429) }},
			{"WARN", 400, func() { c.do("PUT", "/api/session", "{", "Content-Type", "application/json").expect(400) }},
			{"WARN", 422, func() { c.do("PUT", "/api/session", `{"x":1}`, "Content-Type", "application/json").expect(422) }},
		} {
			before := len(logLines(t, s))
			tc.do()
			lines := logLines(t, s)
			require.Len(t, lines, before+1)
			assert.Equal(t, tc.level, lines[before]["level"], "status %d: %s", tc.status, strings.TrimSpace(s.log.String()))
		}
	}
}
