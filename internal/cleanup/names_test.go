package cleanup_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/cleanup"
)

func TestEscape(t *testing.T) {
	for name, shown := range map[string]string{
		"":                     "",
		"a/b.csv":              "a/b.csv",
		`a "quoted" file`:      `a "quoted" file`,
		"größe 漢字 🎉":           "größe 漢字 🎉",
		"two\nlines\r\t":       `two\nlines\r\t`,
		"\x00\x1b[2J\x7f":      `\x00\x1b[2J\x7f`,
		"latin1-\xe9":          `latin1-\xe9`,
		"cut-\xf0\x9f\x8e":     `cut-\xf0\x9f\x8e`,
		"replaced-\ufffd":      "replaced-\ufffd",
		"right-to-left\u202e":  `right-to-left\u202e`,
		"line\u2028 separator": `line\u2028 separator`,
		`back\slash`:           `back\\slash`,
		`not\na newline`:       `not\\na newline`,
	} {
		assert.Equal(t, shown, cleanup.Escape(name))
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\n\xff\\", "a\\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		shown := cleanup.Escape(a)
		assert.True(t, utf8.ValidString(shown))
		assert.NotContains(t, shown, "\n")
		assert.Equal(t, a == b, shown == cleanup.Escape(b), "no two names look the same")
	})
}

// Names that are no text are cleaned as any other, and do no harm where they
// are shown.
func TestHostileNames(t *testing.T) {
	names := []string{
		"two\nlines", "level=ERROR msg=\"forged\"", "latin1-\xe9", "\xff\xfe", "\x1b[2J", `back\slash`,
		" ", "...", "-rf", "*", "~", "right-to-left\u202e", strings.Repeat("x", 255), "\r", "$(reboot)",
	}
	dir := t.TempDir()
	for i, name := range names {
		sub := fmt.Sprintf("sub\n%d", i)
		write(t, dir, sub+"/"+name, old)
		mkdir(t, dir, sub, old)
		write(t, dir, name, old)
	}
	// One that fails, for the line that it leaves in the log.
	deep := "deep\n\xe9/" + strings.Repeat("d/", cleanup.MaxDepth)
	write(t, dir, deep+"file", old)

	var buf bytes.Buffer
	o := options(dir, referring())
	o.Logger = slog.New(slog.NewTextHandler(&buf, nil))
	report, err := newJobOf(t, o).Run(t.Context(), false)
	require.NoError(t, err)

	assert.Equal(t, 2*len(names), report.Deleted)
	assert.Equal(t, len(names), report.DirsRemoved)
	assert.Equal(t, 1, report.Errors)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "what failed, and the marker")

	body, err := json.Marshal(report)
	require.NoError(t, err)
	assert.Contains(t, string(body), `two\\nlines`)
	assert.Contains(t, string(body), `latin1-\\xe9`)
	for _, e := range report.Entries {
		assert.True(t, utf8.ValidString(e.Path))
		assert.NotContains(t, e.Path, "\n")
	}
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	assert.Len(t, lines, 2)
	assert.NotContains(t, buf.String(), "\xe9")
	assert.Contains(t, lines[0], "deep")
}

// RFC 3339 cannot say all times that a file system can.
func TestModifiedAt(t *testing.T) {
	at := time.Date(2026, 11, 21, 14, 2, 11, 5e8+1, time.FixedZone("", 3600))
	require.NotNil(t, cleanup.ModifiedAt(at))
	assert.Equal(t, time.Date(2026, 11, 21, 13, 2, 11, 5e8, time.UTC), *cleanup.ModifiedAt(at))
	for _, year := range []int{-1, 10000, 1 << 30} {
		assert.Nil(t, cleanup.ModifiedAt(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)))
	}
}

// As far back and ahead as the file system goes.
func TestExtremeTimes(t *testing.T) {
	dir := t.TempDir()
	for name, at := range map[string]time.Time{
		"1902": time.Date(1902, 1, 1, 0, 0, 0, 0, time.UTC), "1970": time.Unix(0, 0),
		"2105": time.Date(2105, 1, 1, 0, 0, 0, 0, time.UTC), "2261": time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		require.NoError(t, os.Chtimes(write(t, dir, name, 0), at, at))
	}
	report := clean(t, dir, referring())
	assert.Equal(t, 2, report.Deleted)
	assert.Equal(t, 2, report.Kept)
	assert.FileExists(t, filepath.Join(dir, "2105"))
	assert.FileExists(t, filepath.Join(dir, "2261"))
	_, err := json.Marshal(report)
	assert.NoError(t, err)
}
