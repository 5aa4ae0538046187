package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// startChild starts a command that the kernel kills when this process ends,
// however it ends. A group of its own holds what it forks.
func startChild(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	started := make(chan error)
	parent() <- func() { started <- cmd.Start() }
	return <-started
}

// parent returns where a thread takes what it is to run. The kernel means that
// thread, not the process, when it looks whether a child's parent has ended:
// therefore one that never does is the parent of all.
var parent = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// kill ends the process and what it forked.
func (p *process) kill() error { return p.signalGroup(unix.SIGKILL) }

// freeze stops the process in its tracks, and returns when it stands.
func (p *process) freeze() error {
	if err := p.signalGroup(unix.SIGSTOP); err != nil {
		return err
	}
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// thaw lets a frozen process go on.
func (p *process) thaw() error { return p.signalGroup(unix.SIGCONT) }

func (p *process) signalGroup(signal unix.Signal) error {
	if !p.running() {
		return os.ErrProcessDone
	}
	return os.NewSyscallError("kill", unix.Kill(-p.cmd.Process.Pid, signal))
}

// reservePort returns a port of 127.0.0.1 that is this test's until it ends,
// also while nothing listens on it: a socket stays bound to it, so the kernel
// gives it to nobody who asks for any port; and does not listen, so that one
// who names the port (and allows the reuse of addresses, as every server does)
// may listen on it.
func reservePort(tb testing.TB) int {
	tb.Helper()
	port, fd, err := bindAnyPort()
	if err != nil {
		tb.Fatalf("reserving a port: %v", err)
	}
	tb.Cleanup(func() { _ = unix.Close(fd) })
	return port
}

func bindAnyPort() (port, fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockname", err)
	}
	address, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return 0, 0, fmt.Errorf("bound to %T", name)
	}
	return address.Port, fd, nil
}
