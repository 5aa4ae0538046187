package store

import "time"

// Filed is a store that keeps sessions in a file.
type Filed interface {
	// File says how that is.
	File() FileStats
}

// FileStats are of a file that sessions are kept in.
type FileStats struct {
	// Writable: any change can be made at present. State says it in words, which may
	// be shown to anybody.
	Writable bool
	State    string
	// Bytes is the size of the file, FreeBytes what of it can be written again, and
	// LiveBytes about what of it counts. VolumeFreeBytes is what is left of the
	// volume.
	Bytes, FreeBytes, LiveBytes, VolumeFreeBytes int64
	// LastCommitAge is how long ago the last transaction was written.
	LastCommitAge time.Duration
	// CommitFailures is how many could not be. Commits and CommitSeconds are how many
	// were, and how long that took; CommitBuckets how many took no longer than that.
	CommitFailures int64
	Commits        uint64
	CommitSeconds  float64
	CommitBuckets  map[float64]uint64
}
