package conn_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/conn"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]conn.Server{
		"redis://localhost":               {Addresses: []string{"localhost:6379"}},
		"redis://h:1/3":                   {Addresses: []string{"h:1"}, DB: 3},
		"redis://ada:se%2Fcret@h:1":       {Addresses: []string{"h:1"}, Username: "ada", Password: "se/cret"},
		"redis://:secret@h:1":             {Addresses: []string{"h:1"}, Password: "secret"},
		"valkey://h:1":                    {Addresses: []string{"h:1"}},
		"redis://h:1?addr=i:2&addr=j:3":   {Addresses: []string{"h:1", "i:2", "j:3"}},
		"redis://h:1?master_set=sessions": {Addresses: []string{"h:1"}, Primary: "sessions"},
		"rediss://h:1": {
			Addresses: []string{"h:1"},
			TLS:       &tls.Config{ServerName: "h", MinVersion: tls.VersionTLS12},
		},
	} {
		got, err := conn.ParseURL(url)
		require.NoError(t, err, url)
		assert.Equal(t, want, got, url)
	}
	for _, url := range []string{"", "h:1", "http://h", "redis://ada:secret@h:port", "redis://ada:secret@h/a", "unix:///secret", "redis://ada:secret@h/%zz"} {
		_, err := conn.ParseURL(url)
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "secret")
	}
}
