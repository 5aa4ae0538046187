package token

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzPercentDecode: it is url.PathUnescape.
func FuzzPercentDecode(f *testing.F) {
	for _, s := range []string{"", "s%3Aabc.d%2Be", "%", "%3", "%zz", "%00%fF", "a+b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := url.PathUnescape(s)
		dst := make([]byte, len(s))
		n, ok := percentDecode(dst, s)
		require.Equal(t, err == nil, ok)
		if ok {
			require.Equal(t, want, string(dst[:n]))
		}
	})
}
