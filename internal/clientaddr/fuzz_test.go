package clientaddr

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzClientAddress sends what a visitor can put in front of what the gateway
// appends. The address stays the gateway's word.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{
		"", "1.2.3.4", "for=1.2.3.4", `for="1.2.3.4`, `for=1.2.3.4;host="a\`, `"`, `\"`, `for="[::1]:80", for=_x`, ",;=,", "[::1", "a:b:c", "fe80::1%25",
	} {
		f.Add(seed)
	}
	gateway, err := NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Auto)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		for header, appended := range map[string]string{"X-Forwarded-For": "203.0.113.9:80", "Forwarded": `for="203.0.113.9:80";proto=https`} {
			r := &http.Request{RemoteAddr: "10.0.0.2:1", Header: http.Header{header: {sent + ", " + appended}}}
			if got, whole := gateway.reported(r); got.String() != "203.0.113.9" || !whole {
				t.Fatalf("%s: %q makes it %s", header, sent, got)
			}
			if got, ok := gateway.Known(r); got.String() != "203.0.113.9" || !ok {
				t.Fatalf("%s: %q makes it %s", header, sent, got)
			}
			r.Header = http.Header{header: {sent}}
			if got, _ := gateway.reported(r); got.IsValid() && (got.Zone() != "" || got.Is4In6()) {
				t.Fatalf("%s: %q is %s", header, sent, got)
			}
			r.RemoteAddr = "192.0.2.1:1"
			if got, _ := gateway.reported(r); got.IsValid() {
				t.Fatalf("%s: a stranger's %q is %s", header, sent, got)
			}
		}
		if strings.Contains(sent, ",") {
			_, _ = parseForwarded(sent)
		}
	})
}
