#!/bin/sh
# Makes an AppImage, one file that runs on any Linux with the C library of this one or a newer one:
#
#   sh packaging/appimage.sh [FOLDER]
#
# `appimagetool` has to be in the PATH (https://github.com/AppImage/appimagetool); it fetches the
# part that starts an AppImage, or takes that from the file in APPIMAGE_RUNTIME. To run on older
# systems, build on the oldest. Nothing but the program is in it: what it is linked with, the C
# library and ALSA, and what its window loads, OpenGL and X11, are those of the system, as the list
# of what AppImages leave out has them.
#
# Without the tool, `sh packaging/appimage.sh --folder DIR` makes the folder that it would pack, and
# DIR/AppRun runs. See check-appimage.sh for the test of both.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
app_dir() {
  sh "$root/packaging/tree.sh" "$1"
  ln -sf usr/share/applications/chordial.desktop "$1/chordial.desktop"
  ln -sf usr/share/icons/hicolor/256x256/apps/chordial.png "$1/chordial.png"
  ln -sf chordial.png "$1/.DirIcon"
  ln -sf usr/bin/chordial "$1/AppRun"
}

if [ "${1:-}" = --folder ]; then
  [ $# -eq 2 ] || { echo "Give the folder: sh packaging/appimage.sh --folder DIR" >&2; exit 2; }
  app_dir "$2"
  exit
fi
out=$(cd "${1:-.}" && pwd)
command -v appimagetool >/dev/null 2>&1 || {
  echo "appimagetool is missing: please put it into the PATH, then try again." >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
app_dir "$work/Chordial.AppDir"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
arch=$(uname -m)
image="$out/Chordial-$version-$arch.AppImage"
# The tool is an AppImage itself, and needs no FUSE this way.
APPIMAGE_EXTRACT_AND_RUN=1 ARCH=$arch appimagetool \
  ${APPIMAGE_RUNTIME:+--runtime-file "$APPIMAGE_RUNTIME"} "$work/Chordial.AppDir" "$image" >&2
echo "$image"
