#!/usr/bin/env bash
# run-redis.sh [REDIS-PORT [PORT...]]
#
# Runs bin/session-api once on each PORT (8081 and 8082), all of them on a Redis
# of their own on REDIS-PORT (16379), which keeps an append-only file in
# bin/redis: sessions survive the next run. Redis's log is there, too, and so are
# the session secret and the service token. Ctrl-C ends them all, and so does the
# end of any of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

redis_port=${1:-16379}
ports=("${@:2}")
[ ${#ports[@]} -gt 0 ] || ports=(8081 8082)
data=${REDIS_DATA:-$PWD/bin/redis}

tools/need.sh redis-server
mkdir -p "$data"
# All instances sign with one secret, and take one service token. They stay, as
# the sessions do.
for name in session_secret service_token; do
  if [ ! -s "$data/$name" ]; then
    (umask 077 && head -c 48 /dev/urandom | base64 | tr -d '\n' >"$data/$name")
  fi
done

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
  --appendonly yes --maxmemory 256mb --maxmemory-policy noeviction >"$data/redis.log" 2>&1 &
pids+=($!)

# answers asks Redis whether it is there, and has loaded its file.
answers() {
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$redis_port" || return
  printf 'PING\r\n' >&3
  IFS= read -r -t 5 line <&3 || line=
  exec 3>&-
  [ "$line" = $'+PONG\r' ]
}

# The instances would wait for it, too, and say so.
until answers 2>/dev/null; do
  if ! kill -0 "${pids[0]}" 2>/dev/null; then
    as redis <"$data/redis.log" >&2
    exit 1
  fi
  sleep 0.05
done

for port in "${ports[@]}"; do
  HOST=127.0.0.1 PORT=$port SESSION_SECRET_FILE=$data/session_secret \
    SERVICE_TOKENS_FILE=$data/service_token REDIS_URL=redis://127.0.0.1:$redis_port bin/session-api > >(as "$port") 2>&1 &
  pids+=($!)
done

echo "Sessions are shared by $(printf 'http://127.0.0.1:%s ' "${ports[@]}")- Ctrl-C ends all."
echo "The service routes take the token in $data/service_token, Redis's log is $data/redis.log."
wait -n "${pids[@]}"
