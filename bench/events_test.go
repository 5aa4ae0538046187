package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func reading(text string) *stream {
	return &stream{lines: bufio.NewScanner(strings.NewReader(text))}
}

func TestStream(t *testing.T) {
	s := reading("retry: 2000\n\n:\n\nid: 7-1\nevent: created\ndata: {}\n\nid: 7-2\n\nid: 7-3\nevent: updated\ndata: {}\n\n")
	kind, err := s.next()
	require.NoError(t, err)
	assert.Equal(t, "created", kind)
	assert.Equal(t, "7-1", s.lastID)
	require.NoError(t, s.await("updated", 1))
	assert.Equal(t, "7-3", s.lastID)
	_, err = s.next()
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestStreamThatLosesEvents(t *testing.T) {
	for _, kind := range []string{"reset", "dropped"} {
		err := reading("event: "+kind+"\ndata: {}\n\n").await("created", 1)
		assert.ErrorContains(t, err, kind)
	}
}
