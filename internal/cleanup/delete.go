package cleanup

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

var (
	errReplaced = errors.New("the directory was replaced while it was cleaned")
	errTooDeep  = errors.New("nested too deep")
)

// delete deletes a file, unless it or what refers to it has changed.
//
// An instant remains between the last look and the deletion: a file that is put
// in the place of the old one just then is lost, of a symbolic link the link
// alone.
func (l *level) delete(ctx context.Context, d due) error {
	path := l.path(d.name)
	if d.reason == ReasonUnreferenced {
		switch has, err := l.pass.referenced(ctx, path); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			// The store no longer tells what is referenced: that ends the run.
			l.pass.rec.failed(ctx, failure{path: path, file: d.info, doing: "looking up its references", err: err, store: true})
			return err
		case has:
			l.keep()
			return nil
		}
	}
	if l.pass.rec.report.DryRun { // the last look is for what is deleted
		l.pass.rec.deleted(path, d.info, d.reason)
		return nil
	}
	switch now, err := l.look(d.name); {
	case errors.Is(err, errReplaced):
		return err
	case err != nil:
		l.failedFile(ctx, d, "looking at it again", err)
		return nil
	case !os.SameFile(now, d.info) || !now.Mode().IsRegular() ||
		!now.ModTime().Equal(d.info.ModTime()) || !l.pass.job.changed(now).Equal(l.pass.job.changed(d.info)) ||
		now.Size() != d.info.Size():
		l.keep()
		return nil
	}
	if err := l.remove(d.name); err != nil {
		l.failedFile(ctx, d, "deleting it", err)
		return nil
	}
	l.pass.rec.deleted(path, d.info, d.reason)
	return nil
}

// descend cleans a subdirectory, and removes it if it is empty then and was not
// changed within the grace before this run, as far as that can be told, unless a
// session refers to it.
func (l *level) descend(ctx context.Context, d due) error {
	if l.depth == maxDepth {
		l.failed(ctx, d.name, "opening it", errTooDeep)
		return nil
	}
	switch empty, err := l.cleanSub(ctx, d); {
	case err != nil:
		return err
	case !empty || l.pass.held || l.pass.started.Sub(l.pass.job.changed(d.info)) <= l.pass.job.grace || l.referenced(d.name):
		l.occupied = true
		return nil
	}
	switch has, err := l.pass.referenced(ctx, l.path(d.name)); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		l.pass.rec.failed(ctx, failure{path: l.path(d.name), doing: "looking up its references", err: err, store: true})
		return err
	case has:
		l.occupied = true
		return nil
	}
	switch now, err := l.look(d.name); {
	case errors.Is(err, errReplaced):
		return err
	case err != nil:
		l.failed(ctx, d.name, "looking at it again", err)
		return nil
	case !os.SameFile(now, d.info):
		l.occupied = true
		return nil
	}
	switch err := l.remove(d.name); {
	case errors.Is(err, fs.ErrExist): // no longer empty
		l.occupied = true
	case err != nil:
		l.failed(ctx, d.name, "removing it", err)
	default:
		l.pass.rec.dirRemoved(l.path(d.name), d.info)
	}
	return nil
}

// cleanSub cleans a subdirectory, if it is still the one that was seen.
func (l *level) cleanSub(ctx context.Context, d due) (empty bool, err error) {
	// With the "/." a FIFO in the directory's place is an error, not a wait.
	sub, err := l.dir.OpenRoot(d.name + "/.")
	if err != nil {
		l.failed(ctx, d.name, "opening it", err)
		return false, nil // in the report: the rest is cleaned all the same
	}
	defer shut(sub)
	opened, err := sub.Stat(".")
	if err != nil || !os.SameFile(opened, d.info) {
		return false, nil // replaced meanwhile: left alone
	}
	below := &level{
		pass: l.pass, parent: l, name: d.name, dir: sub, info: d.info,
		rel: l.path(d.name), depth: l.depth + 1, covered: l.referenced(d.name),
	}
	switch err := below.inPlace(); {
	case errors.Is(err, errReplaced):
		return false, err
	case err != nil:
		return false, nil // opened by way of a symbolic link
	}
	return below.clean(ctx)
}

// look looks at an entry of the directory anew. It returns fs.ErrNotExist if the
// entry is gone, or if the directory is no longer where it was seen, and
// errReplaced if that is so of the root.
func (l *level) look(name string) (fs.FileInfo, error) {
	if err := l.inPlace(); err != nil {
		return nil, err
	}
	return l.dir.Lstat(name)
}

// inPlace checks, from the root down, that each directory on the way is the one
// that was seen there. No symbolic link is followed, not even one within.
func (l *level) inPlace() error {
	if l.parent == nil {
		if here, err := os.Lstat(l.pass.job.dir); err != nil || !os.SameFile(here, l.info) {
			return errReplaced
		}
		return nil
	}
	if err := l.parent.inPlace(); err != nil {
		return err
	}
	if here, err := l.parent.dir.Lstat(l.name); err != nil || !os.SameFile(here, l.info) {
		return fs.ErrNotExist
	}
	return nil
}

// remove removes an entry of the very directory that was read, wherever its
// path leads by now.
func (l *level) remove(name string) error {
	if l.pass.rec.report.DryRun {
		return nil
	}
	return l.dir.Remove(name)
}
