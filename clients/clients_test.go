// Package clients_test holds the generated clients against the contract and
// against the running service.
package clients_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// run runs a command in a directory and fails with all that it printed. What it has
// Go compile of the standard library is what the service is made of, and compiled.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
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
	run(t, "go", running(t), "go", "test", "-shuffle=on", "-count=1", "-vet=off", "./...") // make lint vets
}

// A module outside of this repository gets the client by the lines of its README,
// and still builds from what it has vendored when the checkout is gone.
func TestGoClientByItsReadme(t *testing.T) {
	readme, err := os.ReadFile("go/README.md")
	require.NoError(t, err)
	block := func(language string) string {
		found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(readme)
		require.NotNil(t, found, "README has a block of %s", language)
		return string(found[1])
	}
	dir := t.TempDir()
	checkout, app := filepath.Join(dir, "session-api", "clients", "go"), filepath.Join(dir, "app")
	require.NoError(t, os.CopyFS(checkout, os.DirFS("go")))
	require.NoError(t, os.Mkdir(app, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(app, "main.go"), []byte(block("go")), 0o600))
	// Which modules the client needs, its own tests have made sure of: nobody is asked.
	// Without paths, what is compiled in one temporary directory is good for the next.
	env := []string{"GOSUMDB=off", "GOFLAGS=-mod=mod -trimpath", "GOWORK=off"}
	run(t, app, env, "go", "mod", "init", "example.com/app")
	run(t, app, env, "bash", "-eu", "-c", block("sh"))
	run(t, app, env, "go", "build", "./...")
	run(t, app, env, "go", "mod", "vendor")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "session-api")))
	run(t, app, []string{"GOFLAGS=-mod=vendor -trimpath", "GOPROXY=off"}, "go", "build", "./...")
}

// What go doc shows first is about this package, not about its generator.
func TestGoClientDocumentation(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "doc", ".")
	cmd.Dir = "go"
	out, err := cmd.Output()
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(out), "\n\n")
	require.True(t, ok)
	assert.Regexp(t, `\APackage sessionapi is the Go client of session-api`, text)
	assert.NotContains(t, string(out), "provides primitives")
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
