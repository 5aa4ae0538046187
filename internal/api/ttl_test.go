package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A visitor's ttlMs makes a session's idle life shorter than the default, or than
// what a service set, and never longer, on whatever route it comes.
func TestVisitorsTTLOnlyShortens(t *testing.T) {
	const byDefault = 24 * time.Hour
	ttl := func(d time.Duration) string { return fmt.Sprintf(`{"ttlMs":%d}`, d.Milliseconds()) }
	for _, route := range []struct{ method, path string }{
		{"PUT", "/api/session"}, {"PATCH", "/api/session"}, {"POST", "/api/session/touch"},
	} {
		for name, test := range map[string]struct{ service, visitor, want time.Duration }{
			"above the default":                 {0, 30 * byDefault, byDefault},
			"a millisecond above":               {0, byDefault + time.Millisecond, byDefault},
			"below the default":                 {0, time.Hour, time.Hour},
			"above what a service set":          {time.Minute, 30 * byDefault, time.Minute},
			"the default, which a service cut":  {time.Minute, byDefault, time.Minute},
			"a little above what a service set": {time.Minute, 2 * time.Minute, time.Minute},
			"below what a service set":          {time.Minute, 30 * time.Second, 30 * time.Second},
			"below a long one of a service":     {10 * byDefault, 5 * byDefault, 5 * byDefault},
			"above a long one of a service":     {10 * byDefault, 20 * byDefault, 10 * byDefault},
		} {
			t.Run(route.method+route.path+", "+name, func(t *testing.T) {
				s := start(t, func(set *settings) { set.Secrets.Service = services(serviceToken) })
				c := s.client()
				d := c.create(`{}`)
				if test.service > 0 {
					s.backend().do("PATCH", "/api/sessions/"+d.ID, ttl(test.service), "Content-Type", "application/merge-patch+json").expect(200)
				}
				s.clock.advance(10 * time.Second)
				d = c.do(route.method, route.path, ttl(test.visitor)).expect(200).document()
				assert.Equal(t, s.clock.Now().Add(test.want), d.ExpiresAt)
				s.clock.advance(10 * time.Second)
				d = c.do("POST", "/api/session/touch", "").expect(200).document()
				assert.Equal(t, s.clock.Now().Add(test.want), d.ExpiresAt, "and it stays so")
			})
		}
	}
}

// Nor is one longer that begins so, or that shortens what another visit did.
func TestVisitorsTTLAtTheBeginning(t *testing.T) {
	for _, auto := range []bool{false, true} {
		s := start(t, func(set *settings) {
			set.Secrets.Service = services(serviceToken)
			set.AutoCreate = auto
		})
		method := "POST"
		if auto {
			method = "PUT"
		}
		for body, want := range map[string]time.Duration{
			`{"ttlMs":2592000000}`: 24 * time.Hour, `{"ttlMs":86400001}`: 24 * time.Hour, `{"ttlMs":60000}`: time.Minute,
		} {
			c := s.client()
			d := c.do(method, "/api/session", body).expect(201).document()
			assert.Equal(t, s.clock.Now().Add(want), d.ExpiresAt, body)
			d = c.do("POST", "/api/session/touch", `{"ttlMs":30000}`).expect(200).document()
			assert.Equal(t, s.clock.Now().Add(30*time.Second), d.ExpiresAt, body)
			d = c.do("POST", "/api/session/touch", `{"ttlMs":60000}`).expect(200).document()
			assert.Equal(t, s.clock.Now().Add(30*time.Second), d.ExpiresAt, "what was shortened stays short")
		}
	}
}

// A role's life is the default of those who have it.
func TestVisitorsTTLIsBelowTheRoles(t *testing.T) {
	s := start(t, func(set *settings) {
		set.Secrets.Service = services(serviceToken)
		set.life.Roles = map[string]time.Duration{"kiosk": 48 * time.Hour, "admin": 15 * time.Minute}
	})
	for role, want := range map[string]time.Duration{"kiosk": 48 * time.Hour, "admin": 15 * time.Minute} {
		c := s.client()
		d := c.create(`{}`)
		at := "/api/sessions/" + d.ID
		s.backend().do("PUT", at, `{"user":{"id":"u","roles":["`+role+`"]}}`).expect(200)
		c.do("POST", "/api/session/touch", `{"ttlMs":2592000000}`).expect(200)
		d = c.do("GET", "/api/session", "").expect(200).document()
		assert.Equal(t, s.clock.Now().Add(want), d.ExpiresAt, role)
		s.backend().do("PUT", at, `{"user":null}`).expect(200)
		d = c.do("POST", "/api/session/touch", "").expect(200).document()
		assert.Equal(t, s.clock.Now().Add(24*time.Hour), d.ExpiresAt, "nothing of it was kept")
	}
}

// Whom the service trusts asks for what it likes.
func TestTrustedTTL(t *testing.T) {
	long := fmt.Sprintf(`{"ttlMs":%d}`, (10 * 24 * time.Hour).Milliseconds())
	for name, headers := range map[string][]string{"development": nil, "a service token": {"Authorization", "Bearer " + serviceToken}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) {
				if headers != nil {
					set.Secrets.Service = services(serviceToken)
				}
			})
			c := s.client()
			want := s.clock.Now().Add(10 * 24 * time.Hour)
			assert.Equal(t, want, c.do("POST", "/api/session", long, headers...).expect(201).document().ExpiresAt)
			c.do("POST", "/api/session/touch", `{"ttlMs":60000}`, headers...).expect(200)
			for _, route := range [][2]string{{"PUT", ""}, {"PATCH", ""}, {"POST", "/touch"}} {
				assert.Equal(t, want, c.do(route[0], "/api/session"+route[1], long, headers...).expect(200).document().ExpiresAt)
			}
		})
	}
}
