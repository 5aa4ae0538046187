package contract_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// make lint fails for a vulnerability and for a tool that does not work, and not
// for want of a network; where the check is required, for that, too.
func TestVulncheckTellsFindingsFromAMissingDatabase(t *testing.T) {
	const (
		noDatabase = `echo 'govulncheck: fetching vulnerabilities: Get "https://vuln.go.dev/": no such host' >&2; exit 1`
		// What go mod download prints, and a govulncheck that has a database only there.
		module = `case "$*" in
*"mod download"*vulndb*) printf '{\n\t"Version": "v0.0.0-1",\n\t"Dir": "/modules/vulndb",\n\t"Sum": "h1:"\n}\n'; exit ;;
*"-db file:///modules/vulndb/data/osv"*) `
		elsewhere = `;; esac; ` + noDatabase
	)
	for name, test := range map[string]struct {
		tool     string // what go does
		required bool
		fails    bool
		prints   string
	}{
		"nothing found": {`echo "No vulnerabilities found."`, false, false, "calls nothing"},
		"a finding":     {`echo "Vulnerability #1: GO-2026-0001"; exit 3`, false, true, "GO-2026-0001"},
		"a finding that speaks of the database": {
			`echo "govulncheck: fetching vulnerabilities: GO-2026-0001"; exit 3`, false, true, "GO-2026-0001",
		},
		"no database":    {noDatabase, false, false, "NOT CHECKED"},
		"does not build": {`echo "loading packages: main.go:1: expected package" >&2; exit 1`, false, true, "loading packages"},
		"used wrongly":   {`echo "flag provided but not defined" >&2; exit 2`, false, true, "not defined"},

		"required, and nothing found":       {`echo "No vulnerabilities found."`, true, false, "by vuln.go.dev"},
		"required, and no database":         {noDatabase, true, true, "NOT CHECKED"},
		"required, and the module is there": {module + `exit ` + elsewhere, true, false, "by golang.org/x/vulndb v0.0.0-1"},
		"required, and a finding by the module": {
			module + `echo "Vulnerability #1: GO-2026-0001"; exit 3 ` + elsewhere, true, true, "GO-2026-0001",
		},
		"not required, though the module is there": {module + `exit ` + elsewhere, false, false, "NOT CHECKED"},
	} {
		t.Run(name, func(t *testing.T) {
			tool := filepath.Join(t.TempDir(), "go")
			require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\n"+test.tool+"\n"), 0o700))
			cmd := exec.CommandContext(t.Context(), "tools/vulncheck.sh", ".", "clients/go")
			cmd.Env = append(os.Environ(), "GO="+tool, "VULNCHECK=")
			if test.required {
				cmd.Env = append(cmd.Env, "VULNCHECK=required")
			}
			out, err := cmd.CombinedOutput()
			if test.fails {
				_, failed := errors.AsType[*exec.ExitError](err)
				assert.True(t, failed, string(out))
			} else {
				assert.NoError(t, err, string(out))
			}
			assert.Contains(t, string(out), test.prints)
		})
	}
}

// make lint checks the licenses by a command in tools, whose tests are run here.
func TestLicenseCheck(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-shuffle=on", "-count=1", "-vet=off", "./...") // make lint vets
	cmd.Dir = "tools"
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
}

// make fuzz runs every fuzz target of the repository, once.
func TestMakeFuzzRunsEveryTarget(t *testing.T) {
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	// targetsIn returns the targets of a file.
	targetsIn := func(path string) (names []string) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range target.FindAllSubmatch(content, -1) {
			names = append(names, string(m[1]))
		}
		return names
	}
	var want []string
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, name := range targetsIn(path) {
			want = append(want, "session-api/"+filepath.ToSlash(filepath.Dir(path))+" "+name)
		}
		return nil
	}))
	require.NotEmpty(t, want)

	// A go that lists packages, names their targets from their files, and writes down
	// what it is told to fuzz.
	packages, err := exec.CommandContext(t.Context(), "go", "list", "-f",
		"{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}\n{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}\n{{end}}", "./...").Output()
	require.NoError(t, err)
	var listed strings.Builder
	for line := range strings.Lines(string(packages)) {
		path, file, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		for _, name := range targetsIn(file) {
			listed.WriteString(path + " " + name + "\n")
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "listed"), []byte(listed.String()), 0o600))
	tool := filepath.Join(dir, "go")
	require.NoError(t, os.WriteFile(tool, []byte(`#!/bin/sh
case "$1 $2" in
"list "*) exec go "$@" ;;
"test -list") sed -n "s|^$4 ||p" `+dir+`/listed ;;
*) for package; do :; done
   while [ "$1" != -fuzz ]; do shift; done
   echo "$package $2" | tr -d '^$' >> `+dir+`/ran ;;
esac
`), 0o700))
	cmd := exec.CommandContext(t.Context(), "tools/fuzz.sh")
	cmd.Env = append(os.Environ(), "GO="+tool, "FUZZTIME=1s")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	ran, err := os.ReadFile(filepath.Join(dir, "ran"))
	require.NoError(t, err)
	assert.ElementsMatch(t, want, strings.Split(strings.TrimSpace(string(ran)), "\n"))
}
