# A clean Debian system in a folder, and what is tried of Chordial there. Read by check-deb.sh and
# check-appimage.sh; it does nothing by itself. Needs root, a Debian mirror and some minutes, so
# that no test calls it. CHORDIAL_MIRROR is the mirror, CHORDIAL_SUITE the release: bookworm without
# it.

# clean_system: makes it in the folder $clean, which goes when the script ends. Its /check.sh has
# the functions that try Chordial; the caller adds what is done with them and calls run_check.
clean_system() {
  [ "$(id -u)" -eq 0 ] || { echo "Only root can make a clean system." >&2; exit 2; }
  install_missing debootstrap
  clean=$(mktemp -d)
  trap end_clean EXIT
  debootstrap --variant=minbase "${CHORDIAL_SUITE:-bookworm}" "$clean" \
    ${CHORDIAL_MIRROR:+"$CHORDIAL_MIRROR"} >&2
  # By the way that apt has to the network here.
  apt-config dump | grep '^Acquire::' >"$clean/etc/apt/apt.conf.d/99around"
  cp /etc/resolv.conf "$clean/etc/resolv.conf" 2>/dev/null || true
  mount -t proc proc "$clean/proc"
  cat >"$clean/check.sh" <<'CHECK'
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

# try_peer PROGRAM: a peer without a window founds an overlay and is asked by `chordial ctl`.
try_peer() {
  "$1" --version
  "$1" overlay new lab.example --out /overlay.xml
  "$1" peer --first --json --user alice --overlay /overlay.xml --listen 127.0.0.1:0 \
    --state /alice >/alice.log &
  peer=$!
  await "the peer can be called" grep -q '"event":"registered"' /alice.log
  "$1" ctl --state /alice status
  kill "$peer"
  wait "$peer" || fail "the peer ended with $?"
  [ ! -e /alice/control.json ] || fail "the peer left its door open"
  echo "The peer without a window works."
}

# try_window PROGRAM: a window on a screen that nobody sees takes a link and ends when it is told.
try_window() {
  apt-get -qq -y --no-install-recommends install xvfb libegl1 libgl1 libgl1-mesa-dri libxcursor1 \
    libxi6 libxrandr2 libxkbcommon-x11-0 >/dev/null
  Xvfb :7 -screen 0 1000x700x24 >/dev/null 2>&1 &
  screen=$!
  export DISPLAY=:7 LIBGL_ALWAYS_SOFTWARE=1 XDG_RUNTIME_DIR=/run/user/0
  mkdir -p -m 700 "$XDG_RUNTIME_DIR"
  await "a screen" test -e /tmp/.X11-unix/X7
  "$1" --state /bob &
  window=$!
  await "a window that can be steered" "$1" ctl --state /bob status
  "$1" --state /bob sip:alice@lab.example || fail "a link is not handed over"
  "$1" ctl --state /bob quit
  wait "$window" || fail "the window ended with $?"
  kill "$screen"
  wait "$screen" || true
  echo "The window works."
}

apt-get -qq update
CHECK
}

# run_check: /check.sh in the clean system, where nothing of the one around is.
run_check() { chroot "$clean" sh /check.sh; }

end_clean() {
  umount "$clean/proc" 2>/dev/null || true
  rm -rf --one-file-system "$clean"
}
