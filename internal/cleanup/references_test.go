package cleanup_test

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/text/unicode/norm"

	"session-api/internal/cleanup"
)

// Whatever a client writes as a reference, it names something beneath the
// directory or nothing.
func FuzzReference(f *testing.F) {
	const dir, target = "/var/lib/files", "/mnt/volume/files"
	for _, seed := range []string{
		"", ".", "..", "/", "//", "file", "./file", "a/../../file", "a/b/../file", "../files/file", dir, dir + "/",
		dir + "/file", dir + "//a/./file", dir + "/../file", dir + "x/file", target + "/file", "/../var/lib/files/file",
		"a\x00b", "a\nb", `..\..\file`, "\xff", "....//", "~/file", "%2e%2e/file", "e\u0301", "\u00e9/e\u0301", "a/b/c", strings.Repeat("../", 100),
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
		assert.Equal(t, path.Clean(rel), rel)
		if rel == "." { // the directory itself, which only an absolute path names
			assert.Contains(t, spellings, path.Clean(ref))
			return
		}
		ref = norm.NFC.String(ref)

		// It is the one way to write it, and its absolute forms mean the same.
		for _, again := range []string{rel, "./" + rel, dir + "/" + rel, target + "/" + rel} {
			same, ok := cleanup.Relative(spellings, again)
			assert.True(t, ok)
			assert.Equal(t, rel, same)
		}
		// The last look asks for it, and for all directories on the way.
		asked := cleanup.Spellings(spellings, rel)
		for p := rel; p != "."; p = path.Dir(p) {
			assert.Subset(t, asked, []string{p, dir + "/" + p, target + "/" + p, norm.NFD.String(p)})
		}
		assert.Subset(t, asked, spellings)

		// What the words say agrees with where the path leads.
		full := path.Clean(ref)
		if !path.IsAbs(full) {
			full = path.Join(dir, full)
		}
		assert.Contains(t, []string{dir + "/" + rel, target + "/" + rel}, full)
	})
}
