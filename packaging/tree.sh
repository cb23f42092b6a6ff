#!/bin/sh
# Builds Chordial and puts it into a folder as a Unix system has it, for the packages to be made of:
#
#   sh packaging/tree.sh DIR
#
# The build is the optimised one with thin LTO, which takes a quarter of an hour;
# CHORDIAL_PROFILE=dev takes the development one, to try the packages themselves. The version is
# that of Cargo.toml.
#
# The program is linked twice, the second time with the functions of a peer side by side: order.sh
# says why and finds them, and target/chordial.order lists them. CHORDIAL_ORDER=FILE takes such a
# list of before, for the same program bit for bit. The linker has to be LLD, as Rust brings it
# along for x86-64; elsewhere RUSTFLAGS=-Clink-arg=-fuse-ld=lld makes it so where LLD is installed.
# Where the C library can read packed relocations, 2.36 and later, they are packed: the others are
# half a megabyte that is read once and stays in memory.
set -eu

[ $# -eq 1 ] || { echo "Give the folder to fill: sh packaging/tree.sh DIR" >&2; exit 2; }
tree=$1
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/packages.sh"
# shellcheck disable=SC2086
install_missing $packages_build $packages_window
require_cargo

# Full RELRO, but asked for at the linker: asked for at the compiler, it makes every call go through
# a table of addresses, a fifth of what each process writes to while it is loaded.
RUSTFLAGS="${RUSTFLAGS:-} -Crelro-level=partial -Clink-arg=-Wl,-z,now"
export RUSTFLAGS

profile=${CHORDIAL_PROFILE:-dist}
# build ARGUMENT...: gives these to the compiler of the program itself.
build() {
  cargo rustc --locked --manifest-path "$root/Cargo.toml" --profile "$profile" --bin chordial \
    -- "$@" >&2
}
if [ "$profile" = dev ]; then
  program="${CARGO_TARGET_DIR:-$root/target}/debug/chordial"
  build
else
  program="${CARGO_TARGET_DIR:-$root/target}/$profile/chordial"
  # The linker runs in $root. A path of that folder would make another program in each.
  order=target/chordial.order
  mkdir -p "$root/target"
  if [ -n "${CHORDIAL_ORDER:-}" ]; then
    cp "$CHORDIAL_ORDER" "$root/$order"
  else
    install_missing $packages_order
    build -C strip=none
    sh "$root/packaging/order.sh" "$program" "$root/$order"
  fi
  # Cargo does not see that the list is another one.
  touch "$root/src/main.rs"
  pack=""
  library=$(getconf GNU_LIBC_VERSION 2>/dev/null) || library="glibc 0"
  if printf '%s\n' "glibc 2.36" "$library" | sort -C -V; then
    pack="-C link-arg=-Wl,-z,pack-relative-relocs"
  fi
  # shellcheck disable=SC2086
  build -C link-arg=-Wl,--symbol-ordering-file=$order -C link-arg=-Wl,--no-warn-symbol-ordering $pack
fi

put() { install -D -m "$1" "$2" "$tree/$3"; }
put 755 "$program" usr/bin/chordial
strip --strip-unneeded "$tree/usr/bin/chordial"
put 644 "$root/packaging/chordial.desktop" usr/share/applications/chordial.desktop
put 644 "$root/assets/icon.svg" usr/share/icons/hicolor/scalable/apps/chordial.svg
put 644 "$root/assets/icon.png" usr/share/icons/hicolor/256x256/apps/chordial.png
put 644 "$root/README.md" usr/share/doc/chordial/README.md
put 644 "$root/LICENSE-MIT" usr/share/doc/chordial/LICENSE-MIT
put 644 "$root/LICENSE-APACHE" usr/share/doc/chordial/LICENSE-APACHE
