#!/bin/sh
# Installs a Debian package of Chordial in a clean system and starts it there: the version, a peer
# without a window that founds an overlay and is asked by `chordial ctl`, and a window on a screen
# that nobody sees. Needs root, a Debian mirror and some minutes, so that no test calls it:
#
#   sudo sh packaging/check-deb.sh chordial_0.1.0_amd64.deb
#
# CHORDIAL_MIRROR is the mirror, CHORDIAL_SUITE the release: bookworm without it.
set -eu

[ $# -eq 1 ] && [ -r "$1" ] || { echo "Give the package: sh check-deb.sh FILE.deb" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "Only root can make a clean system." >&2; exit 2; }
deb=$1
. "$(dirname "$0")/packages.sh"
install_missing debootstrap

clean=$(mktemp -d)
end() {
  umount "$clean/proc" 2>/dev/null || true
  rm -rf --one-file-system "$clean"
}
trap end EXIT
debootstrap --variant=minbase "${CHORDIAL_SUITE:-bookworm}" "$clean" \
  ${CHORDIAL_MIRROR:+"$CHORDIAL_MIRROR"} >&2
# By the way that apt has to the network here.
apt-config dump | grep '^Acquire::' >"$clean/etc/apt/apt.conf.d/99around"
cp /etc/resolv.conf "$clean/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$clean/proc"
cp "$deb" "$clean/chordial.deb"

# Everything below happens in the clean system, and nothing of the one around is there.
cat >"$clean/check.sh" <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive HOME=/root
fail() { echo "FAILED: $*" >&2; exit 1; }
# await WHAT COMMAND...: until it succeeds, for half a minute.
await() {
  what=$1; shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "$what"
    sleep 0.1
  done
}

apt-get -qq update
apt-get -qq -y --no-install-recommends install /chordial.deb >/dev/null
chordial --version
chordial overlay new lab.example --out /overlay.xml
chordial peer --first --json --user alice --overlay /overlay.xml --listen 127.0.0.1:0 \
  --state /alice >/alice.log &
peer=$!
await "the peer can be called" grep -q '"event":"registered"' /alice.log
chordial ctl --state /alice status
kill "$peer"
wait "$peer" || fail "the peer ended with $?"
[ ! -e /alice/control.json ] || fail "the peer left its door open"
echo "The peer without a window works."

# The recommended libraries are those of the window; the screen is for this check alone.
apt-get -qq -y --no-install-recommends install xvfb libegl1 libgl1 libgl1-mesa-dri libxcursor1 \
  libxi6 libxrandr2 libxkbcommon-x11-0 desktop-file-utils >/dev/null
desktop-file-validate /usr/share/applications/chordial.desktop
update-desktop-database /usr/share/applications
grep -q 'x-scheme-handler/sip=chordial.desktop' /usr/share/applications/mimeinfo.cache ||
  fail "sip: links are not for chordial"
Xvfb :7 -screen 0 1000x700x24 >/dev/null 2>&1 &
screen=$!
export DISPLAY=:7 LIBGL_ALWAYS_SOFTWARE=1 XDG_RUNTIME_DIR=/run/user/0
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
await "a screen" test -e /tmp/.X11-unix/X7
chordial --state /bob &
window=$!
await "a window that can be steered" chordial ctl --state /bob status
chordial --state /bob sip:alice@lab.example || fail "a link is not handed over"
chordial ctl --state /bob quit
wait "$window" || fail "the window ended with $?"
kill "$screen"
wait "$screen" || true
echo "The window works."
apt-get -qq -y purge chordial >/dev/null
[ ! -e /usr/bin/chordial ] || fail "the package leaves the program behind"
echo "OK"
END
chroot "$clean" sh /check.sh
