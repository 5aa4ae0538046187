package api_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/memory"
	"session-api/internal/token"
)

// uses are the lines of the metric, without its name.
func (s *service) uses() (lines []string) {
	s.t.Helper()
	for line := range strings.Lines(string(s.client().do("GET", "/metrics", "").expect(200).body)) {
		if rest, ok := strings.CutPrefix(line, "session_api_service_token_requests_total"); ok {
			lines = append(lines, strings.TrimSpace(rest))
		}
	}
	return lines
}

func TestServiceTokens_usesAreCounted(t *testing.T) {
	s := start(t, with(reader, writer))
	c := s.client()
	assert.Equal(t, []string{`{name="reader"} 0`, `{name="writer"} 0`}, s.uses())
	c.do("GET", "/api/sessions", "", bearerOf("reader")...).expect(200)
	c.do("POST", "/api/sessions", "{}", bearerOf("reader")...).expect(403)
	c.do("POST", "/api/session", "{}", bearerOf("writer")...).expect(201)
	c.do("GET", "/api/sessions", "", bearerOf("nobody")...).expect(401)
	assert.Equal(t, []string{`{name="reader"} 2`, `{name="writer"} 1`}, s.uses())
	s.reload(reader, admin)
	assert.Equal(t, []string{`{name="admin"} 0`, `{name="reader"} 2`}, s.uses())
}

// A line names the token.
func TestServiceTokens_areInTheLog(t *testing.T) {
	for name, lines := range map[string]bool{"lean lines": true, "httplog": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, with(reader), func(set *settings) {
				if lines {
					set.AccessLog.Lines = set.log
				}
			})
			s.client().do("GET", "/api/sessions", "", bearerOf("reader")...).expect(200)
			assert.Equal(t, "reader", lastLine(t, s)["serviceToken"])
			s.client().do("DELETE", "/api/sessions?all=true", "", bearerOf("reader")...).expect(403)
			assert.Equal(t, "reader", lastLine(t, s)["serviceToken"])
			assert.Equal(t, "insufficient_scope", lastLine(t, s)["code"])
		})
	}
}

// A token that is known by its hash alone is kept out of the log by its form.
func TestServiceTokens_ofTheServicesOwnFormAreNotLogged(t *testing.T) {
	for name, lines := range map[string]bool{"lean lines": true, "httplog": false} {
		t.Run(name, func(t *testing.T) {
			secret := token.NewServiceSecret()
			s := start(t, with(token.FullService("made", secret)), func(set *settings) {
				if lines {
					set.AccessLog.Lines = set.log
				}
			})
			c := s.client()
			c.do("GET", "/docs/"+secret, "", "Authorization", "Bearer "+secret, "User-Agent", "curl "+secret)
			c.do("GET", "/healthz", "", "Referer", "https://app.example/"+secret, "User-Agent", secret)
			c.do("GET", "/api/sessions?token="+secret, "", "Authorization", "Bearer "+secret)
			assert.NotContains(t, s.log.String(), secret[4:])
		})
	}
}

// Once a day there is a line for each token that expires soon, or that nobody uses.
func TestServiceTokensLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, seen := &logBuffer{}, 0
		day := 24 * time.Hour
		rules := &schema.Rules{MaxBytes: 1 << 16, MaxTTL: time.Hour}
		kept := memory.New(memory.Options{})
		defer func() { _ = kept.Close() }()
		set := options(store.NewSessions(kept, rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{}), rules)
		set.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "since" || a.Key == "expires" || a.Key == "expired" {
				return slog.Attr{}
			}
			return a
		}}))
		ending := tokenFor("ending", token.ScopeRead)
		ending.Expires = time.Now().Add(15*day + time.Hour)
		set.Secrets.Service = []token.Service{ending, reader}
		server, err := api.New(set)
		require.NoError(t, err)
		go server.ServiceTokensLoop(t.Context())
		next := func(days int) []string {
			time.Sleep(time.Duration(days) * day) //nolint:forbidigo // the bubble's clock: it costs nothing
			synctest.Wait()
			more := out.String()[seen:]
			seen += len(more)
			return strings.Split(strings.TrimSpace(more), "\n")
		}
		soon := `level=WARN msg="service token expires soon" name=ending`
		gone := `level=WARN msg="service token has expired" name=ending`
		unused := `level=INFO msg="service token is not used" name=reader`
		assert.Equal(t, []string{""}, next(1))
		assert.Equal(t, []string{soon}, next(1))
		assert.Equal(t, []string{soon}, next(1))
		next(12)
		assert.Equal(t, []string{gone}, next(1))
		next(73)
		assert.Equal(t, []string{gone, unused}, next(1), "after 90 days")
	})
}
