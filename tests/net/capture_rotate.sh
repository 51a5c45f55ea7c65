#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# A capture in several files: their names, sizes and number, and every packet in exactly one of them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 1
export TZ=UTC

# A receiver that is bound to the port owns what comes, so that each file has to tell of the process anew.
must ip -n "$SRV" address add 10.77.0.1/24 dev lo
bg "$SRV" python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 9000))
time.sleep(1000)'
RECEIVER=$BG_PID

# start ARG...: captures into $TMP/r/..., until it has begun
start() {
    rm -rf "$TMP/r"
    mkdir "$TMP/r"
    bg "$SRV" "$WIREWHO" capture -i "$SRV_IF" --sample tap "$@" 2>"$CAP_ERR"
    CAP_PID=$BG_PID
    eventually 20 cap__began || die "wirewho does not begin to capture: $(cat "$CAP_ERR")"
    kill -0 "$CAP_PID" 2>/dev/null || die "wirewho ended at once: $(cat "$CAP_ERR")"
}

names() { ls "$TMP/r" | tr '\n' ' '; }

packets_in() {
    capinfos -c -M -T -r "$1" 2>/dev/null | cut -f 2
}

# Each frame is in one of the files, in order, and as it was sent: ARGs are for numbered.py.
all_there() {
    local f said
    for f in "$TMP"/r/*; do
        is "what tcpdump complains of in ${f##*/}" "$(tcpdump -nr "$f" 2>&1 >/dev/null | grep -v '^reading from')" ""
        contains "what capinfos says of ${f##*/}" "$(capinfos "$f" 2>&1)" "Number of stat entries = 1"
    done
    mergecap -F pcapng -w - "$TMP"/r/* | tcpdump -r - --time-stamp-precision=nano -w "$TMP/all.pcap" 2>/dev/null
    said=$(python3 "$NUMBERED" check "$TMP/all.pcap" "$@")
    is "what is wrong with the files together" "$said" ""
}

in_all() {
    local f sum=0
    for f in "$TMP"/r/*; do
        sum=$((sum + $(packets_in "$f")))
    done
    echo $sum
}

need mergecap capinfos tshark

# ---- by size

start -w "$TMP/r/x.pcapng" -C 50k 'udp port 9000'
cap__send 2000 --long 500 --rate 20000
cap__end
count=$(ls "$TMP/r" | wc -l)
at_least "files of 50 kB" "$count" 20
expected=$(echo x.pcapng; for i in $(seq 1 $((count - 1))); do echo "x.pcapng$i"; done)
is "their names" "$(ls "$TMP/r" | sort)" "$(sort <<<"$expected")"
for f in "$TMP"/r/*; do
    at_most "bytes of ${f##*/}" "$(stat -c %s "$f")" 51500 # one packet, its process and the statistics more
    [ "$f" = "$TMP/r/x.pcapng$((count - 1))" ] || at_least "bytes of ${f##*/}" "$(stat -c %s "$f")" 50000
    is "packets of ${f##*/} without their process" "$(tshark -r "$f" -Y 'udp && !(frame.comment contains "comm=python3")' 2>/dev/null | wc -l)" 0
    contains "processes of ${f##*/}" "$(strings -n 7 "$f")" bin/python3 # the path: only a process block has it
done
is "packets written" "$(cap__number written)" 2000
is "packets in the files" "$(in_all)" 2000
all_there 2000 --long 500
is "owners in the second file" "$(tshark -r "$TMP/r/x.pcapng1" -Y udp -T fields -e frame.comment 2>/dev/null | cut -d ' ' -f 1,2 | sort -u)" \
    "pid=$RECEIVER comm=python3"
contains "the summary" "$(cat "$CAP_ERR")" "$count files"

# ---- a ring

start -w "$TMP/r/ring" -C 50k -W 12 'udp port 9000'
cap__send 3000 --long 500 --rate 20000
cap__end
is "names of a ring of 12" "$(names)" "ring00 ring01 ring02 ring03 ring04 ring05 ring06 ring07 ring08 ring09 ring10 ring11 "
is "packets written to a ring" "$(cap__number written)" 3000
newest=$(ls -t "$TMP/r" | head -n 1)
contains "the last packet is in the newest file" \
    "$(tcpdump -r "$TMP/r/$newest" -w - 2>/dev/null | tail -c 500 | xxd -p | tr -d '\n')" 0000000000000bb7 # 2999

# ---- by time

start -w "$TMP/r/%Y-%m-%d_%H:%M:%S" -G 1 'udp port 9000'
cap__send 3000 --rate 1000
cap__end
at_least "files of a second" "$(ls "$TMP/r" | wc -l)" 3
at_most "files of a second" "$(ls "$TMP/r" | wc -l)" 5
is "names that are no times" "$(ls "$TMP/r" | grep -cvE '^2[0-9]{3}-[01][0-9]-[0-3][0-9]_[0-2][0-9]:[0-5][0-9]:[0-6][0-9]$')" 0
is "packets in the files of a second" "$(in_all)" 3000
all_there 3000

# ---- so many files, then the end

start -w "$TMP/r/%s" -G 1 -W 2 'udp port 9000'
cli python3 "$NUMBERED" send "$CLI_IF" 5000 --rate 1000 &
sender=$!
eventually 10 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on after -G 1 -W 2"
wait "$sender"
cap__wait
is "the exit code after the last file" "$CAP_CODE" 0
is "files after -G 1 -W 2" "$(ls "$TMP/r" | wc -l)" 2
is "packets in two files of a second" "$(in_all)" "$(cap__number written)"
at_least "packets after the last file" "$(cap__number past_count)" 1

# ---- a count over several files; what cannot be

start -w "$TMP/r/c" -C 50k -c 500 'udp port 9000'
cap__send 1000 --long 500 --rate 20000
eventually 5 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on after -c 500"
cap__wait
is "packets in the files after -c" "$(in_all)" 500

for wrong_way in '-w - -C 1' '-w x -W 3' '-w x -C 1 -G 1 -W 2' '-w x -C 0' '-w x -C 1x'; do
    # shellcheck disable=SC2086 # words
    srv timeout 5 "$WIREWHO" capture -i "$SRV_IF" $wrong_way >"$TMP/out" 2>"$TMP/err"
    is "the exit code of $wrong_way" $? 2
done
