#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# SIGTERM and SIGINT end a run in good order, at any moment: exit code 0, the ledger as the last line, nothing attached.
. "$(dirname "$0")/lib.sh"

net__pair
nginx__start "$SRV" 1
clean=$(hooks "$SRV" $SRV_IF)

# ends WHAT: the file is whole lines of JSON, and the last one, and only that one, is the ledger
ends() {
    is "$1: what is attached" "$(hooks "$SRV" $SRV_IF)" "$clean"
    is "$1: the kinds of lines" "$(jq -r .event.kind "$TMP/flows" | uniq | tr '\n' ' ')" "$2"
    is "$1: ledger lines" "$(ledger "$TMP/flows" '.lines | map(.difference, .difference_bytes) | @json')" '[0,0,0,0]'
}

for signal in TERM INT HUP; do
    ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows" --interval 60
    must cli curl -fsS -o /dev/null http://$SRV4/small
    ww__stop $signal
    ends SIG$signal "metric state "
done

# a flood of them, under load
wrk__run "$CLI" 3 8 http://$SRV4/small &
load=$!
ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows" --interval 1
holds=$(ww__holds)
sleep 1.5
kill -TERM "$WW_PID"
kill -INT "$WW_PID"
ww__stop TERM
ends "three signals" "metric state "
wait $load || wrong "requests failed"
eventually 5 ww__released "$holds" || wrong "still loaded: $(ww__left "$holds")"

# after N intervals, by itself
srv timeout 10 "$WIREWHO" run -i $SRV_IF --jsonl "$TMP/flows" --interval 1 --count 2 2>"$TMP/err"
is "the exit code after two intervals" $? 0
ends "two intervals" "state "

# to standard output, which a pipe reads
srv "$WIREWHO" run -i $SRV_IF --jsonl - --interval 1 --count 1 2>"$TMP/err" | cat >"$TMP/flows"
ends "a pipe" "state "
