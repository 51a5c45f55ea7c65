#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1500
# Far more flows than slots, as fast as one CPU can send: slots are given away many times over, and still every packet and
# byte is in the ledger and in the records. REUSE_SECONDS (12) is how long each of the two patterns takes.
. "$(dirname "$0")/lib.sh"

GENERATOR=${GENERATOR:-.build/bench/generator}
[ -x "$GENERATOR" ] || skip "$GENERATOR is not built: make benches"
net__pair 1
slots=1024
SIZE=80

# line JQ: out of the ledger's line of what was received
line() { ledger "$TMP/flows" ".lines[] | select(.direction == \"receive\") | $1"; }
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$WW_PID/status"; }

# flood WHAT FLOWS SECONDS ARG...
flood() {
    local what=$1 flows=$2 seconds=$3 first last rx rx0 rest early late
    shift 3
    quiet "$SRV" $SRV_IF
    first=$(counters "$SRV" $SRV_IF)
    ww__start "$SRV" run -i $SRV_IF --flows $slots --jsonl "$TMP/flows" --interval 86400
    must cli "$GENERATOR" -i $CLI_IF --flows "$flows" --seconds $(((seconds + 3) / 4)) --size $SIZE "$@" --json "$TMP/sent1" >/dev/null
    early=$(resident)
    must cli "$GENERATOR" -i $CLI_IF --flows "$flows" --seconds $((seconds * 3 / 4)) --size $SIZE "$@" --json "$TMP/sent2" >/dev/null
    late=$(resident)
    quiet "$SRV" $SRV_IF
    last=$(counters "$SRV" $SRV_IF)
    ww__stop
    read -r rx0 rest <<<"$first"
    read -r rx rest <<<"$last"
    rx=$((rx - rx0))
    at_least "$what: packets the interface received" $rx 100000
    is "$what: packets seen" "$(line .seen.packets)" $rx
    is "$what: bytes of the generator's frames that are no multiple of $SIZE" \
        "$(line "[.flow, .overflowed, .lost] | (map(.bytes) | add) - $SIZE * (map(.packets) | add)")" 0
    is "$what: the difference" "$(line '"\(.difference) \(.difference_bytes)"')" "0 0"
    is "$what: CPUs that do not close" "$(line '[.cpus[] | select(.difference != 0 or .difference_bytes != 0)] | length')" 0
    is "$what: what the records add up to" "$(sums "$TMP/flows" | cut -d ' ' -f 1,2)" \
        "$(line '[.flow, .overflowed] | "\(map(.packets) | add) \(map(.bytes) | add)"')"
    at_least "$what: packets through the table" "$(line .flow.packets)" 1000
    at_least "$what: packets through the overflow ring" "$(line .overflowed.packets)" 1
    at_most "$what: growth in kB between a quarter of the time and the end" $((late - early)) 8192
    echo "$what: $rx packets: $(line '"\(.flow.packets) in the table, \(.overflowed.packets) overflowed, \(.lost.packets) lost"'), $late kB resident"
}

flood "four times as many flows as slots" $((slots * 4)) "${REUSE_SECONDS:-12}"
# each is back only after most slots were free in between, and given to others
flood "a hundred times as many, over IPv6" $((slots * 128)) "${REUSE_SECONDS:-12}" --ip6 --udp
at_least "flows that had a slot or a record" "$(grep -c '"kind":"metric"' "$TMP/flows")" $((slots * 50))
