package cleanup_test

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/cleanup"
)

// Whatever a client writes as a reference, it names something beneath the
// directory or nothing.
func FuzzReference(f *testing.F) {
	const dir, target = "/var/lib/files", "/mnt/volume/files"
	for _, seed := range []string{
		"", ".", "..", "/", "//", "file", "./file", "a/../../file", "a/b/../file", "../files/file", dir, dir + "/",
		dir + "/file", dir + "//a/./file", dir + "/../file", dir + "x/file", target + "/file", "/../var/lib/files/file",
		"a\x00b", "a\nb", `..\..\file`, "\xff", "....//", "~/file", "%2e%2e/file", strings.Repeat("../", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		spellings := []string{dir, target}
		rel, ok := cleanup.Relative(spellings, ref)
		if !ok {
			assert.Empty(t, rel)
			return
		}
		assert.True(t, filepath.IsLocal(rel), "%q leaves the directory", rel)
		assert.NotEqual(t, ".", rel)
		assert.Equal(t, path.Clean(rel), rel)

		// It is the one way to write it, and its absolute forms mean the same.
		for _, again := range []string{rel, "./" + rel, dir + "/" + rel, target + "/" + rel} {
			same, ok := cleanup.Relative(spellings, again)
			assert.True(t, ok)
			assert.Equal(t, rel, same)
		}

		// What the words say agrees with where the path leads.
		full := path.Clean(ref)
		if !path.IsAbs(full) {
			full = path.Join(dir, full)
		}
		assert.Contains(t, []string{dir + "/" + rel, target + "/" + rel}, full)
	})
}
