// Package docs_test holds the documentation against what it describes.
package docs_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// section returns what stands under a heading of dependencies.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	content, err := os.ReadFile("dependencies.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(content), "\n## "+heading+"\n")
	require.True(t, found, "no section %s", heading)
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|\n]+)\\|([^|\n]+)\\|$")

// named are the modules that a section has a line for.
func named(t *testing.T, heading string) []string {
	t.Helper()
	var names []string
	for _, m := range row.FindAllStringSubmatch(section(t, heading), -1) {
		assert.NotEmpty(t, strings.TrimSpace(m[2]), "what %s is for", m[1])
		assert.NotEmpty(t, strings.TrimSpace(m[3]), "why %s", m[1])
		names = append(names, m[1])
	}
	require.NotEmpty(t, names)
	return names
}

// modFile is what of a go.mod matters here.
type modFile struct {
	Require []struct {
		Path     string
		Indirect bool
	}
	Tool []struct{ Path string }
}

func goMod(t *testing.T, path ...string) modFile {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Join(path...))
	output, err := cmd.Output()
	require.NoError(t, err)
	var mod modFile
	require.NoError(t, json.Unmarshal(output, &mod))
	return mod
}

func TestEveryDirectDependencyIsNamed(t *testing.T) {
	var direct []string
	for _, r := range goMod(t, "..", "go.mod").Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	assert.ElementsMatch(t, direct, slices.Concat(named(t, "In the binary"), named(t, "In tests")))
}

// The service's own packages import what is listed for the binary, and nothing
// that is listed for tests.
func TestDependenciesAreInTheirSection(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-f", `{{with .Module}}{{if .Main}}{{join $.Imports "\n"}}{{end}}{{end}}`, "session-api/cmd/session-api")
	output, err := cmd.Output()
	require.NoError(t, err)
	imports := strings.Fields(string(output))
	require.NotEmpty(t, imports)
	imported := func(module string) bool {
		return slices.ContainsFunc(imports, func(path string) bool { return strings.HasPrefix(path+"/", module+"/") })
	}
	for _, module := range named(t, "In the binary") {
		assert.True(t, imported(module), "%s is for tests only", module)
	}
	for _, module := range named(t, "In tests") {
		assert.False(t, imported(module), "%s is in the binary", module)
	}
}

func TestEveryToolIsNamed(t *testing.T) {
	mod := goMod(t, "..", "tools", "go.mod")
	var tools []string
	for _, r := range mod.Require {
		if slices.ContainsFunc(mod.Tool, func(tool struct{ Path string }) bool {
			return strings.HasPrefix(tool.Path+"/", r.Path+"/")
		}) {
			tools = append(tools, r.Path)
		}
	}
	require.Len(t, tools, len(mod.Tool))
	inTests := named(t, "In tests")
	for _, r := range mod.Require { // what the commands in tools import themselves
		if !r.Indirect && !slices.Contains(inTests, r.Path) {
			tools = append(tools, r.Path)
		}
	}

	content, err := os.ReadFile(filepath.Join("..", "tools", "package.json"))
	require.NoError(t, err)
	var npm struct {
		Dependencies    map[string]string `json:"dependencies"`
		DevDependencies map[string]string `json:"devDependencies"`
	}
	require.NoError(t, json.Unmarshal(content, &npm))
	for _, packages := range []map[string]string{npm.Dependencies, npm.DevDependencies} {
		tools = slices.AppendSeq(tools, maps.Keys(packages))
		for name, version := range packages {
			assert.Regexp(t, `^[0-9]+\.[0-9]+\.[0-9]+$`, version, "%s is not pinned", name)
		}
	}
	assert.ElementsMatch(t, tools, named(t, "Tools"))
}

// Each package-lock.json says where npm's own registry has each package, and no
// other, a mirror for one, does: npm reads this as the registry that is configured.
// Where it is not said, npm ci asks for every version of each package.
func TestLockFilesNameTheRegistryOfNPM(t *testing.T) {
	locks := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || entry.Name() != "package-lock.json" {
			return err
		}
		locks++
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var lock struct {
			Packages map[string]struct {
				Version, Resolved, Integrity string
				InBundle                     bool
			}
		}
		require.NoError(t, json.Unmarshal(content, &lock), path)
		for at, p := range lock.Packages {
			if at == "" || p.InBundle {
				continue // the folder itself, and what comes with another package
			}
			assert.NotEmpty(t, p.Integrity, "%s: %s", path, at)
			assert.Regexp(t, `^https://registry\.npmjs\.org/.*-`+regexp.QuoteMeta(p.Version)+`\.tgz$`, p.Resolved, "%s: %s", path, at)
		}
		return nil
	}))
	assert.Greater(t, locks, 5)
}
