package deploy_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBuildsFor32Bits builds the service where an int has 32 bits: constants that
// do not fit into one do not compile.
func TestBuildsFor32Bits(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "./cmd/session-api")
	cmd.Dir = repository()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm") // one stands for all
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
}
