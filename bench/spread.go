package main

import (
	"fmt"
	"slices"
)

// spread is the median and the range of the values of several rounds.
type spread struct{ median, min, max float64 }

// spreadOf returns the spread of at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{median, sorted[0], sorted[len(sorted)-1]}
}

// spreadOver returns the spread of a value over samples.
func spreadOver(turns []sample, value func(sample) float64) spread {
	values := make([]float64, len(turns))
	for i, t := range turns {
		values[i] = value(t)
	}
	return spreadOf(values)
}

// ratio returns the spread of the ratios of a value, service to yardstick,
// round by round.
func ratio(service, against []sample, value func(sample) float64) spread {
	ratios := make([]float64, len(service))
	for i := range service {
		ratios[i] = value(service[i]) / value(against[i])
	}
	return spreadOf(ratios)
}

// String returns the median and the range.
func (s spread) String() string { return fmt.Sprintf("%.2f [%.2f..%.2f]", s.median, s.min, s.max) }
