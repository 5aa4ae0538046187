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
	// maxDepth bounds the nesting of directories. Each level holds two files open.
	maxDepth = 64
	// readBatch is the number of names that are read from a directory at once.
	readBatch = 256
	// maxCandidates is the number of entries of one directory that are held back until
	// it has been read to its end, because some file systems skip entries while others
	// are deleted. More are processed before reading on; an entry skipped then is left
	// for the next run.
	maxCandidates = 512
	// clockSkew is how far a modification time may be ahead before it counts as one in
	// the future.
	clockSkew = 2 * time.Second
)

// pass is one pass over the directory.
type pass struct {
	job       *Job
	rec       *recorder
	rootPaths rootPaths
	refs      references
	own       ownFiles
	// started is the time that the ages of files are measured from.
	started time.Time
	// clockHeld reports that ages are not to be trusted, so that nothing is deleted.
	clockHeld bool
	// steps counts the entries that were visited or processed.
	steps int
	// pathBuf is a buffer for the path of the current file.
	pathBuf []byte
}

const (
	// yieldAfter is the number of steps after which the pass yields the processor. A
	// step takes microseconds; without yielding, requests would wait until the
	// scheduler preempts the pass.
	yieldAfter = 64
	// pauseAfter is the number of steps after which the pass sleeps for pauseFor, so
	// that a long run does not occupy a processor.
	pauseAfter = 2048
	pauseFor   = time.Millisecond
)

// yieldCPU is called for each entry that is visited or processed.
func (p *pass) yieldCPU() {
	p.steps++
	switch {
	case p.steps%pauseAfter == 0:
		time.Sleep(pauseFor)
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
	// referencedAbove reports that a session refers to the directory or to one that
	// contains it, and so to everything in it.
	referencedAbove bool
	// handle is the open directory while it is read.
	handle *os.File
	// projectChecked reports that the directory has none of the project markers.
	projectChecked bool

	candidates []candidate
	// nonEmpty reports that something is kept in the directory.
	nonEmpty bool
}

// candidate is a file to delete, or a subdirectory to clean.
type candidate struct {
	name   string
	info   fs.FileInfo
	reason Reason
}

// clean cleans the directory with its subdirectories and reports whether it is empty
// then. An error ends the run.
func (l *level) clean(ctx context.Context) (empty bool, err error) {
	switch err := l.read(ctx); {
	case errors.Is(err, errForeignDirectory):
		return false, nil // in the report, and left alone
	case err != nil:
		return false, err
	}
	if err := l.processCandidates(ctx); err != nil {
		return false, err
	}
	return !l.nonEmpty, nil
}

// read visits each entry, and collects in l.candidates what is to be processed once the
// directory is closed.
func (l *level) read(ctx context.Context) error {
	f, err := l.dir.Open(".")
	if err != nil {
		l.failed(ctx, "", "opening it", err)
		return nil // in the report: the rest is cleaned all the same
	}
	defer closeReader(f)
	l.handle = f
	for {
		names, err := f.Readdirnames(readBatch)
		if l.isForeign(names) {
			return errForeignDirectory
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			l.pass.yieldCPU()
			l.visit(ctx, name)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			l.failed(ctx, "", "reading it", err)
			return nil // in the report: the rest is cleaned all the same
		case len(l.candidates) < maxCandidates:
		default:
			// The names that mark a project may come later.
			if !l.projectChecked && l.isForeign(l.present(append([]string{markerName}, projectMarkers...))) {
				return errForeignDirectory
			}
			l.projectChecked = true
			if err := l.processCandidates(ctx); err != nil {
				return err
			}
		}
	}
}

// errForeignDirectory is returned for a subdirectory that is a project, or has a marker
// of its own.
var errForeignDirectory = errors.New("not ours")

// isForeign reports whether any of the names in a subdirectory shows that it must not
// be cleaned, and then drops its candidates. The root was checked when it was opened.
func (l *level) isForeign(names []string) bool {
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
		l.candidates, l.nonEmpty = nil, true
		l.pass.rec.skippedFor(reason, l.rel, l.info, name)
		return true
	}
	return false
}

// present returns the names that exist in the directory.
func (l *level) present(names []string) []string {
	var found []string
	for _, name := range names {
		if _, err := l.dir.Lstat(name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// visit decides what to do with an entry.
func (l *level) visit(ctx context.Context, name string) {
	if l.parent == nil && name == markerName {
		return
	}
	info, err := l.dir.Lstat(name)
	switch {
	case err != nil:
		l.failed(ctx, name, "looking at it", err)
	case info.IsDir() && l.pass.own.has(info):
		l.nonEmpty = true
		l.pass.rec.skippedFor(ReasonOwnFile, l.path(name), info, "")
	case info.IsDir():
		l.candidates = append(l.candidates, candidate{name: name, info: info})
	case !info.Mode().IsRegular():
		l.nonEmpty = true
		l.pass.rec.skipped(l.path(name), info)
	default:
		l.visitFile(name, info)
	}
}

func (l *level) visitFile(name string, info fs.FileInfo) {
	p := l.pass
	changed := p.job.changed(info)
	judge := func() (tooOld, unreferenced bool) {
		age := p.started.Sub(changed)
		return age > p.job.ttl, age > p.job.grace && !l.referenced(name)
	}
	tooOld, unreferenced := judge()
	// The birth time costs another system call, so it is read only for files that would
	// be deleted or reported.
	if (tooOld || unreferenced) && (!p.rec.report.DryRun || !p.rec.isFull()) {
		if born, ok := p.job.birthTime(l.handle, name); ok && born.After(changed) {
			changed = born
			tooOld, unreferenced = judge()
		}
	}
	switch {
	case (tooOld || unreferenced) && p.own.has(info):
		l.nonEmpty = true
		p.rec.keptFor(ReasonOwnFile, l.path(name), info)
	case p.clockHeld && (tooOld || unreferenced):
		l.nonEmpty = true
		p.rec.keptFor(ReasonClockSet, l.path(name), info)
	case tooOld:
		l.candidates = append(l.candidates, candidate{name, info, ReasonTooOld})
	case unreferenced:
		l.candidates = append(l.candidates, candidate{name, info, ReasonUnreferenced})
	case changed.After(p.started) && changed.After(p.job.now().Add(clockSkew)):
		l.nonEmpty = true
		p.rec.keptFor(ReasonFutureTime, l.path(name), info)
	default:
		l.keepFile()
	}
}

// referenced reports whether a session referred to a file of the directory when the
// references were loaded.
func (l *level) referenced(name string) bool {
	if l.referencedAbove {
		return true
	}
	path := l.pass.pathBuf[:0]
	if l.rel != "" {
		path = append(path, l.rel...)
		path = append(path, '/')
	}
	path = append(path, name...)
	l.pass.pathBuf = path
	return l.pass.refs.hasBytes(path)
}

// processCandidates processes the candidates: files first, then subdirectories.
func (l *level) processCandidates(ctx context.Context) error {
	for _, step := range []struct {
		dirs bool
		do   func(context.Context, candidate) error
	}{{false, l.delete}, {true, l.cleanSubdirectory}} {
		for _, d := range l.candidates {
			if d.info.IsDir() != step.dirs {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			l.pass.yieldCPU()
			if err := step.do(ctx, d); err != nil {
				return err
			}
		}
	}
	clear(l.candidates)
	l.candidates = l.candidates[:0]
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

// keepFile counts a file that is kept.
func (l *level) keepFile() {
	l.nonEmpty = true
	l.pass.rec.kept()
}

// failed reports an entry that cannot be handled, or the directory itself for an empty
// name. An entry that is gone is not a failure: another instance was faster.
func (l *level) failed(ctx context.Context, name, doing string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.nonEmpty = true
	l.pass.rec.failed(ctx, failure{path: l.path(name), op: doing, err: err})
}

// failedFile is failed for a file that counts as scanned.
func (l *level) failedFile(ctx context.Context, d candidate, doing string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.nonEmpty = true
	l.pass.rec.failed(ctx, failure{path: l.path(d.name), file: d.info, op: doing, err: err})
}
