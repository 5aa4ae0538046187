package deploy_test

import (
	"debug/elf"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
)

const imageVersion = "v0.0.0-image-test"

// built is the outcome of the image's build, which runs once.
var built struct {
	once   sync.Once
	binary string
	output string
	err    error
}

// binary builds the service as the Dockerfile does, from what .dockerignore
// lets through, and returns its path.
func binary(t *testing.T) string {
	t.Helper()
	commands, files := buildCommands(t), buildContext(t)
	if profile := profileFlag.FindStringSubmatch(commands); !soaktest.Long() {
		// A profile makes the compiler go through every library anew, for minutes, and
		// the binary no other one in what is looked at here.
		require.NotNil(t, profile, "the image's binary is optimised by a profile")
		require.NotEmpty(t, files[profile[1]], "and has it")
		commands = strings.ReplaceAll(commands, profile[0], "")
	}
	built.once.Do(func() {
		src, out := filepath.Join(scratch, "src"), filepath.Join(scratch, "out")
		for name, content := range files {
			file := filepath.Join(src, name)
			if built.err = os.MkdirAll(filepath.Dir(file), 0o755); built.err != nil {
				return
			}
			if built.err = os.WriteFile(file, content, 0o644); built.err != nil {
				return
			}
		}
		script := strings.ReplaceAll(commands, "/out/", out+"/")
		cmd := exec.Command("sh", "-ec", "mkdir "+out+"\n"+script)
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION="+imageVersion)
		output, err := cmd.CombinedOutput()
		built.binary, built.output, built.err = filepath.Join(out, "session-api"), string(output), err
	})
	require.NoError(t, built.err, built.output)
	return built.binary
}

var profileFlag = regexp.MustCompile(`-pgo (\S+) `)

var mountFlag = regexp.MustCompile(`--mount=\S+`)

// buildCommands is the shell command of the Dockerfile that builds the binary.
func buildCommands(t *testing.T) string {
	t.Helper()
	var commands []string
	for _, s := range dockerfile(t) {
		for _, rest := range s.all("RUN") {
			if strings.Contains(rest, "go build") {
				commands = append(commands, mountFlag.ReplaceAllString(rest, ""))
			}
		}
	}
	require.Len(t, commands, 1)
	return commands[0]
}

// buildContext reads the files that .dockerignore lets through. It understands
// a list that shuts out everything and lets in names at the top.
func buildContext(t *testing.T) map[string][]byte {
	t.Helper()
	var patterns []string
	for line := range strings.Lines(read(t, ".dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	require.NotEmpty(t, patterns)
	require.Equal(t, "*", patterns[0])

	root := os.DirFS(repository())
	files := make(map[string][]byte)
	for _, pattern := range patterns[1:] {
		name, letsIn := strings.CutPrefix(pattern, "!")
		require.True(t, letsIn && !strings.Contains(name, "/"), "%s: not what this test understands", pattern)
		tops, err := fs.Glob(root, name)
		require.NoError(t, err)
		require.NotEmpty(t, tops, "%s lets nothing in", pattern)
		for _, top := range tops {
			require.NoError(t, fs.WalkDir(root, top, func(file string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() {
					files[file], err = fs.ReadFile(root, file)
				}
				return err
			}))
		}
	}
	return files
}

func TestBinaryIsStatic(t *testing.T) {
	file, err := elf.Open(binary(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	for _, program := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, program.Type, "asks for a dynamic loader, which the image lacks")
	}
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
}

func TestBinaryKnowsItsVersion(t *testing.T) {
	output, err := session(t, nil, "version")
	require.NoError(t, err, output)
	require.Contains(t, output, imageVersion)
}

func TestImageSettingsAreAccepted(t *testing.T) {
	set := image(t).environment(t)
	output, err := session(t, set, "config")
	require.Error(t, err, "production without secrets")
	require.Contains(t, output, "SESSION_SECRET")

	set["ANALYSIS_TMP_DIR"] = t.TempDir() // the image makes its own
	set["SESSION_SECRET"] = "a-session-secret-of-this-test-only"
	set["SERVICE_TOKENS"] = "a-service-token-of-this-test-only!"
	output, err = session(t, set, "config")
	require.NoError(t, err, output)
}

// session runs the binary in that environment alone.
func session(t *testing.T, environment map[string]string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = []string{}
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		cmd.Env = append(cmd.Env, name+"="+environment[name])
	}
	output, err := cmd.CombinedOutput()
	return string(output), err
}

var documented = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| (?:`([^`]*)`)?")

// The binary prints the documentation of the settings that it knows.
func TestExampleNamesEverySettingAndItsDefault(t *testing.T) {
	output, err := session(t, nil, "config", "-markdown")
	require.NoError(t, err, output)
	known := make(map[string]string)
	for _, m := range documented.FindAllStringSubmatch(output, -1) {
		known[m[1]] = m[2]
	}
	require.NotEmpty(t, known)
	require.Equal(t, known, exampleSettings(t))
}

func TestExampleDefaultsAreAccepted(t *testing.T) {
	output, err := session(t, exampleSettings(t), "config")
	require.NoError(t, err, output)
	for name, value := range exampleSettings(t) {
		if value != "" && value != "auto" {
			require.Contains(t, output, name+"="+value+"\n")
		}
	}
}
