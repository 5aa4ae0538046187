package cleanup

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
)

// bases are the absolute spellings of the directory: as configured, and where
// that leads.
type bases []string

func (j *Job) bases() bases {
	b := bases{j.dir}
	if target, err := filepath.EvalSymlinks(j.dir); err == nil && target != j.dir {
		b = append(b, target)
	}
	return b
}

// relative returns the path within the directory that a reference names, and
// false if it names none there. It reads the words only: a reference that goes
// through a symbolic link does not name what the link leads to.
func (b bases) relative(ref string) (string, bool) {
	p := path.Clean(ref)
	if path.IsAbs(p) {
		for _, base := range b {
			if rel, ok := strings.CutPrefix(p, base+"/"); ok {
				return rel, true
			}
		}
		return "", false
	}
	if p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return p, true
}

// spellings are the references that name a file of the directory: in their
// shortest form, as they come from the store.
func (b bases) spellings(rel string) []string {
	names := []string{rel}
	for _, base := range b {
		names = append(names, base+"/"+rel)
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

// has reports whether the file is among them that has the path rel.
func (r *references) has(rel []byte) bool {
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

// referenced asks the store whether a session refers to the file by now.
func (p *pass) referenced(ctx context.Context, rel string) (bool, error) {
	has, err := p.job.references.HasFile(ctx, p.job.now(), p.bases.spellings(rel)...)
	if err != nil {
		return false, fmt.Errorf("looking up a reference to a file: %w", err)
	}
	return has, ctx.Err()
}
