#!/bin/sh
# Installs what is missing, builds Chordial and runs it with the arguments given:
#
#   sh packaging/run.sh                    opens the window
#   sh packaging/run.sh demo               starts some peers here and lets two of them talk
#   CHORDIAL_HEADLESS=1 sh packaging/run.sh peer ...
#                                          builds without window and sound libraries
#
# The build is the development one, with the dependencies optimised that a call needs. It is ready
# in about six minutes; later runs build only what has changed.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/packages.sh"

features=""
packages="$packages_build"
if [ -n "${CHORDIAL_HEADLESS:-}" ]; then
  features="--no-default-features"
else
  packages="$packages $packages_window"
fi
# shellcheck disable=SC2086
install_missing $packages
require_cargo

if [ ! -x "${CARGO_TARGET_DIR:-$root/target}/debug/chordial" ]; then
  echo "Building Chordial. The first time, this takes some minutes." >&2
  cargo build --locked --manifest-path "$root/Cargo.toml" $features >&2
fi
# The working directory stays the caller's, so that the files named in the arguments are found.
exec cargo run --quiet --locked --manifest-path "$root/Cargo.toml" $features -- "$@"
