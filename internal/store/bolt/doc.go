// Package bolt is the store that keeps sessions in memory and on disk: reads
// are those of the store in memory, and every change is written to a bbolt file
// as well, so that a restart, or the loss of power, loses nothing.
//
// # Disk first
//
// A change goes to the disk before it goes to memory. Its writer takes the
// locks of the keys that it is about, works out from memory what is to be
// written, and hands that to the committer as an operation. The committer takes
// all operations that there are, writes them in one transaction, waits until
// the disk has it, and then applies each to memory, by the very method of the
// store in memory, and wakes its writer. So nobody reads what a crash could
// still take away, and what could not be written has not happened. While one
// transaction is on its way, the next one's operations gather: that is why many
// writers share one fsync.
//
// An operation belongs to the committer, not to its writer: a writer that has
// waited for too long gets backend.ErrReadOnly and leaves, and the keys stay
// locked until the operation is settled. Where the committer has not taken it
// yet, it is withdrawn, and has not happened.
//
// With Options.Interval, Create, Revive, Swap and Touch change memory at once
// and only mark the key, see below. What ends sessions, Delete, Clear and
// Regenerate, waits for the disk all the same.
//
// # Marked keys
//
// Sessions also end by themselves: they expire and they are evicted, in the
// store in memory, which then calls this one while it has a shard locked. Such
// a key is only marked. Each transaction makes the file, for some marked keys,
// what memory is at that moment: the session, or nothing. A mark says that
// there is a difference, not what it is. So the order of marks does not matter,
// any number of them cost one write, and a key may be marked once too often.
//
// This is also what mends a disagreement. There are these:
//
//   - A session is evicted while an operation on it waits. It is marked before
//     the operation is applied; memory refuses, since the session is gone; the
//     operation's keys are marked, and the next transaction removes what this
//     one has written. The writer gets memory's refusal.
//   - A key is evicted and created again. Within one transaction, operations
//     come after marked keys; the mark may also come to its turn later, and
//     then writes the session that there is.
//   - Memory refuses for another reason, no room for one. As above.
//   - A transaction fails. It may have reached the disk all the same. Its
//     operations have failed and are not applied; all keys that it was about
//     are marked, so that the file becomes what memory is, once it can be
//     written.
//
// A crash before a mark is written can bring back a session that was evicted in
// the last tenth of a second, or since the last interval: nobody ended it. An
// expired one is not loaded, and the first transactions say that it is gone, and
// for how long its key is taken: if the clock was wrong, and is set back, it stays
// so.
//
// The first mark starts the interval. When two fifths of it are over, the marked
// keys are written. Where that takes longer than another two, because the disk is
// slow or there are many, whoever would mark more has to wait until they are
// written: what is acknowledged then is never more than an interval younger than
// what is not on the disk. The last fifth is for a process that gets no processor.
//
// # The log
//
// sessions.db is a bbolt file whose bucket "log" has entries under ascending
// numbers. An entry says that there is a session, and all of it; or that there
// is none, perhaps for a while; or where an old key leads. Of each key the last
// entry counts. The alternative, a bucket that has each session under its key,
// changes a page for each session that a transaction writes, somewhere in the
// file; here it is a few pages in a row.
//
// What the log has of a key besides its last entry is dead. It goes when the file
// is written anew, see below. An index in memory tells which entries count: it
// knows each key's last entry by a hash of the key.
//
// Keys of the log are numbers, 8 bytes, big endian. A value starts with its
// format, the byte 1, or 2 for the kind 'S', and ends with the CRC-32C (Castagnoli, big endian) of the
// key and of all that stands before. Numbers within are varints as package
// encoding/binary has them, signed but for lengths; times are Unix
// milliseconds; texts have their lengths in front.
//
//	'S', namespace, id  the life, 12 bytes, createdAt, updatedAt, expiresAt,
//	                    revision, TTL and OwnTTL in ns, user id, number of
//	                    files, the files, and the document, up to the CRC
//	's', namespace, id  the same without the life, by an earlier version
//	'e', namespace, id  until when there must be no session; 0 for no such time,
//	                    negative where it expired or was evicted
//	'g', namespace, id  until when the key leads to another, and that one's id;
//	                    0 and nothing where it does not any more
//
// The bucket "meta" has under "format" a value of nothing but format and CRC; under
// "uses" the order in which sessions were used last, as it was when the file was
// closed: see uses.go (after a crash that order is what deadlines tell of it); under
// "owners" who had the file, and under "a reserve" zeros: both see below. Earlier
// versions check the sums of the latter, and go by nothing else of them.
//
// bbolt itself keeps sums of its two head pages alone, and trusts all others. So
// before it gets to see the file, every page in use is checked here, without
// it, and every value: see image.go. A damaged file is not opened.
//
// sessions.lock is locked by the process that uses the directory, for as long
// as it does. Free pages are not listed in the file; they are what no page
// leads to.
//
// # Written anew from memory
//
// Memory has all that counts: the sessions, the tombstones (tombs.go keeps their
// keys, of which the store in memory has hashes) and the graces. So a file is never
// repaired, compacted or searched: it is written anew, as sessions.db.new in the same
// directory, synced, renamed to its name, and the directory is synced: rewrite.go.
// That is the one remedy for whatever happens to a file:
//
//   - It is larger than twice what is live and a spare of 16 MiB, or of a sixteenth
//     of the volume where that is less. Then it is written beside the transactions,
//     by the committer, in steps of some milliseconds. Of the keys that transactions
//     are about meanwhile it takes note, and writes them once more; only for the last
//     of them, and for the last sync, all wait.
//   - It is gone, or its directory is, or there is another one in its place, or
//     something else has written to it, or a page of it is damaged. Then all wait
//     until it is there again. What was found in its place is kept under another
//     name, sessions.db.found.
//
// How that is noticed: before and after each transaction, and each second while
// there are none, the path is opened anew. The file must be the one that is open,
// by device and inode, as must the lock; the number and the sum of its last
// transaction must be those that were written; and so must its size and time, before
// a transaction. What is amiss closes the file. It is opened again only after all of
// it was read without bbolt, and found to be what this process has written:
// custody.go. No change is acknowledged before the look that follows its transaction.
//
// Each process puts a stamp of its own before those of the last ones that had the
// file. Who finds another's stamp before its own has lost the file to it, by a way
// where locks do not reach: it writes nothing more. Each transaction checks the
// stamp. Who finds its own nowhere has found an old copy, and writes the file anew.
// A directory that is on another volume than before, because one is not mounted any
// more, is left alone, and nothing can be changed.
//
// # Room
//
// Where a volume has no room for a second file, what is dead is collected in place:
// each transaction takes some entries from the beginning of the log and writes those
// again that still count, as many as fit into free pages. Where little is left of
// the volume, that comes before anything else is written.
//
// The reserve is a sixty-fourth of the volume, at least 128 and at most 512 KiB, in
// pages of the file that nobody else can take. When there is no room for a
// transaction, it is freed, and from then on only what ends sessions is written:
// ends, new ids, and what has expired or was evicted. What that leaves dead is
// collected or, where a second file has come to fit, the file is written anew; and
// once the reserve can be put back, anything can be changed again. Changes that were
// acknowledged and wait for the interval wait for room as well.
//
// # Failure
//
// When a transaction fails, its writers get backend.ErrReadOnly, and from then on
// all writers do, at once. Reads go on. The committer closes the file, and
// tries again to open it and to write the marked keys, every half second or,
// where a try takes long, less often. The first try that succeeds ends the
// failure. Whether the transaction that failed is in the file its number tells, when
// that is opened again; its operations have failed in any case.
//
// A transaction for which the disk takes longer than Options.Patience makes writers
// fail as well, until it is done. A disk that is known to be slow gets four times
// what it usually takes; with an interval, ten times Patience.
//
// Opening writes the file's two head pages anew, as they are read, and syncs
// them. After a failed fsync of such a page the kernel shows what it holds and
// may never write it: the next transaction would then overwrite pages that the
// head on the disk still needs.
//
// A page that cannot be read from the disk is a fault in bbolt's memory map, which
// only the committer's goroutine uses, where it is one more failure. When bbolt fails
// to write, it would read the whole file on a goroutine of its own, which could not
// be saved: its logger keeps it from that, see logger.go. Closing a file that faults
// is given up after a second. Readers never touch the file.
package bolt
