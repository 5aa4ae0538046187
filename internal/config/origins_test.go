package config

import (
	"net/netip"
	"strings"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfig_originsThatBrowsersSend(t *testing.T) {
	origins := []string{
		"https://app.example.com", "http://localhost:4200", "https://app.example.com:8443", "http://127.0.0.1:3000", "http://[::1]:3000",
		"http://[2001:db8::1]", "https://xn--bcher-kva.example", "https://a_b.example", "https://example.com.", "https://1.example",
		"capacitor://localhost", "tauri://localhost", "ionic://localhost", "app://obsidian.md", "vscode-webview://0b7e6c2d-8a51-4c5e-9d43-5a3f1a2b4c6d",
		"chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "moz-extension://9f6f3f7a-0b1e-4a55-8a3c-3a8d8f5a9b1c",
		"safari-web-extension://E4F6BE6D-93A1-4F5E-8D3C-0A1B2C3D4E5F", "http://[::ffff:102:304]",
	}
	c, err := Load(servicetest.Environment(t, "ALLOWED_ORIGINS", strings.Join(origins, ",")))
	require.NoError(t, err)
	assert.Equal(t, origins, c.Clients.AllowedOrigins)
}

// What can never match refuses to start, and says what would.
func TestConfig_originsThatNeverMatch(t *testing.T) {
	for origin, says := range map[string]string{
		"https://a.example/":                  `"https://a.example"`,
		"https://a.example/app/":              `"https://a.example"`,
		"https://A.Example:443/x":             `"https://a.example"`,
		"HTTPS://a.example":                   `"https://a.example"`,
		"http://a.example:80":                 `"http://a.example"`,
		"http://a.example:0443":               `"http://a.example:443"`,
		"https://a.example:":                  `"https://a.example"`,
		"https://bücher.example":              `"https://xn--bcher-kva.example"`,
		"https://BÜCHER.example/":             `"https://xn--bcher-kva.example"`,
		"https://b%C3%BCcher.example":         "percent-encoded",
		"https://a.example?x":                 `write "https://a.example"`,
		"https://a.example#x":                 `write "https://a.example"`,
		`https://a.example\x`:                 `write "https://a.example"`,
		"https://me@a.example":                "not an origin",
		"a.example":                           `write "https://a.example"`,
		"a.example/app":                       `write "https://a.example"`,
		"localhost:3000":                      `write "http://localhost:3000"`,
		"127.0.0.1:3000":                      `write "http://127.0.0.1:3000"`,
		"//a.example":                         "not an origin",
		"https://":                            "names no host",
		"https:a.example":                     "not an origin",
		"https://a.example:99999":             `"99999" is no port`,
		"https://a.example:0":                 "is no port",
		"https://a.example:http":              "is no port",
		"http://[::1":                         "no IPv6 address",
		"http://[::g]":                        "no IPv6 address",
		"http://[1.2.3.4]":                    "no IPv6 address",
		"http://::1":                          "no",
		"http://[::1%25eth0]":                 "no zones",
		"http://[0:0:0:0:0:0:0:1]:3000":       `"http://[::1]:3000"`,
		"http://[2001:DB8::1]":                `"http://[2001:db8::1]"`,
		"http://[::ffff:1.2.3.4]":             `"http://[::ffff:102:304]"`,
		"http://127.1":                        "four numbers",
		"http://0x7f000001":                   "four numbers",
		"http://10.0.0.256":                   "four numbers",
		"wss://a.example":                     `write "https://a.example"`,
		"ws://localhost:3000":                 `write "http://localhost:3000"`,
		"file://":                             "http or https",
		"file:///index.html":                  "http or https",
		"data:text/html,x":                    "not an origin",
		"NULL":                                "not allowed",
		"https://*":                           "wildcards",
		"capacitor://localhost/":              `"capacitor://localhost"`,
		"Capacitor://localhost":               `"capacitor://localhost"`,
		"chrome-extension://abc/page.html":    `"chrome-extension://abc"`,
		"tauri://":                            "names no host",
		`"https://a.example"`:                 "not an origin",
		"https://a.example https://b.example": "no host name",
		"https://a<b":                         "no host name",
	} {
		_, err := Load(servicetest.Environment(t, "ALLOWED_ORIGINS", "https://fine.example,"+origin))
		var found Problems
		require.ErrorAs(t, err, &found, origin)
		require.Len(t, found, 1)
		assert.Equal(t, "ALLOWED_ORIGINS", found[0].Name)
		assert.Contains(t, found[0].Text, says, origin)
	}
}

func TestConfig_proxies(t *testing.T) {
	c, err := Load(servicetest.Environment(t, "TRUSTED_PROXIES", "::ffff:10.0.0.0/104, ::FFFF:192.0.2.0/120,::ffff:198.51.100.7/128,::ffff:203.0.113.9,2001:db8::/32,fe80::/10"))
	require.NoError(t, err)
	assert.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.7/32"),
		netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10"),
	}, c.Clients.TrustedProxies)
	for value, says := range map[string]string{
		"::ffff:10.0.0.0/90":      "at least 96 bits",
		"::ffff:0.0.0.0/96":       "every client",
		"0.0.0.0":                 "no gateway's address",
		"::":                      "no gateway's address",
		"10.0.0.0/33":             "neither",
		"10.0.0.0/255.0.0.0":      `write "10.0.0.0/8"`,
		"10.0.0.1:8080":           `write "10.0.0.1"`,
		"[2001:db8::1]":           `write "2001:db8::1"`,
		"[2001:db8::1]:443":       `write "2001:db8::1"`,
		"[2001:db8::]/32":         `write "2001:db8::/32"`,
		"fe80::1%eth0":            `write "fe80::1"`,
		"fe80::%eth0/64":          `write "fe80::/64"`,
		"10.*":                    "wildcards",
		"*":                       "wildcards",
		"gateway":                 "not looked up",
		"private_ranges":          "neither",
		"10.0.0.0-10.0.0.9":       "neither",
		"010.0.0.1":               "neither",
		"https://gateway.example": "neither",
	} {
		_, err := Load(servicetest.Environment(t, "TRUSTED_PROXIES", "192.0.2.1,"+value))
		var found Problems
		require.ErrorAs(t, err, &found, value)
		require.Len(t, found, 1)
		assert.Equal(t, "TRUSTED_PROXIES", found[0].Name)
		assert.Contains(t, found[0].Text, says, value)
	}
}

func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://a.example", "http://[::1]:3000", "https://bücher.example/", "capacitor://localhost", "ws://x", "a.example:80", "http://127.1", "https://a:0", "null"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		text := checkOrigin(origin)
		fixed := correctOrigin(origin)
		if text == "" && fixed != "" && fixed != origin {
			t.Fatalf("%q is right, and corrected to %q", origin, fixed)
		}
		if fixed != "" && checkOrigin(fixed) != "" {
			t.Fatalf("%q is corrected to %q, which is wrong: %s", origin, fixed, checkOrigin(fixed))
		}
	})
}
