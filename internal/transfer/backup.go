package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"
	"time"

	"session-api/internal/store"
)

// A backup is the records of all sessions as they were at one moment, between a
// head and a tail, each a line of JSON:
//
//	{"backup":1,"takenAt":"2026-11-21T17:04:05.123Z","store":"bolt","version":"v1.2.3","sessions":2}
//	{"namespace":"default",...}
//	{"namespace":"default",...}
//	{"end":true,"sessions":2,"sha256":"..."}
//
// The sum is of all bytes before the tail. What ends without one is not whole.

// BackupFormat is the version of the format, which is the member backup of a head.
const BackupFormat = 1

// Errors of a file that is not a valid backup.
var (
	ErrNotBackup       = errors.New("it is no backup: its first line is not the head of one")
	ErrNewerBackup     = errors.New("a newer version of the service wrote the backup")
	ErrTruncatedBackup = errors.New("the backup is not whole: it ends before its tail")
	ErrCorruptBackup   = errors.New("the backup is damaged: its checksum is wrong")
)

// BackupHead is the first line of a backup.
type BackupHead struct {
	Backup   int       `json:"backup"`
	TakenAt  time.Time `json:"takenAt"`
	Store    string    `json:"store"`
	Version  string    `json:"version"`
	Sessions int       `json:"sessions"`
}

type backupTail struct {
	End      bool   `json:"end"`
	Sessions int    `json:"sessions"`
	SHA256   string `json:"sha256"`
}

// Prefixes of heads and tails, which no record has.
var (
	headPrefix = []byte(`{"backup":`)
	tailPrefix = []byte(`{"end":true,`)
)

// isHeadOrTail reports whether a line is the head or the tail of a backup.
func isHeadOrTail(line []byte) bool {
	return bytes.HasPrefix(line, headPrefix) || bytes.HasPrefix(line, tailPrefix)
}

// Backup writes a backup. It must be used for one Run only.
type Backup struct {
	From    *store.Sessions
	Version string
	Now     func() time.Time
	// Rate bounds the bytes that are written in a second; 0 for no limit.
	Rate int64

	sessions atomic.Int64
}

// ErrNoSnapshot is returned for a store that cannot return a consistent snapshot.
var ErrNoSnapshot = errors.New("the store takes no backups")

// backupChunk is the size of a write.
const backupChunk = 64 << 10

// Sessions returns the number of sessions written so far. It is safe to call during Run.
func (b *Backup) Sessions() int64 { return b.sessions.Load() }

// Run writes a snapshot of the store. It returns ErrNoSnapshot before anything is
// written, ErrInterrupted if ctx ended it, or the error of w.
func (b *Backup) Run(ctx context.Context, w io.Writer) error {
	now := b.Now()
	snapshot, ok := b.From.Snapshot(now)
	if !ok {
		return ErrNoSnapshot
	}
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(sum, &rateLimitedWriter{ctx: ctx, w: w, rate: b.Rate}), backupChunk)
	head, err := json.Marshal(BackupHead{BackupFormat, now.UTC().Truncate(time.Millisecond), b.From.Name(), b.Version, snapshot.Count})
	if err != nil {
		return fmt.Errorf("the head of the backup: %w", err)
	}
	_, err = out.Write(append(head, '\n'))
	var line []byte
	for sess := range snapshot.Sessions {
		line = append(sess.AppendRecord(line[:0]), '\n')
		if _, err = out.Write(line); err != nil {
			break
		}
		b.sessions.Add(1)
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		var tail []byte
		if tail, err = json.Marshal(backupTail{true, int(b.sessions.Load()), hex.EncodeToString(sum.Sum(nil))}); err == nil {
			_, err = w.Write(append(tail, '\n'))
		}
	}
	if err != nil && ctx.Err() != nil {
		return ErrInterrupted
	}
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// rateLimitedWriter writes at most rate bytes a second.
type rateLimitedWriter struct {
	ctx     context.Context // Write has no parameter for it
	w       io.Writer
	rate    int64
	started time.Time
	written int64
}

// Write implements io.Writer.
func (p *rateLimitedWriter) Write(b []byte) (int, error) {
	if err := p.wait(); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	p.written += int64(n)
	return n, err
}

// wait waits until the rate allows another write.
func (p *rateLimitedWriter) wait() error {
	if p.rate <= 0 {
		return p.ctx.Err()
	}
	if p.started.IsZero() {
		p.started = time.Now()
	}
	due := time.Duration(float64(p.written) / float64(p.rate) * float64(time.Second))
	ahead := due - time.Since(p.started)
	if ahead <= 0 {
		return p.ctx.Err()
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-timer.C:
		return nil
	}
}

// BackupReader reads and checks a backup.
type BackupReader struct {
	Head BackupHead

	r     *bufio.Reader
	limit int
	sum   hash.Hash
	lines int
}

// maxHeadOrTail bounds the length of a head or a tail.
const maxHeadOrTail = 4 << 10

// NewBackupReader reads the head of a backup. maxDocument is the size of the largest
// document. It returns ErrNotBackup or ErrNewerBackup if the head is not valid.
func NewBackupReader(in io.Reader, maxDocument int) (*BackupReader, error) {
	b := &BackupReader{r: bufio.NewReaderSize(in, readAhead), limit: maxDocument + recordHead, sum: sha256.New()}
	line, _, err := readLine(b.r, maxHeadOrTail)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, ErrLineTooLong):
		return nil, ErrNotBackup
	case err != nil:
		return nil, err
	case !bytes.HasPrefix(line, headPrefix) || json.Unmarshal(line, &b.Head) != nil || b.Head.Backup < 1:
		return nil, ErrNotBackup
	case b.Head.Backup > BackupFormat:
		return nil, ErrNewerBackup
	}
	_, _ = b.sum.Write(line) // never fails
	return b, nil
}

// Next returns the next record, without its line break. It returns io.EOF at the end of
// a complete backup, and ErrTruncatedBackup or ErrCorruptBackup otherwise.
func (b *BackupReader) Next() ([]byte, error) {
	line, ended, err := readLine(b.r, b.limit)
	switch {
	case errors.Is(err, io.EOF), err == nil && !ended:
		return nil, fmt.Errorf("%w, after %d of %d sessions", ErrTruncatedBackup, b.lines, b.Head.Sessions)
	case err != nil:
		return nil, err
	case bytes.HasPrefix(line, tailPrefix):
		return nil, b.checkTail(line)
	}
	_, _ = b.sum.Write(line) // never fails
	b.lines++
	return line[:len(line)-1], nil
}

func (b *BackupReader) checkTail(line []byte) error {
	var tail backupTail
	if err := json.Unmarshal(line, &tail); err != nil || tail.Sessions != b.lines || tail.SHA256 != hex.EncodeToString(b.sum.Sum(nil)) {
		return ErrCorruptBackup
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its tail", ErrCorruptBackup)
	}
	return io.EOF
}

// CopyRateLimited copies from in to w, at most rate bytes a second; 0 for no limit.
func CopyRateLimited(ctx context.Context, w io.Writer, in io.Reader, rate int64) error {
	_, err := io.CopyBuffer(&rateLimitedWriter{ctx: ctx, w: w, rate: rate}, onlyReader{in}, make([]byte, backupChunk))
	return err
}

// onlyReader hides other methods of a reader, such as WriteTo, which would bypass the
// rate limit.
type onlyReader struct{ io.Reader }
