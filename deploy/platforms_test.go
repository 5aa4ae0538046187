package deploy_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
)

// TestBuildsFor32Bits compiles the service where an int has 32 bits: constants that
// do not fit into one do not compile. Nothing is linked. One architecture shows that
// for all; make soak compiles for more, each of which takes the whole standard library
// once.
func TestBuildsFor32Bits(t *testing.T) {
	arches := []string{"386"}
	if soaktest.Long() {
		arches = append(arches, "arm")
	}
	for _, arch := range arches {
		t.Run(arch, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-trimpath", "-deps", "-f", "{{with .Error}}{{.}}{{end}}", "./cmd/session-api")
			cmd.Dir = repository()
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			output, err := cmd.CombinedOutput()
			require.NoError(t, err, string(output))
		})
	}
}

// TestUncalledMethodsAreLeftOut checks that the linker can drop methods that nothing
// calls. If a template is linked, which calls methods by name, it keeps every exported
// one, and the binary and the idle service's memory nearly double.
func TestUncalledMethodsAreLeftOut(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/session-api")
	cmd.Dir = repository()
	output, err := cmd.Output()
	require.NoError(t, err)
	require.NotContains(t, strings.Split(string(output), "\n"), "text/template")
}
