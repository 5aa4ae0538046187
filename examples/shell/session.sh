#!/usr/bin/env bash
# Takes a session through its life. SESSION_API says where the service is;
# SERVICE_TOKEN, if it has any, opens the part that is for trusted backends.
set -euo pipefail
shopt -s inherit_errexit

api=${SESSION_API:-http://127.0.0.1:8080}

# call METHOD PATH [BODY [CURL-OPTION...]]: the answer's body, or the problem
# on stderr and a failure.
call() {
  local method=$1 path=$2 body=${3:-} answer status
  local arguments=(--silent --show-error --max-time 10 --request "$method" --write-out '\n%{http_code}' "${@:4}")
  if [ -n "$body" ]; then
    arguments+=(--header 'Content-Type: application/json' --data-binary "$body")
  fi
  # Through stdin: arguments can be seen by others on the machine.
  answer=$(curl "${arguments[@]}" --config - "$api$path" <<<"${auth:-}")
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  if [ "$status" -ge 400 ]; then
    jq -r '"\(.status) \(.code): \(.detail)"' <<<"$answer" >&2
    return 1
  fi
  [ -z "$answer" ] || printf '%s\n' "$answer"
}

bearer() { printf 'header = "Authorization: Bearer %s"' "$1"; }

headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
created=$(call POST '/api/session?transport=bearer' '{"inputs": {"step": 1}, "ttlMs": 600000}' --dump-header "$headers")
auth=$(bearer "$(jq -r .token <<<"$created")")
echo "created: $(jq -c '{revision, inputs}' <<<"$created")"

# A merge changes what it names; null removes.
patched=$(call PATCH /api/session '{"inputs": {"step": null, "prompt": "Check the order export"}}')
echo "patched: $(jq -c '{revision, inputs}' <<<"$patched")"

# Several jobs may append at once.
call POST /api/session/operations '[{"op": "add", "path": "/results/files", "value": []}]' >/dev/null
for n in 1 2 3; do
  call POST /api/session/operations \
    "$(jq -nc --arg file "part-$n.csv" '[{op: "add", path: "/results/files/-", value: $file}]')" >/dev/null &
done
wait
echo "appended: $(call GET /api/session | jq -c '.results.files | sort')"

# Whoever holds an old ETag is told: it comes from the answer's header.
etag=$(tr -d '\r' <"$headers" | sed -n 's/^[Ee][Tt]ag: //p')
if ! problem=$(call PUT /api/session '{"meta": {"lost": true}}' --header "If-Match: $etag" 2>&1); then
  echo "refused: ${problem%%:*}"
fi

# A new id, and so a new token, for the moment when somebody's rights change.
regenerated=$(call POST /api/session/regenerate)
auth=$(bearer "$(jq -r .token <<<"$regenerated")")
[ "$(jq .id <<<"$created")" != "$(jq .id <<<"$regenerated")" ]
echo "regenerated: $(call GET /api/session | jq -c '.inputs')"

call DELETE /api/session
if ! call GET /api/session 2>/dev/null; then echo "ended"; fi

if [ -n "${SERVICE_TOKEN:-}" ]; then
  auth=$(bearer "$SERVICE_TOKEN")
  user=shell-$$
  for _ in 1 2; do
    call POST /api/sessions "$(jq -nc --arg id "$user" '{user: {id: $id}}')" >/dev/null
  done
  echo "sessions of a user: $(call GET "/api/sessions/count?userId=$user" | jq .count)"
  echo "signed out everywhere: $(call DELETE "/api/sessions?userId=$user" | jq .deleted)"
fi
