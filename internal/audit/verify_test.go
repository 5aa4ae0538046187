package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/audit"
)

// write appends so many entries to the log of a file.
func write(t testing.TB, path string, n int) {
	t.Helper()
	l, err := audit.OpenFile(path, audit.Options{})
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, l.Append(audit.Entry{
			Actor: audit.Token("billing"), Act: audit.SessionEnded, Outcome: audit.Done, Namespace: "default",
			Session: "0123456789ab", UserID: fmt.Sprintf(`user "%d" \`, i), Details: map[string]any{"n": i},
		}))
	}
	require.NoError(t, l.Close())
}

// chain returns a path and the lines of a whole log, the first of which begins it.
func chain(t testing.TB, n int) (path string, lines [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	write(t, path, n)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	lines = bytes.SplitAfter(content, []byte("\n"))
	return path, lines[:len(lines)-1]
}

// verify checks the texts of files.
func verify(t testing.TB, texts ...[]byte) audit.Report {
	t.Helper()
	var v audit.Verifier
	for i, text := range texts {
		require.NoError(t, v.Read(fmt.Sprintf("file%d", i+1), bytes.NewReader(text)))
	}
	return v.Report()
}

// found returns the findings as text.
func found(r audit.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

func TestVerify(t *testing.T) {
	t.Parallel()
	_, lines := chain(t, 9)
	whole := bytes.Join(lines, nil)

	r := verify(t, whole)
	require.Empty(t, r.Findings)
	require.Empty(t, r.Notes)
	require.Equal(t, 10, r.Lines)
	require.EqualValues(t, 1, r.First)
	require.EqualValues(t, 10, r.Last)

	with := func(change func(lines [][]byte) [][]byte) string {
		return found(verify(t, bytes.Join(change(slices.Clone(lines)), nil)))
	}
	require.Equal(t, "file1:4: it was changed: its sum is that of another text\n", with(func(l [][]byte) [][]byte {
		l[3] = bytes.Replace(l[3], []byte("billing"), []byte("Billing"), 1)
		return l
	}))
	require.Equal(t, "file1:4: lines are missing before it: its sequence number is 5, after 3\n", with(func(l [][]byte) [][]byte {
		return slices.Delete(l, 3, 4)
	}))
	require.Equal(t, "file1:1: lines are missing before it: the first one has the sequence number 2\n", with(func(l [][]byte) [][]byte {
		return l[1:]
	}))
	require.Equal(t, "file1:5: its sequence number is 4, after 4: it was inserted or moved\n", with(func(l [][]byte) [][]byte {
		return slices.Insert(l, 4, l[3])
	}))
	require.Equal(t, "file1:5: it is no entry of an audit log\n", with(func(l [][]byte) [][]byte {
		return slices.Insert(l, 4, []byte("nothing\n"))
	}))
	require.Equal(t, "file1:4: lines are missing before it: its sequence number is 5, after 3\n"+
		"file1:5: its sequence number is 4, after 5: it was inserted or moved\n", with(func(l [][]byte) [][]byte {
		l[3], l[4] = l[4], l[3]
		return l
	}))
	require.Equal(t, "file1:5: it is no entry of an audit log\n", with(func(l [][]byte) [][]byte {
		l[4] = append(slices.Clone(l[4][:40]), '\n')
		return l
	}), "cut off in the middle of the file")

	_, others := chain(t, 5)
	require.Contains(t, with(func(l [][]byte) [][]byte { return slices.Insert(l, 3, others[3]) }), "another chain")
	require.Contains(t, with(func(l [][]byte) [][]byte { return append(l[:3], others...) }), "another chain")
}

// Whoever writes a line anew with a sum that fits is found by the line after it.
func TestVerifyForgedSum(t *testing.T) {
	t.Parallel()
	_, lines := chain(t, 9)
	_, others := chain(t, 9)
	forged := slices.Clone(lines)
	forged[5] = reSum(t, bytes.Replace(lines[5], []byte("billing"), []byte("nobody!"), 1))
	require.Equal(t, "file1:7: it does not follow on the line before: that was changed, or this was inserted\n", found(verify(t, bytes.Join(forged, nil))))

	forged = slices.Clone(lines)
	forged[5] = others[5]
	require.Contains(t, found(verify(t, bytes.Join(forged, nil))), "file1:6: it is of another chain")
}

func TestVerifyEveryTampering(t *testing.T) {
	t.Parallel()
	_, lines := chain(t, 12)
	rapid.Check(t, func(t *rapid.T) {
		changed := slices.Clone(lines)
		at := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		switch what := rapid.SampledFrom([]string{"change", "drop", "swap", "insert", "duplicate", "shorten"}).Draw(t, "what"); what {
		case "change":
			changed[at] = slices.Clone(changed[at])
			i := rapid.IntRange(0, len(changed[at])-1).Draw(t, "byte")
			changed[at][i] ^= rapid.ByteRange(1, 255).Draw(t, "difference")
		case "drop":
			if at == len(lines)-1 {
				t.Skip("the last line: the next one would tell")
			}
			changed = slices.Delete(changed, at, at+1)
		case "swap":
			other := rapid.IntRange(0, len(lines)-1).Filter(func(i int) bool { return i != at }).Draw(t, "other")
			changed[at], changed[other] = changed[other], changed[at]
		case "insert":
			text := rapid.SliceOf(rapid.ByteRange(1, 255)).Draw(t, "text")
			changed = slices.Insert(changed, at, append(text, '\n'))
		case "duplicate":
			to := rapid.IntRange(0, len(lines)).Draw(t, "to")
			changed = slices.Insert(changed, to, changed[at])
		case "shorten":
			if at == len(lines)-1 {
				t.Skip("the last line: not to be told from a crash")
			}
			changed[at] = append(slices.Clone(changed[at][:rapid.IntRange(0, len(changed[at])-2).Draw(t, "length")]), '\n')
		}
		var v audit.Verifier
		if err := v.Read("file", bytes.NewReader(bytes.Join(changed, nil))); err != nil {
			t.Fatal(err)
		}
		if len(v.Report().Findings) == 0 {
			t.Fatalf("not found")
		}
	})
}

// Every byte of a log matters, also in a line that a crash has torn off and that was
// closed by the next start.
func TestVerifyEveryByte(t *testing.T) {
	t.Parallel()
	path, lines := chain(t, 2)
	require.NoError(t, os.WriteFile(path, append(bytes.Join(lines, nil), lines[1][:50]...), 0o600))
	write(t, path, 1)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	r := verify(t, content)
	require.Empty(t, r.Findings)
	require.Len(t, r.Notes, 1)
	for i := range content {
		for _, bit := range []byte{1, 32} { // the second is the case of a letter
			content[i] ^= bit
			require.NotEmpty(t, verify(t, content).Findings, "byte %d, bit %d", i, bit)
			content[i] ^= bit
		}
	}
}

func TestVerifyTornLastLine(t *testing.T) {
	t.Parallel()
	_, lines := chain(t, 3)
	whole := bytes.Join(lines[:3], nil)
	for cut := 1; cut < len(lines[3]); cut++ {
		r := verify(t, append(slices.Clone(whole), lines[3][:cut]...))
		if cut == len(lines[3])-1 { // all but the line break
			require.Empty(t, r.Notes)
			require.EqualValues(t, 4, r.Last)
		} else {
			require.Len(t, r.Notes, 1)
			require.EqualValues(t, 3, r.Last)
		}
		require.Empty(t, r.Findings, "%d bytes", cut)
	}
	require.Len(t, verify(t, append(slices.Clone(whole), make([]byte, 4096)...)).Notes, 1, "zeros, as after a power failure")
}

func TestVerifySeveralFiles(t *testing.T) {
	t.Parallel()
	_, lines := chain(t, 9)
	a, b := bytes.Join(lines[:5], nil), bytes.Join(lines[5:], nil)
	require.Empty(t, verify(t, a, b).Findings)
	require.NotEmpty(t, verify(t, b, a).Findings)
	require.NotEmpty(t, verify(t, a, a).Findings)
	require.NotEmpty(t, verify(t, b).Findings, "it does not begin as a renamed log goes on")
}

func FuzzVerify(f *testing.F) {
	path, lines := chain(f, 3)
	whole := bytes.Join(lines, nil)
	f.Add(whole)
	f.Add(append(slices.Clone(whole), lines[1][:70]...))
	f.Add([]byte("{\"chain\":\"a\",\"sum\":\"\"}\n"))
	require.NoError(f, os.WriteFile(path, append(slices.Clone(whole), "{\"chain\":"...), 0o600))
	write(f, path, 1)
	healed, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(healed)
	f.Fuzz(func(t *testing.T, text []byte) {
		r := verify(t, text)
		if r.Lines > bytes.Count(text, []byte("\n"))+1 {
			t.Fatalf("%d lines", r.Lines)
		}
		// A log that is in order stays so when it is read in two parts.
		if len(r.Findings) == 0 && r.Lines > 1 && len(r.Notes) == 0 {
			i := bytes.IndexByte(text, '\n') + 1
			if parts := verify(t, text[:i], text[i:]); len(parts.Findings) > 0 {
				t.Fatal(parts.Findings)
			}
		}
	})
}
