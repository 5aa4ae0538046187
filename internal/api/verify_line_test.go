package api_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// logLines are the lines of the log so far.
func logLines(t *testing.T, s *service) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		lines = append(lines, fields)
	}
	return lines
}

// The lines of gateways' questions are those of other requests, though other
// code writes them.
func TestVerifyLineHasTheFieldsOfOthers(t *testing.T) {
	for name, change := range map[string]func(*settings){
		"full":            func(*settings) {},
		"concise":         func(set *settings) { set.AccessLog.Concise = true },
		"trusted proxies": func(set *settings) { set.TrustedProxies = prefixes("127.0.0.0/8", "::1/128") },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, change)
			c := s.client()
			c.create(ada)
			headers := []string{"Referer", "https://app.example.com/x?y=z", "User-Agent", "a gateway", "X-Request-Id", "r-1", "X-Forwarded-For", "203.0.113.7"}
			c.do("GET", "/api/session", "", headers...).expect(200)
			c.do("GET", verify, "", headers...).expect(200)
			headers = append(headers, "Cookie", cookieName+"=opens-nothing")
			s.client().do("GET", "/api/session", "", headers...).expect(401)
			s.client().do("GET", verify, "", headers...).expect(401)
			lines := logLines(t, s)
			require.Len(t, lines, 5)
			for i := 1; i < len(lines); i += 2 {
				other, line := lines[i], lines[i+1]
				assert.Equal(t, slices.Sorted(maps.Keys(other)), slices.Sorted(maps.Keys(line)))
				for _, fields := range []map[string]any{other, line} { // what cannot be the same
					for _, name := range []string{"time", "event.duration", "http.response.body.bytes"} {
						delete(fields, name)
					}
					fields["msg"] = strings.Split(fields["msg"].(string), " (")[0]
				}
				want, err := json.Marshal(other)
				require.NoError(t, err)
				got, err := json.Marshal(line)
				require.NoError(t, err)
				assert.JSONEq(t, strings.ReplaceAll(string(want), "/api/session", verify), string(got))
			}
		})
	}
}

func TestVerifyLineKeepsWhatClientsSend(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create(ada)
	c.do("GET", verify+"/reset/very-secret?code=more-secret", "", "Referer", "https://a/?"+c.token()).expect(200)
	for _, secret := range []string{"very-secret", "more-secret", c.token(), d.ID} {
		assert.NotContains(t, s.log.String(), secret)
	}
	lines := logLines(t, s)
	assert.Equal(t, lines[0]["session"], lines[1]["session"], "the same short hash")
}

func TestVerifyLineModes(t *testing.T) {
	for every, want := range map[int]int{0: 0, 1: 8, 4: 2} {
		s := start(t, func(set *settings) { set.AccessLog.Every = every })
		c := s.client()
		c.create(ada)
		before := len(logLines(t, s))
		for range 8 {
			c.do("GET", verify, "").expect(200)
		}
		assert.Len(t, logLines(t, s), before+want, "every %d", every)
		s.client().do("GET", verify, "", "Cookie", cookieName+"=opens-nothing").expect(401)
		assert.Len(t, logLines(t, s), before+want+1, "failures always get a line")
		s.client().do("GET", verify, "").expect(401)
		assert.Len(t, logLines(t, s), before+want+1, "a visitor without any credential gets none")
	}
}
