package main

import (
	"fmt"
	"strconv"
)

// claim is a figure of a row that stands in the table, and how far it should
// reach.
type claim struct {
	what   string
	value  func(turn) float64
	format func(float64) string
	// alone: there is nothing to compare it with, and the target is for the
	// value itself; otherwise for its ratio to the row's first yardstick.
	alone  bool
	target target
	// ifKnown: where the value is 0, there is nothing to tell.
	ifKnown bool
}

// target is what a figure should be; the zero value if nothing is asked of it.
type target struct{ atLeast, atMost float64 }

func (c claim) least(bound float64) claim { c.target = target{atLeast: bound}; return c }
func (c claim) most(bound float64) claim  { c.target = target{atMost: bound}; return c }

// mostOf is most, for a figure that is compared with a yardstick here.
func (c claim) mostOf(bound float64) claim { c.alone = false; return c.most(bound) }

var (
	requests   = claim{what: "requests/s", value: rate, format: whole}
	processor  = claim{what: "CPU/request", value: cpu, format: micros}
	median     = claim{what: "p50", value: p50, format: millis}
	tail       = claim{what: "p99", value: p99, format: millis}
	farTail    = claim{what: "p99.9", value: p999, format: millis}
	eventsRead = claim{what: "events/s", value: rate, format: whole}
	perEvent   = claim{what: "CPU/event", value: cpu, format: micros, alone: true}
	perSync    = claim{what: "writes/s to fsyncs/s", value: rate, format: whole}
	perFlush   = claim{what: "writes to each flush of the disk", value: flushed, format: tenths, alone: true, ifKnown: true}
	seconds    = claim{what: "time", value: took, format: inSeconds, alone: true}
	grown      = claim{what: "memory beyond idle", value: memory, format: inMegabytes, alone: true}
)

func rate(t turn) float64    { return t.rate }
func cpu(t turn) float64     { return t.cpu }
func behind(t turn) float64  { return t.behind }
func p50(t turn) float64     { return t.p50 }
func p99(t turn) float64     { return t.p99 }
func p999(t turn) float64    { return t.p999 }
func flushed(t turn) float64 { return t.perFlush }
func took(t turn) float64    { return t.took.Seconds() }
func memory(t turn) float64  { return float64(t.memory) / 1e6 }

func whole(v float64) string       { return strconv.FormatFloat(v, 'f', 0, 64) }
func tenths(v float64) string      { return strconv.FormatFloat(v, 'f', 1, 64) }
func micros(v float64) string      { return fmt.Sprintf("%.1f µs", v) }
func nanos(v float64) string       { return fmt.Sprintf("%.0f ns", v) }
func millis(v float64) string      { return fmt.Sprintf("%.2f ms", v) }
func inSeconds(v float64) string   { return fmt.Sprintf("%.2f s", v) }
func inMegabytes(v float64) string { return fmt.Sprintf("%.1f MB", v) }
func inBytes(v float64) string     { return fmt.Sprintf("%.0f B", v) }

// String says what is asked for.
func (t target) String() string {
	switch {
	case t.atLeast > 0:
		return "≥ " + strconv.FormatFloat(t.atLeast, 'g', -1, 64)
	case t.atMost > 0:
		return "≤ " + strconv.FormatFloat(t.atMost, 'g', -1, 64)
	}
	return ""
}

// verdict says whether a value is that.
func (t target) verdict(value float64) string {
	switch {
	case t == target{}:
		return ""
	case value >= t.atLeast && (t.atMost == 0 || value <= t.atMost):
		return "yes"
	}
	return "**no**"
}

// figure is a line of the table.
type figure struct{ row, what, value, yardstick, ratio, target, reached string }

// figure is what became of the claim in a row.
func (c claim) figure(res *result) figure {
	f := figure{row: res.name, what: c.what, target: c.target.String()}
	ours := over(res.service, c.value)
	f.value = c.format(ours.median)
	if c.alone {
		f.value += ends(ours, c.format)
		f.reached = c.target.verdict(ours.median)
		return f
	}
	theirs := res.rivals[0].turns
	against := ratio(res.service, theirs, c.value)
	f.yardstick, f.ratio = c.format(over(theirs, c.value).median), against.String()
	f.reached = c.target.verdict(against.median)
	return f
}

// lone is a figure without a yardstick, of several rounds or of one.
func lone(row, what string, s spread, format func(float64) string, t target) figure {
	f := figure{row: row, what: what, value: format(s.median), target: t.String(), reached: t.verdict(s.median)}
	if s.min != s.max {
		f.value += ends(s, format)
	}
	return f
}

func ends(s spread, format func(float64) string) string {
	return " [" + format(s.min) + ".." + format(s.max) + "]"
}

// once is the spread of a single value.
func once(v float64) spread { return spread{v, v, v} }

// cells is the line as the table wants it.
func (f *figure) cells() []string {
	return []string{f.row, f.what, f.value, f.yardstick, f.ratio, f.target, f.reached}
}
