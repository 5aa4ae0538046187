// Package node_test runs the tests of the npm package here against the service
// itself.
package node_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// TestPackage compiles the package, checks its types and runs its tests. They
// work with two services: one as it is by default, and one that insists on
// preconditions.
func TestPackage(t *testing.T) {
	install(t)
	const token = "SERVICE_TOKENS=" + servicetest.ServiceToken
	out := run(t, []string{
		"SESSION_API_TOKEN=" + servicetest.ServiceToken,
		"SESSION_API_URL=" + servicetest.StartBare(t, token),
		"SESSION_API_STRICT_URL=" + servicetest.StartBare(t, token, "SESSION_REQUIRE_IF_MATCH=true"),
	}, "npm", "test", "--silent")

	assert.Contains(t, out, "fail 0\n")
	assert.Contains(t, out, "skipped 0\n")
	assert.NotContains(t, out, "pass 0\n")
	contents(t)
}

// contents holds what would be published against what should be: the compiled
// package, whole and nothing else, which needs nothing at run time.
func contents(t *testing.T) {
	t.Helper()
	var packs []struct {
		Files []struct{ Path string }
	}
	out := run(t, nil, "npm", "pack", "--dry-run", "--json", "--silent", "--ignore-scripts")
	require.NoError(t, json.Unmarshal([]byte(out), &packs), out)
	require.Len(t, packs, 1)
	var files []string
	for _, file := range packs[0].Files {
		files = append(files, file.Path)
	}
	assert.ElementsMatch(t, []string{
		"LICENSE", "README.md", "package.json",
		"dist/client.d.ts", "dist/client.js", "dist/ids.d.ts", "dist/ids.js", "dist/options.d.ts", "dist/options.js",
		"dist/express.d.ts", "dist/express.js", "dist/express.d.mts", "dist/express.mjs",
		"dist/middleware.d.ts", "dist/middleware.js", "dist/middleware.d.mts", "dist/middleware.mjs", "dist/verify.d.ts", "dist/verify.js",
		"dist/unstorage.d.ts", "dist/unstorage.js", "dist/unstorage.d.mts", "dist/unstorage.mjs",
	}, files)

	var manifest struct {
		Dependencies map[string]string
		Scripts      struct{ Prepack string }
	}
	content, err := os.ReadFile("package.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &manifest))
	assert.Empty(t, manifest.Dependencies)
	assert.Equal(t, "npm run build", manifest.Scripts.Prepack, "what is packed is compiled anew")
}

// install brings in the pinned packages, unless they are there.
func install(t *testing.T) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "This test needs Node.js 20.19 or newer, with npm.")
	}
	version := run(t, nil, "node", "-p", `const [major, minor] = process.versions.node.split("."); major > 20 || (major == 20 && minor >= 19) || process.version`)
	require.Equal(t, "true\n", version, "This test needs Node.js 20.19 or newer.")

	run(t, nil, "../../tools/npm-ci.sh", "clients/node")
}

// run returns what a command prints, and fails the test where it does.
func run(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), environ...)
	var mistakes bytes.Buffer
	cmd.Stderr = &mistakes
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, &mistakes)
	return string(out)
}
