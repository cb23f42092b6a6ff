#!/bin/sh
# Makes an RPM package, with `rpmbuild` and the recipe chordial.spec:
#
#   sh packaging/rpm.sh [FOLDER]
#
# Meant to run on the distribution that the package is for, so that it depends on that one's
# libraries.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "${1:-.}" && pwd)
command -v rpmbuild >/dev/null 2>&1 || {
  echo "rpmbuild is missing: please install the package rpm-build, then try again." >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$root/packaging/tree.sh" "$work/tree"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
rpmbuild -bb --define "_topdir $work/rpm" --define "tree $work/tree" \
  --define "chordial_version $version" "$root/packaging/chordial.spec" >&2
find "$work/rpm/RPMS" -name '*.rpm' -exec cp {} "$out" \; -exec basename {} \;
