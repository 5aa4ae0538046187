#!/usr/bin/env bash
# clients.sh [DIR]
#
# Generates the Go client and the TypeScript types from openapi.yaml, in place
# or below DIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=${1:-$PWD/clients}
mkdir -p "$dir/go" "$dir/typescript"

"${GO:-go}" tool -modfile=tools/go.mod oapi-codegen \
  -config clients/go/oapi-codegen.yaml -o "$dir/go/client.gen.go" openapi.yaml
# The package's documentation is that of sessionapi.go alone. The line that says
# that the code is generated stays.
sed -i.bak -e '1,/^package /{/^\/\/ Package /d; /^\/\/$/d; /^package /{x;p;x;};}' "$dir/go/client.gen.go"
rm "$dir/go/client.gen.go.bak"

tools/npm-ci.sh clients/typescript
# In a folder of its own: it would read redocly.yaml, which is another tool's.
cd clients/typescript
node_modules/.bin/openapi-typescript ../../openapi.yaml --output "$dir/typescript/schema.d.ts"
