#!/usr/bin/env bash
# need.sh COMMAND...
#
# Makes sure that the commands are there. What is missing is installed from
# Debian's packages where that works without asking anybody (as root, or with
# sudo that needs no password); anywhere else this says what to install, and
# fails.
set -euo pipefail
PATH=$PATH:/usr/sbin # where Debian keeps servers

# The Debian packages that bring a command.
packages_of() {
  case "$1" in
    cc) echo gcc libc6-dev ;; # the race detector links with it
    npm) echo nodejs npm ;;
    curl) echo curl ca-certificates ;;
    *) echo "$1" ;;
  esac
}

missing=() packages=()
for command in "$@"; do
  command -v "$command" >/dev/null && continue
  missing+=("$command")
  # shellcheck disable=SC2207 # package names hold no spaces
  packages+=($(packages_of "$command"))
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
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
