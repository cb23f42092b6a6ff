#!/bin/sh
# Lists the functions that a peer without a window runs through, then those that only a call does,
# for the linker to put them side by side:
#
#   sh packaging/order.sh PROGRAM LIST
#
# PROGRAM has to have its names (`-C strip=none`), and what is linked after LIST has to be of the
# same sources by the same compiler, as the names hold hashes.
#
# Why: a peer is in memory all day, and most of what it takes there is pages of its program. The
# system loads 64 kB around each function that is run, so that those of a peer, a third of the
# program, bring in nearly all of it while they are strewn over it.
#
# The list is taken from peers under valgrind on loopback, which are fifty times slower than others
# and not quite the same each time; nor are two lists.
set -eu
export LC_ALL=C

[ $# -eq 2 ] && [ -x "$1" ] || { echo "Give both: sh packaging/order.sh PROGRAM LIST" >&2; exit 2; }
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
list=$2
root=$(cd "$(dirname "$0")/.." && pwd)
command -v valgrind >/dev/null 2>&1 || {
  echo "valgrind is missing: please install it, then try again." >&2
  exit 1
}
work=$(mktemp -d)
running=""
trap 'end $running; rm -rf "$work"' EXIT
fail() { echo "The order of functions can't be found: $*." >&2; exit 1; }
# end PID...: tells them to leave, and waits until they have; the functions are written then.
end() {
  [ $# -gt 0 ] || return 0
  kill "$@" 2>/dev/null || true
  wait "$@" || true
}

# as USER COMMAND ARGUMENT... &: becomes the program of that user.
as() {
  user=$1
  job=$2
  shift 2
  exec $under "$program" "$job" "$@" --json --user "$user" --state "$work/$user" \
    --overlay "$work/overlay.xml" --listen 127.0.0.1:0 >"$work/$user.log"
}
# traced USER COMMAND ARGUMENT... &: the same under valgrind.
traced() {
  under="valgrind --quiet --tool=callgrind --demangle=no --callgrind-out-file=$work/$1.calls"
  as "$@"
}
# await USER: until it can be called, for five minutes.
await() {
  tries=0
  until grep -q '"event":"registered"' "$work/$1.log" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 1500 ] || fail "the peer of $1 does not join"
    sleep 0.2
  done
}

cp "$root/assets/speech-bob.wav" "$work/speech.wav"
speech="--play $work/speech.wav"
under=""
"$program" overlay new order.example --out "$work/overlay.xml" >/dev/null
# bootstrap USER: the argument to join through that peer.
bootstrap() {
  sed -n 's/.*"event":"joined".*"listen":"\([^"]*\)".*/--bootstrap \1/p' "$work/$1.log" | head -n 1
}

others=$(seq 36)
# Who founds an overlay, and is joined through; with as many others as make a ring in which nobody
# knows all at once. Some of them vanish. What a peer does only after minutes is waited for.
traced carol peer --first &
running=$!
await carol
gone=""
for n in $others; do
  as judy$n peer $(bootstrap carol) &
  running="$running $!"
  [ $((n % 3)) -ne 0 ] || gone="$gone $!"
  await judy$n
done
sleep 240
# shellcheck disable=SC2086
kill -KILL $gone
sleep 120
end $running

# Who joins, who is called, and who calls.
as frank peer --first --answer $speech --record "$work/frank.wav" &
running=$!
await frank
via=$(bootstrap frank)
for n in $others; do
  as judy$n peer $via &
  running="$running $!"
  await judy$n
done
traced dave peer $via &
running="$running $!"
await dave
traced bob peer $via --answer $speech --record "$work/bob.wav" &
bob=$!
running="$running $bob"
await bob
as alice call bob --seconds 20 $via $speech --record "$work/alice.wav" &
wait $! || true
end $bob
traced erin call frank --seconds 20 $via $speech --record "$work/erin.wav" &
wait $! || true
"$program" ctl --state "$work/dave" status >/dev/null
end $running
running=""

# functions USER...: each once; valgrind marks those that call themselves.
functions() {
  for user in "$@"; do
    sed -n "s/^c\{0,1\}fn=([0-9]*) \([^ ']*\).*/\1/p" "$work/$user.calls"
  done | sort -u
}
functions carol dave >"$work/peer"
# What newer processors run instead, of which valgrind does not know: some hundred small functions.
nm "$program" | sed -n 's/^[0-9a-f]* [tT] //p' |
  grep -E 'x86|avx|_adx|_hw|clmul|ssse3|fiat_25519|^fe4_|hybrid_array|4core5array' >>"$work/peer"
sort -u -o "$work/peer" "$work/peer"
functions bob erin | comm -13 "$work/peer" - >"$work/call"
# Under valgrind the sound may be too late to be heard, which does not matter here.
for codec in opus_encode_float opus_decode_float; do
  grep -qx "$codec" "$work/call" || fail "the peers did not talk"
done
cat "$work/peer" "$work/call" >"$list"
