#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# HTTP: at the server's interface every packet is the nginx worker's, at the client's it is wrk's. Both ends at once.
. "$(dirname "$0")/lib.sh"

net__pair 2
nginx__start "$SRV" 2
workers=$(nginx__workers | tr '\n' ' ')
ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv" --interval 1
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli" --interval 1

CLIENTS=
load() {
    bg "$CLI" wrk -t 1 -c 16 -d 2 "$1" >"$TMP/wrk"
    CLIENTS="$CLIENTS $BG_PID"
    wait "$BG_PID"
    lacks "what wrk says" "$(cat "$TMP/wrk")" errors
}
load http://$SRV4/small
load "http://[$SRV6]/small"
sleep 0.5
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

# share FILE TYPE JQ: of the packets of that IP version on port 80, how many per cent belong to those that JQ selects
share() {
    local port="select((.source.port == 80 or .destination.port == 80) and .network.type == \"$2\")" all some
    read -r rx _ tx _ <<<"$(sums "$1" "$port")"
    all=$((rx + tx))
    read -r rx _ tx _ <<<"$(sums "$1" "$port | select($3)")"
    some=$((rx + tx))
    [ "$all" -ge $((10000 / ${WW_SLOW:-1} / ${WW_SLOW:-1})) ] || wrong "only $all packets"
    awk "BEGIN { printf \"%.3f\", 100 * $some / $all }"
}

list() { echo "$*" | tr ' ' ','; }

# What came before the worker's accept is the listening socket's: of few packets on a slow machine, a larger share.
listener=false
[ "${WW_SLOW:-1}" -eq 1 ] || listener='.process.name == "nginx" and .wirewho.attribution == "listener"'
for type in ipv4 ipv6; do
    is_worker=".process.name == \"nginx\" and (.process.pid | IN($(list $workers)))"
    is_wrk=".process.name == \"wrk\" and (.process.pid | IN($(list $CLIENTS)))"
    at_least "$type: per cent of packets that are an nginx worker's" "$(share "$TMP/srv" $type "$is_worker or ($listener)")" 99.9
    at_least "$type: per cent of those said to be exact" \
        "$(share "$TMP/srv" $type "$is_worker and .wirewho.attribution == \"exact\"")" $((${WW_SLOW:-1} > 1 ? 75 : 99))
    at_least "$type: per cent of packets that are wrk's" "$(share "$TMP/cli" $type "$is_wrk")" 99.9
    [ "$WW_FAILED" -eq 0 ] ||
        jq -c "select(.event.kind == \"metric\" and .network.type == \"$type\" and ($is_wrk | not))" "$TMP/cli"
    is "$type: per cent under a foreign name" \
        "$(share "$TMP/srv" $type '.process.name != null and .process.name != "nginx"')" 0.000
done
# both workers served, and the two ends tell the same story
is "the workers that were seen" "$(jq -r "select(.process.name == \"nginx\" and ($listener | not)) | .process.pid" "$TMP/srv" | sort -u | wc -l)" 2
is "who opened the flows, at the server" "$(jq -r 'select(.event.kind == "metric" and .destination.port == 80) |
    .network.direction + " " + .wirewho.local' "$TMP/srv" | sort -u)" "ingress destination"
is "who opened the flows, at the client" "$(jq -r 'select(.event.kind == "metric" and .destination.port == 80) |
    .network.direction + " " + .wirewho.local' "$TMP/cli" | sort -u)" "egress source"
is "the user" "$(jq -r "select(.process.name == \"nginx\" and ($listener | not)) | .user.name" "$TMP/srv" | sort -u)" www-data
