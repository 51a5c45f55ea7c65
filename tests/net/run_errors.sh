#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 180
# What cannot be done is said in one clear line, with the right exit code, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

chmod 755 "$TMP"
must cp "$WIREWHO" "$TMP/wirewho" # where `nobody` can read it, too
WIREWHO=$TMP/wirewho
net__pair
clean=$(hooks "$SRV" "$SRV_IF")

# refused WHAT CODE PART CMD...: ends with CODE, and its one error line contains PART
refused() {
    local what=$1 code=$2 part=$3 said
    shift 3
    srv timeout 10 "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
    is "$what: the exit code" $? "$code"
    # that there is no dispatcher, and what a veth costs, are notes of their own, and true
    # so is the ledger of one that had begun
    said=$(grep -v -e "libxdp's dispatcher cannot be loaded" -e 'on a veth native XDP' -e '^wirewho: watching' \
        -e "^$SRV_IF [a-z]*: .*; difference 0" -e '^  CPU [0-9]*: .*; difference 0' -e '^owners: ' "$TMP/err")
    contains "$what: the message" "$said" "$part"
    # a picture of where an expression is wrong may follow, indented
    is "$what: the number of lines" "$(echo "$said" | grep -vc '^wirewho:   ')" 1
    is "$what: what is left on the interface" "$(hooks "$SRV" "$SRV_IF")" "$clean"
}

run() {
    refused "$1" "$2" "$3" "$WIREWHO" run --interval 1 --count 1 "${@:4}"
}

# wrong usage: 2
run "no output" 2 '--jsonl' -i $SRV_IF
run "unknown option" 2 '--frobnicate' -i $SRV_IF --jsonl - --frobnicate
run "interval of zero" 2 'interval' -i $SRV_IF --jsonl - --interval 0
run "interval of five words" 2 'interval' -i $SRV_IF --jsonl - --interval 5s
run "unknown mode" 2 'mode' -i $SRV_IF --jsonl - --mode fast
run "a place among XDP programs at tc" 2 '--mode tc attaches none' -i $SRV_IF --jsonl - --mode tc --priority 10
run "an argument too many" 2 'eth7' -i $SRV_IF --jsonl - eth7
run "the same interface twice" 2 'twice' -i $SRV_IF -i $SRV_IF --jsonl -
run "an expression that is none" 2 'prot' -i $SRV_IF --jsonl - --match 'tcp prot 80'

# cannot be done: 1
run "unknown interface" 1 'nosuch0' -i nosuch0 --jsonl -
run "an interface name that is too long" 1 'anamethatistoolong' -i anamethatistoolong --jsonl -
run "one good interface and one unknown" 1 'nosuch0' -i $SRV_IF -i nosuch0 --jsonl -
run "a folder that is not there" 1 '/nosuch/flows.jsonl' -i $SRV_IF --jsonl /nosuch/flows.jsonl
run "a full disk" 1 'No space left' -i $SRV_IF --jsonl /dev/full
contains "a full disk: the ledger" "$(cat "$TMP/err")" "$SRV_IF receive: "
refused "not root" 1 'root' setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$WIREWHO" run -i $SRV_IF --jsonl -
refused "root without capabilities" 1 'CAP_' setpriv --bounding-set -all --inh-caps -all \
    "$WIREWHO" run -i $SRV_IF --jsonl -
refused "few open files" 1 'ulimit -n' sh -c "ulimit -n 8; exec '$WIREWHO' run -i $SRV_IF --jsonl -"
refused "standard output closed" 1 'Bad file descriptor' \
    sh -c "exec '$WIREWHO' run -i $SRV_IF --interval 1 --count 1 --jsonl - >&-"
refused "standard output full" 1 'No space left' \
    sh -c "exec '$WIREWHO' run -i $SRV_IF --interval 1 --count 1 --jsonl - >/dev/full"
refused "nobody reads the pipe" 1 'Broken pipe' \
    bash -c "set -o pipefail; '$WIREWHO' run -i $SRV_IF --interval 1 --count 1 --jsonl - | true"
refused "a table, and standard output full" 1 'No space left' \
    sh -c "exec '$WIREWHO' top -i $SRV_IF --once 1 >/dev/full"

# a veth whose peer has more queues takes no native XDP
must ip -n "$SRV" link add few numrxqueues 1 numtxqueues 1 type veth peer name many numrxqueues 2 numtxqueues 2
run "an interface that is down" 1 'ip link set dev few up' -i few --jsonl -
must ip -n "$SRV" link set few up
run "an interface without carrier" 1 'carrier' -i few --jsonl -
must ip -n "$SRV" link set many up
run "native XDP refused" 1 '--mode generic' -i few --mode native --jsonl -
srv "$WIREWHO" run -i few --interval 1 --count 1 --jsonl "$TMP/flows" 2>"$TMP/err"
is "generic in its stead: the exit code" $? 0
contains "generic in its stead: the note" "$(cat "$TMP/err")" 'using generic'

# xdp.frags: a large MTU is no obstacle
must ip -n "$SRV" link set few mtu 9000
must ip -n "$SRV" link set $SRV_IF mtu 9000
must ip -n "$CLI" link set $CLI_IF mtu 9000
srv "$WIREWHO" run -i $SRV_IF --mode native --interval 1 --count 1 --jsonl "$TMP/flows" 2>"$TMP/err"
is "native at MTU 9000: the exit code" $? 0

# somebody else was there first, and stays
must ip -n "$SRV" link set $SRV_IF mtu 1500
must ip -n "$CLI" link set $CLI_IF mtu 1500
other_xdp "$SRV" $SRV_IF
clean=$(hooks "$SRV" "$SRV_IF")
contains "the other program" "$clean" 'xdp'
if srv "$WIREWHO" run -i $SRV_IF --interval 1 --count 1 --jsonl "$TMP/flows" 2>"$TMP/err"; then
    lacks "sharing the interface" "$(cat "$TMP/err")" "dispatcher cannot be loaded"
else
    run "another XDP program" 1 'other_xdp' -i $SRV_IF --jsonl -
fi
is "what hangs on the interface" "$(hooks "$SRV" "$SRV_IF")" "$clean"
