#!/bin/bash
# A long call over a path that loses, delays and reorders, in which the caller's headset is
# unplugged twice: for each minute the memory of both programs, and how many of its seconds had
# sound on either side, and in the end whether memory was flat and sound intact. Run as root, with
# the package `pulseaudio`:
#
#   cargo build --release
#   tests/bench/long_call.sh target/release/chordial [minutes]
#
# A headset is a pair of PulseAudio's null sinks: what is played into one is its microphone, and the
# other one is its speaker. The headset is away for ten seconds after a third of the time, and again
# after two thirds.
set -euo pipefail

chordial=$(realpath "${1:?the program to measure}")
minutes=${2:-30}
here=$(cd "$(dirname "$0")" && pwd)
speech=$here/../../assets
name=long$$
folder=$(mktemp -d)
pids=()

clean_up() {
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    "$here/../lab/star.sh" down "$name"
    rm -r "$folder"
}
trap clean_up EXIT

export XDG_RUNTIME_DIR=$folder/run PULSE_RUNTIME_PATH=$folder/run PULSE_STATE_PATH=$folder/state
export PULSE_SERVER=unix:$folder/native
mkdir "$folder/run" "$folder/state"
cat >"$folder/lab.pa" <<PA
load-module module-native-protocol-unix auth-anonymous=1 socket=$folder/native
load-module module-null-sink sink_name=nothing
PA
pulseaudio -n --daemonize=no --use-pid-file=no --exit-idle-time=-1 -F "$folder/lab.pa" \
    2>"$folder/pulse.log" &
pids+=($!)
until pactl info >/dev/null 2>&1; do sleep 0.1; done

plug() {
    pactl load-module module-null-sink sink_name=mouth >"$folder/mouth"
    pactl load-module module-null-sink sink_name=ear >"$folder/ear"
    pactl set-default-sink ear
    pactl set-default-source mouth.monitor
    (while paplay -d mouth "$speech/speech-alice.wav" 2>/dev/null; do :; done) &
    pids+=($!)
    parec -d ear.monitor --format=s16le --rate=48000 --channels=1 >>"$folder/alice.raw" 2>/dev/null &
    ear=$!
    pids+=("$ear")
}

unplug() {
    # It would go on with another microphone.
    kill "$ear"
    pactl unload-module "$(cat "$folder/mouth")"
    pactl unload-module "$(cat "$folder/ear")"
}

"$here/../lab/star.sh" up "$name" 2 20
"$here/../lab/star.sh" cable "$name" 1 delay=20 jitter=15 reorder=1 loss=3
"$chordial" overlay new long.example --out "$folder/long.xml" >/dev/null
# A recording is played once, so it is made as long as the call.
python3 - "$speech/speech-bob.wav" "$folder/speech.wav" "$minutes" <<'PYTHON'
import sys, wave

source, target, minutes = sys.argv[1:]
with wave.open(source) as speech, wave.open(target, "wb") as long:
    long.setparams(speech.getparams())
    sound = speech.readframes(speech.getnframes())
    for _ in range(int((int(minutes) + 1) * 60 * speech.getframerate() / speech.getnframes())):
        long.writeframes(sound)
PYTHON

start() {
    ip netns exec "$name-$1" "$chordial" "${@:3}" --state "$folder/$2" --overlay "$folder/long.xml" \
        --user "$2" --json >"$folder/$2.log" 2>&1 &
    pids+=($!)
    pid=$!
}
plug
start 2 bob peer --first --listen 10.88.0.2:6084 --answer \
    --play "$folder/speech.wav" --record "$folder/bob.wav"
bob=$pid
until grep -q '"event":"registered"' "$folder/bob.log"; do sleep 0.1; done
start 1 alice call bob --bootstrap 10.88.0.2:6084 --listen 10.88.0.1:6084 \
    --seconds $((minutes * 120))
alice=$pid
until grep -q '"event":"answered"' "$folder/alice.log"; do sleep 0.1; done

# How many seconds of a file of 16 bit samples had sound, of its last minute.
sounding() {
    tail -c $((60 * 96000)) "$1" | python3 -c '
import array, sys
samples = array.array("h", sys.stdin.buffer.read())
seconds = [samples[at:at + 48000:16] for at in range(0, len(samples), 48000)]
print(sum(max(map(abs, second), default=0) > 500 for second in seconds))'
}

memory() {
    awk '$1 == "VmRSS:" { printf "%.1f", $2 / 1024 }' "/proc/$1/status"
}

echo "minute, MiB of alice and bob, seconds of the last minute with sound at alice and bob"
figures=$folder/figures
for ((minute = 1; minute <= minutes; minute++)); do
    if ((minute == minutes / 3 || minute == 2 * minutes / 3)); then
        unplug
        sleep 10
        plug
        sleep 50
    else
        sleep 60
    fi
    echo "$minute $(memory "$alice") $(memory "$bob")" \
        "$(sounding "$folder/alice.raw") $(sounding "$folder/bob.wav")" | tee -a "$figures"
done
# Who is hung up on tells the figures of the call.
kill "$bob"
wait "$alice" || true
grep '"event":"report"' "$folder/alice.log"

# What a call takes in its first minutes it may keep: codecs, caches, the allocator's reserves. Of a
# minute without a headset ten seconds are missing, and a few until the next look at the devices.
awk -v minutes="$minutes" '
    $1 == (minutes < 10 ? 1 : 5) { alice = $2; bob = $3 }
    { grown = $2 - alice > $3 - bob ? $2 - alice : $3 - bob }
    {
        is_away = $1 == int(minutes / 3) || $1 == int(2 * minutes / 3)
        least = is_away ? 40 : 55
        if ($4 < least || $5 < least) silent = silent " " $1
    }
    END {
        printf "memory: %+.1f MiB, sound: %s\n", grown, silent ? "missing in minute" silent : "intact"
        is_good = NR == minutes && grown <= 3 && !silent
        print is_good ? "verdict: good" : "verdict: bad"
        exit !is_good
    }' "$figures"
