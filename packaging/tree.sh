#!/bin/sh
# Builds Chordial and puts it into a folder as a Unix system has it, for the packages to be made of:
#
#   sh packaging/tree.sh DIR
#
# The build is the optimised one with thin LTO, which takes ten minutes; CHORDIAL_PROFILE=dev takes
# the development one, to try the packages themselves. The version is that of Cargo.toml.
set -eu

[ $# -eq 1 ] || { echo "Give the folder to fill: sh packaging/tree.sh DIR" >&2; exit 2; }
tree=$1
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/packages.sh"
# shellcheck disable=SC2086
install_missing $packages_build $packages_window
require_cargo

profile=${CHORDIAL_PROFILE:-dist}
built=$profile
[ "$profile" != dev ] || built=debug
cargo build --locked --manifest-path "$root/Cargo.toml" --profile "$profile" --bin chordial >&2

program="${CARGO_TARGET_DIR:-$root/target}/$built/chordial"
put() { install -D -m "$1" "$2" "$tree/$3"; }
put 755 "$program" usr/bin/chordial
strip --strip-unneeded "$tree/usr/bin/chordial"
put 644 "$root/packaging/chordial.desktop" usr/share/applications/chordial.desktop
put 644 "$root/assets/icon.svg" usr/share/icons/hicolor/scalable/apps/chordial.svg
put 644 "$root/assets/icon.png" usr/share/icons/hicolor/256x256/apps/chordial.png
put 644 "$root/README.md" usr/share/doc/chordial/README.md
put 644 "$root/LICENSE-MIT" usr/share/doc/chordial/LICENSE-MIT
put 644 "$root/LICENSE-APACHE" usr/share/doc/chordial/LICENSE-APACHE
