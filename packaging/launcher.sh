#!/bin/sh
# Starts Ganglion from the folder in which this file lies.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
deno=$here/deno
[ -x "$deno" ] || deno=deno
export DENO_V8_FLAGS="@V8_FLAGS@${DENO_V8_FLAGS:+,$DENO_V8_FLAGS}"
export DENO_NO_UPDATE_CHECK=1
exec "$deno" @ARGUMENTS@ "$here/@MAIN@" "$@"
