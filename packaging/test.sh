#!/bin/sh
# Installs what is missing, builds Chordial and runs every test. Arguments go to `cargo test`:
#
#   sh packaging/test.sh
#   sh packaging/test.sh --lib storage::
set -eu

cd "$(dirname "$0")/.."
. packaging/packages.sh

# shellcheck disable=SC2086
install_missing $packages_build $packages_window $packages_test
require_cargo

if [ $# -eq 0 ]; then
  echo "A headless node compiles without window and sound libraries." >&2
  if cargo tree --locked --no-default-features --edges normal,build --prefix none |
    grep -E '^(cpal|alsa|eframe|egui|winit|glow)(-sys)? '; then
    echo "The libraries above are for windows and sound; a headless node must not need them." >&2
    exit 1
  fi
  cargo check --locked --no-default-features
fi

exec cargo test --locked --no-fail-fast "$@"
