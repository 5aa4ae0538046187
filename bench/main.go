// Command bench measures session-api under load, next to a yardstick that gets
// the same load in turn with it: a server made of nothing but net/http that
// answers the same bytes; where sessions are in Redis or in a file, the service
// with sessions in memory or the disk alone; and so on. What counts is the ratio
// of the two; the figures themselves belong to the machine that they were taken
// on.
//
// It needs Linux, wrk and redis-server with its tools, uses the loopback
// interface alone, and ends by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds      int
	duration    time.Duration
	connections int
	rows        *regexp.Regexp
	million     bool
	write       string
	profile     *regexp.Regexp // nil to measure
	out         string
	pgo         string // the file for make pgo; empty to measure
	peers       bool
}

func parse(args []string, output io.Writer) (options, error) {
	o := options{rows: regexp.MustCompile("")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.IntVar(&o.rounds, "rounds", 5, "how often service and yardstick take turns in a row")
	flags.DurationVar(&o.duration, "duration", time.Second, "length of one turn, in whole seconds")
	flags.IntVar(&o.connections, "connections", 32, "connections to keep busy")
	flags.Func("rows", "measure only the rows whose name matches this `regexp`", func(s string) (err error) {
		o.rows, err = regexp.Compile(s)
		return err
	})
	flags.BoolVar(&o.million, "million", true, "also the rows with a million live sessions, or files (6 GB of memory, half of the time)")
	flags.StringVar(&o.write, "write", "", "write the report to this `file`, as Markdown")
	flags.Func("profile", "in place of measuring, profile the service in the rows whose whole name matches this `regexp`", func(s string) (err error) {
		o.profile, err = regexp.Compile("^(?:" + s + ")$")
		o.rows = o.profile
		return err
	})
	flags.StringVar(&o.out, "out", ".", "`directory` for the profiles")
	flags.StringVar(&o.pgo, "pgo", "", "in place of measuring, write the profile of a mixed load, for the compiler, to this `file`")
	flags.BoolVar(&o.peers, "peers", false, "in place of measuring, compare with what else keeps sessions (see bench/peers)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case o.rounds < 1 || o.rounds > maxRounds:
		return o, fmt.Errorf("-rounds is between 1 and %d", maxRounds)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return o, errors.New("-duration is a whole number of seconds: wrk knows no fractions")
	case len(o.selectedRows()) == 0 && (o.profile != nil || !o.matches(storeRow) && !o.matches(worstRow) && !o.matches(dataFileRow)):
		return o, fmt.Errorf("no such row, or only with -million; there are: %s", strings.Join(names(), "; "))
	case o.pgo != "" && (o.profile != nil || o.rows.String() != ""):
		return o, errors.New("-pgo has rows of its own")
	case o.write != "" && o.rows.String() != "":
		return o, errors.New("-write is for all rows, not for those of -rows")
	case o.connections < threads():
		return o, fmt.Errorf("-connections is at least %d, one for each thread of wrk", threads())
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] { // what it starts itself as
		case netHTTPCommand:
			return serveNetHTTP(ctx, args[1:], stdout)
		case storeCommand:
			return measureStoreHere(ctx, args[1:], stdout)
		case dataFileCommand:
			return measureDataFileHere(ctx, args[1:], stdout)
		}
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	l, err := newHarness(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer l.close()
	switch {
	case o.pgo != "":
		return l.writePGO(ctx)
	case o.profile != nil:
		return l.profileRows(ctx, stdout)
	case o.peers:
		return l.comparePeers(ctx, stdout)
	}
	rep, err := l.measure(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if rep == nil {
		return err
	}
	if err := errors.Join(err, rep.print(stdout)); err != nil || o.write == "" {
		return err
	}
	return rep.write(o.write)
}

// names returns the names of all rows.
func names() []string {
	list := []string{}
	for _, r := range rows() {
		list = append(list, r.name)
	}
	return append(list, worstRow, storeRow, dataFileRow)
}
