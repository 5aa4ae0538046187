// Command licenses checks that everything that is shipped has a license that is
// allowed here, and writes the notices that those licenses ask for.
//
//	licenses [-write] ROOT
//
// It reads the license files of the Go modules that the binary and the Go client
// are built of, and what the package-lock.json files of the npm packages say. It
// needs no network once the modules are downloaded. Without -write it fails if the
// notices are not up to date.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// noticesFile is where the notices are, from the root of the repository.
const noticesFile = "THIRD-PARTY-NOTICES"

func main() {
	write := flag.Bool("write", false, "write "+noticesFile)
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: licenses [-write] ROOT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Arg(0), *write); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be done by stop
	}
}

// run checks the licenses of the repository in root, and checks or writes its
// notices. It reports everything that is not allowed together.
func run(ctx context.Context, root string, write bool) error {
	binary, err := linked(ctx, root, "./cmd/session-api")
	if err != nil {
		return err
	}
	client, err := linked(ctx, filepath.Join(root, "clients/go"), "./...")
	if err != nil {
		return err
	}
	files, problems := licenseFiles(binary)
	_, ofClient := licenseFiles(client)
	problems = append(problems, ofClient...)

	locks, err := filepath.Glob(filepath.Join(root, "clients", "*", "package-lock.json"))
	if err != nil {
		return err
	}
	if len(locks) == 0 {
		return errors.New("no package-lock.json in clients: has it moved?")
	}
	for _, lock := range locks {
		ofLock, err := checkLock(lock)
		if err != nil {
			return err
		}
		problems = append(problems, ofLock...)
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}

	notices, path := notices(files), filepath.Join(root, noticesFile)
	if write {
		return os.WriteFile(path, notices, 0o644) //nolint:gosec // everybody may read it
	}
	if written, err := os.ReadFile(path); err != nil || !bytes.Equal(written, notices) { //nolint:gosec // of the repository that is checked
		return fmt.Errorf("%s is not up to date: run make licenses", noticesFile)
	}
	return nil
}
