#!/usr/bin/env bash
# npm-ci.sh FOLDER...
#
# Installs what the package-lock.json of each folder names, unless it is there. No
# package needs a script of its own for that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for folder in "$@"; do
  installed=$folder/node_modules/.installed.json
  if ! cmp -s "$folder/package-lock.json" "$installed"; then
    npm --prefix "$folder" ci --ignore-scripts --prefer-offline --loglevel=error
    cp "$folder/package-lock.json" "$installed"
  fi
done
