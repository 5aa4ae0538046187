package api_test

import (
	"net/netip"
	"testing"

	"session-api/internal/clientaddr"

	"github.com/stretchr/testify/assert"
)

func TestClientAddresses(t *testing.T) {
	trusted := prefixes("127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48", "fe80::/10")
	const none = "" // the peer counts
	for name, tc := range map[string]struct {
		xff, forwarded []string
		auto           string
		onlyXFF        string // with CLIENT_IP_HEADER=x-forwarded-for
		onlyForwarded  string
	}{
		"nothing":                   {nil, nil, none, none, none},
		"an address":                {[]string{"203.0.113.9"}, nil, "203.0.113.9", "203.0.113.9", none},
		"with a port":               {[]string{"203.0.113.9:5555"}, nil, "203.0.113.9", "203.0.113.9", none},
		"IPv6":                      {[]string{"2001:db8::1"}, nil, "2001:db8::1", "2001:db8::1", none},
		"IPv6 in brackets":          {[]string{"[2001:db8::1]"}, nil, "2001:db8::1", "2001:db8::1", none},
		"IPv6 with a port":          {[]string{"[2001:db8::1]:443"}, nil, "2001:db8::1", "2001:db8::1", none},
		"IPv6 quoted":               {[]string{`"[2001:db8::1]:443"`}, nil, "2001:db8::1", "2001:db8::1", none},
		"quoted":                    {[]string{`"203.0.113.9"`}, nil, "203.0.113.9", "203.0.113.9", none},
		"mapped":                    {[]string{"::ffff:203.0.113.9"}, nil, "203.0.113.9", "203.0.113.9", none},
		"mapped with a port":        {[]string{"[::ffff:203.0.113.9]:80"}, nil, "203.0.113.9", "203.0.113.9", none},
		"zone":                      {[]string{"2001:db8::1%eth0"}, nil, "2001:db8::1", "2001:db8::1", none},
		"mapped proxy is skipped":   {[]string{"203.0.113.9, ::ffff:10.0.0.3"}, nil, "203.0.113.9", "203.0.113.9", none},
		"zoned proxy is skipped":    {[]string{"203.0.113.9, fe80::1%eth0"}, nil, "203.0.113.9", "203.0.113.9", none},
		"the last that is no proxy": {[]string{"198.51.100.1, 203.0.113.9:1, 10.0.0.3:2"}, nil, "203.0.113.9", "203.0.113.9", none},
		"several lines":             {[]string{"198.51.100.1", "203.0.113.9, 10.0.0.3", "10.0.0.4"}, nil, "203.0.113.9", "203.0.113.9", none},
		"empty elements":            {[]string{"203.0.113.9, , 10.0.0.3,", ""}, nil, "203.0.113.9", "203.0.113.9", none},
		"a client inside":           {[]string{"10.9.9.9, 10.0.0.3"}, nil, "10.9.9.9", "10.9.9.9", none},
		"left of garbage":           {[]string{"203.0.113.9, unknown, 10.0.0.3"}, nil, "10.0.0.3", "10.0.0.3", none},
		"garbage":                   {[]string{"203.0.113.9, nobody"}, nil, none, none, none},
		"bad port":                  {[]string{"203.0.113.9:port"}, nil, none, none, none},
		"no port":                   {[]string{"203.0.113.9:"}, nil, none, none, none},
		"brackets left open":        {[]string{"[2001:db8::1"}, nil, none, none, none},
		"IPv4 in brackets":          {[]string{"[203.0.113.9]"}, nil, none, none, none},
		"leading zeros":             {[]string{"203.0.113.009"}, nil, none, none, none},

		"Forwarded":                                 {nil, []string{"for=203.0.113.9"}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded with all":                        {nil, []string{`by=10.0.0.2;FOR="203.0.113.9:4711";host=a.example;proto=https`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, IPv6":                           {nil, []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", none, "2001:db8:cafe::17"},
		"Forwarded, obfuscated port":                {nil, []string{`for="203.0.113.9:_p1"`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, a list":                         {nil, []string{`for=198.51.100.1, for=203.0.113.9;proto=http , for=10.0.0.3`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, lines":                          {nil, []string{`for=198.51.100.1`, `for=203.0.113.9`, `for="10.0.0.3:80"`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, comma within":                   {nil, []string{`for=198.51.100.1, host="a,for=1.2.3.4";for=203.0.113.9`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, escapes":                        {nil, []string{`host="a\",for=1.2.3.4;\"";for=203.0.113.9`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, quote of the client left open":  {nil, []string{`for=1.2.3.4;host="x, for=203.0.113.9`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, escape of the client left open": {nil, []string{`for=1.2.3.4;host="x\, for=203.0.113.9;host="a"`}, "203.0.113.9", none, "203.0.113.9"},
		"Forwarded, unknown":                        {nil, []string{"for=198.51.100.1, for=unknown"}, none, none, none},
		"Forwarded, obfuscated":                     {nil, []string{"for=198.51.100.1, for=_hidden, for=10.0.0.3"}, "10.0.0.3", none, "10.0.0.3"},
		"Forwarded without for":                     {nil, []string{"for=198.51.100.1, proto=https"}, none, none, none},
		"Forwarded, for twice":                      {nil, []string{"for=203.0.113.9;for=198.51.100.1"}, none, none, none},
		"Forwarded, no pair":                        {nil, []string{"203.0.113.9"}, none, none, none},

		"both agree":                  {[]string{"203.0.113.9:1"}, []string{"for=203.0.113.9"}, "203.0.113.9", "203.0.113.9", "203.0.113.9"},
		"both, Forwarded of a client": {[]string{"203.0.113.9"}, []string{"for=1.2.3.4"}, none, "203.0.113.9", "1.2.3.4"},
		"both, one of them garbage":   {[]string{"203.0.113.9"}, []string{"x"}, none, "203.0.113.9", none},
		"both, one of them empty":     {[]string{""}, []string{"for=203.0.113.9"}, none, none, "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			for header, want := range map[string]string{
				"": tc.auto, clientaddr.Auto: tc.auto, clientaddr.XForwardedFor: tc.onlyXFF, clientaddr.Forwarded: tc.onlyForwarded,
			} {
				s := start(t, func(set *settings) { set.TrustedProxies, set.ClientIPHeader = trusted, header })
				var headers []string
				for _, line := range tc.xff {
					headers = append(headers, "X-Forwarded-For", line)
				}
				for _, line := range tc.forwarded {
					headers = append(headers, "Forwarded", line)
				}
				s.client().do("GET", "/healthz", "", headers...).expect(200)
				s.client().do("GET", "/api/session/verify", "", headers...).expect(401)
				for _, line := range logLines(t, s) {
					if want == none {
						want = "127.0.0.1"
					}
					assert.Equal(t, want, line["client.ip"], "%s %v", header, line["url.path"])
				}
			}
		})
	}
}

// Whatever a visitor adds, it does not get to count as another one.
func TestVisitorsDoNotChooseTheirAddress(t *testing.T) {
	for name, of := range map[string]func(visitor string) []string{
		"X-Forwarded-For by the gateway": func(visitor string) []string {
			return []string{"X-Forwarded-For", "198.51.100." + visitor + ", 203.0.113.9:" + visitor}
		},
		"and Forwarded by the visitor": func(visitor string) []string {
			return []string{"X-Forwarded-For", "203.0.113.9", "Forwarded", "for=198.51.100." + visitor}
		},
		"Forwarded by the gateway": func(visitor string) []string {
			return []string{"Forwarded", `for=198.51.100.` + visitor + `;x=", for="203.0.113.9:` + visitor + `"`}
		},
		"and X-Forwarded-For by the visitor": func(visitor string) []string {
			return []string{"X-Forwarded-For", "198.51.100." + visitor, "Forwarded", "for=203.0.113.9"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(set *settings) { set.TrustedProxies, set.CreatePerMinute = prefixes("127.0.0.1/32"), 2 })
			s.client().do("POST", "/api/session", "", of("1")...).expect(201)
			s.client().do("POST", "/api/session", "", of("2")...).expect(201)
			s.client().do("POST", "/api/session", "", of("3")...).problem(429, "rate_limited")
		})
	}
}

func TestVisitorsWithPortsAreDifferentVisitors(t *testing.T) {
	s := start(t, func(set *settings) { set.TrustedProxies, set.CreatePerMinute = prefixes("::ffff:127.0.0.0/104"), 1 })
	for _, headers := range [][]string{
		{"X-Forwarded-For", "203.0.113.9:5555"},
		{"X-Forwarded-For", "203.0.113.10:5555"},
		{"X-Forwarded-For", `"[2001:db8:1::1]:443"`},
		{"X-Forwarded-For", "[2001:db8:2::1]:443"},
		{"Forwarded", "for=203.0.113.11"},
		{"Forwarded", `for="[2001:db8:3::1]:443"`},
	} {
		s.client().do("POST", "/api/session", "", headers...).expect(201)
		s.client().do("POST", "/api/session", "", headers...).problem(429, "rate_limited")
	}
}

// prefixes parses networks.
func prefixes(networks ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(networks))
	for i, one := range networks {
		list[i] = netip.MustParsePrefix(one)
	}
	return list
}
