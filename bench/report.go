package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
)

// report is everything that was measured.
type report struct {
	options
	machine     string
	start       startup
	results     []result
	redisMemory redisMemory // nothing where no row is on Redis
	store       *storeFigures
	worst       []worstCase
	// dataFile has the figures of the data file; nil where they were not wanted.
	dataFile *dataFileFigures
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

// Table is the table of figures.
func (rep *report) Table() string {
	cells := [][]string{{"row", "what", "figure", "yardstick", "ratio", "target", "reached"}}
	for _, f := range rep.figures() {
		cells = append(cells, f.cells())
	}
	return table(2, cells)
}

// wrkResult are all that stand in the table.
func (rep *report) figures() []figure {
	list := []figure{
		absoluteFigure("service, idle", "binary", singleValue(float64(rep.start.binary)/1e6), inMegabytes, target{atMost: 30}),
		absoluteFigure("service, idle", "start to first answer", rep.start.answer, millis, target{atMost: 100}),
		absoluteFigure("service, idle", "resident memory", rep.start.memory, inMegabytes, target{atMost: 25}),
	}
	for _, res := range rep.results {
		for _, c := range res.metrics {
			if !c.omitZero || spreadOver(res.service, c.value).median > 0 {
				list = append(list, c.figure(&res))
			}
		}
		if res.single != nil {
			list = append(list, res.single(rep, &res)...)
		}
	}
	list = append(list, worstFigures(rep.worst)...)
	if rep.store != nil {
		list = append(list, rep.store.figures()...)
	}
	if rep.dataFile != nil {
		list = append(list, rep.dataFile.figures()...)
	}
	return list
}

// residentFigures are what the sessions take of the service's memory.
func residentFigures(rep *report, res *result) []figure {
	documents := float64(res.sessions * res.document)
	beside := func(what string, bytes int64, t target) figure {
		ratio := float64(bytes) / documents
		return figure{
			row: res.name, what: what, value: inMegabytes(float64(bytes) / 1e6),
			yardstick: inMegabytes(documents / 1e6), ratio: singleValue(ratio).String(), target: t.String(), reached: t.reached(ratio),
		}
	}
	return []figure{
		beside("resident memory at the end of the load, beside the documents", res.loaded, target{}),
		beside(fmt.Sprintf("the same %v after the load", memoryReturnDelay), res.rested, target{atMost: 1.5}),
		absoluteFigure(res.name, "that, per session beyond its document and the idle service",
			singleValue((float64(res.rested)-rep.start.memory.median*1e6-documents)/float64(res.sessions)), inBytes, target{}),
	}
}

// Facts are the figures that are not in the table, as a list.
func (rep *report) Facts() string {
	var b strings.Builder
	for _, r := range rep.results {
		if spreadOver(r.service, p50).median == 0 {
			continue // no latencies
		}
		fmt.Fprintf(&b, "- %s, latencies of p50, p99 and p99.9: %s", r.name, latencies(r.service))
		for _, other := range r.yardsticks {
			if spreadOver(other.samples, p50).median != 0 {
				fmt.Fprintf(&b, "; %s %s", other.name, latencies(other.samples))
			}
		}
		b.WriteString("\n")
	}
	for _, r := range rep.results {
		if r.onRedis {
			fmt.Fprintf(&b, "- %s, each request: %v; %.1f µs of redis-server's processor time under load\n",
				r.name, r.redisCost, spreadOver(r.service, behind).median)
		}
		for _, other := range r.yardsticks[min(1, len(r.yardsticks)):] {
			cost, first := "each", ""
			if r.onRedis {
				cost = "of redis-server each"
			} else {
				first = fmt.Sprintf(", of %s's %v", r.yardsticks[0].name, ratio(r.yardsticks[0].samples, other.samples, rate))
			}
			fmt.Fprintf(&b, "- %s, beside %s: %.0f requests/s, %.1f µs %s; ratio of requests/s %v%s\n",
				r.name, other.name, spreadOver(other.samples, rate).median, spreadOver(other.samples, cpu).median, cost,
				ratio(r.service, other.samples, rate), first)
		}
	}
	if s := rep.redisMemory; s.sessions > 0 {
		fmt.Fprintf(&b, "- a session in Redis: %.0f bytes beyond its document of %d bytes (indexes included, mean of %d)\n",
			s.each-float64(s.document), s.document, s.sessions)
	}
	return b.String()
}

// latencies are medians in milliseconds; redis-benchmark tells no p99.9.
func latencies(turns []sample) string {
	text := fmt.Sprintf("%.2f, %.2f", spreadOver(turns, p50).median, spreadOver(turns, p99).median)
	if far := spreadOver(turns, p999).median; far != 0 {
		text += fmt.Sprintf(", %.2f", far)
	}
	return text + " ms"
}

// Rows says what each row is.
func (rep *report) Rows() string {
	var b strings.Builder
	for _, r := range rep.results {
		fmt.Fprintf(&b, "- **%s**: %s.", r.name, r.doc)
		if len(r.yardsticks) > 0 {
			fmt.Fprintf(&b, " Yardstick: %s.", r.yardsticks[0].name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Machine says where it was measured.
func (rep *report) Machine() string { return "Measured on " + rep.machine + "." }

// Command is how to measure it again.
func (rep *report) Command() string {
	command := fmt.Sprintf("go run ./bench -rounds %d -duration %v -connections %d", rep.rounds, rep.duration, rep.connections)
	if !rep.million {
		command += " -million=false"
	}
	return command
}

// Rounds is the number of rounds.
func (rep *report) Rounds() int { return rep.rounds }
