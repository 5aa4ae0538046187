package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

// On a terminal a person sees how far it is, and in the end only the summary.
func TestTransfer_progress(t *testing.T) {
	server := redistest.Start(t)
	person, program := openTerminal(t)
	file, input := io.Pipe()
	status := make(chan error, 1)
	environ := instanceOn(t, server)
	go func() {
		err := runTransfer(t.Context(), "import", nil, environ, streams{file, program, program})
		status <- err
		_ = program.Close()
	}()
	_, err := io.WriteString(input, strings.Join(lines(t, 3), ""))
	require.NoError(t, err)

	shown := bufio.NewReader(person)
	var seen strings.Builder
	until := func(text string) {
		for !strings.HasSuffix(seen.String(), text) {
			c, err := shown.ReadByte()
			require.NoError(t, err, seen.String())
			seen.WriteByte(c)
		}
	}
	until("\r\x1b[K3 lines done, ")
	until(" a second\r\x1b[K") // and once more, or hidden
	require.NoError(t, input.Close())
	until("\r\x1b[Ksession-api: imported 3 sessions from 3 lines in ")
	until("\n")
	require.NoError(t, <-status)
	assert.Equal(t, 1, strings.Count(seen.String(), "\n"))
}

// Whoever forgets the file is told, and not left waiting.
func TestImport_fromATerminal(t *testing.T) {
	_, program := openTerminal(t)
	err := runTransfer(t.Context(), "import", nil, nil, streams{program, program, program})
	require.ErrorContains(t, err, "session-api import < FILE")
}
