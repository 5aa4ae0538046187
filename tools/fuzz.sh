#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, FUZZTIME each.
# What a target finds it writes to its package's testdata/fuzz: commit that, it
# is a test from then on.
set -euo pipefail

go=${GO:-go}
fuzztime=${FUZZTIME:-60s}

for package in $("$go" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
  listed=$("$go" test -list '^Fuzz' "$package")
  for target in $(grep '^Fuzz' <<<"$listed" || true); do
    echo "== $package $target"
    # Inputs whose coverage varies would be minimised for the whole time otherwise.
    "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$package"
  done
done
