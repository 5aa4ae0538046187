package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"
)

// report is everything that was measured.
type report struct {
	options
	machine string
	start   startup
	results []result
	space   space // nothing where no row is on Redis
}

// print writes the figures.
func (rep *report) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s\n%s\n%s\n", rep.Table(), rep.Facts(), rep.Machine())
	return err
}

// page is docs/performance.md around the figures.
//
//go:embed performance.md.tmpl
var page string

// write writes the figures as a page of the documentation.
func (rep *report) write(path string) error {
	var b strings.Builder
	if err := template.Must(template.New("page").Parse(page)).Execute(&b, rep); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func rate(t turn) float64   { return t.rate }
func cpu(t turn) float64    { return t.cpu }
func behind(t turn) float64 { return t.behind }
func p50(t turn) float64    { return t.p50 }
func p99(t turn) float64    { return t.p99 }

// Table is the table of rows, each with its first yardstick.
func (rep *report) Table() string {
	cells := [][]string{{
		"row", "req/s", "yardstick", "ratio", "CPU/request", "yardstick", "ratio",
		"p50 ms", "yardstick", "p99 ms", "yardstick",
	}}
	median := func(format string, turns []turn, value func(turn) float64) string {
		return fmt.Sprintf(format, over(turns, value).median)
	}
	for _, r := range rep.results {
		against := r.rivals[0].turns
		cells = append(cells, []string{
			r.name,
			median("%.0f", r.service, rate), median("%.0f", against, rate), ratio(r.service, against, rate).String(),
			median("%.1f µs", r.service, cpu), median("%.1f µs", against, cpu), ratio(r.service, against, cpu).String(),
			median("%.2f", r.service, p50), median("%.2f", against, p50),
			median("%.2f", r.service, p99), median("%.2f", against, p99),
		})
	}
	return table(cells)
}

// Facts are the figures that are not in the table, as a list.
func (rep *report) Facts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- binary: %s\n", megabytes(rep.start.binary))
	fmt.Fprintf(&b, "- start to first answer: %.0f ms\n", float64(rep.start.answer)/float64(time.Millisecond))
	fmt.Fprintf(&b, "- resident memory, idle: %s\n", megabytes(rep.start.memory))
	for _, r := range rep.results {
		if r.sessions >= million {
			fmt.Fprintf(&b, "- resident memory, %d sessions of 1 KB: %s, %d bytes a session\n",
				r.sessions, megabytes(r.memory), (r.memory-rep.start.memory)/int64(r.sessions))
		}
	}
	for _, r := range rep.results {
		if r.onRedis {
			fmt.Fprintf(&b, "- %s, each request: %v; %.1f µs of redis-server's processor time under load\n",
				r.name, r.asks, over(r.service, behind).median)
		}
		for _, other := range r.rivals[1:] {
			fmt.Fprintf(&b, "- %s, beside %s: %.0f requests/s, %.1f µs of redis-server each; ratio of requests/s %v\n",
				r.name, other.name, over(other.turns, rate).median, over(other.turns, cpu).median, ratio(r.service, other.turns, rate))
		}
	}
	if s := rep.space; s.sessions > 0 {
		fmt.Fprintf(&b, "- a session in Redis: %.0f bytes beyond its document of %d bytes (indexes included, mean of %d)\n",
			s.each-float64(s.document), s.document, s.sessions)
	}
	return b.String()
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Rows says what each row is.
func (rep *report) Rows() string {
	var b strings.Builder
	for _, r := range rep.results {
		fmt.Fprintf(&b, "- **%s**: %s. Yardstick: %s.\n", r.name, r.doc, r.rivals[0].name)
	}
	return b.String()
}

// Machine says where it was measured.
func (rep *report) Machine() string { return "Measured on " + rep.machine + "." }

// Command is how to measure it again.
func (rep *report) Command() string {
	command := fmt.Sprintf("go run ./bench -rounds %d -duration %v -connections %d", rep.rounds, rep.duration, rep.connections)
	if rep.million {
		command += " -million"
	}
	return command
}

// Rounds is the number of rounds.
func (rep *report) Rounds() int { return rep.rounds }
