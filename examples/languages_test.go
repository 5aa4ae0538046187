package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// round is what every program of examples/languages prints of the life of a
// session. How a language writes an object is left out of the comparison.
var round = []string{
	"nobody: 401 no_credential",
	"created: 201 {step:1}",
	"read: 200 the same session",
	"replaced: 200 {step:2}",
	"too late: 412 precondition_failed",
	"patched: 200 {files:[a.csv]}",
	"appended: 200 {files:[a.csv,b.csv]}",
	"touched: 200 sooner",
	"regenerated: 200 another id",
	"too large: 413 too_large",
	"digits: 200 12345678901234567890",
	"signed out: 204 0 cookies",
	"nobody again: 401 no_credential",
}

// plain takes away what languages write differently.
var plain = strings.NewReplacer(`"`, "", "'", "", "(", "", ")", "")

func plainLines(out string) []string {
	lines := strings.Split(strings.TrimSpace(plain.Replace(out)), "\n")
	for i, line := range lines {
		what, seen, _ := strings.Cut(line, ": ")
		lines[i] = what + ": " + strings.ReplaceAll(strings.ReplaceAll(seen, ": ", ":"), ", ", ",")
	}
	return lines
}

// roundWith is the round with other lines for some steps, and further lines
// before a step.
func roundWith(other, before map[string]string) []string {
	var lines []string
	for _, line := range round {
		step, _, _ := strings.Cut(line, ":")
		if added := before[step]; added != "" {
			lines = append(lines, added)
		}
		if replaced := other[step]; replaced != "" {
			line = replaced
		}
		lines = append(lines, line)
	}
	return lines
}

// pythonWith returns a Python that has a library: the packages of Debian are
// Debian's own Python's, which need not be the first on the PATH.
func pythonWith(t *testing.T, library string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import "+library).Run() == nil {
			return python
		}
	}
	require.Fail(t, "no Python has "+library, "apt-get install python3-"+library)
	return ""
}

// Clients that are written in other languages, with what these bring or commonly
// use, keep the cookie, change what they have read, and read every answer.
func TestLanguages(t *testing.T) {
	emptyArrays := map[string]string{"created": "created empty: 201", "digits": "emptied: 200 []"}
	python := func(library string) []string {
		return []string{pythonWith(t, library), "python/with_" + library + ".py"}
	}
	for name, program := range map[string]struct {
		command []string
		want    []string
	}{
		"Java, java.net.http":     {[]string{"java", "java/WithHttpClient.java"}, round},
		"Java, HttpURLConnection": {[]string{"java", "java/WithUrlConnection.java"}, round},
		"Perl, HTTP::Tiny":        {[]string{"perl", "perl/tiny.pl"}, round},
		"PHP, curl": {
			[]string{"php", "php/curl.php"},
			roundWith(map[string]string{"signed out": "signed out: 204"}, emptyArrays),
		},
		"PHP, streams": {
			[]string{"php", "php/streams.php"},
			roundWith(map[string]string{"digits": "digits: 200 1.2345678901235E+19"}, emptyArrays),
		},
		"Python, aiohttp":  {python("aiohttp"), append(roundWith(nil, nil), "quoted: 200 the same session")},
		"Python, httpx":    {python("httpx"), round},
		"Python, requests": {python("requests"), round},
		"Python, urllib":   {[]string{pythonWith(t, "urllib"), "python/with_urllib.py"}, round},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, port, ok := strings.Cut(strings.TrimPrefix(servicetest.Start(t), "http://"), ":")
			require.True(t, ok)
			// By its name: clients treat cookies of bare addresses differently.
			api := "SESSION_API=http://localhost:" + port
			out := run(t, "languages", []string{api}, program.command[0], program.command[1:]...)
			assert.Equal(t, program.want, plainLines(out))
		})
	}
}

// wget writes a body whole before it reads.
func TestWgetSeesThatABodyIsTooLarge(t *testing.T) {
	api := servicetest.Start(t)
	body := filepath.Join(t.TempDir(), "body.json")
	require.NoError(t, os.WriteFile(body, []byte(`{"inputs":{"text":"`+strings.Repeat("x", 3_000_000)+`"}}`), 0o600))
	for range 6 {
		cmd := exec.CommandContext(t.Context(), "wget", "--quiet", "--tries=1", "--output-document=-", "--content-on-error",
			"--method=POST", "--header=Content-Type: application/json", "--body-file="+body, api+"/api/session")
		out, err := cmd.Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, 8, exit.ExitCode(), "wget's own number for an answer of refusal")
		assert.Contains(t, string(out), `"code":"too_large"`)
	}
}
