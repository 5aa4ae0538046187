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

// worstRow is what the figures of requests that are made to be costly are called.
const worstRow = "worst request"

// hold is how long a request kept others from a store at once, and how long a
// processor takes to look through a document of 1 MiB, in milliseconds.
type hold struct {
	Store, Request string
	Hold           float64
	Yardstick      float64
}

func (h hold) ratio() float64 { return h.Hold / h.Yardstick }

// measureWorst has the tests of the API measure them: the probes are within the
// process that they ask.
func (l *lab) measureWorst(ctx context.Context) ([]hold, error) {
	l.say("%s: of each route, on each store, %d rounds", worstRow, l.rounds)
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
	var holds []hold
	err = json.Unmarshal(content, &holds)
	return holds, err
}

// worstFigures are the lines of the table: of each store the request with the
// longest hold.
func worstFigures(holds []hold) []figure {
	var list []figure
	worst := map[string]hold{}
	var stores []string
	for _, h := range holds {
		if _, known := worst[h.Store]; !known {
			stores = append(stores, h.Store)
		}
		worst[h.Store] = slices.MaxFunc([]hold{worst[h.Store], h}, func(a, b hold) int { return cmp.Compare(a.Hold, b.Hold) })
	}
	for _, name := range stores {
		h, t := worst[name], target{atMost: 1}
		list = append(list, figure{
			row: worstRow + ", " + name, what: "longest hold: " + h.Request,
			value: millis(h.Hold), yardstick: millis(h.Yardstick), ratio: once(h.ratio()).String(),
			target: t.String(), reached: t.verdict(h.ratio()),
		})
	}
	return list
}
