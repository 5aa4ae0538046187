// Package logging writes the log: lines that callers do not wait for when the
// output blocks, and a slog logger on top of them.
//
// The files in reading order:
//
//   - lines.go: the output, one goroutine that writes what callers queue
//   - logger.go: the logger, and the way past it for the access log
package logging
