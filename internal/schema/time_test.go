package schema

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzAppendTime: it writes what AppendFormat writes.
func FuzzAppendTime(f *testing.F) {
	f.Add(int64(0), int64(0), 0)
	f.Add(time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC).Unix(), int64(999_999_999), 3600)
	f.Add(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix(), int64(1), -3600)
	f.Add(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), int64(0), 0)
	f.Add(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), int64(7_000_000), 0)
	f.Add(time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC).Unix(), int64(50_000_000), 0)
	f.Fuzz(func(t *testing.T, second, nano int64, offset int) {
		at := time.Unix(second%(1<<40), nano%int64(time.Second)).In(time.FixedZone("", offset%86400))
		require.Equal(t, at.UTC().Format(TimeLayout), string(appendTime(nil, at)))
	})
}
