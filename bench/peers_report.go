package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"
)

// peersPage is docs/peers.md around the figures.
//
//go:embed peers.md.tmpl
var peersPage string

// peersReport is how the peers compare.
type peersReport struct {
	options
	machine string
	results peerResults
}

// write writes it as a page of the documentation.
func (rep *peersReport) write(path string) error {
	var b strings.Builder
	if err := template.Must(template.New("page").Parse(peersPage)).Execute(&b, rep); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// Table is one of all, the fastest of each operation and place first.
func (rep *peersReport) Table() string {
	cells := [][]string{{
		"", "sessions in", "who", "requests/s", "beside session-api", "CPU/request", "and of Redis", "p50 ms", "p99 ms", "",
	}}
	for _, operation := range []string{readSession, writeKey} {
		for _, kept := range []string{"memory", "Redis"} {
			group := slices.DeleteFunc(slices.Clone(rep.results[operation]), func(t peerSamples) bool { return t.peer.kept != kept })
			cells = append(cells, rank(operation, group)...)
		}
	}
	return table(3, cells)
}

// rank is the lines of those who do the same.
func rank(operation string, group []peerSamples) [][]string {
	slices.SortStableFunc(group, func(a, b peerSamples) int {
		return int(spreadOver(b.samples, rate).median - spreadOver(a.samples, rate).median)
	})
	var ours []sample
	least := spreadOver(group[0].samples, allCPU).median
	for _, t := range group {
		if t.peer.own != nil {
			ours = t.samples
		}
		least = min(least, spreadOver(t.samples, allCPU).median)
	}
	lines := make([][]string, len(group))
	for i, t := range group {
		var wins []string
		if i == 0 {
			wins = append(wins, "most requests")
		}
		if spreadOver(t.samples, allCPU).median == least {
			wins = append(wins, "least CPU")
		}
		redis := ""
		if t.peer.redis != nil {
			redis = micros(spreadOver(t.samples, behind).median)
		}
		lines[i] = []string{
			operation, t.peer.kept, t.peer.name, whole(spreadOver(t.samples, rate).median), ratio(t.samples, ours, rate).String(),
			micros(spreadOver(t.samples, cpu).median), redis,
			fmt.Sprintf("%.2f", spreadOver(t.samples, p50).median), fmt.Sprintf("%.2f", spreadOver(t.samples, p99).median),
			strings.Join(wins, ", "),
		}
	}
	return lines
}

// allCPU is what a request costs the machine, Redis included.
func allCPU(t sample) float64 { return t.cpu + t.redisCPU }

// Machine says where it was measured.
func (rep *peersReport) Machine() string { return "Measured on " + rep.machine + "." }

// Command is how to measure it again.
func (rep *peersReport) Command() string {
	return fmt.Sprintf("go run ./bench -peers -rounds %d -duration %v -connections %d", rep.rounds, rep.duration, rep.connections)
}

// Rounds is the number of rounds.
func (rep *peersReport) Rounds() int { return rep.rounds }

// Connections is how many are kept busy.
func (rep *peersReport) Connections() int { return rep.connections }

// comparePeers measures, prints, and writes if it is to.
func (l *harness) comparePeers(ctx context.Context, stdout io.Writer) error {
	results, err := l.measurePeers(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	rep := &peersReport{options: l.options, machine: describeMachine(l.programs), results: results}
	if _, err := fmt.Fprintf(stdout, "%s\n%s\n", rep.Table(), rep.Machine()); err != nil || l.write == "" {
		return err
	}
	return rep.write(l.write)
}
