// Package audit keeps an account of security-relevant acts: a log of lines of JSON, each
// of which holds the SHA-256 of the line before, so that a line that was changed, removed,
// inserted or moved is found (Verify).
//
// A hash chain without a key shows tampering by whoever does not write all of the
// following lines anew. What it cannot show by itself is that the last lines are missing:
// compare the last sequence number with one that was noted elsewhere, such as the metric
// of the service.
package audit
