#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# A macvlan, as containers have it: in a namespace of its own it counts its own packets; its parent counts them too, and
# those of this host, each with its process.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/places.bash"

place__kind macvlans macvlan
net__pair 1
WW_MORE+=("$WW-m")
net__ns "$WW-m"
must ip -n "$SRV" link add link $SRV_IF name ww-mac type macvlan mode bridge
must ip -n "$SRV" link add link $SRV_IF name ww-near type macvlan mode bridge
must ip -n "$SRV" link set ww-mac netns "$WW-m"
net__address "$WW-m" ww-mac 10.77.0.9/24 fd77::9/64
must ip -n "$SRV" link set ww-near up
net__wait "$WW-m" ww-mac
place__echo "$WW-m"
inside=$ECHO
place__echo "$SRV"
place__ask "$CLI" 10.77.0.9 5

ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/parent"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$WW-m" run -i ww-mac --jsonl "$TMP/inside"
place__ask "$CLI" 10.77.0.9 200
place__ask "$CLI" $SRV4 100
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err ww__stop
place__is "in its namespace" "$TMP/inside" ww-mac "$inside" 200 142
place__total "in its namespace" "$TMP/inside" 400
jq -c 'select(.source.ip != "10.77.0.9" and .destination.ip != "10.77.0.9")' "$TMP/parent" >"$TMP/own"
jq -c 'select(.source.ip == "10.77.0.9" or .destination.ip == "10.77.0.9")' "$TMP/parent" >"$TMP/its"
place__is "the parent, this host's" "$TMP/own" $SRV_IF "$ECHO" 100 142
place__is "the parent, the macvlan's" "$TMP/its" $SRV_IF "$inside" 200 142
place__total "the parent" "$TMP/parent" 600
place__advice ww-near "a macvlan on $SRV_IF" "wirewho top -i $SRV_IF"
exit 0
