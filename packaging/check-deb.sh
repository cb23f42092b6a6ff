#!/bin/sh
# Installs a Debian package of Chordial in a clean system and starts it there: the version, a peer
# without a window that founds an overlay and is asked by `chordial ctl`, and a window on a screen
# that nobody sees. See clean.sh for what that needs:
#
#   sudo sh packaging/check-deb.sh chordial_0.1.0_amd64.deb
set -eu

[ $# -eq 1 ] && [ -r "$1" ] || { echo "Give the package: sh check-deb.sh FILE.deb" >&2; exit 2; }
. "$(dirname "$0")/packages.sh"
. "$(dirname "$0")/clean.sh"

clean_system
cp "$1" "$clean/chordial.deb"
cat >>"$clean/check.sh" <<'CHECK'
apt-get -qq -y --no-install-recommends install /chordial.deb >/dev/null
try_peer chordial
apt-get -qq -y --no-install-recommends install desktop-file-utils >/dev/null
desktop-file-validate /usr/share/applications/chordial.desktop
update-desktop-database /usr/share/applications
grep -q 'x-scheme-handler/sip=chordial.desktop' /usr/share/applications/mimeinfo.cache ||
  fail "sip: links are not for chordial"
# The recommended libraries are those of the window; the screen is for this check alone.
try_window chordial
apt-get -qq -y purge chordial >/dev/null
[ ! -e /usr/bin/chordial ] || fail "the package leaves the program behind"
echo "OK"
CHECK
run_check
