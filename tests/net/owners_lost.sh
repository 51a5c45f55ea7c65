#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 150
# Owner events that find their ring full: the tool is stopped while a thousand connections a second come and go, and one
# that is older changes hands. The losses are counted and said, all sockets are asked again, nobody has a wrong packet,
# and what comes after has its owner again.
. "$(dirname "$0")/lib.sh"

need jq bpftool
ACTOR=$WW_ROOT/.build/tests/owners/actor
must make -s -C "$WW_ROOT" actor
net__pair 2
DIR=$TMP/round
mkdir "$DIR"
: >"$DIR/churn.out"
: >"$DIR/passed_later.out"

# connections: that the churn has made so far
connections() {
    grep -c '^own cli' "$DIR/churn.out"
}

made() {
    [ "$(connections)" -ge "$1" ]
}

# play NAME ARG...
play() {
    "$ACTOR" "$@" >"$DIR/$1.out" 2>"$DIR/$1.err"
    echo $? >"$DIR/$1.code"
}

# turns PID: so many flows are counted apart there, because their sockets have just changed hands
turns() {
    local id
    for id in $(sed -n 's/^map_id:\s*//p' /proc/"$1"/fdinfo/* | sort -u); do
        bpftool map show id "$id" | grep -q ' name turns ' && bpftool -j map dump id "$id" | jq length
    done
}

export WIREWHO_OWNER_RING=262144 # it holds 1900 events, not 30000
ww__start "$SRV" run -i $SRV_IF --jsonl "$DIR/srv.jsonl" --interval 1
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$DIR/cli.jsonl" --interval 1
play passed_later 7100 "$SRV" "$CLI" "$DIR/go" &
passed=$!
eventually 20 grep -q '^own srv.* [0-9]' "$DIR/passed_later.out" || die "the connection did not begin"
play churn 7000 "$SRV" "$CLI" 20 1000 &
churn=$!
eventually 30 made 500 || die "the churn did not begin"
sleep 1.5 # something is reported before
kill -STOP "$srv_pid" "$WW_PID"
eventually 60 made $(($(connections) + 600)) || wrong "the churn is slow: $(connections) connections"
: >"$DIR/go" # into a ring that is full
eventually 60 made $(($(connections) + 300)) || wrong "the churn is slow: $(connections) connections"
left=$(turns "$srv_pid")
kill -CONT "$srv_pid" "$WW_PID"
wait $passed
wait $churn
sleep 0.5
is_empty() {
    [ "$(turns "$1")" = 0 ]
}
at_least "turns left over at srv when it goes on" "$left" 1
eventually 40 is_empty "$srv_pid" || wrong "flows are still counted apart whose changes of hands were lost: $(turns "$srv_pid")"
ww__stop
cli_err=$WW_ERR
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

python3 "$WW_ROOT/tests/owners/score.py" --least 0 "$DIR" >"$TMP/score" || WW_FAILED=1
cat "$TMP/score"
for side in srv cli; do
    [ $side = srv ] && err=$srv_err || err=$cli_err
    at_least "owner events lost at $side" "$(ledger "$DIR/$side.jsonl" .owner_events_lost)" 1
    at_least "times that all sockets were asked at $side" "$(ledger "$DIR/$side.jsonl" .snapshots.taken)" 2
    contains "what the run at $side says" "$(cat "$err")" "owner events found their ring full: asking all sockets again"
    is "the difference at $side" "$(ledger "$DIR/$side.jsonl" '[.lines[].difference] | add')" 0
done
# what came after is named: the second owner's questions, and the connections made since then
second=$(awk '$1 == "own" && $2 == "srv" && $8 == "rest" { print $6 }' "$DIR/passed_later.out")
at_least "packets of the second owner" "$(jq -rn "[inputs | select(.process.pid == $second) | .source.packets +
    .destination.packets] | add" "$DIR/srv.jsonl")" 100
for side in srv cli; do
    at_least "per cent named in the last seconds at $side" "$(jq -rsn '[inputs[] | select(.event.kind == "metric" and
        (.destination.port == 7000 or .destination.port == 7001))] | (map(."@timestamp") | max) as $last |
        [.[] | select(."@timestamp" == $last)] | map(.source.packets + .destination.packets) as $all |
        (map(select(.process)) | map(.source.packets + .destination.packets) | add) * 100 / ($all | add)' \
        "$DIR/$side.jsonl")" 99
done
