package main

import (
	"slices"
	"strings"
)

// shippedLicenses are the SPDX identifiers that what is shipped may have: those
// that ask for their text to be passed on, and for nothing else.
var shippedLicenses = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// testLicenses are those that npm packages may have beside them that are used in
// tests and builds alone.
var testLicenses = []string{"0BSD", "BlueOak-1.0.0", "CC-BY-4.0", "CC0-1.0", "Python-2.0"}

// allowed tells whether an SPDX expression can be met by allowed licenses alone.
// One that it does not understand cannot.
func allowed(expression string, ids []string) bool {
	expression = strings.TrimSpace(expression)
	if inner, ok := strings.CutPrefix(expression, "("); ok {
		if inner, ok = strings.CutSuffix(inner, ")"); ok && !strings.ContainsAny(inner, "()") {
			expression = inner
		}
	}
	if strings.ContainsAny(expression, "()") {
		return false
	}
	// AND binds more tightly than OR.
	for alternative := range strings.SplitSeq(expression, " OR ") {
		met := true
		for id := range strings.SplitSeq(alternative, " AND ") {
			met = met && slices.Contains(ids, strings.TrimSpace(id))
		}
		if met {
			return true
		}
	}
	return false
}
