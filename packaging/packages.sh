# Which Debian packages Chordial needs, and how to install those that are missing.
# Read by run.sh, test.sh and .ci/run; it does nothing by itself.

# To build a headless node: the Opus codec is compiled from source with cmake.
packages_build="build-essential pkg-config cmake"
# To build with sound, and to open the window: these libraries are loaded when it opens.
packages_window="libasound2-dev libegl1 libgl1 libgl1-mesa-dri libxcursor1 libxi6 libxrandr2
  libxkbcommon-x11-0"
# To put the functions of a package's program in order.
packages_order="valgrind"
# What the tests call: judges of the wire format, of certificates and of documents, another client
# for HTTPS, networks of computers with routers and a name server, a router's program that opens
# ports, another relay and its client, other phones for SIP, a screen, hands and eyes for it, a bus
# for desktops, and sound without hardware.
packages_test="tshark xvfb xdotool imagemagick pulseaudio pulseaudio-utils openssl curl jing
  python3 iproute2 nftables miniupnpd-nftables dnsmasq-base coturn baresip-core sip-tester
  dbus-daemon"

# install_missing PACKAGE...
install_missing() {
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is neither Debian nor Ubuntu: please see to it yourself that the counterparts" \
      "of these packages are installed: $*" >&2
    return 0
  fi
  missing=""
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0

  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "Some packages are missing. Please install them as root, then try again:" >&2
      echo "  apt-get install$missing" >&2
      return 1
    fi
    as_root="sudo"
  fi
  echo "Installing$missing" >&2
  log=$(mktemp)
  # The packages are split at blanks on purpose; no question is ever asked.
  # shellcheck disable=SC2086
  if $as_root apt-get update -qq </dev/null >"$log" 2>&1 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
      --no-install-recommends -o DPkg::Lock::Timeout=300 $missing </dev/null >>"$log" 2>&1; then
    rm -f "$log"
    return 0
  fi
  tail -n 20 "$log" >&2
  rm -f "$log"
  echo "The packages could not be installed. Please install them yourself, then try again:" >&2
  echo "  apt-get install$missing" >&2
  return 1
}

# Rust is expected to be there; rustup's own place is tried before giving up.
require_cargo() {
  if ! command -v cargo >/dev/null 2>&1 && [ -r "$HOME/.cargo/env" ]; then
    . "$HOME/.cargo/env"
  fi
  if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: please install it as https://rustup.rs says, then try again." >&2
    return 1
  fi
}
