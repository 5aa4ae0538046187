package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// checkLock returns a problem for each package of a package-lock.json whose license
// is not allowed or not said.
func checkLock(path string) (problems []error, err error) {
	content, err := os.ReadFile(path) //nolint:gosec // of the repository that is checked
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			License string
			Dev     bool
		}
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, at := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[at]
		ids := shippedLicenses
		if p.Dev {
			ids = slices.Concat(shippedLicenses, testLicenses)
		}
		if at != "" && !allowed(p.License, ids) { // "" is the client itself
			problems = append(problems, fmt.Errorf("%s: %s: the license %q is not allowed", path, at, p.License))
		}
	}
	return problems, nil
}
