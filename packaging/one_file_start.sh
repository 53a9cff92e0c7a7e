#!/bin/sh
# Ganglion @VERSION@ for @TARGET@ in one file: this script, and behind it a compressed folder with
# Deno and the program. The folder is unpacked once, and started from then on.
set -eu

fail() {
  echo "ganglion: $1" >&2
  exit 1
}

# Where it is unpacked: GANGLION_UNPACK, the user's cache, or a folder of the user's among the
# temporary ones, where others can write, too: so it must be this user's own.
base=${GANGLION_UNPACK:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/ganglion}
if ! mkdir -p "$base" 2>/dev/null || [ ! -w "$base" ]; then
  base=${TMPDIR:-/tmp}/ganglion-$(id -u)
  [ -d "$base" ] || mkdir -m 700 "$base" || fail "Cannot make $base: set GANGLION_UNPACK"
  [ -O "$base" ] && [ ! -L "$base" ] || fail "Cannot use $base, somebody else's: set GANGLION_UNPACK"
fi

folder=$base/@ID@
if [ ! -e "$folder/complete" ]; then
  new=$(mktemp -d "$base/new-XXXXXX")
  trap 'rm -rf "$new" "$new-old"' EXIT
  trap 'exit 130' INT TERM HUP
  tail -c +@OFFSET@ "$0" | tar -xzf - -C "$new" ||
    fail "Cannot unpack into $base: this file is damaged, or the disk is full"
  : >"$new/complete"
  # Whoever else started meanwhile may have been first: the same files lie there then.
  if [ ! -e "$folder/complete" ]; then
    # What has lost its mark (a cleaner of caches, a copy cut off) would have it moved into it.
    [ ! -e "$folder" ] || mv "$folder" "$new-old" || fail "Cannot replace $folder: remove it"
    mv "$new" "$folder"
  fi
  rm -rf "$new" "$new-old" "$folder/$(basename "$new")"
  trap - EXIT INT TERM HUP
fi
export DENO_DIR="${DENO_DIR:-$base/deno}"
exec "$folder/ganglion" "$@"
