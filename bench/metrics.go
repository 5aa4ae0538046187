package main

import (
	"fmt"
	"strconv"
)

// metric is a figure of a row in the table, with its target.
type metric struct {
	what   string
	value  func(sample) float64
	format func(float64) string
	// absolute makes the target one for the value itself; otherwise it is for the ratio
	// to the row's first yardstick.
	absolute bool
	target   target
	// omitZero leaves the figure out if the value is 0, which means unknown.
	omitZero bool
}

// target is the goal of a figure; the zero value is none.
type target struct{ atLeast, atMost float64 }

func (c metric) atLeast(bound float64) metric { c.target = target{atLeast: bound}; return c }
func (c metric) atMost(bound float64) metric  { c.target = target{atMost: bound}; return c }

// atMostRatio is atMost for the ratio to the yardstick.
func (c metric) atMostRatio(bound float64) metric { c.absolute = false; return c.atMost(bound) }

var (
	requests       = metric{what: "requests/s", value: rate, format: whole}
	cpuPerRequest  = metric{what: "CPU/request", value: cpu, format: micros}
	p50Latency     = metric{what: "p50", value: p50, format: millis}
	p99Latency     = metric{what: "p99", value: p99, format: millis}
	p999Latency    = metric{what: "p99.9", value: p999, format: millis}
	eventsRead     = metric{what: "events/s", value: rate, format: whole}
	perEvent       = metric{what: "CPU/event", value: cpu, format: micros, absolute: true}
	writesPerFsync = metric{what: "writes/s to fsyncs/s", value: rate, format: whole}
	writesPerFlush = metric{what: "writes to each flush of the disk", value: flushed, format: tenths, absolute: true, omitZero: true}
	seconds        = metric{what: "time", value: took, format: inSeconds, absolute: true}
	memoryGrowth   = metric{what: "memory beyond idle", value: memory, format: inMegabytes, absolute: true}
)

func rate(t sample) float64    { return t.rate }
func cpu(t sample) float64     { return t.cpu }
func behind(t sample) float64  { return t.redisCPU }
func p50(t sample) float64     { return t.p50 }
func p99(t sample) float64     { return t.p99 }
func p999(t sample) float64    { return t.p999 }
func flushed(t sample) float64 { return t.writesPerFlush }
func took(t sample) float64    { return t.elapsed.Seconds() }
func memory(t sample) float64  { return float64(t.memory) / 1e6 }

func whole(v float64) string       { return strconv.FormatFloat(v, 'f', 0, 64) }
func tenths(v float64) string      { return strconv.FormatFloat(v, 'f', 1, 64) }
func micros(v float64) string      { return fmt.Sprintf("%.1f µs", v) }
func nanos(v float64) string       { return fmt.Sprintf("%.0f ns", v) }
func millis(v float64) string      { return fmt.Sprintf("%.2f ms", v) }
func inSeconds(v float64) string   { return fmt.Sprintf("%.2f s", v) }
func inMegabytes(v float64) string { return fmt.Sprintf("%.1f MB", v) }
func inBytes(v float64) string     { return fmt.Sprintf("%.0f B", v) }

// String returns the bound.
func (t target) String() string {
	switch {
	case t.atLeast > 0:
		return "≥ " + strconv.FormatFloat(t.atLeast, 'g', -1, 64)
	case t.atMost > 0:
		return "≤ " + strconv.FormatFloat(t.atMost, 'g', -1, 64)
	}
	return ""
}

// reached returns whether a value reaches the target, for the table.
func (t target) reached(value float64) string {
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

// figure returns the metric's figure in a row.
func (c metric) figure(res *result) figure {
	f := figure{row: res.name, what: c.what, target: c.target.String()}
	ours := spreadOver(res.service, c.value)
	f.value = c.format(ours.median)
	if c.absolute {
		f.value += rangeText(ours, c.format)
		f.reached = c.target.reached(ours.median)
		return f
	}
	theirs := res.yardsticks[0].samples
	against := ratio(res.service, theirs, c.value)
	f.yardstick, f.ratio = c.format(spreadOver(theirs, c.value).median), against.String()
	f.reached = c.target.reached(against.median)
	return f
}

// absoluteFigure returns a figure without a yardstick.
func absoluteFigure(row, what string, s spread, format func(float64) string, t target) figure {
	f := figure{row: row, what: what, value: format(s.median), target: t.String(), reached: t.reached(s.median)}
	if s.min != s.max {
		f.value += rangeText(s, format)
	}
	return f
}

func rangeText(s spread, format func(float64) string) string {
	return " [" + format(s.min) + ".." + format(s.max) + "]"
}

// singleValue is the spread of a single value.
func singleValue(v float64) spread { return spread{v, v, v} }

// cells returns the cells of the line.
func (f *figure) cells() []string {
	return []string{f.row, f.what, f.value, f.yardstick, f.ratio, f.target, f.reached}
}
