#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# A bridge: its own interface sees what is for this host, its ports see that and what passes; a total has each packet once.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/places.bash"

place__kind bridges bridge
net__ns "$SRV"
net__ns "$CLI"
net__ns "$RTR"
net__veth "$SRV" ww-p0 "$CLI" ww-cli 1
net__veth "$SRV" ww-p1 "$RTR" ww-cli 1
must ip -n "$SRV" link add ww-br type bridge mcast_snooping 0
for port in ww-p0 ww-p1; do
    must ip -n "$SRV" link set $port master ww-br
    must ip -n "$SRV" link set $port up
done
place__address "$SRV" ww-br 7
net__address "$CLI" ww-cli 10.77.7.2/24 fd77:7::2/64
net__address "$RTR" ww-cli 10.77.7.3/24 fd77:7::3/64
net__wait "$SRV" ww-br "$CLI" ww-cli "$RTR" ww-cli
place__echo "$RTR"
beyond=$ECHO
place__echo "$SRV"
place__ask "$CLI" 10.77.7.1 5
place__ask "$CLI" 10.77.7.3 5

here='.source.ip != "10.77.7.3" and .destination.ip != "10.77.7.3"'
ww__start "$SRV" run -i ww-br -i ww-p0 -i ww-p1 --jsonl "$TMP/all"
place__ask "$CLI" 10.77.7.1 200
place__ask "$CLI" 10.77.7.3 100
asker=$ASKER
ww__stop
jq -c "select(.event.kind != \"metric\" or ($here))" "$TMP/all" >"$TMP/here"
jq -c "select(.event.kind != \"metric\" or ($here | not))" "$TMP/all" >"$TMP/through"
place__is "for this host" "$TMP/here" ww-br "$ECHO" 200 142
place__is "for this host" "$TMP/here" ww-p0 "$ECHO" 200 142
place__total "for this host" "$TMP/here" 400
is "what passes, on the bridge itself" "$(sums "$TMP/through" "$ECHOES | select(.observer.ingress.interface.name == \"ww-br\")")" "0 0 0 0"
is "what passes, on a port" "$(sums "$TMP/through" "$ECHOES | select(.observer.ingress.interface.name == \"ww-p0\")")" "100 14200 100 14200"
place__total "what passes" "$TMP/through" 200
is "what passes: its ends" "$(jq -r "select(.event.kind == \"metric\") | $ECHOES | .process.pid, .wirewho.peer.process.pid" "$TMP/through" | sort -un | tr '\n' ' ')" \
    "$(printf '%s\n' "$asker" "$beyond" | sort -n | tr '\n' ' ')"

is "what passes: what its second records say" "$(jq -r "select(.wirewho.repeated) | .wirewho.repeated + \" \" + .observer.ingress.interface.name" "$TMP/through" | sort -u)" "peer ww-p1"

place__advice ww-br "a bridge" "wirewho top -i ww-p0 -i ww-p1"
place__advice ww-p0 "a port of ww-br, a bridge" ""
exit 0
