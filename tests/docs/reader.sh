# shellcheck shell=bash
# The shell of somebody who reads a page: sourced before each block, in the folder READER_HOME.
# What a block exports, and where it goes, is there for the next one.
set -euo pipefail
_notes=$READER_HOME/.shell
if test -f "$_notes/state"; then
  # shellcheck disable=SC1091
  . "$_notes/state"
  cd "$(cat "$_notes/folder")"
fi
trap 'declare -px > "$_notes/state"; pwd > "$_notes/folder"' EXIT

# A server does not end: it goes on in the background once it listens. A quickstart is what it is
# without the network, a server.
locum() {
  case "$1" in
    serve | quickstart) _serve "${@:2}" ;;
    *) command locum "$@" ;;
  esac
}

# Continuous integration has made these for real. Here it is asked whether there are such targets.
make() {
  command make --dry-run "$@" > "$_notes/make"
  if test "$1" = run; then _serve; fi
}

_serve() {
  _stop
  # Before the server is there, or what the one before it said would be taken for its words.
  : > "$_notes/said"
  command locum serve "$@" >> "$_notes/said" 2>&1 &
  local server=$!
  echo $server > "$_notes/pid"
  for _ in $(seq 600); do
    if grep -q 'listens on' "$_notes/said"; then
      cat "$_notes/said"
      return 0
    fi
    kill -0 $server 2> /dev/null || break
    sleep 0.05
  done
  cat "$_notes/said"
  return 1
}

_stop() {
  test -f "$_notes/pid" || return 0
  local server
  server=$(cat "$_notes/pid")
  rm "$_notes/pid"
  kill "$server" 2> /dev/null || return 0
  for _ in $(seq 200); do
    kill -0 "$server" 2> /dev/null || return 0
    sleep 0.05
  done
  kill -KILL "$server"
}
