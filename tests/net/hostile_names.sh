#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# Processes whose names hold newlines, quotes, backslashes, escapes and bytes that are no text, and change ten thousand
# times a second: every output stays readable to machines, no terminal is played with, and the pid is right.
. "$(dirname "$0")/lib.sh"

need jq iconv
ACTOR=$WW_ROOT/.build/tests/owners/actor
must make -s -C "$WW_ROOT" actor
net__pair 2

# play SECONDS: $TRUTH is what the actors say
play() {
    TRUTH=$TMP/truth.$1
    "$ACTOR" hostile 7000 "$SRV" "$CLI" "$1" >"$TRUTH" 2>"$TMP/actor.err" || wrong "the actors: $(cat "$TMP/actor.err")"
}

# pids_of SIDE: as the actors say it
pids_of() {
    awk -v side="$1" '$2 == side { print $6 }' "$TRUTH" | sort -u | tr '\n' ' '
}

# text FILE: it is UTF-8, and no byte of it does anything to a terminal
text() {
    local name
    name=$(basename "$1")
    [ -s "$1" ] || wrong "$name is empty"
    iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 || wrong "$name is not UTF-8"
    is "control characters in $name" "$(LC_ALL=C tr -d '\n' <"$1" | LC_ALL=C tr -cd '\000-\037\177' | wc -c)" 0
}

# people FILE: and nothing turns the line around for who reads it
people() {
    text "$1"
    is "lines turned around in $(basename "$1")" "$(grep -cP '[\x{80}-\x{9f}\x{202a}-\x{202e}]' "$1")" 0
}

json() {
    text "$1"
    jq -e . "$1" >/dev/null 2>"$TMP/jq.err" || wrong "$(basename "$1") is no JSON: $(head -n 1 "$TMP/jq.err")"
    is "objects in $(basename "$1")" "$(jq -c . "$1" | wc -l)" "$(wc -l <"$1")"
}

# pids FILE: who has packets of port 7000, nobody included
pids() {
    jq -r 'select(.event.kind == "metric" and .destination.port == 7000) | .process.pid' "$1" | sort -u | tr '\n' ' '
}

ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv" --interval 1
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli" --interval 1
play 3
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop
json "$TMP/srv"
json "$TMP/cli"
is "whose the server's packets are" "$(pids "$TMP/srv")" "$(pids_of srv)"
is "whose the client's packets are" "$(pids "$TMP/cli")" "$(pids_of cli)"
at_least "flows of the clients" "$(grep -c '^own cli' "$TRUTH")" 300
at_least "names of the clients" "$(jq -c .process.name "$TMP/cli" | sort -u | wc -l)" 10

# top in both its forms, and capture, each on an interface of its own
bg "$SRV" "$WIREWHO" top -i $SRV_IF --json 1 4 >"$TMP/top.json" 2>"$TMP/json.err"
json=$BG_PID
bg "$CLI" "$WIREWHO" top -i $CLI_IF --once 4 >"$TMP/top.text" 2>"$TMP/once.err"
text=$BG_PID
sleep 0.5
play 4
wait "$json" || wrong "top --json: $(cat "$TMP/json.err")"
wait "$text" || wrong "top --once: $(cat "$TMP/once.err")"
json "$TMP/top.json"
people "$TMP/top.text"
contains "the pids in top --json" "$(jq -c '[.. | .pid? // empty] | unique' "$TMP/top.json" | tr '\n' ' ')" \
    "$(pids_of srv | tr -d ' ')"
# a name with a newline is no row of its own
is "the pids in top --once" "$(awk '$1 ~ /^[0-9]+$/ { print $1 }' "$TMP/top.text" | sort -u | tr '\n' ' ')" "$(pids_of cli)"

bg "$CLI" "$WIREWHO" capture -i $CLI_IF -w "$TMP/packets" --sample copy 'tcp port 7000' 2>"$TMP/capture.err"
capture=$BG_PID
sleep 1.5
play 2
kill "$capture"
wait "$capture" || wrong "capture: $(cat "$TMP/capture.err")"
"$WIREWHO" read "$TMP/packets" --jsonl "$TMP/read.json" 2>"$TMP/read.err" || wrong "read: $(cat "$TMP/read.err")"
"$WIREWHO" read "$TMP/packets" >"$TMP/read.text" 2>"$TMP/read.err" || wrong "read: $(cat "$TMP/read.err")"
json "$TMP/read.json"
people "$TMP/read.text"
is "whose the captured packets are" "$(pids "$TMP/read.json")" "$(pids_of cli)"
