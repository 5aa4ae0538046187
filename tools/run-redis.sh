#!/usr/bin/env bash
# run-redis.sh [REDIS-PORT [PORT...]]
#
# Runs bin/session-api once on each PORT (8081 and 8082), all of them on a Redis
# of their own on REDIS-PORT (16379), which keeps an append-only file in
# bin/redis: sessions survive the next run. Ctrl-C ends them all, and so does the
# end of any of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

redis_port=${1:-16379}
ports=("${@:2}")
[ ${#ports[@]} -gt 0 ] || ports=(8081 8082)
data=${REDIS_DATA:-$PWD/bin/redis}

tools/need.sh redis-server
mkdir -p "$data"
# All instances sign with one secret. It stays, as the sessions do.
if [ ! -s "$data/session_secret" ]; then
  (umask 077 && head -c 48 /dev/urandom | base64 | tr -d '\n' >"$data/session_secret")
fi

pids=()
end() {
  trap - EXIT INT TERM
  # The instances first: what they are doing needs Redis.
  local pid
  for pid in "${pids[@]:1}" "${pids[@]:0:1}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
trap end EXIT
trap 'exit 0' INT TERM

# Each line says whose it is.
as() { sed -u "s/^/[$1] /"; }

redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$data" --save '' \
  --appendonly yes --maxmemory-policy noeviction --loglevel warning > >(as redis) 2>&1 &
pids+=($!)

for port in "${ports[@]}"; do
  HOST=127.0.0.1 PORT=$port SESSION_SECRET_FILE=$data/session_secret \
    REDIS_URL=redis://127.0.0.1:$redis_port bin/session-api > >(as "$port") 2>&1 &
  pids+=($!)
done

echo "Sessions are shared by $(printf 'http://127.0.0.1:%s ' "${ports[@]}")- Ctrl-C ends all."
wait -n "${pids[@]}"
