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

	"session-api/internal/store/backend"
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

// BackupFormat is the number that a head has as backup.
const BackupFormat = 1

// What can be wrong with a backup.
var (
	ErrNoBackup     = errors.New("it is no backup: its first line is not the head of one")
	ErrNewerBackup  = errors.New("a newer version of the service wrote the backup")
	ErrCutBackup    = errors.New("the backup is not whole: it ends before its tail")
	ErrBrokenBackup = errors.New("the backup is damaged: its checksum is wrong")
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

// What heads and tails begin with, and no record does.
var (
	headMark = []byte(`{"backup":`)
	tailMark = []byte(`{"end":true,`)
)

// isFrame reports whether a line is the head or the tail of a backup.
func isFrame(line []byte) bool {
	return bytes.HasPrefix(line, headMark) || bytes.HasPrefix(line, tailMark)
}

// Backup writes a backup. It is for one Run.
type Backup struct {
	Store   backend.Store
	Version string
	Now     func() time.Time
	// Rate is how many bytes are written in a second at most; 0 for any number.
	Rate int64

	sessions atomic.Int64
}

// ErrNoSnapshot: the store cannot tell what it held at one moment.
var ErrNoSnapshot = errors.New("the store takes no backups")

// backupChunk is how much is written at a time.
const backupChunk = 64 << 10

// Sessions is how many sessions are written. It may be asked at any time.
func (b *Backup) Sessions() int64 { return b.sessions.Load() }

// Run writes all that the store holds now. Returns ErrNoSnapshot before it has
// written anything, ErrInterrupted if ctx ended it, and w's error.
func (b *Backup) Run(ctx context.Context, w io.Writer) error {
	from, ok := b.Store.(backend.Snapshotter)
	if !ok {
		return ErrNoSnapshot
	}
	now := b.Now()
	snapshot := from.Snapshot(now)
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(sum, &pacedWriter{ctx: ctx, w: w, rate: b.Rate}), backupChunk)
	head, err := json.Marshal(BackupHead{BackupFormat, now.UTC().Truncate(time.Millisecond), b.Store.Name(), b.Version, snapshot.Count})
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

// pacedWriter writes no more than so many bytes in a second.
type pacedWriter struct {
	ctx   context.Context // io.Writer has no place for it
	w     io.Writer
	rate  int64
	began time.Time
	wrote int64
}

// Write implements io.Writer.
func (p *pacedWriter) Write(b []byte) (int, error) {
	if err := p.wait(); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	p.wrote += int64(n)
	return n, err
}

// wait waits until what was written is no more than the rate allows.
func (p *pacedWriter) wait() error {
	if p.rate <= 0 {
		return p.ctx.Err()
	}
	if p.began.IsZero() {
		p.began = time.Now()
	}
	due := time.Duration(float64(p.wrote) / float64(p.rate) * float64(time.Second))
	ahead := due - time.Since(p.began)
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

// BackupReader reads a backup, line by line, and checks it.
type BackupReader struct {
	Head BackupHead

	r     *bufio.Reader
	limit int
	sum   hash.Hash
	lines int
}

// maxFrame is more than a head or a tail takes.
const maxFrame = 4 << 10

// NewBackupReader reads the head of a backup, whose documents have at most that
// many bytes. Returns ErrNoBackup and ErrNewerBackup.
func NewBackupReader(in io.Reader, maxDocument int) (*BackupReader, error) {
	b := &BackupReader{r: bufio.NewReaderSize(in, readAhead), limit: maxDocument + recordHead, sum: sha256.New()}
	line, _, err := readLine(b.r, maxFrame)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, ErrLongLine):
		return nil, ErrNoBackup
	case err != nil:
		return nil, err
	case !bytes.HasPrefix(line, headMark) || json.Unmarshal(line, &b.Head) != nil || b.Head.Backup < 1:
		return nil, ErrNoBackup
	case b.Head.Backup > BackupFormat:
		return nil, ErrNewerBackup
	}
	_, _ = b.sum.Write(line) // never fails
	return b, nil
}

// Next returns the next record, without its line break, and io.EOF once all is
// read and found to be whole. Returns ErrCutBackup and ErrBrokenBackup.
func (b *BackupReader) Next() ([]byte, error) {
	line, ended, err := readLine(b.r, b.limit)
	switch {
	case errors.Is(err, io.EOF), err == nil && !ended:
		return nil, fmt.Errorf("%w, after %d of %d sessions", ErrCutBackup, b.lines, b.Head.Sessions)
	case err != nil:
		return nil, err
	case bytes.HasPrefix(line, tailMark):
		return nil, b.checkTail(line)
	}
	_, _ = b.sum.Write(line) // never fails
	b.lines++
	return line[:len(line)-1], nil
}

func (b *BackupReader) checkTail(line []byte) error {
	var tail backupTail
	if err := json.Unmarshal(line, &tail); err != nil || tail.Sessions != b.lines || tail.SHA256 != hex.EncodeToString(b.sum.Sum(nil)) {
		return ErrBrokenBackup
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its tail", ErrBrokenBackup)
	}
	return io.EOF
}

// CopyPaced copies from in to w, so many bytes a second at most; 0 for any number.
func CopyPaced(ctx context.Context, w io.Writer, in io.Reader, rate int64) error {
	_, err := io.CopyBuffer(&pacedWriter{ctx: ctx, w: w, rate: rate}, onlyReader{in}, make([]byte, backupChunk))
	return err
}

// onlyReader hides what else a reader can do, which would leave the pace out.
type onlyReader struct{ io.Reader }
