// Package memlimit finds what bounds the process's memory, GOMEMLIMIT or a
// control group of either version, and tells Go's runtime.
package memlimit
