package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzStoredAnswer reads answers as whoever writes to the store may leave them there.
func FuzzStoredAnswer(f *testing.F) {
	for _, seed := range []string{
		"{\"status\":201,\"contentType\":\"application/json\",\"etag\":\"\\\"a\\\"\",\"asked\":\"AQI=\"}\n{}",
		"{\"status\":200,\"issued\":{\"namespace\":\"default\",\"id\":\"x\",\"expiresAt\":1,\"cookie\":\"new\",\"members\":\"token\"}}\n{\"id\":\"x\"",
		"{\"status\":204}\n", "{\"status\":204}", "{\"status\":500}\n", "null\n", "\n", "{\"status\":1e99}\n",
		"{\"status\":200,\"compressed\":true}\n" + string(answerEncoder.EncodeAll([]byte(`{"a":"aaaaaaaaaaaaaaaa"}`), nil)),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		before := string(encoded)
		a, err := decodeAnswer(encoded)
		require.Equal(t, before, string(encoded), "the answer is only read")
		if err != nil {
			require.ErrorIs(t, err, errForeignAnswer)
			return
		}
		require.GreaterOrEqual(t, a.Status, http.StatusOK)
		require.Less(t, a.Status, http.StatusMultipleChoices)
		require.LessOrEqual(t, len(a.body), maxUnpacked)
	})
}
