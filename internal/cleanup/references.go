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

// rootPaths are the absolute paths of the directory: as configured, and with symbolic
// links resolved.
type rootPaths []string

// rootRef is the path of the directory itself, within it.
const rootRef = "."

func (j *Job) rootPaths() rootPaths {
	b := rootPaths{j.dir}
	if target, err := filepath.EvalSymlinks(j.dir); err == nil && target != j.dir {
		b = append(b, target)
	}
	return b
}

// relative returns the path of a reference relative to the directory, and false if it
// is not within the directory. It is lexical: a reference through a symbolic link does
// not name the link's target. The directory itself is named by its absolute path only.
func (b rootPaths) relative(ref string) (string, bool) {
	p := path.Clean(schema.CanonicalName(ref))
	if path.IsAbs(p) {
		for _, base := range b {
			rel, ok := strings.CutPrefix(p, schema.CanonicalName(base))
			if ok && rel == "" {
				return rootRef, true
			}
			if ok && rel[0] == '/' {
				return rel[1:], true
			}
		}
		return "", false
	}
	if p == rootRef || p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return p, true
}

// spellings returns all references that keep a file: to the file itself and to each
// directory that contains it, in their shortest form and in both Unicode forms.
func (b rootPaths) spellings(rel string) []string {
	var names []string
	for p := rel; p != rootRef; p = path.Dir(p) {
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

// references is the set of files that live sessions refer to, as hashes: eight bytes
// each, however long the paths are. On a collision, a file is kept that could be deleted.
type references struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
}

// has reports whether rel is in the set.
func (r *references) has(rel string) bool {
	_, ok := r.hashes[maphash.String(r.seed, schema.CanonicalName(rel))]
	return ok
}

// hasBytes is has for bytes.
func (r *references) hasBytes(rel []byte) bool {
	if bytes.ContainsFunc(rel, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return r.has(string(rel))
	}
	_, ok := r.hashes[maphash.Bytes(r.seed, rel)]
	return ok
}

// loadReferences reads the references from the store. After an error they are incomplete.
func (p *pass) loadReferences(ctx context.Context) error {
	p.refs = references{seed: maphash.MakeSeed(), hashes: make(map[uint64]struct{})}
	ignored := 0
	err := p.job.references.Files(ctx, p.job.now(), func(ref string) error {
		if rel, ok := p.rootPaths.relative(ref); ok {
			p.refs.hashes[maphash.String(p.refs.seed, rel)] = struct{}{}
		} else {
			ignored++
		}
		return ctx.Err()
	})
	p.rec.addLogAttrs(slog.Int("references", len(p.refs.hashes)), slog.Int("referencesIgnored", ignored))
	if err == nil {
		return nil
	}
	err = fmt.Errorf("reading the references to files: %w", err)
	if ctx.Err() == nil {
		p.rec.failed(ctx, failure{op: "reading the references to files", err: err, fromStore: true})
	}
	return err
}

// referenced asks the store whether a session refers to the file by now. It asks for
// all spellings in one call, so that a reference that changes its spelling is not missed.
func (p *pass) referenced(ctx context.Context, rel string) (bool, error) {
	has, err := p.job.references.HasFile(ctx, p.job.now(), p.rootPaths.spellings(rel)...)
	if err != nil {
		return false, fmt.Errorf("looking up a reference to a file: %w", err)
	}
	return has, ctx.Err()
}
