#!/bin/sh
# Makes a disk image for macOS, on macOS:
#
#   sh packaging/dmg.sh [FOLDER]
#
# CHORDIAL_SIGN is the identity to sign with; without it the program is signed for this computer
# alone, and others are asked whether they trust it.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "${1:-.}" && pwd)
[ "$(uname)" = Darwin ] || { echo "A disk image can be made on macOS only." >&2; exit 1; }
. "$root/packaging/packages.sh"
require_cargo
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
cargo build --locked --manifest-path "$root/Cargo.toml" --profile dist --bin chordial >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
contents="$work/Chordial.app/Contents"
mkdir -p "$contents/MacOS" "$contents/Resources" "$work/icon.iconset"
cp "${CARGO_TARGET_DIR:-$root/target}/dist/chordial" "$contents/MacOS/chordial"
sed "s/@VERSION@/$version/g" "$root/packaging/Info.plist" >"$contents/Info.plist"
for size in 16 32 128 256; do
  sips -z $size $size "$root/assets/icon.png" \
    --out "$work/icon.iconset/icon_${size}x${size}.png" >/dev/null
done
iconutil -c icns "$work/icon.iconset" -o "$contents/Resources/chordial.icns"
codesign --force --options runtime --sign "${CHORDIAL_SIGN:--}" "$work/Chordial.app"

mkdir "$work/disk"
mv "$work/Chordial.app" "$work/disk/"
ln -s /Applications "$work/disk/Applications"
image="$out/Chordial-$version.dmg"
hdiutil create -volname Chordial -srcfolder "$work/disk" -ov -format UDZO "$image" >&2
echo "$image"
