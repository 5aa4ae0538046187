// Package clients_test holds the generated clients against the contract and
// against the running service.
package clients_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m) }

// run runs a command in a directory and fails with all that it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
}

// running starts the service, and says where it is the way that the clients'
// own tests want to know.
func running(t *testing.T) []string {
	t.Helper()
	return []string{"SESSION_API_URL=" + servicetest.Start(t), "SERVICE_TOKEN=" + servicetest.ServiceToken}
}

func TestGoClient(t *testing.T) {
	run(t, "go", running(t), "go", "test", "-shuffle=on", "-count=1", "./...")
}

func TestTypeScriptClient(t *testing.T) {
	run(t, "..", nil, "tools/npm-ci.sh", "clients/typescript")
	run(t, "typescript", running(t), "npm", "test")
}

// TestGenerated makes the clients anew and compares them with what is there.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	run(t, "..", nil, "tools/clients.sh", dir)
	made := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		made++
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "clients/%s is not what openapi.yaml says: run make clients", name)
		return nil
	}))
	assert.Equal(t, 2, made)
}
