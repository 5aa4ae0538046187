package contract_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// block is one fenced block of the README.
type block struct{ lang, text string }

// tour returns the fenced blocks of the README's tour.
func tour(t *testing.T) []block {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(readme), "\n## A tour\n")
	require.True(t, ok)
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// TestTour types the README's tour into a shell, with no more than the address
// replaced, and compares what comes out with what the README shows.
func TestTour(t *testing.T) {
	tmp := t.TempDir()
	addr := strings.TrimPrefix(servicetest.StartBare(t, "FILE_GRACE_MS=0", "TMPDIR="+tmp), "http://")

	const mark = "--- end of block ---"
	var script strings.Builder
	var want []string
	for _, b := range tour(t) {
		if b.lang == "sh" {
			script.WriteString(b.text + "echo; echo '" + mark + "'\n")
			want = append(want, "")
		} else {
			want[len(want)-1] = b.text
		}
	}
	require.NotEmpty(t, want)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "`FILE_GRACE_MS=0 make run`", "as it is started here")
	const local = "API=http://127.0.0.1:8080\n"
	require.Contains(t, script.String(), local)

	cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stdin = strings.NewReader(strings.Replace(script.String(), local, "API=http://"+addr+"\n", 1))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", out, stderr.String())

	got := strings.Split(string(out), mark+"\n")
	require.Len(t, got, len(want)+1)
	for i, shown := range want {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shown)), "…", ".*")
		assert.Regexp(t, `\A`+pattern+`\z`, strings.ReplaceAll(strings.TrimSpace(got[i]), "\r", ""))
	}
}

func TestReadmeNamesWhatExists(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		assert.FileExists(t, link[1])
	}
}
