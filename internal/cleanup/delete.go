package cleanup

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

var (
	errReplacedDuringRun = errors.New("the directory was replaced while it was cleaned")
	errTooDeep           = errors.New("nested too deep")
)

// delete deletes a file, unless the file or the references to it have changed.
//
// A file that replaces the old one between the last check and the deletion is lost;
// of a symbolic link, only the link.
func (l *level) delete(ctx context.Context, d candidate) error {
	path := l.path(d.name)
	if d.reason == ReasonUnreferenced {
		switch has, err := l.pass.referenced(ctx, path); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			// Without knowledge of the references the run cannot go on.
			l.pass.rec.failed(ctx, failure{path: path, file: d.info, op: "looking up its references", err: err, fromStore: true})
			return err
		case has:
			l.keepFile()
			return nil
		}
	}
	if l.pass.rec.report.DryRun { // the file need not be checked again
		l.pass.rec.deleted(path, d.info, d.reason)
		return nil
	}
	switch now, err := l.restat(d.name); {
	case errors.Is(err, errReplacedDuringRun):
		return err
	case err != nil:
		l.failedFile(ctx, d, "looking at it again", err)
		return nil
	case !os.SameFile(now, d.info) || !now.Mode().IsRegular() ||
		!now.ModTime().Equal(d.info.ModTime()) || !l.pass.job.changed(now).Equal(l.pass.job.changed(d.info)) ||
		now.Size() != d.info.Size():
		l.keepFile()
		return nil
	}
	if err := l.remove(d.name); err != nil {
		l.failedFile(ctx, d, "deleting it", err)
		return nil
	}
	l.pass.rec.deleted(path, d.info, d.reason)
	return nil
}

// cleanSubdirectory cleans a subdirectory, and removes it if it is empty then, was not
// changed within the grace period before this run as far as is known, and no session
// refers to it.
func (l *level) cleanSubdirectory(ctx context.Context, d candidate) error {
	if l.depth == maxDepth {
		l.failed(ctx, d.name, "opening it", errTooDeep)
		return nil
	}
	switch empty, err := l.openAndClean(ctx, d); {
	case err != nil:
		return err
	case !empty || l.pass.clockHeld || l.pass.started.Sub(l.pass.job.changed(d.info)) <= l.pass.job.grace || l.referenced(d.name):
		l.nonEmpty = true
		return nil
	}
	switch has, err := l.pass.referenced(ctx, l.path(d.name)); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		l.pass.rec.failed(ctx, failure{path: l.path(d.name), op: "looking up its references", err: err, fromStore: true})
		return err
	case has:
		l.nonEmpty = true
		return nil
	}
	switch now, err := l.restat(d.name); {
	case errors.Is(err, errReplacedDuringRun):
		return err
	case err != nil:
		l.failed(ctx, d.name, "looking at it again", err)
		return nil
	case !os.SameFile(now, d.info):
		l.nonEmpty = true
		return nil
	}
	switch err := l.remove(d.name); {
	case errors.Is(err, fs.ErrExist): // no longer empty
		l.nonEmpty = true
	case err != nil:
		l.failed(ctx, d.name, "removing it", err)
	default:
		l.pass.rec.dirRemoved(l.path(d.name), d.info)
	}
	return nil
}

// openAndClean cleans a subdirectory, if it is still the one that was found.
func (l *level) openAndClean(ctx context.Context, d candidate) (empty bool, err error) {
	// The "/." makes opening a FIFO that replaced it fail, and not block.
	sub, err := l.dir.OpenRoot(d.name + "/.")
	if err != nil {
		l.failed(ctx, d.name, "opening it", err)
		return false, nil // in the report: the rest is cleaned all the same
	}
	defer closeReader(sub)
	opened, err := sub.Stat(".")
	if err != nil || !os.SameFile(opened, d.info) {
		return false, nil // replaced meanwhile: left alone
	}
	below := &level{
		pass: l.pass, parent: l, name: d.name, dir: sub, info: d.info,
		rel: l.path(d.name), depth: l.depth + 1, referencedAbove: l.referenced(d.name),
	}
	switch err := below.verifyPath(); {
	case errors.Is(err, errReplacedDuringRun):
		return false, err
	case err != nil:
		return false, nil // opened by way of a symbolic link
	}
	return below.clean(ctx)
}

// restat returns the present state of an entry. It returns fs.ErrNotExist if the entry
// is gone or the directory was moved, and errReplacedDuringRun if the root was.
func (l *level) restat(name string) (fs.FileInfo, error) {
	if err := l.verifyPath(); err != nil {
		return nil, err
	}
	return l.dir.Lstat(name)
}

// verifyPath checks that each directory from the root down is still the one that was
// found there. It follows no symbolic link, not even one within the directory.
func (l *level) verifyPath() error {
	if l.parent == nil {
		if here, err := os.Lstat(l.pass.job.dir); err != nil || !os.SameFile(here, l.info) {
			return errReplacedDuringRun
		}
		return nil
	}
	if err := l.parent.verifyPath(); err != nil {
		return err
	}
	if here, err := l.parent.dir.Lstat(l.name); err != nil || !os.SameFile(here, l.info) {
		return fs.ErrNotExist
	}
	return nil
}

// remove removes an entry of the directory that was read, wherever its path leads by
// now.
func (l *level) remove(name string) error {
	if l.pass.rec.report.DryRun {
		return nil
	}
	return l.dir.Remove(name)
}
