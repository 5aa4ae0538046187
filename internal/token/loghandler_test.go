package token

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLogHandler(t *testing.T) {
	const configured = "a configured secret"
	shaped := "s:" + strings.Repeat("a", 64) + "." + strings.Repeat("B", signatureLen)
	var out bytes.Buffer
	log := slog.New(LogHandler(slog.NewJSONHandler(&out, nil), NewSecrets([][]byte{[]byte(configured)}).Hide))
	log.With("with", "kept").WithGroup("g").Info("message s:aaaaaaaaaaaaaaaa.BBBB",
		"text", configured, "error", errors.New("opening "+shaped), "list", []string{"a", configured}, "number", 7,
		slog.Group("inner", "deep", shaped))
	line := out.String()
	assert.NotContains(t, line, configured)
	assert.NotContains(t, line, shaped[:20])
	for _, part := range []string{
		`"msg":"message [redacted]"`, `"text":"[redacted]"`, `"error":"opening [redacted]"`, `"list":["a","[redacted]"]`,
		`"number":7`, `"inner":{"deep":"[redacted]"}`, `"with":"kept"`, `"g":{`,
	} {
		assert.Contains(t, line, part)
	}
}
