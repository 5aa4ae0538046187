// Command session-api serves sessions to web applications over HTTP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/caarlos0/env/v11"
)

// version is set by the linker (-X main.version=…).
var version = ""

const usage = `Usage: session-api [command]

Without a command, the service starts. It is configured by environment variables;
see docs/configuration.md.

Commands:
  config              validate the configuration and print it, with secrets masked
  config -markdown    print the documentation of all settings
  export              write the sessions of the store, one per line
  import              read them into another store; see -h for both
  backup FILE         write a consistent snapshot of all sessions, from a running
                      service or from its data file
  restore FILE        create a data file from a backup
  check [DIR]         check the data file of a stopped service, and report what is
                      in it
  compact [DIR]       rewrite the data file without obsolete data
  salvage [DIR]       save the intact sessions of a damaged data file; see -h for
                      these
  cleanup adopt [DIR] allow the service to delete files in a directory that was not
                      empty at first, or that belonged to another store; see -h
  token new           make a service token, and the line for SERVICE_TOKENS_FILE that
                      lets it in; see -h
  token check         check the checksum of a service token from standard input
  audit verify FILE   check that no line of an audit log was changed, removed or moved;
                      see -h
  healthcheck         check the liveness of the service on this machine
  version             print the version

Exit status: 0 success, 1 failure, 2 wrong usage.
`

func main() {
	os.Exit(run(context.Background(), os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr))
}

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args []string, environ map[string]string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, environ, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) { // the help has been written
		return 0
	}
	if _, ok := errors.AsType[usageError](err); ok {
		_, _ = fmt.Fprintf(stderr, "session-api: %v\n\n%s", err, usage)
		return 2
	}
	_, _ = fmt.Fprintf(stderr, "session-api: %v\n", err)
	return 1
}

// usageError: the command line is not one that usage describes.
type usageError string

func (e usageError) Error() string { return string(e) }

// takesArguments are the commands that take some.
var takesArguments = []string{"audit", "backup", "check", "cleanup", "compact", "config", "export", "import", "restore", "salvage", "token"}

func dispatch(ctx context.Context, args []string, environ map[string]string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return serve(ctx, environ, stdout)
	}
	command, rest := args[0], args[1:]
	if len(rest) > 0 && !slices.Contains(takesArguments, command) {
		return usageError(command + " takes no arguments")
	}
	switch command {
	case "-h", "-help", "--help", "help":
		return write(stdout, usage)
	case "-version", "--version", "version":
		return write(stdout, fmt.Sprintf("session-api %s (%s %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
	case "healthcheck":
		return healthcheck(ctx, environ)
	case "export", "import":
		return runTransfer(ctx, command, rest, environ, streams{os.Stdin, stdout, stderr})
	case "backup":
		return backUp(ctx, rest, environ, streams{os.Stdin, stdout, stderr})
	case "restore":
		return restore(ctx, rest, environ, streams{os.Stdin, stdout, stderr})
	case "salvage":
		return salvage(rest, environ, streams{os.Stdin, stdout, stderr})
	case "compact":
		return compact(rest, environ, stdout)
	case "check":
		return checkData(rest, environ, stdout)
	case "cleanup":
		return adoptDirectory(ctx, rest, environ, stdout, stderr)
	case "audit":
		return verifyAudit(rest, streams{os.Stdin, stdout, stderr})
	case "token":
		return serviceToken(rest, streams{os.Stdin, stdout, stderr})
	case "config":
		return showConfig(rest, environ, stdout, stderr)
	}
	return usageError(fmt.Sprintf("unknown command %q", command))
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// buildVersion is the version that the linker set, or what the Go toolchain
// knows of the build.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
