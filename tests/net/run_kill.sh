#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# SIGKILL under load: no request fails, `wirewho cleanup` leaves nothing of ours, and what is somebody else's stays.
. "$(dirname "$0")/lib.sh"

net__pair 2
nginx__start "$SRV" 2
must ip -n "$SRV" link add other0 type veth peer name other1
must ip -n "$SRV" link set other0 up
other_xdp "$SRV" other0
must srv tc qdisc add dev $SRV_IF clsact
other_tc "$SRV" $SRV_IF egress 7
other_tc "$SRV" $SRV_IF ingress 8
before=$(hooks "$SRV" $SRV_IF; hooks "$SRV" other0)

for how in "KILL auto" "SEGV auto" "KILL tc"; do
    signal=${how% *}
    ww__start "$SRV" run -i $SRV_IF --mode "${how#* }" --interval 1 --jsonl "$TMP/flows"
    holds=$(ww__holds)
    contains "what wirewho holds" "$holds" "prog "
    wrk__run "$CLI" 4 32 http://$SRV4/small &
    load=$!
    sleep 2
    { kill -$signal "$WW_PID"; wait "$WW_PID"; } 2>/dev/null
    wait $load || wrong "requests failed when wirewho got SIG$how"
    must srv "$WIREWHO" cleanup
    eventually 5 ww__released "$holds" || wrong "after SIG$how this is still loaded: $(ww__left "$holds")"
    is "what hangs on the interfaces after SIG$how" "$(hooks "$SRV" $SRV_IF; hooks "$SRV" other0)" "$before"
done

# once more, as if nothing had been
ww__start "$SRV" run -i $SRV_IF --interval 1 --jsonl "$TMP/flows"
wrk__run "$CLI" 1 8 http://$SRV4/small
ww__stop
is "what hangs on the interfaces at the end" "$(hooks "$SRV" $SRV_IF; hooks "$SRV" other0)" "$before"
