package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"session-api/internal/servicetest"
)

// openTerminal returns both ends of a new pseudo-terminal.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// On a terminal the service greets with a banner, SIGHUP reads the secrets
// again while the terminal is there, and ends the service once it is gone.
func TestTerminal(t *testing.T) {
	person, program := openTerminal(t)
	cmd := command(servicetest.Binary(t), servicetest.Environment(t, "SESSION_SECRET_FILE", servicetest.SecretFile(t, servicetest.SessionSecret)))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	require.NoError(t, program.Close())

	lines := bufio.NewReader(person)
	var seen strings.Builder
	until := func(text string) {
		for !strings.HasSuffix(seen.String(), "\n") || !strings.Contains(seen.String(), text) {
			line, err := lines.ReadString('\n')
			seen.WriteString(line)
			require.NoError(t, err, seen.String())
		}
	}
	until("Listening on ")
	assert.Contains(t, seen.String(), "for development only")
	assert.Contains(t, seen.String(), "session-api v1.2.3 (development)")
	assert.Regexp(t, `docs +http://127\.0\.0\.1:\d+/docs`, seen.String())
	assert.Regexp(t, `Listening on http://127\.0\.0\.1:\d+\s+$`, seen.String(), "the address comes last")
	assert.Contains(t, seen.String(), "memory, at most 10000")
	assert.Contains(t, seen.String(), "cleaned every 30m")
	assert.Contains(t, seen.String(), "curl -i -X POST http://127.0.0.1:")
	assert.NotContains(t, seen.String(), `"listening"`)

	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	until("secrets reloaded")

	require.NoError(t, person.Close()) // the kernel sends SIGHUP
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(patience):
		assert.Fail(t, "the service outlives its terminal")
	}
}
