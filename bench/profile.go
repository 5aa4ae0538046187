package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

const (
	// profiling is the message of the line that says where a service that was
	// built with profileTag answers /debug/pprof.
	profiling  = "profiling"
	profileTag = "pprof"
	// profileFor is how long a row is profiled.
	profileFor = 10 * time.Second
	// shown is how many functions are printed of a profile.
	shown = "25"
)

// profileRows takes two profiles of the service in each chosen row, of its
// processor time and of what it allocates, and prints the top of them.
func (l *harness) profileRows(ctx context.Context, stdout io.Writer) error {
	if err := os.MkdirAll(l.out, 0o755); err != nil {
		return err
	}
	for _, r := range l.selectedRows() {
		if err := l.profileRow(ctx, &r, stdout); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	return nil
}

func (l *harness) profileRow(ctx context.Context, r *row, stdout io.Writer) error {
	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(r.name, "-")
	profiles := []profile{
		{"/debug/pprof/profile", filepath.Join(l.out, name+".cpu.pprof"), "cpu"},
		{"/debug/pprof/allocs", filepath.Join(l.out, name+".allocs.pprof"), "alloc_space"},
	}
	if err := l.takeProfiles(ctx, r, profiles); err != nil {
		return err
	}
	for _, p := range profiles {
		args := []string{"tool", "pprof", "-top", "-nodecount=" + shown, "-sample_index=" + p.index, p.file}
		out, err := exec.CommandContext(ctx, "go", args...).Output()
		if err != nil {
			return fmt.Errorf("go tool pprof: %w", err)
		}
		if _, err := fmt.Fprintf(stdout, "%s: %s\n%s\n", r.name, p.file, out); err != nil {
			return err
		}
	}
	return nil
}

// profile is where a profile is had, where it goes, and what of it is shown.
type profile struct{ path, file, index string }

// takeProfiles loads the service as the row says, and writes its profiles.
func (l *harness) takeProfiles(ctx context.Context, r *row, profiles []profile) error {
	service, ours, err := l.prepareRow(ctx, r)
	if err != nil {
		return err
	}
	defer service.stop()
	if _, _, err := ours.measure(ctx, l, time.Second, 0); err != nil { // to warm up
		return err
	}
	log, err := os.Open(service.server.log)
	if err != nil {
		return err
	}
	addr := findMessage(log, profiling)
	if err := log.Close(); err != nil {
		return err
	}
	l.logf("%s: profiling for %v", r.name, profileFor)
	ended := make(chan error, len(profiles))
	for _, p := range profiles {
		go func() { ended <- l.fetchProfile(ctx, addr, p.path, p.file) }()
	}
	for left, round := len(profiles), 1; left > 0; round++ {
		if _, _, err := ours.measure(ctx, l, time.Second, round%maxRounds+1); err != nil {
			return err
		}
		for wait := true; wait; {
			select {
			case failed := <-ended:
				if failed != nil {
					return failed
				}
				left--
			default:
				wait = false
			}
		}
	}
	return nil
}

// mixedLoad are the rows whose profiles, in equal parts, make the one for the compiler:
// what services and browsers ask most.
func mixedLoad() []row {
	every := row{env: errorsOnly, sessions: thousand}
	named := func(name string, r row) row { r.name = name; return r }
	return []row{
		named("GET", get(every)), named("verify", verify(every, "?role=editor")), named("PATCH", patch(every)),
		named("POST", post(every)), named("list", list(every)),
	}
}

// writePGO writes the profile for profile-guided optimisation.
func (l *harness) writePGO(ctx context.Context) error {
	args := []string{"tool", "pprof", "-proto"}
	for _, r := range mixedLoad() {
		file := l.path(r.name + ".pprof")
		if err := l.takeProfiles(ctx, &r, []profile{{path: "/debug/pprof/profile", file: file}}); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
		args = append(args, file)
	}
	merged, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		return fmt.Errorf("go tool pprof: %w", err)
	}
	return os.WriteFile(l.pgo, merged, 0o644)
}

// fetchProfile writes what the service does from now on into a file.
func (l *harness) fetchProfile(ctx context.Context, addr, path, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"http://"+addr+path+"?seconds="+strconv.Itoa(int(profileFor.Seconds())), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := l.clientWithoutTimeout().Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return errors.New("GET " + path + ": " + resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
