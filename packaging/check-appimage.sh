#!/bin/sh
# Starts an AppImage of Chordial, or the folder that one is made of, in a clean system where no
# package of it is installed: the version, a peer without a window that founds an overlay and is
# asked by `chordial ctl`, and a window on a screen that nobody sees. See clean.sh for what that
# needs:
#
#   sudo sh packaging/check-appimage.sh Chordial-0.1.0-x86_64.AppImage
#   sudo sh packaging/check-appimage.sh Chordial.AppDir     as appimage.sh --folder makes it
set -eu

[ $# -eq 1 ] && [ -r "$1" ] || { echo "Give the AppImage: sh check-appimage.sh FILE" >&2; exit 2; }
. "$(dirname "$0")/packages.sh"
. "$(dirname "$0")/clean.sh"

clean_system
if [ -d "$1" ]; then
  mkdir "$clean/Chordial.AppDir"
  cp -a "$1/." "$clean/Chordial.AppDir/"
  program=/Chordial.AppDir/AppRun
else
  cp "$1" "$clean/Chordial.AppImage"
  chmod 755 "$clean/Chordial.AppImage"
  program=/Chordial.AppImage
fi
echo "program=$program" >>"$clean/check.sh"
cat >>"$clean/check.sh" <<'CHECK'
# There is no FUSE in a clean system.
export APPIMAGE_EXTRACT_AND_RUN=1
# What every desktop has, and an AppImage leaves out.
apt-get -qq -y --no-install-recommends install libasound2 >/dev/null
try_peer "$program"
try_window "$program"
echo "OK"
CHECK
run_check
