package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/store/bolt"
	"session-api/internal/transfer"
)

const backupUsage = `Usage: session-api backup [-url URL] [-rate BYTES] FILE

backup writes a consistent snapshot of all sessions to FILE, or to standard
output if FILE is -. It requests the snapshot from the running service, by
GET /api/backup, with the address and the first service token of this environment.
If no service is running and SESSION_DATA_DIR is set, it reads the data file, and
writes nothing to that directory. FILE is created or replaced only once everything
has been written, verified and synced to disk.

  -url URL     address of the service; by default HOST and PORT
  -rate BYTES  maximum bytes per second to read; the service has its own limit,
               BACKUP_BYTES_PER_SECOND

Exit status: 0 success, 1 failed or interrupted, 2 wrong usage.
`

// backupJob is one run of the command.
type backupJob struct {
	url, to string
	rate    int64
	environ map[string]string
	lines   *lineCounter
}

// backUp is the command backup.
func backUp(ctx context.Context, args []string, environ map[string]string, std streams) error {
	j := backupJob{environ: environ, lines: &lineCounter{}}
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&j.url, "url", "", "")
	flags.Int64Var(&j.rate, "rate", 0, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(std.out, backupUsage)
	case err != nil:
		return usageError("backup: " + err.Error())
	case flags.NArg() != 1:
		return usageError("backup: name a file to write; - is standard output")
	case j.rate < 0:
		return usageError("backup: -rate is a number of bytes")
	}
	j.to = flags.Arg(0)
	ctx, stop := interruptible(ctx)
	defer stop()
	began := time.Now()
	hide := showProgress(std.errOut, j.lines)
	head, err := j.run(ctx, std)
	hide()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return write(std.errOut, fmt.Sprintf("session-api: %s of %s as of %s, %d bytes in %s\n", counted(int64(head.Sessions), "session"),
		"store "+head.Store, head.TakenAt.Format(time.RFC3339), j.lines.bytes.Load(), inAll(time.Since(began))))
}

// run fetches the backup, and checks it on its way.
func (j *backupJob) run(ctx context.Context, std streams) (head transfer.BackupHead, err error) {
	c, err := config.LoadBackup(j.environ)
	if err != nil {
		return head, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(j.fetch(ctx, &c, writer)) }()
	defer func() { _ = reader.Close() }()
	return j.keep(ctx, reader, std)
}

// keep writes what it reads to the file.
func (j *backupJob) keep(ctx context.Context, in io.Reader, std streams) (head transfer.BackupHead, err error) {
	if j.to == "-" {
		return j.check(ctx, io.TeeReader(in, std.out))
	}
	temp, err := os.CreateTemp(filepath.Dir(j.to), "."+filepath.Base(j.to)+".*")
	if err != nil {
		return head, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	out := bufio.NewWriterSize(temp, 1<<20)
	head, err = j.check(ctx, io.TeeReader(in, out))
	if err == nil {
		err = errors.Join(out.Flush(), temp.Sync())
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), j.to)
	}
	return head, err
}

// check reads a backup to its end.
func (j *backupJob) check(ctx context.Context, in io.Reader) (transfer.BackupHead, error) {
	b, err := transfer.NewBackupReader(io.TeeReader(in, j.lines), maxDocument)
	if err != nil {
		return transfer.BackupHead{}, err
	}
	for err == nil {
		if _, err = b.Next(); err == nil {
			err = ctx.Err()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b.Head, err
}

// fetch writes the backup of a service that runs, or of a data file that none uses.
func (j *backupJob) fetch(ctx context.Context, c *config.Config, w io.Writer) error {
	if j.url == "" && c.OnBolt() {
		kept, err := openToRead(ctx, c, slog.New(slog.DiscardHandler))
		switch {
		case errors.Is(err, bolt.ErrInUse): // ask it
		case err != nil:
			return err
		default:
			work := transfer.Backup{From: storedSessions(kept), Version: buildVersion(), Now: time.Now, Rate: j.rate}
			return errors.Join(work.Run(ctx, w), kept.Close())
		}
	}
	url := j.url
	if url == "" {
		var err error
		if url, err = serviceURL(c.Server.Host, c.Server.Port); err != nil {
			return fmt.Errorf("%w: say -url", err)
		}
	}
	return j.ask(ctx, url, c, w)
}

// ask asks the service at a URL.
func (j *backupJob) ask(ctx context.Context, url string, c *config.Config, w io.Writer) error {
	secret := c.ServiceSecret(time.Now())
	if secret == "" && len(c.ServiceTokens()) > 0 {
		return errors.New("no service token of the settings can be sent: it takes the secret, not only the hash, of one that allows everything from anywhere; set SERVICE_TOKENS to it")
	}
	resp, err := get(ctx, url+"/api/backup", secret)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var said struct{ Detail string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said) // the status says enough
		return fmt.Errorf("%s answers %s: %s", url, resp.Status, said.Detail)
	}
	return transfer.CopyRateLimited(ctx, w, resp.Body, j.rate)
}

// maxDocument is what any version takes.
const maxDocument = 64 << 20

const restoreUsage = `Usage: session-api restore [-before TIME] [-dir DIR] FILE

restore creates the data file of DIR, or of SESSION_DATA_DIR, from the backup in
FILE, or from standard input if FILE is -. The directory must not contain a data
file, and no service may be using it. The file is created only once the backup has
been read completely and its checksum is correct.

  -before TIME     omit sessions that were created before TIME: a date and
                   time such as 2026-11-21T17:04:05Z. A backup revives sessions
                   that have ended since it was taken; this ensures that no
                   session from before an incident stays signed in
  -dir DIR         the directory

Sessions that have expired since the backup are omitted, too.

Exit status: 0 success, 1 failure, 2 wrong usage.
`

// restore is the command restore.
func restore(ctx context.Context, args []string, environ map[string]string, std streams) error {
	var dir, before string
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&dir, "dir", environ["SESSION_DATA_DIR"], "")
	flags.StringVar(&before, "before", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(std.out, restoreUsage)
	case err != nil:
		return usageError("restore: " + err.Error())
	case flags.NArg() != 1:
		return usageError("restore: name a file to read; - is standard input")
	case dir == "":
		return usageError("restore: name a directory with -dir, or set SESSION_DATA_DIR")
	}
	var oldest time.Time
	if before != "" {
		var err error
		if oldest, err = time.Parse(time.RFC3339, before); err != nil {
			return usageError("restore: -before takes a time like 2026-11-21T17:04:05Z")
		}
	}
	in := std.in
	if name := flags.Arg(0); name != "-" {
		file, err := os.Open(name) //nolint:gosec // the operator names it
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	job := restoreJob{in: in, oldest: oldest, now: time.Now()}
	hide := showProgress(std.errOut, &job.lines)
	err := bolt.Build(job.now, dir, func(to bolt.Sink) error { return job.fill(ctx, to.Session) })
	hide()
	if err != nil {
		return fmt.Errorf("restore: %w%s", err, boltAdvice(err))
	}
	return write(std.errOut, fmt.Sprintf("session-api: restored %s of %d from %s; left out: %d expired, %d created before -before\n",
		counted(job.restored, "session"), job.head.Sessions, job.head.TakenAt.Format(time.RFC3339), job.expired, job.old))
}

// restoreJob reads a backup.
type restoreJob struct {
	in          io.Reader
	oldest, now time.Time
	lines       lineCounter

	head                   transfer.BackupHead
	restored, expired, old int64
}

func (j *restoreJob) fill(ctx context.Context, add func(schema.Session) error) error {
	b, err := transfer.NewBackupReader(io.TeeReader(j.in, &j.lines), maxDocument)
	if err != nil {
		return err
	}
	j.head = b.Head
	rules := schema.Rules{MaxBytes: maxDocument}
	for {
		line, err := b.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return transfer.ErrInterrupted
		}
		sess, err := rules.DecodeRecord(line)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", transfer.ErrCorruptBackup, err)
		case !sess.Live(j.now):
			j.expired++
		case sess.CreatedAt.Before(j.oldest):
			j.old++
		default:
			if err := add(sess); err != nil {
				return err
			}
			j.restored++
		}
	}
}
