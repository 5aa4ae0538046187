package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(content)
}

func readYAML(t *testing.T, into any, path ...string) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, path...)), into))
}

var (
	quoted = regexp.MustCompile("`([^`\n]+)`")
	fenced = regexp.MustCompile("(?s)```.*?```")
	drawn  = regexp.MustCompile(`\b(?:internal|cmd)/[a-z0-9/-]*[a-z0-9]`) // packages in the diagram
)

// quotedIn returns what stands in backticks in a text.
func quotedIn(text string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all = append(all, m[1])
	}
	return all
}

// packageDirs returns the directories that hold packages, from the root on.
func packageDirs(t *testing.T) (dirs []string) {
	t.Helper()
	for _, root := range []string{"internal", "cmd"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", root), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 {
					dirs = append(dirs, filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))))
				}
			}
			return err
		}))
	}
	require.NotEmpty(t, dirs)
	return dirs
}

// identifiers returns what the packages declare on every platform, but for tests:
// package.Name, and package.Type.Member for fields and methods.
func identifiers(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	for _, dir := range packageDirs(t) {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		require.NoError(t, err)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, decl := range file.Decls {
				declare(known, file.Name.Name+".", decl)
			}
		}
	}
	return known
}

// declare adds what a declaration declares.
func declare(known map[string]bool, prefix string, decl ast.Decl) {
	if fn, ok := decl.(*ast.FuncDecl); ok {
		name := fn.Name.Name
		if fn.Recv != nil {
			name = typeName(fn.Recv.List[0].Type) + "." + name
		}
		known[prefix+name] = true
		return
	}
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				known[prefix+name.Name] = true
			}
		case *ast.TypeSpec:
			known[prefix+spec.Name.Name] = true
			var members *ast.FieldList
			switch of := spec.Type.(type) {
			case *ast.StructType:
				members = of.Fields
			case *ast.InterfaceType:
				members = of.Methods
			default:
				continue
			}
			for _, member := range members.List {
				for _, name := range member.Names {
					known[prefix+spec.Name.Name+"."+name.Name] = true
				}
			}
		}
	}
}

// typeName returns the name of a receiver's type.
func typeName(receiver ast.Expr) string {
	switch of := receiver.(type) {
	case *ast.StarExpr:
		return typeName(of.X)
	case *ast.IndexExpr: // a generic type
		return typeName(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}

// Everything in backticks is one of: a path from the root of the repository, an
// identifier with its package, a module that go.mod requires, a setting, a route
// of the contract, or a target of the Makefile.
func TestArchitectureNamesWhatExists(t *testing.T) {
	text, known := readFile(t, "architecture.md"), identifiers(t)
	settings, makefile := readFile(t, "configuration.md"), "\n"+readFile(t, "..", "Makefile")
	var contract struct {
		Paths map[string]map[string]any
	}
	readYAML(t, &contract, "..", "openapi.yaml")
	modules := goMod(t, "..", "go.mod").Require

	exists := func(name string) bool {
		if files, _ := filepath.Glob(filepath.Join("..", name)); len(files) > 0 {
			return true
		}
		target, isTarget := strings.CutPrefix(name, "make ")
		method, path, hasMethod := strings.Cut(name, " ")
		switch {
		case known[name], contract.Paths[name] != nil, strings.Contains(settings, "\n| `"+name+"` |"):
			return true
		case isTarget:
			return strings.Contains(makefile, "\n"+target+":")
		case hasMethod:
			return contract.Paths[path][strings.ToLower(method)] != nil
		}
		for _, module := range modules {
			if strings.HasPrefix(name+"/", module.Path+"/") || strings.HasPrefix(module.Path, name+"/") {
				return true
			}
		}
		return false
	}
	names := quotedIn(text)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.True(t, exists(name), "%s is named, and there is no such thing", name)
	}
	packages := drawn.FindAllString(strings.Join(fenced.FindAllString(text, -1), ""), -1)
	require.NotEmpty(t, packages)
	for _, dir := range packages {
		assert.DirExists(t, filepath.Join("..", dir))
	}
}

// room is a row of the table of packages.
type room struct {
	imports []string
	http    bool
}

// rooms returns the table, by package.
func rooms(t *testing.T) map[string]room {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, "architecture.md"), "\n## The rooms\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "\n## ")
	all := make(map[string]room)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|\n]+)\\|([^|\n]+)\\|([^|\n]+)\\|$").FindAllStringSubmatch(text, -1) {
		assert.NotContains(t, all, m[1], "two rows")
		assert.NotEmpty(t, strings.TrimSpace(m[2]), "what %s is", m[1])
		all[m[1]] = room{imports: quotedIn(m[3]), http: strings.TrimSpace(m[4]) == "yes"}
	}
	require.NotEmpty(t, all)
	return all
}

func TestArchitectureHasEveryPackage(t *testing.T) {
	assert.ElementsMatch(t, packageDirs(t), slices.Collect(maps.Keys(rooms(t))))
}

// anything is the package that may import everything, and has no list.
const anything = "cmd/session-api"

func TestArchitectureAndDepguardAreTheSame(t *testing.T) {
	var lint struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						ListMode string `yaml:"list-mode"`
						Files    []string
						Allow    []string
						Deny     []struct{ Pkg string }
					}
				}
			}
		}
	}
	readYAML(t, &lint, "..", ".golangci.yml")
	listed := make(map[string]room)
	for name, rule := range lint.Linters.Settings.Depguard.Rules {
		if rule.ListMode != "strict" {
			continue
		}
		// The last pattern that is no exception names the package itself.
		patterns := slices.DeleteFunc(slices.Clone(rule.Files), func(p string) bool { return strings.HasPrefix(p, "!") })
		require.NotEmpty(t, patterns, name)
		dir, inside := strings.CutPrefix(patterns[len(patterns)-1], "**/")
		dir, all := strings.CutSuffix(dir, "/*.go")
		require.True(t, inside && all, "the files of %s", name)
		require.Contains(t, rule.Allow, "$gostd", name)
		of := room{http: true}
		for _, path := range rule.Allow {
			path = strings.TrimSuffix(path, "$")
			if path = strings.TrimPrefix(path, "session-api/"); path != "$gostd" && path != dir {
				of.imports = append(of.imports, path)
			}
		}
		for _, denied := range rule.Deny {
			of.http = of.http && denied.Pkg != "net/http"
		}
		assert.NotContains(t, listed, dir, "two lists")
		listed[dir] = of
	}
	table := rooms(t)
	require.Contains(t, table, anything)
	delete(table, anything)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(listed)), slices.Collect(maps.Keys(table)))
	for dir, of := range table {
		assert.ElementsMatch(t, listed[dir].imports, of.imports, "what %s may import", dir)
		assert.Equal(t, listed[dir].http, of.http, "whether %s may import net/http", dir)
	}
}
