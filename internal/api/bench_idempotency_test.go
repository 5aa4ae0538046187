package api_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/api"
)

// BenchmarkIdempotencyKey compares a create without an Idempotency-Key, the yardstick, with
// one that has a new one, and with a repeat.
func BenchmarkIdempotencyKey(b *testing.B) {
	for _, kind := range []string{"none", "new", "repeated"} {
		b.Run(kind, func(b *testing.B) {
			l := newLoad(b, api.AccessLog{})
			l.prepare(b, "POST", "application/json", benchSession)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				switch kind {
				case "new":
					l.request.Header[keyHeader] = []string{fmt.Sprintf("8e03978e-40d5-43dd-bc93-%012d", n)}
				case "repeated":
					l.request.Header[keyHeader] = []string{"8e03978e-40d5-43dd-bc93-6894a57f9324"}
				}
				if status := l.send(); status != 201 {
					require.Equal(b, 201, status)
				}
			}
		})
	}
}
