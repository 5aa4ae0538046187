package crash_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What every service of these tests is configured with.
const (
	secret       = "a secret of the tests, long enough for production"
	serviceToken = "a-service-token-of-the-tests-with-48-characters"
)

// patience is how long a test waits for what should come.
const patience = 2 * time.Minute

// service is the binary while it runs.
type service struct {
	cmd     *exec.Cmd
	address chan string // gets one, and is closed when the process has ended
	ended   chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

var listening = regexp.MustCompile(`\baddr=(\S+)`)

// launch starts the command, which runs the service, and returns at once.
func launch(t *testing.T, cmd *exec.Cmd, settings []string) *service {
	t.Helper()
	s := &service{cmd: cmd, address: make(chan string, 1), ended: make(chan struct{})}
	cmd.Env = append([]string{
		"PORT=0",
		"LOG_FORMAT=text",
		"ACCESS_LOG=errors",
		"SESSION_SECRET=" + secret,
		"SERVICE_TOKENS=" + serviceToken,
		"CREATE_RATE_PER_MINUTE=0",
	}, settings...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the test be killed
	require.NoError(t, cmd.Start())
	go func() {
		s.read(stdout)
		_ = cmd.Wait() // how it ended, the test knows
		close(s.address)
		close(s.ended)
	}()
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *service) read(stdout io.Reader) {
	found := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		s.mu.Lock()
		if s.out.Len() < 1<<20 {
			s.out.Write(lines.Bytes())
			s.out.WriteByte('\n')
		}
		s.mu.Unlock()
		if m := listening.FindStringSubmatch(lines.Text()); m != nil && !found {
			found = true
			s.address <- m[1]
		}
	}
}

// output is what it has said.
func (s *service) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// url waits until it serves, and returns where.
func (s *service) url() (string, error) {
	select {
	case address, ok := <-s.address:
		if !ok {
			return "", fmt.Errorf("the service does not start: %s", s.output())
		}
		return "http://" + address, nil
	case <-time.After(patience):
		return "", fmt.Errorf("the service does not get ready: %s", s.output())
	}
}

// kill takes its life with SIGKILL, and waits until it is gone.
func (s *service) kill() {
	_ = s.cmd.Process.Kill() // it may be gone
	<-s.ended
}

// quit ends it with SIGQUIT, and returns what it has said, the stacks of its
// goroutines included.
func (s *service) quit() string {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may be gone
	select {
	case <-s.ended:
	case <-time.After(patience):
	}
	return s.output()
}

// checkFile runs session-api check on a data directory.
func checkFile(dir string) error {
	cmd := exec.Command(binary, "check")
	cmd.Env = []string{"SESSION_DATA_DIR=" + dir}
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("session-api check: %s", strings.TrimSpace(string(out)))
	}
	return err
}
