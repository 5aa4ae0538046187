#!/usr/bin/env bash
# vulncheck.sh DIRECTORY...
#
# Looks for known vulnerabilities that the modules in the directories call, with
# govulncheck. Where its database, vuln.go.dev, cannot be reached nothing is known,
# good or bad: this says so and succeeds, so that who works without a network can
# lint. Whatever else goes wrong fails, a vulnerability above all.
#
# With VULNCHECK=required, unchecked is a failure. The database is then also taken
# from the Go module golang.org/x/vulndb, of which it is made: a module proxy is often
# there where vuln.go.dev is not.
set -euo pipefail

go=${GO:-go}
tools=$(cd "$(dirname "$0")" && pwd)/go.mod
said=$(mktemp)
trap 'rm -f "$said"' EXIT

database=() # flags of govulncheck
source=vuln.go.dev

# check DIRECTORY runs govulncheck there.
check() {
  (cd "$1" && "$go" tool -modfile="$tools" govulncheck "${database[@]}" ./...) >"$said" 2>&1
}

# unreachable STATUS tells whether govulncheck failed for want of its database. Its
# status is 3 where it found something.
unreachable() {
  [ "$1" -ne 0 ] && [ "$1" -ne 3 ] && grep -q '^govulncheck: fetching vulnerabilities: ' "$said"
}

# use_module takes the database from the module proxy.
use_module() {
  local module
  module=$(cd / && "$go" mod download -json golang.org/x/vulndb@latest) || return
  database=(-db "file://$(sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' <<<"$module")/data/osv")
  source="golang.org/x/vulndb $(sed -n 's/^\t"Version": "\(.*\)",\{0,1\}$/\1/p' <<<"$module")"
}

failed=0
for dir in "$@"; do
  status=0
  check "$dir" || status=$?
  if unreachable "$status" && [ "${VULNCHECK:-}" = required ] && [ ${#database[@]} -eq 0 ] && use_module; then
    status=0
    check "$dir" || status=$?
  fi
  if [ "$status" -eq 0 ]; then
    echo "vulncheck: $dir calls nothing with a known vulnerability, by $source"
  elif unreachable "$status"; then
    grep '^govulncheck: ' "$said" >&2
    echo "vulncheck: NOT CHECKED: the database of vulnerabilities cannot be reached" >&2
    if [ "${VULNCHECK:-}" = required ]; then
      failed=1
    fi
    break
  else
    cat "$said" >&2
    echo "vulncheck: $dir: failed, see above (database: $source)" >&2
    failed=1
  fi
done
exit "$failed"
