package audit

import (
	"errors"
	"fmt"
	"time"
)

// Reopen goes on in a new file where the path no longer leads to the file that is
// written, because that was renamed. Its first line names the last of the renamed one.
// What is wrong with the new file leaves everything as it is.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	result := make(chan error, 1)
	late := time.NewTimer(l.o.Patience)
	defer late.Stop()
	select {
	case l.reopen <- result:
	case <-l.ended:
		return ErrUnwritten
	case <-late.C:
		return ErrUnwritten
	}
	return <-result
}

// rotate is Reopen.
func (l *Log) rotate() error {
	old, ok := l.out.(*file)
	if !ok || old.isCurrent() {
		return nil
	}
	if !l.writeWaiting() {
		l.o.Logger.Warn("entries that could not be written to the renamed audit log come in the new one")
	}
	fresh, at, err := openFile(l.path)
	if err != nil {
		return err
	}
	if at.sequence != 0 {
		return errors.Join(fmt.Errorf("%s holds another audit log already: the renamed file is still written", l.path), fresh.close())
	}
	if err := old.sync(); err != nil {
		l.failures.Add(1)
		l.o.Logger.Error("the renamed audit log may not be on the disk", "error", err)
	}
	l.unsynced = time.Time{}
	_ = old.close() // it was synced
	l.out = fresh
	l.mu.Lock()
	first := &pending{entry: Entry{Time: l.o.Now().UTC().Truncate(time.Millisecond), Actor: System, Act: LogContinued, Outcome: Done}, done: make(chan error, 1)}
	l.waiting = append([]*pending{first}, l.waiting...)
	l.mu.Unlock()
	return nil
}
