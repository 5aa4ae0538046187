#!/usr/bin/env bash
# need.sh NAME...
#
# Makes sure that commands are there, and some libraries of PHP and Python, which
# are named as Debian names their packages. What is missing is installed from
# Debian's packages where that works without asking anybody (as root, or with
# sudo that needs no password); anywhere else this says what to install, and
# fails.
set -euo pipefail
PATH=$PATH:/usr/sbin # where Debian keeps servers

# present NAME says whether it is there. A library is Debian's own Python's,
# unless another python3 has it, too.
present() {
  case "$1" in
    php-curl) php -m 2>/dev/null | grep -qx curl ;;
    python3-*)
      python3 -c "import ${1#python3-}" 2>/dev/null || /usr/bin/python3 -c "import ${1#python3-}" 2>/dev/null
      ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# The Debian packages that bring a command.
packages_of() {
  case "$1" in
    javac) echo default-jdk-headless ;; # a JDK: programs are run from their source
    php) echo php-cli ;;
    cc) echo gcc libc6-dev ;; # the race detector links with it
    npm) echo nodejs npm ;;
    node) echo nodejs ;;
    curl) echo curl ca-certificates ;;
    *) echo "$1" ;;
  esac
}

missing=() packages=()
for name in "$@"; do
  present "$name" && continue
  missing+=("$name")
  # shellcheck disable=SC2207 # package names hold no spaces
  packages+=($(packages_of "$name"))
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi

# Of Node.js a version that is still maintained. Where the distribution's is
# older, a newer one comes from npm.
oldest_node=20.19.0
node_is_old() {
  [ "$(printf '%s\n' "v$oldest_node" "$(node --version)" | sort --version-sort | head -n 1)" != "v$oldest_node" ]
}
check_node() {
  case " $* " in
    *" node "*) node_is_old || return 0 ;;
    *) return 0 ;;
  esac
  echo "Node.js is $(node --version), at least $oldest_node is needed: installing one from npm ..."
  "${as_root[@]}" npm install --global --loglevel=error node@22 || true
  hash -r
  if node_is_old; then
    echo "Install Node.js $oldest_node or newer: https://nodejs.org/en/download" >&2
    exit 1
  fi
}

if [ ${#missing[@]} -eq 0 ]; then
  check_node "$@"
  exit 0
fi

if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "Missing: ${missing[*]}. Install them first; on Debian or Ubuntu:" >&2
  echo "  sudo apt-get install ${packages[*]}" >&2
  exit 1
fi

echo "Installing ${packages[*]} ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >>"$log" 2>&1; }
if ! { apt update && apt install -y --no-install-recommends "${packages[@]}"; }; then
  cat "$log" >&2
  exit 1
fi
check_node "$@"
