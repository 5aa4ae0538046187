//go:build race

package api_test

// underRace: pools forget some of what they are given, so that more is
// allocated.
const underRace = true
