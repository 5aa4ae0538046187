// Package deploy_test holds what the service is shipped with, Dockerfile,
// docker-compose.yml and .env.example, against the service itself. No container
// engine is needed.
package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// scratch is a directory that lives as long as the test binary.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "deploy-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(status)
}

// repository returns the path of a file of the repository.
func repository(name ...string) string {
	return filepath.Join(append([]string{".."}, name...)...)
}

func read(t *testing.T, name ...string) string {
	t.Helper()
	content, err := os.ReadFile(repository(name...))
	require.NoError(t, err)
	return string(content)
}

// variable is a line of .env.example: a setting, commented out.
var variable = regexp.MustCompile(`^#([A-Z][A-Z0-9_]*)=(.*)$`)

// exampleSettings are the settings of .env.example and the values that it
// shows.
func exampleSettings(t *testing.T) map[string]string {
	t.Helper()
	settings := make(map[string]string)
	for line := range strings.Lines(read(t, ".env.example")) {
		if m := variable.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			require.NotContains(t, settings, m[1], "named twice")
			settings[m[1]] = m[2]
		}
	}
	require.NotEmpty(t, settings)
	return settings
}
