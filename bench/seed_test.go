package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	modelID      = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	modelCreated = "2026-11-21T17:04:05.123Z"
	modelRecord  = `{"session":{"id":"` + modelID + `","createdAt":"` + modelCreated + `","user":{"id":"u-10482"},` +
		`"results":{"analysis":{"files":["u-10482/figures-100000000.csv"]}}}}` + "\n"
)

// The signature is what the npm package cookie-signature makes of the id.
func TestModelCookie(t *testing.T) {
	m := recordTemplate{secret: "tobiiscool", cookieName: "sid"}
	assert.Equal(t, "sid=s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI", m.cookie("hello"))
}

func TestModelRecords(t *testing.T) {
	m := recordTemplate{secret: "tobiiscool", cookieName: "sid", id: rand.NewChaCha8([32]byte{})}
	require.NoError(t, m.split([]byte(modelRecord), modelID, modelCreated))
	seen := map[string]bool{}
	for n, want := range map[int]struct{ user, created, file string }{
		0:       {"u-00000", "2026-11-21T17:04:05.123Z", "figures-100000000.csv"},
		1234:    {"u-00123", "2026-11-21T17:04:05.111Z", "figures-100001234.csv"},
		999_999: {"u-99999", "2026-11-21T17:03:55.124Z", "figures-100999999.csv"},
	} {
		line, s := m.record(nil, n)
		assert.Len(t, string(line), len(modelRecord))
		assert.Contains(t, string(line), `"user":{"id":"`+want.user+`"}`)
		assert.Contains(t, string(line), `"createdAt":"`+want.created+`"`)
		assert.Contains(t, string(line), want.file)
		assert.NotContains(t, string(line), modelID)
		assert.Equal(t, want.user, s.user)
		assert.NotContains(t, seen, s.cookie)
		seen[s.cookie] = true
	}
}

func TestModelOfSomethingElse(t *testing.T) {
	for name, record := range map[string]string{
		"nothing": "", "another id": `{"session":{"id":"x"}}`, "no file": modelRecord[:100],
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, new(recordTemplate).split([]byte(record), modelID, modelCreated), "no ")
		})
	}
	assert.Error(t, new(recordTemplate).split([]byte(modelRecord), modelID, "today"))
}

func TestStoreIsMeasured(t *testing.T) {
	f, err := measureStoreIn(t.Context(), 2*thousand, 1)
	require.NoError(t, err)
	assert.Equal(t, 2*thousand, f.Sessions)
	assert.Positive(t, f.Beyond)
	require.Len(t, f.Insert, 1)
	require.Len(t, f.Evict, 1)
	assert.Positive(t, f.Insert[0])
	assert.Positive(t, f.Evict[0])
	for i := range readCores {
		require.Len(t, f.Reads[i], 1)
		assert.Positive(t, f.Reads[i][0])
		assert.Less(t, f.Reads[i][0], float64(time.Second))
	}
}
