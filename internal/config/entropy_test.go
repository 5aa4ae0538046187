package config

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"session-api/internal/servicetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecretsWithoutEntropy(t *testing.T) {
	for _, weak := range []string{
		strings.Repeat("x", 32),
		strings.Repeat("ab", 20),
		strings.Repeat("password", 5),
		strings.Repeat("0123456789", 4),
		"abcdefghijklmnopqrstuvwxyz0123456789",
		"zyxwvutsrqponmlkjihgfedcba9876543210",
		"00000000000000000000000000000001",
		strings.Repeat("a", 20) + strings.Repeat("b", 20),
	} {
		for _, name := range []string{"SESSION_SECRET", "SERVICE_TOKENS"} {
			_, err := Load(servicetest.Production(t, name, weak))
			require.ErrorContains(t, err, name+": number 1 of 1 is not random enough", weak)
			assert.NotContains(t, err.Error(), weak)
			_, err = Load(servicetest.Environment(t, name, weak))
			require.NoError(t, err, "development takes it")
		}
	}
	for range 1000 {
		random := make([]byte, 48)
		_, _ = rand.Read(random)
		for _, strong := range []string{
			base64.StdEncoding.EncodeToString(random), base64.RawURLEncoding.EncodeToString(random[:24]),
			hex.EncodeToString(random[:16]), rand.Text() + rand.Text()[:6],
		} {
			require.Greater(t, entropyBits(strong), float64(minSecretEntropy), strong)
		}
	}
	assert.Zero(t, entropyBits(""))
}

// A service token that is a session secret as well would let its holders sign
// sessions of anybody.
func TestOneValueForTwoSecrets(t *testing.T) {
	_, err := Load(servicetest.Production(t, "SERVICE_TOKENS", servicetest.Token+","+servicetest.OtherSecret, "SESSION_SECRET", servicetest.SessionSecret+","+servicetest.OtherSecret))
	require.ErrorContains(t, err, "SERVICE_TOKENS: one of them is a SESSION_SECRET as well")
	_, err = Load(servicetest.Production(t, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, servicetest.SessionSecret), "SERVICE_TOKENS", ""))
	require.ErrorContains(t, err, "SERVICE_TOKENS: one of them is a SESSION_SECRET as well")
	_, err = Load(servicetest.Environment(t, "SERVICE_TOKENS", servicetest.SessionSecret, "SESSION_SECRET", servicetest.SessionSecret))
	require.NoError(t, err)
}
