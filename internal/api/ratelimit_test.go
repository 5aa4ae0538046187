package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func behindGateway(s *settings) {
	s.TrustedProxies = prefixes("127.0.0.1/32")
	withServiceTokens(s)
}

func from(ip string) []string { return []string{"X-Forwarded-For", ip} }

// A /48 has 65,536 networks that each count as one address.
func TestCreationRateOfSite(t *testing.T) {
	s := start(t, behindGateway, func(s *settings) { s.CreatePerMinute = 2 })
	for n := range 8 {
		s.client().do("POST", "/api/session", "", from(fmt.Sprintf("2001:db8:1:%x::1", n))...).expect(201)
	}
	limited := s.client().do("POST", "/api/session", "", from("2001:db8:1:ffff::1")...)
	limited.problem(429, "rate_limited")
	assert.Equal(t, "60", limited.Header.Get("Retry-After"))
	s.client().do("POST", "/api/session", "", append(from("2001:db8:1:ffff::1"), "Authorization", "Bearer "+serviceToken)...).expect(201)
	for range 2 {
		created := s.client().do("POST", "/api/session", "", from("2001:db8:2::1")...)
		created.expect(201)
		assert.Equal(t, "2", created.Header.Get("X-Ratelimit-Limit"), "the address's own limit")
	}
	s.client().do("POST", "/api/session", "", from("2001:db8:2::1")...).problem(429, "rate_limited")
	for n := range 20 { // what one address is refused does not count for its site
		s.client().do("POST", "/api/session", "", from("2001:db8:2::1")...).problem(429, "rate_limited")
		if n < 6 {
			s.client().do("POST", "/api/session", "", from(fmt.Sprintf("2001:db8:2:%x::1", n+1))...).expect(201)
		}
	}
	for n := range 20 { // nor are addresses of version 4 of one site
		s.client().do("POST", "/api/session", "", from(fmt.Sprintf("192.0.2.%d", n))...).expect(201)
		s.client().do("POST", "/api/session", "", from(fmt.Sprintf("::ffff:198.51.100.%d", n))...).expect(201)
	}
}

func TestCreatedBytes(t *testing.T) {
	of := func(size int) string { return `{"inputs":{"text":"` + strings.Repeat("x", size) + `"}}` }

	t.Run("of new sessions", func(t *testing.T) {
		s := start(t, behindGateway, func(s *settings) { s.CreateBytesPerMinute = 10_000 })
		for range 3 {
			s.client().do("POST", "/api/session", of(3000), from("192.0.2.1")...).expect(201)
		}
		limited := s.client().do("POST", "/api/session", of(3000), from("192.0.2.1")...)
		limited.problem(429, "rate_limited")
		assert.Equal(t, "60", limited.Header.Get("Retry-After"))
		s.client().do("POST", "/api/session", of(100), from("192.0.2.1")...).expect(201)
		s.client().do("POST", "/api/session", of(3000), from("192.0.2.2")...).expect(201)
		s.client().do("POST", "/api/session", of(50_000), append(from("192.0.2.1"), "Authorization", "Bearer "+serviceToken)...).expect(201)
		s.client().do("POST", "/api/sessions", of(50_000), append(from("192.0.2.1"), "Authorization", "Bearer "+serviceToken)...).expect(201)
	})

	t.Run("of a site", func(t *testing.T) {
		s := start(t, behindGateway, func(s *settings) { s.CreateBytesPerMinute = 10_000 })
		for n := range 4 {
			s.client().do("POST", "/api/session", of(9000), from(fmt.Sprintf("2001:db8:1:%x::1", n))...).expect(201)
		}
		s.client().do("POST", "/api/session", of(9000), from("2001:db8:1:ffff::1")...).problem(429, "rate_limited")
	})

	for method, change := range map[string]func(c *client, size int) *answer{
		"PUT": func(c *client, size int) *answer { return c.do("PUT", "/api/session", of(size), from("192.0.2.1")...) },
		"PATCH": func(c *client, size int) *answer {
			return c.do("PATCH", "/api/session", of(size), from("192.0.2.1")...)
		},
		"operations": func(c *client, size int) *answer {
			return c.do("POST", "/api/session/operations", `[{"op":"add","path":"/inputs/text","value":"`+strings.Repeat("x", size)+`"}]`, from("192.0.2.1")...)
		},
	} {
		t.Run("of what grows: "+method, func(t *testing.T) {
			s := start(t, behindGateway, func(s *settings) { s.CreateBytesPerMinute = 10_000 })
			c := s.client()
			c.do("POST", "/api/session", "", from("192.0.2.1")...).expect(201)
			change(c, 8000).expect(200)
			for range 5 {
				change(c, 8000).expect(200)
			}
			change(c, 12_000).problem(429, "rate_limited")
			assert.Contains(t, string(c.do("GET", "/api/session", "").expect(200).body), strings.Repeat("x", 8000))
			change(c, 4000).expect(200)
		})
	}

	t.Run("not of a user's", func(t *testing.T) {
		s := start(t, behindGateway, func(s *settings) { s.CreateBytesPerMinute = 1000 })
		c := s.client()
		c.do("POST", "/api/session", `{"user":{"id":"ada"}}`, append(from("192.0.2.1"), "Authorization", "Bearer "+serviceToken)...).expect(201)
		c.do("PUT", "/api/session", of(50_000), from("192.0.2.1")...).expect(200)
	})
}
