package main

import (
	"bytes"
	"sync/atomic"
)

// lineCounter counts what is written to it.
type lineCounter struct{ lines, bytes atomic.Int64 }

// Write implements io.Writer.
func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines.Add(int64(bytes.Count(p, []byte{'\n'})))
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

// progress implements progressing.
func (c *lineCounter) progress() (count int64, what string) { return c.lines.Load(), "lines" }
