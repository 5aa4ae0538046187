package cleanup

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"session-api/internal/schema"
)

// bases are the absolute spellings of the directory: as configured, and where
// that leads.
type bases []string

// top is the path of the directory itself, within it.
const top = "."

func (j *Job) bases() bases {
	b := bases{j.dir}
	if target, err := filepath.EvalSymlinks(j.dir); err == nil && target != j.dir {
		b = append(b, target)
	}
	return b
}

// relative returns the path within the directory that a reference names, and
// false if it names none there. It reads the words only: a reference that goes
// through a symbolic link does not name what the link leads to. The directory
// itself is named by its absolute path alone.
func (b bases) relative(ref string) (string, bool) {
	p := path.Clean(schema.CanonicalName(ref))
	if path.IsAbs(p) {
		for _, base := range b {
			rel, ok := strings.CutPrefix(p, schema.CanonicalName(base))
			if ok && rel == "" {
				return top, true
			}
			if ok && rel[0] == '/' {
				return rel[1:], true
			}
		}
		return "", false
	}
	if p == top || p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return p, true
}

// spellings are the references that keep a file of the directory: to the file
// itself and to each directory that it lies in, in their shortest form, as they
// come from the store, and in both forms of Unicode.
func (b bases) spellings(rel string) []string {
	var names []string
	for p := rel; p != top; p = path.Dir(p) {
		names = append(names, schema.NameSpellings(p)...)
		for _, base := range b {
			names = append(names, schema.NameSpellings(base+"/"+p)...)
		}
	}
	for _, base := range b {
		names = append(names, schema.NameSpellings(base)...)
	}
	return names
}

// references is the set of files that live sessions refer to, as hashes: eight
// bytes each, however long the paths are. Where two paths share a hash, a file
// stays that could have gone.
type references struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
}

// has reports whether the file or directory is among them that has the path rel.
func (r *references) has(rel string) bool {
	_, ok := r.hashes[maphash.String(r.seed, schema.CanonicalName(rel))]
	return ok
}

// hasBytes is has.
func (r *references) hasBytes(rel []byte) bool {
	if bytes.ContainsFunc(rel, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return r.has(string(rel))
	}
	_, ok := r.hashes[maphash.Bytes(r.seed, rel)]
	return ok
}

// load reads the references. On an error none of them may be relied on.
func (p *pass) load(ctx context.Context) error {
	p.refs = references{seed: maphash.MakeSeed(), hashes: make(map[uint64]struct{})}
	ignored := 0
	err := p.job.references.Files(ctx, p.job.now(), func(ref string) error {
		if rel, ok := p.bases.relative(ref); ok {
			p.refs.hashes[maphash.String(p.refs.seed, rel)] = struct{}{}
		} else {
			ignored++
		}
		return ctx.Err()
	})
	p.rec.note(slog.Int("references", len(p.refs.hashes)), slog.Int("referencesIgnored", ignored))
	if err == nil {
		return nil
	}
	err = fmt.Errorf("reading the references to files: %w", err)
	if ctx.Err() == nil {
		p.rec.failed(ctx, failure{doing: "reading the references to files", err: err, store: true})
	}
	return err
}

// referenced asks the store whether a session refers to the file by now, in all
// spellings at once: one that changes from one to another is not missed between.
func (p *pass) referenced(ctx context.Context, rel string) (bool, error) {
	has, err := p.job.references.HasFile(ctx, p.job.now(), p.bases.spellings(rel)...)
	if err != nil {
		return false, fmt.Errorf("looking up a reference to a file: %w", err)
	}
	return has, ctx.Err()
}
