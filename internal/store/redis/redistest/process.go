package redistest

import (
	"context"
	"os"
	"os/exec"
)

// process is a run of a server.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// startProcess runs a server, and appends what it prints to the log. Its
// environment is empty.
func startProcess(ctx context.Context, log, path string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the server has its own

	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{} // nil would be this process's
	cmd.Stdout, cmd.Stderr = out, out
	if err := startChild(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // ProcessState says how it ended
		close(p.ended)
	}()
	return p, nil
}

// running tells whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}
