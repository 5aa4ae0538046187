package contract_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// make lint fails for a vulnerability and for a tool that does not work, and not
// for want of a network.
func TestVulncheckTellsFindingsFromAMissingDatabase(t *testing.T) {
	for name, test := range map[string]struct {
		tool   string // what govulncheck does
		fails  bool
		prints string
	}{
		"nothing found": {`echo "No vulnerabilities found."`, false, "calls nothing"},
		"a finding":     {`echo "Vulnerability #1: GO-2026-0001"; exit 3`, true, "GO-2026-0001"},
		"a finding that speaks of the database": {
			`echo "govulncheck: fetching vulnerabilities: GO-2026-0001"; exit 3`, true, "GO-2026-0001",
		},
		"no database": {
			`echo 'govulncheck: fetching vulnerabilities: Get "https://vuln.go.dev/": no such host' >&2; exit 1`, false, "NOT CHECKED",
		},
		"does not build": {`echo "loading packages: main.go:1: expected package" >&2; exit 1`, true, "loading packages"},
		"used wrongly":   {`echo "flag provided but not defined" >&2; exit 2`, true, "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			tool := filepath.Join(t.TempDir(), "go")
			require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\n"+test.tool+"\n"), 0o700))
			cmd := exec.CommandContext(t.Context(), "tools/vulncheck.sh", ".", "clients/go")
			cmd.Env = append(os.Environ(), "GO="+tool)
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
