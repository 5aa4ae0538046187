package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// directoryOf parses the arguments of a command on one data directory, which is
// that of SESSION_DATA_DIR if they name none. Where they ask for help, it writes the
// usage and returns flag.ErrHelp.
func directoryOf(flags *flag.FlagSet, usage string, args []string, environ map[string]string, stdout io.Writer) (string, error) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		if wrote := write(stdout, usage); wrote != nil {
			return "", wrote
		}
		return "", err
	case err != nil:
		return "", usageError(flags.Name() + ": " + err.Error())
	case flags.NArg() > 1:
		return "", usageError(fmt.Sprintf("%s: unknown argument %q", flags.Name(), flags.Arg(1)))
	}
	dir := cmp.Or(flags.Arg(0), environ["SESSION_DATA_DIR"])
	if dir == "" {
		return "", usageError(flags.Name() + ": name a directory, or set SESSION_DATA_DIR")
	}
	return dir, nil
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM. A
// second one ends the process at once.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
