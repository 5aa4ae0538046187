package api

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// FuzzVerifyRule sends what a gateway may have written, and what a client may append to
// it. Nothing that follows the slash changes the rule in front of it.
func FuzzVerifyRule(f *testing.F) {
	for _, seed := range []string{
		"", "orders?role=x", "?maxAuthAge=1", ";level=aal1", "role=a&maxAuthAge=900&level=aal2&method=otp", "maxAuthAge=%39", "level=%22", "x?level=aal1&", "%2Frole=b",
	} {
		f.Add(seed)
	}
	want := verifyRule{roles: []string{"a"}, maxAuthAge: 5 * time.Second, levels: []string{"aal2"}, methods: []string{"otp"}}
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := url.ParseRequestURI(verifyPath + ";role=a;maxAuthAge=5;level=aal2;method=otp/" + text); err == nil {
			got, unclear, err := parseVerifyRule(u)
			require.NoError(t, err)
			require.False(t, unclear)
			require.Equal(t, want, got)
		}
		for _, separator := range []string{"?", ";", "/", "/?", ""} {
			u, err := url.ParseRequestURI(verifyPath + separator + text)
			if err != nil {
				continue
			}
			got, _, err := parseVerifyRule(u)
			if err != nil {
				continue
			}
			for _, name := range append(got.levels, got.methods...) {
				require.True(t, schema.ValidAuthName(name), "it comes into a header: %q", name)
			}
			require.GreaterOrEqual(t, got.maxAuthAge, time.Duration(0))
		}
	})
}
