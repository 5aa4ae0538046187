package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
)

// worstRow is the name of the rows about the most expensive requests.
const worstRow = "worst request"

// worstCase is how long a request holds a store's lock at once, and how long a scan of a
// document of 1 MiB takes, in milliseconds.
type worstCase struct {
	Store, Request string
	Hold           float64
	Yardstick      float64
}

func (h worstCase) ratio() float64 { return h.Hold / h.Yardstick }

// measureWorst runs the tests of the API that measure them, since the probes are within
// the process.
func (l *harness) measureWorst(ctx context.Context) ([]worstCase, error) {
	l.logf("%s: of each route, on each store, %d rounds", worstRow, l.rounds)
	path := l.path("worst.json")
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestWorstRequests$", "session-api/internal/api")
	cmd.Env = append(os.Environ(), "WORST_ROUNDS="+strconv.Itoa(l.rounds), "WORST_REPORT="+path)
	endWithParent(cmd)
	out, failed := cmd.CombinedOutput()
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w\n%s", failed, out)
	}
	if err != nil {
		return nil, err
	}
	// What fails with a report has missed the target, which the table says.
	var cases []worstCase
	err = json.Unmarshal(content, &cases)
	return cases, err
}

// worstFigures returns the lines of the table: of each store, the request with the
// longest hold.
func worstFigures(holds []worstCase) []figure {
	var list []figure
	worst := map[string]worstCase{}
	var stores []string
	for _, h := range holds {
		if _, known := worst[h.Store]; !known {
			stores = append(stores, h.Store)
		}
		worst[h.Store] = slices.MaxFunc([]worstCase{worst[h.Store], h}, func(a, b worstCase) int { return cmp.Compare(a.Hold, b.Hold) })
	}
	for _, name := range stores {
		h, t := worst[name], target{atMost: 1}
		list = append(list, figure{
			row: worstRow + ", " + name, what: "longest hold: " + h.Request,
			value: millis(h.Hold), yardstick: millis(h.Yardstick), ratio: singleValue(h.ratio()).String(),
			target: t.String(), reached: t.reached(h.ratio()),
		})
	}
	return list
}
