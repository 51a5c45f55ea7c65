#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# --no-owners: no owner program is loaded, nobody is named, and everything is counted as exactly as ever.
. "$(dirname "$0")/lib.sh"

# What the running wirewho has loaded, by name.
loaded() {
    ww__holds | sed -n 's/^prog //p' | while read -r id; do
        bpftool -j prog show id "$id" | jq -r .name
    done | sort -u | tr '\n' ' '
}

# said WHAT JQ: over the flow records
said() { jq -rs "[.[] | select(.event.kind == \"metric\")] | $1" "$TMP/flows"; }

net__pair 2
nginx__start "$SRV"
ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows" --interval 1 --no-owners
is "programs" "$(loaded)" "wirewho_egress wirewho_meter "
wrk__run "$CLI" 2 16 "http://$SRV4/small"
wrk__run "$CLI" 1 16 "http://[$SRV6]/small"
ww__stop
is "lines of the ledger that do not close" \
    "$(ledger "$TMP/flows" '[.lines[] | select(.difference != 0 or .difference_bytes != 0)] | length')" 0
at_least "packets in the records" "$(said '[.[] | .source.packets, .destination.packets] | add')" 1000
is "packets in the records" "$(said '[.[] | .source.packets, .destination.packets] | add')" \
    "$(ledger "$TMP/flows" '[.lines[] | .flow.packets, .overflowed.packets] | add')"
is "the attributions" "$(said '[.[].wirewho.attribution] | unique | join(" ")')" none
is "records with a process" "$(said 'map(select(.process)) | length')" 0

srv timeout 20 "$WIREWHO" top -i $SRV_IF --no-owners --once 1 >"$TMP/top" 2>&1 || wrong "top --no-owners: $(cat "$TMP/top")"
contains "top" "$(cat "$TMP/top")" "seen"
