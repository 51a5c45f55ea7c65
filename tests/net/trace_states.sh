#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Connections are led through all eleven states of TCP; `trace tcp` says what ss and the protocol say, no more and no less.
. "$(dirname "$0")/lib.sh"

net__pair
need nft ss

# cookie NS: which namespace a record is of (SO_NETNS_COOKIE); other tests may be at work on this host
cookie() { ip netns exec "$1" python3 -c 'import socket; print(int.from_bytes(socket.socket().getsockopt(1, 71, 8), "little"))'; }
OURS="$(cookie "$SRV"),$(cookie "$CLI")"

# told RECORDS: "PORT SIDE BEFORE AFTER" of each change, in order
told() {
    jq -r 'select(.event.action == "tcp-state" and (.wirewho.netns | IN('"$OURS"'))) | .wirewho as $w | $w.tcp as $t |
        (.destination.port // .source.port) as $port |
        (if (.source | not) and (.destination.port == $port) then "listener"
            elif $w.local == "source" then "client" else "server" end) as $side |
        "\($port) \($side) \($t.old_state) \($t.new_state)"' "$1" | grep '^50'
}

# sequence TEXT PORT SIDE: the changes of one side, in order
sequence() { awk -v p="$2" -v s="$3" '$1 == p && $2 == s { printf "%s>%s ", $3, $4 }' <<<"$1"; }

# settled RECORDS: what is found last has been
settled() {
    local now
    now=$(told "$1" 2>/dev/null)
    [[ $(sequence "$now" 5004 server) = *'SYN_RECV>CLOSE ' && $(sequence "$now" 5006 client) = *'>TIME_WAIT ' ]]
}

try() {
    local type=$1 address=$2 wanted got port side want
    ww__start "$CLI" trace tcp --states --jsonl "$TMP/$type"
    must timeout 60 python3 "$(dirname "$0")/trace_states.py" "$SRV" "$CLI" "$address" >"$TMP/$type.wanted"
    # what is found by looking comes a second or two later, on a busy host more
    eventually 15 settled "$TMP/$type"
    ww__stop
    wanted=$(cat "$TMP/$type.wanted")
    got=$(told "$TMP/$type")
    for port in $(cut -d ' ' -f 1 "$TMP/$type.wanted" | sort -u); do
        for side in listener client server; do
            want=$(sequence "$wanted" "$port" $side)
            case $want in
            *'>* ') contains "$type $port $side" "$(sequence "$got" "$port" $side)" "${want% *>\* }" ;;
            *) is "$type $port $side" "$(sequence "$got" "$port" $side)" "$want" ;;
            esac
        done
    done
    is "$type: the states that were entered" "$(cut -d ' ' -f 4 <<<"$got" | sort -u | wc -l)" 11
    is "$type: lost" "$(tail -n 1 "$TMP/$type" | jq .wirewho.trace.lost)" 0
    is "$type: changes without an owner" "$(jq -r 'select(.event.action == "tcp-state" and (.wirewho.netns | IN('"$OURS"')) and
        (.destination.port // .source.port | . > 5000 and . < 5010) and .process.name != "python3") | .wirewho.tcp | tostring' \
        "$TMP/$type")" ""
}
try ipv4 $SRV4
try ipv6 $SRV6
