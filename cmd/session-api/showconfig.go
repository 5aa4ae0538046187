package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"session-api/internal/config"
)

// showConfig is the command config.
func showConfig(args []string, environ map[string]string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("config", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	markdown := flags.Bool("markdown", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(stdout, usage)
	case err != nil:
		return usageError("config: " + err.Error())
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("config: unknown argument %q", flags.Arg(0)))
	case *markdown:
		return write(stdout, config.Markdown())
	}
	c, err := config.Load(environ)
	if err != nil {
		return err
	}
	for _, t := range config.Typos(environ) { // beside the settings, which can be used as they are printed
		if err := write(stderr, fmt.Sprintf("session-api: %s is not a setting; did you mean %s?\n", t.Name, t.Meant)); err != nil {
			return err
		}
	}
	return write(stdout, c.Print())
}
