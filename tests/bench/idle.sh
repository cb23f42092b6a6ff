#!/bin/bash
# What an idle peer without a window costs: memory, wake-ups and traffic, as the mean and the most of
# all peers of a ring on one machine. Run as root, as the peers get a network of their own:
#
#   cargo build --release --no-default-features
#   tests/bench/idle.sh target/release/chordial [peers [seconds to settle [seconds measured]]]
#
# What is installed is measured with the program of `sh packaging/tree.sh DIR`.
#
# A young ring is not at rest: five minutes after the last arrival the links that are no neighbours
# hear of it, and where there is no relay one is looked for after 4, 8 and 17 minutes, then every
# half an hour.
#
# A ring of 37 gives each peer up to 36 links. A wake-up is a voluntary context switch of any of a
# peer's threads; bytes are those of IP packets, one way; a MB is 1,000,000 bytes.
set -euo pipefail

chordial=$(realpath "${1:?the program to measure}")
peers=${2:-37} settle=${3:-600} measured=${4:-240}
net=chordial-idle-$$
folder=$(mktemp -d)
pids=()

clean_up() {
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    ip netns delete "$net" 2>/dev/null || true
    rm -r "$folder"
}
trap clean_up EXIT

ip netns add "$net"
ip -n "$net" link set lo up
"$chordial" overlay new idle.example --out "$folder/idle.xml" >/dev/null

start() {
    ip netns exec "$net" "$chordial" peer --state "$folder/$1" --overlay "$folder/idle.xml" \
        --json --user "user$1" --listen 127.0.0.1:$((20000 + $1)) "${@:2}" >"$folder/$1.log" 2>&1 &
    pids+=($!)
}

is_registered() {
    grep -qs '"event":"registered"' "$folder/$1.log"
}

start 0 --first
for ((i = 1; i < peers; i++)); do
    start "$i" --bootstrap 127.0.0.1:20000
    for ((t = 0; t < 300; t++)); do
        is_registered $((i - 1)) && break
        sleep 0.1
    done
done
sleep "$settle"

# Of each peer: kilobytes resident, those that are no file among them, and voluntary switches of all
# threads.
look() {
    for pid in "${pids[@]}"; do
        awk -v pid="$pid" '
            $1 == "Rss:" { rss = $2 }
            $1 == "Anonymous:" { anonymous = $2 }
            $1 == "voluntary_ctxt_switches:" { switches += $2 }
            END { print pid, rss, anonymous, switches }
        ' /proc/"$pid"/smaps_rollup /proc/"$pid"/task/*/status
    done
}
bytes() {
    ip -n "$net" -s link show lo | awk '/TX:/ { getline; print $1 }'
}

before=$(bytes)
look >"$folder/before"
sleep "$measured"
after=$(bytes)
look >"$folder/after"
sockets=$(ip netns exec "$net" ss -uan | grep -c UNCONN || true)

awk -v seconds="$measured" -v bytes=$((after - before)) -v peers="$peers" -v sockets="$sockets" '
    NR == FNR { before[$1] = $4; next }
    {
        rss += $2; if ($2 > rss_max) rss_max = $2
        anonymous += $3
        wakes = ($4 - before[$1]) / seconds
        all += wakes; if (wakes > wakes_max) wakes_max = wakes
    }
    END {
        printf "peers                        %8d\n", peers
        printf "UDP sockets of a peer        %8.1f\n", sockets / peers
        mb = 1024 / 1000000
        printf "resident, MB        mean %8.1f   most %8.1f\n", rss / peers * mb, rss_max * mb
        printf "without files, MB   mean %8.1f\n", anonymous / peers * mb
        printf "wake-ups a second   mean %8.2f   most %8.2f\n", all / peers, wakes_max
        printf "bytes a second each way      %8.1f\n", bytes / seconds / peers
    }
' "$folder/before" "$folder/after"
