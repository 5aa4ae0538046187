package deploy_test

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instruction is one instruction of a Dockerfile: its name in upper case and
// the rest, continuation lines joined.
type instruction struct{ name, rest string }

// stage is what stands between two FROMs, the first of them included.
type stage []instruction

func dockerfile(t *testing.T) []stage {
	t.Helper()
	var kept []string
	for line := range strings.Lines(read(t, "Dockerfile")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	var stages []stage
	for line := range strings.Lines(strings.ReplaceAll(strings.Join(kept, "\n"), "\\\n", " ")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		in := instruction{strings.ToUpper(name), strings.TrimSpace(rest)}
		if in.name == "FROM" {
			stages = append(stages, nil)
		}
		require.NotEmpty(t, stages, "an instruction before the first FROM")
		last := len(stages) - 1
		stages[last] = append(stages[last], in)
	}
	require.NotEmpty(t, stages)
	return stages
}

// all returns the rests of the instructions of that name.
func (s stage) all(name string) []string {
	var rests []string
	for _, in := range s {
		if in.name == name {
			rests = append(rests, in.rest)
		}
	}
	return rests
}

// one returns the rest of the only instruction of that name.
func (s stage) one(t *testing.T, name string) string {
	t.Helper()
	rests := s.all(name)
	require.Len(t, rests, 1, "%s instructions", name)
	return rests[0]
}

// environment is what the stage's ENV instructions set.
func (s stage) environment(t *testing.T) map[string]string {
	t.Helper()
	set := make(map[string]string)
	for _, rest := range s.all("ENV") {
		for pair := range strings.FieldsSeq(rest) {
			name, value, ok := strings.Cut(pair, "=")
			require.True(t, ok, "ENV %s", pair)
			set[name] = value
		}
	}
	return set
}

// execForm parses the JSON array that makes an instruction run without a
// shell.
func execForm(t *testing.T, rest string) []string {
	t.Helper()
	var words []string
	require.NoError(t, json.Unmarshal([]byte(rest), &words), "%s: not the exec form, and the image has no shell", rest)
	require.NotEmpty(t, words)
	return words
}

func image(t *testing.T) stage {
	t.Helper()
	stages := dockerfile(t)
	return stages[len(stages)-1]
}

func TestImageRunsUnprivileged(t *testing.T) {
	user, group, _ := strings.Cut(image(t).one(t, "USER"), ":")
	for _, id := range []string{user, group} {
		require.Regexp(t, `^[1-9][0-9]*$`, id, "Kubernetes' runAsNonRoot needs a number, and not root's")
	}
}

func TestImageNeedsNoShell(t *testing.T) {
	final := image(t)
	require.Empty(t, final.all("RUN"))

	binary := execForm(t, final.one(t, "ENTRYPOINT"))[0]
	_, check, found := strings.Cut(final.one(t, "HEALTHCHECK"), "CMD ")
	require.True(t, found)
	require.Equal(t, []string{binary, "healthcheck"}, execForm(t, check))

	require.True(t, slices.ContainsFunc(final.all("COPY"), func(rest string) bool {
		return strings.HasSuffix(rest, " "+binary)
	}), "nothing is copied to %s", binary)
}

func TestImageIsSetForProduction(t *testing.T) {
	final, known := image(t), exampleSettings(t)
	set := final.environment(t)
	require.Equal(t, "production", set["APP_ENV"])
	for name := range set {
		require.Contains(t, known, name)
	}
	require.Equal(t, known["PORT"], final.one(t, "EXPOSE"))
}

// A volume that is mounted for the first time takes over the directory's
// owner.
func TestImageOwnsItsDirectories(t *testing.T) {
	final := image(t)
	for _, dir := range []string{final.environment(t)["ANALYSIS_TMP_DIR"], "/var/lib/session-api/data"} {
		require.True(t, path.IsAbs(dir))
		i := slices.IndexFunc(final.all("COPY"), func(rest string) bool { return strings.HasSuffix(rest, " "+dir) })
		require.GreaterOrEqual(t, i, 0, "nothing makes %s", dir)
		require.Contains(t, final.all("COPY")[i], "--chown="+final.one(t, "USER")+" ")
	}
	require.Contains(t, read(t, "docs/reliability.md"), "/var/lib/session-api/data")
}

// The licenses of what is in the binary ask for their text to go with it.
func TestImageHasTheNotices(t *testing.T) {
	stages := dockerfile(t)
	require.Contains(t, stages[len(stages)-1].all("COPY"), "THIRD-PARTY-NOTICES /THIRD-PARTY-NOTICES")
	require.Contains(t, read(t, "THIRD-PARTY-NOTICES"), "github.com/go-chi/chi/v5")
	require.Contains(t, read(t, ".dockerignore"), "!THIRD-PARTY-NOTICES\n")
}
