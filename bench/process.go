package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// listening is the message of the log line that says where a server is.
	listening = "listening"
	// startPatience is how long a server may take until it listens.
	startPatience = time.Minute
	// endPatience is how long a process may take to end when it is told to.
	endPatience = 20 * time.Second
)

// process is a server that was started, and that says in its log when it
// listens, and where.
type process struct {
	cmd   *exec.Cmd
	addr  string
	log   string // the file of its log
	began time.Time
	ended chan struct{}
}

// start runs a server and waits until it listens: find returns its address from
// its log, or nothing yet. Its environment is env and nothing else. It ends with
// ctx, at the latest.
func start(ctx context.Context, log string, env []string, find func(io.Reader) string, path string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the server has its own
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{}, env...) // nil would be this process's
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endPatience
	endWithParent(cmd)

	p := &process{cmd: cmd, log: log, began: time.Now(), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ends is of no interest, unless too early
		close(p.ended)
	}()
	if err := p.awaitAddr(ctx, find); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// pid is its process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// awaitAddr waits until the process says where it listens.
func (p *process) awaitAddr(ctx context.Context, find func(io.Reader) string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	look := time.NewTicker(time.Millisecond / 2)
	defer look.Stop()
	for {
		content, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		if p.addr = find(bytes.NewReader(content)); p.addr != "" {
			return nil
		}
		select {
		case <-look.C:
		case <-p.ended:
			return fmt.Errorf("%s ended at once:\n%s", p.cmd.Path, content)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen:\n%s", p.cmd.Path, content)
		}
	}
}

// findAddr returns the address in the line of the log that names it, or
// nothing.
func findAddr(log io.Reader) string { return findMessage(log, listening) }

// findMessage does, for the line with that message.
func findMessage(log io.Reader, message string) string {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message {
			return line.Addr
		}
	}
	return ""
}

// alive returns an error if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return errors.New(p.cmd.Path + " has ended: " + p.cmd.ProcessState.String())
	default:
		return nil
	}
}

// stop ends the process, and returns when it has.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(endPatience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}
