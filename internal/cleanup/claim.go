package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

var (
	// ErrOtherStore: the directory is cleaned by whoever has another store,
	// whose sessions refer to the files.
	ErrOtherStore = errors.New("the directory belongs to another store")
	// ErrDirectory: the directory cannot be cleaned as it is.
	ErrDirectory = errors.New("the directory cannot be cleaned")
)

// errSwapped: the directory that the job was made for has gone, and another is
// in its place.
var errSwapped = errors.New("it is not the directory that was there at the start: start the service anew if it is meant")

// claimTries is how often a claim looks again while somebody else changes the
// marker, and claimPause how long it waits for that.
const (
	claimTries = 50
	claimPause = 10 * time.Millisecond
)

// place tells a directory from all that may stand at its path later.
type place struct {
	info fs.FileInfo
	born time.Time // zero where it is not known: a number may be used again
}

func (p place) same(o place) bool { return os.SameFile(p.info, o.info) && p.born.Equal(o.born) }

// placeOf returns the place of an open directory.
func placeOf(root *os.Root, info fs.FileInfo) (place, error) {
	f, err := root.Open(".")
	if err != nil {
		return place{}, err
	}
	defer shut(f)
	born, _ := birthTime(f, "")
	return place{info, born}, nil
}

// claims is what a job knows of whose the directory is.
type claims struct {
	// at is the directory that the job is for; nil until it was seen.
	at *place
	// lock is the marker, locked for as long as the process lives, of a store
	// whose sessions do not live longer.
	lock *os.File
	// refused is the marker with which another process had the directory.
	refused fs.FileInfo
	// free is since when the other has not been there; zero where it is.
	free time.Time
}

// Claim makes the directory that of the job's store, if it may be, and says in
// the log if not. Each run does so, too.
func (j *Job) Claim(ctx context.Context) error {
	root, err := j.openClaimed(ctx)
	if root != nil {
		shut(root.dir)
	}
	if err != nil && ctx.Err() == nil {
		j.logger.WarnContext(ctx, "analysis files are not cleaned",
			slog.String("directory", escape(j.dir)), slog.String("error", escape(err.Error())))
	}
	return err
}

// Close gives the directory free for another job of this process.
func (j *Job) Close() error {
	j.claiming.Lock()
	defer j.claiming.Unlock()
	return j.claims.unlock()
}

func (c *claims) unlock() error {
	if c.lock == nil {
		return nil
	}
	err := c.lock.Close()
	c.lock = nil
	return err
}

// Status says whether the directory is cleaned, as far as it is known.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// claimed is the directory, open.
type claimed struct {
	dir  *os.Root
	info fs.FileInfo
}

// openClaimed opens the directory, once it is that of the job's store. The
// error wraps ErrOtherStore or ErrDirectory; anything else is the store's.
func (j *Job) openClaimed(ctx context.Context) (opened *claimed, err error) {
	j.claiming.Lock()
	defer j.claiming.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		switch {
		case errors.Is(err, ErrOtherStore):
			j.status = OtherStore
		case err != nil:
			j.status = Unavailable
		default:
			j.status = Ready
		}
	}()
	root, info, err := openDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	if err := j.claim(ctx, root, info); err != nil {
		shut(root)
		return nil, err
	}
	return &claimed{root, info}, nil
}

// claim makes the directory the store's.
func (j *Job) claim(ctx context.Context, root *os.Root, info fs.FileInfo) error {
	unusable := func(err error) error { return fmt.Errorf("%w: %w", ErrDirectory, err) }
	at, err := placeOf(root, info)
	switch {
	case err != nil:
		return unusable(err)
	case j.claims.at == nil:
		j.claims.at = &at
	case !j.claims.at.same(at):
		return unusable(errSwapped)
	}
	if err := checkOwn(j.dir, j.own); err != nil {
		return unusable(err)
	}
	mine, err := j.markerOf(ctx)
	if err != nil {
		return err
	}
	for range claimTries {
		done, err := j.tryClaim(root, mine)
		switch {
		case errors.Is(err, ErrOtherStore):
			return errors.Join(err, j.claims.unlock())
		case err != nil:
			return unusable(err)
		case done:
			return nil
		}
	}
	return unusable(errors.New("its " + markerName + " keeps changing"))
}

// markerOf returns the marker of the job's store.
func (j *Job) markerOf(ctx context.Context) (marker, error) {
	m := marker{Store: j.storeKind}
	if j.identity == nil {
		return m, nil
	}
	id, err := j.identity(ctx)
	if err != nil {
		return m, fmt.Errorf("asking whose files they are: %w", err)
	}
	m.ID = id
	return m, nil
}

// tryClaim looks at the marker once, and reports whether the directory is the
// store's. What it changes, it looks at again.
func (j *Job) tryClaim(root *os.Root, mine marker) (done bool, err error) {
	f, found, err := openMarker(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, j.mark(root)
	case errors.Is(err, errMarkerChanged):
		return false, nil
	case err != nil:
		return false, err
	}
	keep := false
	defer func() {
		if !keep {
			shut(f)
		}
	}()
	switch {
	case found.same(mine) && mine.ID != "":
		return true, nil
	case found.same(mine):
		held, err := j.holds(f)
		keep = held && err == nil
		return keep, err
	case found.ID != "":
		return false, fmt.Errorf("%w: its %s names a store of the kind %s; if that is not used any more, run: session-api cleanup adopt %s",
			ErrOtherStore, markerName, escape(found.Store), shellQuoted(j.dir))
	}
	// It is nobody's yet, or the sessions ended with the process that had it.
	switch held := tryLock(f); {
	case !held && found.Store == "": // another is just claiming it
		<-time.After(claimPause)
		return false, nil
	case !held:
		return false, j.busy(f)
	}
	if found.Store != "" {
		if err := j.outwait(); err != nil {
			return false, err
		}
	}
	if current, err := isMarker(root, f); err != nil || !current {
		return false, err
	}
	return false, writeMarker(root, mine, true)
}

// isMarker reports whether an open file is still the directory's marker.
func isMarker(root *os.Root, f *os.File) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := root.Lstat(markerName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(now, opened), err
}

// mark puts a marker into a directory without one, if that may be cleaned.
func (j *Job) mark(root *os.Root) error {
	if !j.known {
		empty, err := rootVacant(root)
		switch {
		case err != nil:
			return err
		case !empty:
			return unmarkedError{j.dir}
		}
	}
	if err := writeMarker(root, marker{}, false); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing its %s: %w", markerName, cause(err))
	}
	return nil
}

// holds reports whether this process alone has the directory, of those whose
// sessions end with them. f is the marker.
func (j *Job) holds(f *os.File) (bool, error) {
	if j.claims.lock != nil {
		if mine, err := j.claims.lock.Stat(); err == nil {
			if now, err := f.Stat(); err == nil && os.SameFile(mine, now) {
				shut(f) // another handle holds the lock
				return true, nil
			}
		}
		_ = j.claims.unlock() // of a file that is the marker no more
	}
	if !tryLock(f) {
		return false, j.busy(f)
	}
	// A marker that was written meanwhile says that the directory is ours.
	if now, err := f.Stat(); err != nil {
		return false, err
	} else if j.claims.refused != nil && sameVersion(j.claims.refused, now) {
		if err := j.outwait(); err != nil {
			return false, err
		}
	}
	j.claims.lock, j.claims.refused = f, nil
	return true, nil
}

// sameVersion reports whether a file is still the one that it was, unchanged.
func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && lastChange(a).Equal(lastChange(b))
}

// busy is the error where another process has the directory, with that marker.
func (j *Job) busy(f *os.File) error {
	j.claims.free = time.Time{}
	j.claims.refused, _ = f.Stat() // without, it is taken over once it is free
	return fmt.Errorf("%w: another service cleans it that keeps its sessions in memory", ErrOtherStore)
}

// outwait returns an error until the process that had the directory has been
// away for the grace: it may only be restarting.
func (j *Job) outwait() error {
	now, hold := j.now(), max(j.grace, minHold)
	if j.claims.free.IsZero() || now.Before(j.claims.free) {
		j.claims.free = now
	}
	if left := j.claims.free.Add(hold).Sub(now); left > 0 {
		return fmt.Errorf("%w: a service that keeps its sessions in memory cleaned it, and may only be restarting; "+
			"it is taken over in %v, or at once by: session-api cleanup adopt %s",
			ErrOtherStore, left.Round(time.Second), shellQuoted(j.dir))
	}
	return nil
}
