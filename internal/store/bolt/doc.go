// Package bolt is a store that keeps sessions in memory and on disk. Reads are those
// of the store in memory. Every change is written to a bbolt file as well, so that a
// restart, or the loss of power, loses nothing.
//
// # Group commit
//
// A change reaches the disk before it reaches memory. Its writer locks the keys that
// it changes, computes from memory what is to be written, and passes that to the
// committer as an operation. The committer takes all operations that are waiting,
// writes them as one batch, waits until the disk has them, then applies each to memory
// by the method of the store in memory, and wakes its writer. So no reader sees what a
// crash could take away, and what could not be written has not happened. While one
// batch is being written, the operations of the next one gather: many writers share one
// fsync.
//
// An operation belongs to the committer. A writer that has waited for too long gets
// backend.ErrReadOnly and leaves; its keys stay locked until the operation is settled. If
// the committer has not taken the operation yet, it is withdrawn, and has not happened.
//
// With Options.Interval, Create, Revive, Swap, Touch and what is about requests change
// memory at once and mark the key as dirty. Delete, Clear and Regenerate, which end sessions, wait for the disk
// all the same.
//
// # Dirty keys
//
// Sessions also end by themselves: they expire and are evicted in the store in memory,
// which reports that while it holds the lock of a shard. Such a key is marked as dirty,
// too. Each batch makes the file equal to memory for some dirty keys: the session, or
// none. A mark does not say what has changed, so the order of marks does not matter,
// any number of them cost one write, and a superfluous one does no harm.
//
// Dirty keys also resolve every disagreement of file and memory:
//
//   - A session is evicted while an operation on it waits. It is marked before the
//     operation is applied; memory refuses the operation, its keys are marked, and the
//     next batch removes what this one has written. The writer gets memory's error.
//   - A key is evicted and created again. Within a batch, operations come after dirty
//     keys; a mark that is written later writes the session that exists then.
//   - Memory refuses an operation for another reason, such as no room: as above.
//   - A batch fails. It may have reached the disk all the same. Its operations fail and
//     are not applied, and all of its keys are marked.
//
// A crash before a dirty key is written can bring back a session that was evicted in
// the last tenth of a second, or since the last interval. An expired session is not
// loaded; the first batches after a start record that it is gone, so that it stays so
// if the clock is set back.
//
// The first dirty key starts the interval. After two fifths of it the dirty keys are
// written. If that takes longer than another two fifths, because the disk is slow or
// there are many, writers that would mark more wait until they are written: an
// acknowledged change is never older than the interval when it reaches the disk. The
// last fifth is for a process that gets no processor.
//
// # The log
//
// The bucket "log" of sessions.db holds records under ascending numbers. A record says
// that there is a session, and all of it; or that there is none, perhaps for a while; or
// where an old key leads; or what is kept of a request with an Idempotency-Key. Of each key the last record counts, and the others are dead.
// A bucket with each session under its key would change a page for each session that a
// batch writes, somewhere in the file; a log changes a few consecutive ones. An index in
// memory holds the number of each key's last record, by a hash of the key.
//
// The key of a record is its number, 8 bytes, big endian. The value starts with its
// format, the byte 1, or 2 for the kind 'S', 3 for 'F' and 4 for 'r' and 'n', and ends with the CRC-32C (Castagnoli, big
// endian) of the number and of all that stands before. Numbers within are varints of
// package encoding/binary, signed but for lengths; times are Unix milliseconds; texts
// have their lengths in front.
//
//	'S', namespace, id  the life, 12 bytes, createdAt, updatedAt, expiresAt,
//	                    revision, TTL and OwnTTL in ns, user id, number of
//	                    files, the files, and the document, up to the CRC
//	'F', namespace, id  the same with the facts, a text, after the life; where there
//	                    are none, it is an 'S'
//	's', namespace, id  the same without the life, by an earlier version
//	'e', namespace, id  until when there must be no session; 0 for no such time,
//	                    negative if it expired or was evicted
//	'g', namespace, id  until when the key leads to another, and that one's id;
//	                    0 and nothing if it does not any more
//	'r', nothing, key   a request with an Idempotency-Key: its fingerprint, 32 bytes, its
//	                    lease and its end, whether it is a guest's, a byte, its plan,
//	                    and the answer, up to the CRC. The key is a digest, 32 bytes
//	'n', nothing, key   there is no request of the key
//
// The numbers have no gaps. The sequence number of the bucket holds the last one and
// how many records there are, which reveals a file that was copied while it was
// written: tally.go.
//
// The bucket "meta" holds the format version under "format"; under "uses" and "served"
// the order in which sessions were used last, as it was when the file was closed
// (recency.go; after a crash deadlines approximate that order); under "owners" which
// processes had the file; and under "a reserve" zeros.
//
// bbolt keeps checksums of its two meta pages alone, and trusts all others. Package
// datafile therefore reads the whole file, every page and every value, before bbolt
// opens it. A damaged file is not opened. Free pages are not listed in the file; they
// are those that no page refers to.
//
// # The journal
//
// A transaction of bbolt writes the changed leaf, each page above it, the root and a
// meta page, and waits for the disk twice: six pages of 4 KB for a session of 1 KB. A
// batch of up to 16 KB is written to the journal instead, an area of the file that is
// overwritten in place: one frame after the others, and one wait. The next transaction,
// at the latest when the journal is full, moves its records to the log, and the journal
// starts at its beginning again. It is the one value of the bucket "journal", which no
// transaction changes after the one that makes it.
//
// A frame has a checksum of the owner's ID, the number of its first record, and all of
// it, so that it is valid as a whole or not at all. Frames with numbers that the log has
// are stale. When a file is opened, the valid frames that follow the log are part of
// it. A frame that is not valid is one whose write did not finish, and was not
// acknowledged, unless a later one is valid: then the file is damaged.
//
// # Rewriting from memory
//
// Memory has all that counts: sessions, tombstones (tombstones.go keeps their keys, of
// which the store in memory has hashes), graces and requests. So a file is never repaired. It is
// rewritten from memory as sessions.db.new in the same directory, synced, and renamed,
// and the directory is synced: rewrite.go. That is the remedy for two conditions:
//
//   - The file is larger than twice the live data and a spare of 16 MiB, or of a
//     sixteenth of the volume if that is less. The committer then writes the new file
//     between batches, in steps of some milliseconds. It notes the keys of the batches
//     meanwhile, and writes them again; only for the last of them and for the last sync
//     do writers wait.
//   - The file or its directory is gone, another file is in its place, something else
//     has written to it, or a page of it is damaged. Then all writers wait until it is
//     rewritten. What was found in its place is kept as sessions.db.found.
//
// To notice that, the path is opened anew before and after each batch, and each second
// while there are none. The file must be the open one, by device and inode, as must the
// lock; the number and checksum of its last transaction must be those that were
// written; and so must its size and modification time, before a batch. If anything
// differs, the file is closed. It is opened again only after all of it was read without
// bbolt, and found to hold what this process has written: filewatch.go. No change is
// acknowledged before the check that follows its batch.
//
// Each process writes an ID of its own before those of the last ones that owned the
// file. A process that finds another ID before its own has lost the file to a process
// that its lock does not reach: it writes nothing more. Every transaction checks that. A
// process that does not find its ID has found an old copy, and rewrites the file. A
// directory that is on another volume than before, because one is not mounted any more,
// is left alone, and nothing can be changed.
//
// # Space
//
// If a volume has no room for a second file, the log is compacted in place: each
// transaction removes some records from the beginning of the log and appends those that
// still count, as many as fit into free pages. If the volume is nearly full, that comes
// before anything else is written.
//
// The reserve is a sixty-fourth of the volume, at least 128 and at most 512 KiB, in
// pages that nothing else can use. If there is no room for a transaction, the reserve is
// freed, and from then on only what ends sessions is written: ends, new ids, and what
// has expired or was evicted. What becomes dead is compacted or, once a second file
// fits, the file is rewritten; when the reserve can be restored, anything can be changed
// again. Changes that were acknowledged and wait for the interval wait for room as well.
//
// # Failures
//
// If a batch fails, its writers get backend.ErrReadOnly, and from then on all writers do,
// at once. Reads go on. The committer closes the file, and tries to open it and to write
// the dirty keys every half second, or less often if a try takes long. The first
// successful try ends the failure. Whether the failed batch is in the file shows when it
// is opened again; its operations have failed in any case.
//
// A batch for which the disk takes longer than Options.CommitTimeout makes writers fail
// as well, until it is written. A disk that is known to be slow gets four times what it
// usually takes; with an interval, ten times CommitTimeout.
//
// Opening writes the file's two meta pages anew, as they are read, and syncs them, and
// moves the journal's records to the log. After a failed fsync of a page the kernel
// shows what it holds and may never write it: the next transaction would then overwrite
// pages that the meta page on the disk still needs.
//
// A page that cannot be read from the disk is a fault in bbolt's memory map, which only
// the committer's goroutine uses, where it is one more failure. If bbolt fails to write,
// it would read the whole file on a goroutine of its own, which could not recover; its
// logger prevents that: logger.go. Closing a file that faults is given up after a second.
// Readers never touch the file.
//
// # Files
//
// In reading order: bolt.go opens and closes a Store, write.go, end.go, requests.go and states.go are
// its changes. queue.go holds operations and dirty keys, keylocks.go and watchdog.go are
// what writers wait for. committer.go is the committer's loop, commit.go a batch of it,
// and writer.go encodes a batch, by record.go. journal.go and file.go are where batches
// are written. content.go reads a whole file, load.go fills memory with it, index.go,
// graces.go, tombstones.go, recency.go and tally.go are what is known besides sessions,
// retract.go and clockahead.go are about sessions that have expired. filewatch.go, owner.go and
// identity.go make sure that the file is the right one, rewrite.go rewrites it, space.go
// keeps it small, health.go reports on it. startup.go, readonly.go, version.go and
// ownership.go are about directories; build.go, check.go, compact.go and salvage.go,
// with filewriter.go, are what commands do with a file.
package bolt
