package bolt

import (
	"fmt"
	"sync/atomic"
)

// alarm is bbolt's logger. Once it is armed, it panics with what bbolt calls an
// error. bbolt does so before it rolls back a transaction that could not be
// written, for which it would read the whole file through its memory map, on a
// goroutine of its own: on a disk that fails that would be the end of the process.
// A panic on the committer's goroutine is one more failure.
type alarm struct{ armed atomic.Bool }

func (a *alarm) Errorf(format string, v ...any) {
	if a.armed.Load() {
		panic(fmt.Errorf(format, v...))
	}
}

func (a *alarm) Error(v ...any) {
	if a.armed.Load() {
		panic(fmt.Sprint(v...))
	}
}

func (*alarm) Debug(...any)            {}
func (*alarm) Debugf(string, ...any)   {}
func (*alarm) Info(...any)             {}
func (*alarm) Infof(string, ...any)    {}
func (*alarm) Warning(...any)          {}
func (*alarm) Warningf(string, ...any) {}
func (a *alarm) Fatal(v ...any)        { panic(fmt.Sprint(v...)) }
func (a *alarm) Panic(v ...any)        { panic(fmt.Sprint(v...)) }
func (a *alarm) Fatalf(format string, v ...any) {
	panic(fmt.Errorf(format, v...))
}

func (a *alarm) Panicf(format string, v ...any) {
	panic(fmt.Errorf(format, v...))
}

// asError returns what was recovered from a panic as an error.
func asError(p any) error {
	if err, ok := p.(error); ok {
		return err
	}
	return fmt.Errorf("%v", p)
}
