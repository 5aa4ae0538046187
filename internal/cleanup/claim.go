package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"session-api/internal/filelock"
)

var (
	// ErrOtherStore is returned if the directory belongs to another store, whose
	// sessions refer to its files.
	ErrOtherStore = errors.New("the directory belongs to another store")
	// ErrDirectory is returned if the directory cannot be cleaned as it is.
	ErrDirectory = errors.New("the directory cannot be cleaned")
)

// errOtherDirectory is returned if the directory was replaced by another since the
// job was created.
var errOtherDirectory = errors.New("it is not the directory that was there at the start: start the service anew if it is meant")

// claimTries bounds the attempts to claim a directory while another process changes
// its marker, and claimPause is the time between them.
const (
	claimTries = 50
	claimPause = 10 * time.Millisecond
)

// dirIdentity identifies a directory, to notice that another replaced it at its path.
type dirIdentity struct {
	info      fs.FileInfo
	birthTime time.Time // zero if it is not known; inode numbers are reused
}

func (p dirIdentity) same(o dirIdentity) bool {
	return os.SameFile(p.info, o.info) && p.birthTime.Equal(o.birthTime)
}

// identityOf returns the identity of an open directory.
func identityOf(root *os.Root, info fs.FileInfo) (dirIdentity, error) {
	f, err := root.Open(".")
	if err != nil {
		return dirIdentity{}, err
	}
	defer closeReader(f)
	born, _ := birthTime(f, "")
	return dirIdentity{info, born}, nil
}

// claims is the state of a job's claim to its directory.
type claims struct {
	// dir is the directory that the job is for; nil until it was first opened.
	dir *dirIdentity
	// lock is the marker, locked until the process ends, of a store whose sessions
	// end with the process; nil otherwise.
	lock *os.File
	// otherMarker is the marker that another process had locked.
	otherMarker fs.FileInfo
	// freeSince is when the lock of the other process was first seen free; zero if
	// it was not.
	freeSince time.Time
}

// Claim claims the directory for the job's store, if it may be cleaned, and logs a
// failure. Each run does so as well.
func (j *Job) Claim(ctx context.Context) error {
	root, err := j.openClaimed(ctx)
	if root != nil {
		closeReader(root.dir)
	}
	if err != nil && ctx.Err() == nil {
		j.logger.WarnContext(ctx, "analysis files are not cleaned",
			slog.String("directory", escapeName(j.dir)), slog.String("error", escapeName(err.Error())))
	}
	return err
}

// Close releases the directory for another job of the process.
func (j *Job) Close() error {
	j.claimMu.Lock()
	defer j.claimMu.Unlock()
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

// Status returns whether the directory is cleaned, as of the last claim.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// openDirectory is the directory of a job, open.
type openDirectory struct {
	dir  *os.Root
	info fs.FileInfo
}

// openClaimed opens the directory once it is claimed for the job's store. The error
// wraps ErrOtherStore or ErrDirectory; any other error is the store's.
func (j *Job) openClaimed(ctx context.Context) (opened *openDirectory, err error) {
	j.claimMu.Lock()
	defer j.claimMu.Unlock()
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
		closeReader(root)
		return nil, err
	}
	return &openDirectory{root, info}, nil
}

// claim claims the directory for the store.
func (j *Job) claim(ctx context.Context, root *os.Root, info fs.FileInfo) error {
	unusable := func(err error) error { return fmt.Errorf("%w: %w", ErrDirectory, err) }
	at, err := identityOf(root, info)
	switch {
	case err != nil:
		return unusable(err)
	case j.claims.dir == nil:
		j.claims.dir = &at
	case !j.claims.dir.same(at):
		return unusable(errOtherDirectory)
	}
	if err := checkOwn(j.dir, j.ownFiles); err != nil {
		return unusable(err)
	}
	mine, err := j.storeMarker(ctx)
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

// storeMarker returns the marker of the job's store.
func (j *Job) storeMarker(ctx context.Context) (marker, error) {
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

// tryClaim reads the marker once, and reports whether the directory is the store's.
// After a change of the marker it returns false, to read it again.
func (j *Job) tryClaim(root *os.Root, mine marker) (done bool, err error) {
	f, found, err := openMarker(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, j.createMarker(root)
	case errors.Is(err, errMarkerChanged):
		return false, nil
	case err != nil:
		return false, err
	}
	keep := false
	defer func() {
		if !keep {
			closeReader(f)
		}
	}()
	switch {
	case found.same(mine) && mine.ID != "":
		return true, nil
	case found.same(mine):
		held, err := j.lockMarker(f)
		keep = held && err == nil
		return keep, err
	case found.ID != "":
		return false, fmt.Errorf("%w: its %s names a store of the kind %s; if that is not used any more, run: session-api cleanup adopt %s",
			ErrOtherStore, markerName, escapeName(found.Store), shellQuoted(j.dir))
	}
	// It is not claimed yet, or the sessions ended with the process that claimed it.
	switch held := filelock.Try(f); {
	case !held && found.Store == "": // another is just claiming it
		<-time.After(claimPause)
		return false, nil
	case !held:
		return false, j.otherProcess(f)
	}
	if found.Store != "" {
		if err := j.checkTakeover(); err != nil {
			return false, err
		}
	}
	if current, err := isCurrentMarker(root, f); err != nil || !current {
		return false, err
	}
	return false, writeMarker(root, mine, true)
}

// isCurrentMarker reports whether an open file is still the directory's marker.
func isCurrentMarker(root *os.Root, f *os.File) (bool, error) {
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

// createMarker creates the marker in a directory without one, if it may be cleaned.
func (j *Job) createMarker(root *os.Root) error {
	if !j.allowNonEmpty {
		empty, err := isEmptyRoot(root)
		switch {
		case err != nil:
			return err
		case !empty:
			return unmarkedError{j.dir}
		}
	}
	if err := writeMarker(root, marker{}, false); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing its %s: %w", markerName, withoutPath(err))
	}
	return nil
}

// lockMarker locks the marker f for a store whose sessions end with the process, and
// reports whether this process holds the lock.
func (j *Job) lockMarker(f *os.File) (bool, error) {
	if j.claims.lock != nil {
		if mine, err := j.claims.lock.Stat(); err == nil {
			if now, err := f.Stat(); err == nil && os.SameFile(mine, now) {
				closeReader(f) // another handle holds the lock
				return true, nil
			}
		}
		_ = j.claims.unlock() // it locks a file that is no longer the marker
	}
	if !filelock.Try(f) {
		return false, j.otherProcess(f)
	}
	// A marker that changed meanwhile already names this store.
	if now, err := f.Stat(); err != nil {
		return false, err
	} else if j.claims.otherMarker != nil && unchanged(j.claims.otherMarker, now) {
		if err := j.checkTakeover(); err != nil {
			return false, err
		}
	}
	j.claims.lock, j.claims.otherMarker = f, nil
	return true, nil
}

// unchanged reports whether a and b describe the same file in the same state.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && lastChange(a).Equal(lastChange(b))
}

// otherProcess returns the error for a directory whose marker another process has
// locked.
func (j *Job) otherProcess(f *os.File) error {
	j.claims.freeSince = time.Time{}
	j.claims.otherMarker, _ = f.Stat() // without it, there is no wait for a takeover
	return fmt.Errorf("%w: another service cleans it that keeps its sessions in memory", ErrOtherStore)
}

// checkTakeover returns an error until the process that held the directory has been
// gone for the grace period: it may only be restarting.
func (j *Job) checkTakeover() error {
	now, hold := j.now(), max(j.grace, minHold)
	if j.claims.freeSince.IsZero() || now.Before(j.claims.freeSince) {
		j.claims.freeSince = now
	}
	if left := j.claims.freeSince.Add(hold).Sub(now); left > 0 {
		return fmt.Errorf("%w: a service that keeps its sessions in memory cleaned it, and may only be restarting; "+
			"it is taken over in %v, or at once by: session-api cleanup adopt %s",
			ErrOtherStore, left.Round(time.Second), shellQuoted(j.dir))
	}
	return nil
}
