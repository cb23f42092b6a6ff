#!/bin/sh
# Makes a Debian package of this version and prints its path:
#
#   sh packaging/deb.sh [FOLDER]        the folder that it goes to; here without one
#
# Built again from the same sources by the same compiler it is the same file, bit for bit, if
# SOURCE_DATE_EPOCH is set, or in a git work tree, and CHORDIAL_ORDER is the list of before. See
# tree.sh for that list and for the time that it takes, and check-deb.sh for the test.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/packaging/packages.sh"
install_missing dpkg-dev binutils
out=$(cd "${1:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
tree="$work/tree"

sh "$root/packaging/tree.sh" "$tree"
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
arch=$(dpkg --print-architecture)

# What the program is linked with; dpkg-shlibdeps wants to be beside a debian/control.
mkdir -p "$work/debian" "$tree/DEBIAN"
printf 'Source: chordial\n\nPackage: chordial\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O tree/usr/bin/chordial 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')

cat >"$tree/usr/share/doc/chordial/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: chordial

Files: *
Copyright: The Chordial authors
License: MIT or Apache-2.0
 The texts of both licences are in LICENSE-MIT and LICENSE-APACHE beside this file.
END
size=$(du -sk --apparent-size "$tree/usr" | cut -f 1)
# The libraries of the window are loaded when it opens: a headless node does without them.
cat >"$tree/DEBIAN/control" <<END
Package: chordial
Version: $version
Architecture: $arch
Maintainer: The Chordial authors <chordial@localhost>
Installed-Size: $size
Depends: $depends
Recommends: libegl1, libgl1, libgl1-mesa-dri, libxcursor1, libxi6, libxrandr2, libxkbcommon-x11-0
Suggests: gnome-keyring | kwalletmanager
Section: net
Priority: optional
Description: telephone that needs no server in the middle
 Call people by name. Chordial is a softphone (SIP, Opus, encrypted from end to
 end) with a full RELOAD peer inside: the members of an overlay keep its address
 book together, and a call goes straight from one device to the other.
 .
 The same program runs without a window, as a node that is always there.
END

find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
package="$out/chordial_${version}_$arch.deb"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >&2
echo "$package"
