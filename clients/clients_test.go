// Package clients_test holds the generated clients against the contract and
// against the running service.
package clients_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
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

// A module outside of this repository gets the client by the lines of its README, its
// programs do what they say, and they still build from what is vendored when the
// checkout is gone.
func TestGoClientByItsReadme(t *testing.T) {
	readme, err := os.ReadFile("go/README.md")
	require.NoError(t, err)
	blocks := func(language string) (found []string) {
		for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(readme, -1) {
			found = append(found, string(block[1]))
		}
		return found
	}
	install, programs := blocks("sh"), blocks("go")
	require.Len(t, install, 1)
	require.Len(t, programs, 5)
	dir := t.TempDir()
	checkout, app := filepath.Join(dir, "session-api", "clients", "go"), filepath.Join(dir, "app")
	require.NoError(t, os.CopyFS(checkout, os.DirFS("go")))
	service, names := servicetest.Start(t), []string{"use", "update", "retry", "devices", "middleware"}
	for i, name := range names {
		require.NoError(t, os.MkdirAll(filepath.Join(app, name), 0o700))
		program := strings.ReplaceAll(programs[i], "http://127.0.0.1:8080", service)
		require.NoError(t, os.WriteFile(filepath.Join(app, name, "main.go"), []byte(program), 0o600))
	}
	// Which modules the client needs, its own tests have made sure of: nobody is asked.
	// Without paths, what is compiled in one temporary directory is good for the next.
	env := []string{"GOSUMDB=off", "GOFLAGS=-mod=mod -trimpath", "GOWORK=off"}
	run(t, app, env, "go", "mod", "init", "example.com/app")
	run(t, app, env, "bash", "-eu", "-c", install[0])
	run(t, app, env, "go", "mod", "vendor")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "session-api")))
	require.NoError(t, os.Mkdir(filepath.Join(app, "bin"), 0o700))
	run(t, app, []string{"GOFLAGS=-mod=vendor -trimpath", "GOPROXY=off"}, "go", "build", "-o", "bin/", "./...")

	token := createForSomebody(t, service)
	createForSomebody(t, service)
	for _, program := range []struct{ name, prints string }{
		{"use", ""},
		{"update", "step 3\nstep 4\n"},
		{"devices", "of ada current: true\nof ada current: false\nended: 1\n"},
		{"retry", "a new token: true\n"},
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(app, "bin", program.name))
		cmd.Env = append(os.Environ(), "SESSION_TOKEN="+token)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", program.name, out)
		assert.ElementsMatch(t, strings.Split(program.prints, "\n"), strings.Split(string(out), "\n"), program.name)
	}
}

// createForSomebody creates a session of a user and returns its token.
func createForSomebody(t *testing.T, service string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service+"/api/sessions", strings.NewReader(`{"user":{"id":"ada"}}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+servicetest.ServiceToken)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	require.Equal(t, http.StatusCreated, answer.StatusCode)
	var created struct{ Token string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&created))
	return created.Token
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
