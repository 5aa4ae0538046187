//go:build !linux

package redistest

import (
	"net"
	"os/exec"
	"syscall"
	"testing"
)

// startChild starts a command. Only Linux can end it with this process.
func startChild(cmd *exec.Cmd) error { return cmd.Start() }

func (p *process) kill() error   { return p.cmd.Process.Kill() }
func (p *process) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) thaw() error   { return p.cmd.Process.Signal(syscall.SIGCONT) }

// reservePort returns a port of 127.0.0.1 that was free a moment ago: only
// Linux can keep it so.
func reservePort(tb testing.TB) int {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("reserving a port: %v", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("listening on %T", listener.Addr())
	}
	if err := listener.Close(); err != nil {
		tb.Fatalf("reserving a port: %v", err)
	}
	return address.Port
}
