//go:build linux || darwin

package httpserver

import "syscall"

// raiseDescriptors raises the limit on open files to the number that is needed,
// as far as the process may, and returns the limit in force. The runtime has
// raised the soft limit to the hard one before; a privileged process may raise
// that too.
func raiseDescriptors(needed uint64) (limit uint64, err error) {
	var have syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &have); err != nil {
		return 0, err
	}
	if have.Cur >= needed {
		return needed, nil
	}
	want := have
	want.Cur = needed
	want.Max = max(want.Max, want.Cur)
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
		return needed, nil
	}
	if want = have; want.Cur < want.Max {
		want.Cur = want.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
			have = want
		}
	}
	return have.Cur, nil
}
