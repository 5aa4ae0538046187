package cleanup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"
)

const (
	// maxDepth is how deep directories may be nested. Each level holds two
	// files open.
	maxDepth = 64
	// readBatch is how many names are read from a directory at once.
	readBatch = 256
	// maxDue is how many entries of one directory wait until it has been read
	// to its end, because some file systems skip entries while others are
	// deleted. What is due beyond that is dealt with before reading on; there a
	// skipped entry is left for the next run.
	maxDue = 512
	// clockSkew is how far the clock of the file system may be ahead before a
	// modification time counts as one in the future.
	clockSkew = 2 * time.Second
)

// pass is one run over the directory.
type pass struct {
	job   *Job
	rec   *recorder
	bases bases
	refs  references
	own   ownFiles
	// started is what the ages of files are measured from.
	started time.Time
	// held: they are not to be trusted, so that nothing is deleted.
	held bool
	// steps are what the run has done.
	steps int
	// path is room for the path of the file that is looked at.
	path []byte
}

const (
	// yieldAfter is after how many steps a run lets others go first: a step
	// takes microseconds, and what waits for a processor would wait until the
	// scheduler takes it from the run.
	yieldAfter = 64
	// restAfter is after how many steps it leaves the processor for restFor, so
	// that a long run never has one for itself.
	restAfter = 2048
	restFor   = time.Millisecond
)

// step is called for each entry that is looked at or dealt with.
func (p *pass) step() {
	p.steps++
	switch {
	case p.steps%restAfter == 0:
		time.Sleep(restFor)
	case p.steps%yieldAfter == 0:
		runtime.Gosched()
	}
}

// level is one directory of a pass.
type level struct {
	pass *pass
	// parent is nil for the root.
	parent *level
	// name is the directory's name in parent, and info what was seen there.
	name string
	info fs.FileInfo
	dir  *os.Root
	// rel is the path from the root; empty for the root itself.
	rel   string
	depth int
	// covered: a session refers to the directory or to one that it lies in, and
	// so to all that is here.
	covered bool
	// handle is the directory while it is read.
	handle *os.File
	// checked: it holds none of the names that stand for a project.
	checked bool

	due []due
	// occupied: something stays in the directory.
	occupied bool
}

// due is a file that is to be deleted, or a subdirectory that is to be cleaned.
type due struct {
	name   string
	info   fs.FileInfo
	reason Reason
}

// clean cleans the directory with all that lies in it and reports whether it
// is empty then. An error ends the run.
func (l *level) clean(ctx context.Context) (empty bool, err error) {
	switch err := l.read(ctx); {
	case errors.Is(err, errNotOurs):
		return false, nil // in the report, and left alone
	case err != nil:
		return false, err
	}
	if err := l.settle(ctx); err != nil {
		return false, err
	}
	return !l.occupied, nil
}

// read looks at each entry, and leaves in l.due what is to be done once the
// directory is closed.
func (l *level) read(ctx context.Context) error {
	f, err := l.dir.Open(".")
	if err != nil {
		l.failed(ctx, "", "opening it", err)
		return nil // in the report: the rest is cleaned all the same
	}
	defer shut(f)
	l.handle = f
	for {
		names, err := f.Readdirnames(readBatch)
		if l.foreign(names) {
			return errNotOurs
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			l.pass.step()
			l.see(ctx, name)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			l.failed(ctx, "", "reading it", err)
			return nil // in the report: the rest is cleaned all the same
		case len(l.due) < maxDue:
		default:
			// What shows a project may come later.
			if !l.checked && l.foreign(l.lookFor(append([]string{markerName}, projectMarkers...))) {
				return errNotOurs
			}
			l.checked = true
			if err := l.settle(ctx); err != nil {
				return err
			}
		}
	}
}

// errNotOurs: a subdirectory is somebody's project, or another directory that is
// cleaned.
var errNotOurs = errors.New("not ours")

// foreign reports whether any of the names in a subdirectory shows that it is
// not ours. All that was due there is not, then. The top was looked at before.
func (l *level) foreign(names []string) bool {
	if l.parent == nil {
		return false
	}
	for _, name := range names {
		reason := ReasonProject
		switch {
		case name == markerName:
			reason = ReasonOtherDirectory
		case !isProjectMarker[name]:
			continue
		}
		l.due, l.occupied = nil, true
		l.pass.rec.skippedFor(reason, l.rel, l.info, name)
		return true
	}
	return false
}

// lookFor returns those of the names that are in the directory.
func (l *level) lookFor(names []string) []string {
	var found []string
	for _, name := range names {
		if _, err := l.dir.Lstat(name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// see decides what is to be done with an entry.
func (l *level) see(ctx context.Context, name string) {
	if l.parent == nil && name == markerName {
		return
	}
	info, err := l.dir.Lstat(name)
	switch {
	case err != nil:
		l.failed(ctx, name, "looking at it", err)
	case info.IsDir() && l.pass.own.has(info):
		l.occupied = true
		l.pass.rec.skippedFor(ReasonOwnFile, l.path(name), info, "")
	case info.IsDir():
		l.due = append(l.due, due{name: name, info: info})
	case !info.Mode().IsRegular():
		l.occupied = true
		l.pass.rec.skipped(l.path(name), info)
	default:
		l.seeFile(name, info)
	}
}

func (l *level) seeFile(name string, info fs.FileInfo) {
	p := l.pass
	changed := p.job.changed(info)
	judge := func() (tooOld, unreferenced bool) {
		age := p.started.Sub(changed)
		return age > p.job.ttl, age > p.job.grace && !l.referenced(name)
	}
	tooOld, unreferenced := judge()
	// Another call for each file that is due is worth it where files go, and where
	// they are named; the rest of a long dry run is only counted.
	if (tooOld || unreferenced) && (!p.rec.report.DryRun || !p.rec.isFull()) {
		if born, ok := p.job.born(l.handle, name); ok && born.After(changed) {
			changed = born
			tooOld, unreferenced = judge()
		}
	}
	switch {
	case (tooOld || unreferenced) && p.own.has(info):
		l.occupied = true
		p.rec.keptFor(ReasonOwnFile, l.path(name), info)
	case p.held && (tooOld || unreferenced):
		l.occupied = true
		p.rec.keptFor(ReasonClockSet, l.path(name), info)
	case tooOld:
		l.due = append(l.due, due{name, info, ReasonTooOld})
	case unreferenced:
		l.due = append(l.due, due{name, info, ReasonUnreferenced})
	case changed.After(p.started) && changed.After(p.job.now().Add(clockSkew)):
		l.occupied = true
		p.rec.keptFor(ReasonFutureTime, l.path(name), info)
	default:
		l.keep()
	}
}

// referenced reports whether a session referred to a file of the directory when
// the references were read.
func (l *level) referenced(name string) bool {
	if l.covered {
		return true
	}
	path := l.pass.path[:0]
	if l.rel != "" {
		path = append(path, l.rel...)
		path = append(path, '/')
	}
	path = append(path, name...)
	l.pass.path = path
	return l.pass.refs.hasBytes(path)
}

// settle does what is due: files first, then subdirectories.
func (l *level) settle(ctx context.Context) error {
	for _, step := range []struct {
		dirs bool
		do   func(context.Context, due) error
	}{{false, l.delete}, {true, l.descend}} {
		for _, d := range l.due {
			if d.info.IsDir() != step.dirs {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			l.pass.step()
			if err := step.do(ctx, d); err != nil {
				return err
			}
		}
	}
	clear(l.due)
	l.due = l.due[:0]
	return nil
}

func (l *level) path(name string) string {
	switch {
	case l.rel == "":
		return name
	case name == "":
		return l.rel
	}
	return l.rel + "/" + name
}

// keep counts a file that stays.
func (l *level) keep() {
	l.occupied = true
	l.pass.rec.kept()
}

// failed reports an entry that cannot be handled, or the directory itself by an
// empty name. One that is gone is no failure: another instance was faster.
func (l *level) failed(ctx context.Context, name, doing string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.occupied = true
	l.pass.rec.failed(ctx, failure{path: l.path(name), doing: doing, err: err})
}

// failedFile is failed for a file that counts as scanned.
func (l *level) failedFile(ctx context.Context, d due, doing string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.occupied = true
	l.pass.rec.failed(ctx, failure{path: l.path(d.name), file: d.info, doing: doing, err: err})
}
