package cleanup_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"session-api/internal/cleanup"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// thing is a file or directory of a random tree.
type thing struct {
	dir  bool
	link bool
	age  time.Duration
	// referenced: in a form that counts.
	referenced bool
}

// model is a tree, by path from its root.
type model map[string]thing

var ages = []time.Duration{-old, fresh, grace - time.Minute, grace + time.Minute, old, ttl - time.Minute, ttl + time.Minute, 1000 * ttl}

func drawTree(t *rapid.T) model {
	m := model{}
	names := rapid.SampledFrom([]string{"a", "b", "c", "d e", "\xff"})
	var grow func(at string, depth int)
	grow = func(at string, depth int) {
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			p := path.Join(at, names.Draw(t, "name"))
			if _, taken := m[p]; taken {
				continue
			}
			age := rapid.SampledFrom(ages).Draw(t, "age")
			switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
			case kind == 0:
				m[p] = thing{link: true, age: age}
			case kind < 5 && depth < 4:
				m[p] = thing{dir: true, age: age}
				grow(p, depth+1)
			default:
				m[p] = thing{age: age}
			}
		}
	}
	grow("", 0)
	return m
}

// drawReferences refers to some of the files and to much that is none.
func drawReferences(t *rapid.T, m model, dir string) []string {
	refs := rapid.SliceOf(rapid.SampledFrom([]string{
		"", "/", "..", "../a", "nothing", "/a", "a/../../b", path.Dir(dir), dir + "/../a", "/etc/passwd", "A", "a\x00",
	})).Draw(t, "idle references")
	for _, p := range slices.Sorted(maps.Keys(m)) {
		if !rapid.Bool().Draw(t, "referenced") {
			continue
		}
		counts := []string{p, "./" + p, dir + "/" + p, "x/../" + p, dir + "/./" + p, "/etc/.." + dir + "/" + p}
		not := []string{"../" + p, "/" + p, p + "x", dir + "x/" + p, path.Dir(dir) + "/" + p, "x/../../" + p}
		one := m[p]
		if one.referenced = rapid.Bool().Draw(t, "counts"); one.referenced {
			refs = append(refs, rapid.SampledFrom(counts).Draw(t, "reference"))
		} else {
			refs = append(refs, rapid.SampledFrom(not).Draw(t, "reference"))
		}
		m[p] = one
	}
	return refs
}

// after says what must be left of a tree, and what the report says of it.
func (m model) after() (left []string, want cleanup.Report) {
	stays := map[string]bool{}
	for p, one := range m {
		for above := p; above != "."; above = path.Dir(above) { // a directory keeps all beneath
			one.referenced = one.referenced || m[above].dir && m[above].referenced
		}
		switch {
		case one.dir:
			stays[p] = one.age <= grace || one.referenced
		case one.link:
			want.Skipped++
			stays[p] = true
		default:
			want.Scanned++
			stays[p] = one.age <= grace || one.age <= ttl && one.referenced
			if stays[p] {
				want.Kept++
			} else {
				want.Deleted++
				want.BytesFreed += int64(len("content"))
			}
		}
	}
	for p, it := range stays { // what holds something stays
		for ; it && p != "."; p = path.Dir(p) {
			stays[p] = true
		}
	}
	for p, one := range m {
		if stays[p] {
			left = append(left, p)
		} else if one.dir {
			want.DirsRemoved++
		}
	}
	slices.Sort(left)
	return left, want
}

func (m model) build(t *testing.T, dir string) {
	t.Helper()
	// From the leaves up: to make an entry changes its directory's time.
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(m))) {
		full := filepath.Join(dir, p)
		switch one := m[p]; {
		case one.dir:
			mkdir(t, dir, p, one.age)
		case one.link:
			require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
			require.NoError(t, os.Symlink(dir, full))
		default:
			write(t, dir, p, one.age)
		}
	}
	// All directories are there: set their times last, deepest first.
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(m))) {
		if m[p].dir {
			setAge(t, filepath.Join(dir, p), m[p].age)
		}
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		m := drawTree(rt)
		s := referring(drawReferences(rt, m, dir)...)
		m.build(t, dir)
		left, want := m.after()

		j := newJob(t, dir, s)
		before := tree(t, dir)
		dry, err := j.Run(t.Context(), true)
		require.NoError(rt, err)
		require.Equal(rt, before, tree(t, dir))
		got, err := j.Run(t.Context(), false)
		require.NoError(rt, err)

		there := []string{}
		for p := range tree(t, dir) {
			if p != "" {
				there = append(there, strings.TrimPrefix(p, "/"))
			}
		}
		slices.Sort(there)
		assert.Equal(rt, append([]string{}, left...), there)

		want.StartedAt, want.DurationMs, want.Directory = got.StartedAt, got.DurationMs, dir
		want.Entries = got.Entries
		assert.Equal(rt, want, got)
		dry.DryRun = false
		assert.Equal(rt, got, dry)

		// There is no more to do.
		again, err := j.Run(t.Context(), false)
		require.NoError(rt, err)
		assert.Zero(rt, again.Deleted)
		assert.Zero(rt, again.DirsRemoved, fmt.Sprint(again.Entries))
	})
}
