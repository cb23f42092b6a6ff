#!/bin/bash
# Computers at one switch, each at the end of a cable that delays (root).
#
#   star.sh up PREFIX COUNT MS   computers PREFIX-1 .. PREFIX-COUNT at 10.88.0.1 ..; a datagram
#                                takes MS milliseconds over a cable, so twice that between two
#   star.sh nat PREFIX N         computer N becomes a NAT that lets in only answers; behind it
#                                stands PREFIX-N-in at 192.168.N.2
#   star.sh cable PREFIX N WORD...   from now on the cable of computer N has these properties, in the
#                                words of wanem.c: delay=50 jitter=50 reorder=1 loss=5
#   star.sh down PREFIX          removes all
#
# The kernel need not have tc netem: the cable is wanem.c beside this file, which takes gcc.
set -eu
command=$1 prefix=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=/tmp/$prefix-star
in_ns() { ip netns exec "$@"; }

up() {
    local count=$1 ms=$2
    mkdir -p "$folder"
    gcc -O2 -w -o "$folder/wanem" "$here/wanem.c"
    ip netns add "$prefix-sw"
    ip -n "$prefix-sw" link add br0 type bridge mcast_snooping 0
    ip -n "$prefix-sw" link set br0 up
    for n in $(seq "$count"); do
        ip netns add "$prefix-$n"
        local near=${prefix}n$n far=${prefix}f$n
        echo "both delay=$ms" >"$folder/$n.cable"
        setsid "$folder/wanem" "$near" "$far" "$folder/$n.cable" </dev/null >"$folder/$n.log" 2>&1 &
        echo $! >"$folder/$n.pid"
        until [ -d "/sys/class/net/$far" ]; do kill -0 "$!"; done
        ip link set "$near" netns "$prefix-$n" name eth0
        ip link set "$far" netns "$prefix-sw" name "p$n"
        ip -n "$prefix-sw" link set "p$n" master br0 up
        ip -n "$prefix-$n" link set lo up
        ip -n "$prefix-$n" link set eth0 up
        ip -n "$prefix-$n" address add "10.88.0.$n/24" dev eth0
        ip -n "$prefix-$n" route add default via 10.88.0.254
    done
}

nat() {
    local n=$1 inside=$prefix-$1-in
    ip netns add "$inside"
    ip link add eth0 netns "$inside" type veth peer name lan netns "$prefix-$n"
    ip -n "$inside" link set lo up
    ip -n "$inside" link set eth0 up
    ip -n "$prefix-$n" link set lan up
    ip -n "$prefix-$n" address add "192.168.$n.1/24" dev lan
    ip -n "$inside" address add "192.168.$n.2/24" dev eth0
    ip -n "$inside" route add default via "192.168.$n.1"
    in_ns "$prefix-$n" sysctl -qw net.ipv4.ip_forward=1
    in_ns "$prefix-$n" nft -f - <<RULES
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname eth0 masquerade; }
  chain in { type filter hook input priority -150; iifname eth0 ct state established,related accept; iifname eth0 drop; }
  chain through { type filter hook forward priority -150; iifname eth0 ct state established,related accept; iifname eth0 drop; }
}
RULES
}

cable() {
    echo "both ${*:2}" >"$folder/$1.cable"
    kill -HUP "$(cat "$folder/$1.pid")"
}

down() {
    for pid in "$folder"/*.pid; do
        [ -e "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
    for ns in $(ip netns list | cut -d' ' -f1 | grep "^$prefix-" || true); do ip netns del "$ns"; done
    rm -rf "$folder"
}

case $command in
    up | nat | cable) "$command" "${@:3}" ;;
    down) down ;;
    *) sed -n '2,14p' "$0"; exit 2 ;;
esac
