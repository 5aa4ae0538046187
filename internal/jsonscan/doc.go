// Package jsonscan finds its way through JSON text that has been checked before: a
// body after the decoder, or a stored document. It looks at structure alone, which
// makes it several times as fast as a decoder. On text that is not JSON its results
// mean nothing, but its functions end and do not panic.
//
// It knows nothing of sessions. In reading order: scan.go, number.go, swar.go.
package jsonscan
