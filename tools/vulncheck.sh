#!/usr/bin/env bash
# vulncheck.sh DIRECTORY...
#
# Looks for known vulnerabilities that the modules in the directories call, with
# govulncheck. Where its database cannot be reached nothing is known, good or
# bad: this says so and succeeds, so that who works without a network can lint.
# Whatever else goes wrong fails, a vulnerability above all.
set -euo pipefail

go=${GO:-go}
tools=$(cd "$(dirname "$0")" && pwd)/go.mod
said=$(mktemp)
trap 'rm -f "$said"' EXIT

failed=0
for dir in "$@"; do
  status=0
  (cd "$dir" && "$go" tool -modfile="$tools" govulncheck ./...) >"$said" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    echo "vulncheck: $dir calls nothing with a known vulnerability"
  elif [ "$status" -ne 3 ] && grep -q '^govulncheck: fetching vulnerabilities: ' "$said"; then # 3: it found some
    grep '^govulncheck: ' "$said" >&2
    echo "vulncheck: NOT CHECKED: the database of vulnerabilities cannot be reached" >&2
    break
  else
    cat "$said" >&2
    failed=1
  fi
done
exit "$failed"
