#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What `wirewho doctor` says is true: its fixes fix, what it calls working works, and it changes nothing.
. "$(dirname "$0")/lib.sh"

need jq
net__pair 2
OBJECTS=$WW_ROOT/${OUT:-.build}

# doctor ARG...: runs it in the server's namespace; one finding a line in $SAID, the exit code in $CODE
doctor() {
    SAID=$(srv "$WIREWHO" doctor --json "$@")
    CODE=$?
}

# found SCOPE CHECK [FIELD]: a field of that finding, or its verdict
found() {
    jq -r --arg s "$1" --arg c "$2" "select(.scope == \$s and .check == \$c) | .${3:-verdict}" <<<"$SAID"
}

before=$(hooks "$SRV" $SRV_IF)
programs=$(bpftool prog show 2>/dev/null | grep -c ' name probe_')
doctor -i $SRV_IF
is "the exit code" "$CODE" "$(if grep -q '"verdict":"problem"' <<<"$SAID"; then echo 1; else echo 0; fi)"
is "lines that are no finding" "$(jq -c 'select((.scope and .check and .verdict and .fact) | not)' <<<"$SAID")" ""
is "what hangs on the interface" "$(hooks "$SRV" $SRV_IF)" "$before"
is "programs of the doctor's that stay loaded" "$(bpftool prog show 2>/dev/null | grep -c ' name probe_')" "$programs"
is "the verdict on the rights" "$(found host rights)" ok
is "the verdict on XDP programs" "$(found host programs)" ok
is "the verdict on the link" "$(found $SRV_IF link)" ok
contains "the link" "$(found $SRV_IF link fact)" "MTU 1500, driver veth, kind veth, 2 receive queues"
modes=$(found $SRV_IF 'XDP modes' fact)
case $modes in *'does not tell'*) ;; *) contains "the modes" "$modes" "native, frames in several pieces" ;; esac
contains "what it says to do about native XDP on a veth" "$(found $SRV_IF 'XDP modes' fix)" "--mode tc"
contains "the addresses" "$(found $SRV_IF addresses fact)" "$SRV4"
is "what is said of XDP" "$(found $SRV_IF XDP fact)" "no program attached"
contains "the help" "$(srv "$WIREWHO" doctor --help)" "usage: wirewho doctor"
contains "the text" "$(srv "$WIREWHO" doctor -i $SRV_IF)" "  ok       link         up, MTU 1500"

# The dispatcher: is its verdict what xdp-loader finds when it wants to chain two programs?
other_xdp "$SRV" $SRV_IF
must ip -n "$SRV" link set dev $SRV_IF xdp off
if command -v xdp-loader >/dev/null; then
    # shellcheck disable=SC2016 # for the shell inside
    chain=$(srv sh -c 'mount -t bpf bpf /sys/fs/bpf
        if xdp-loader load "$1" "$2" && xdp-loader load "$1" "$2"; then echo ok; else echo note; fi
        xdp-loader unload --all "$1"' sh $SRV_IF "$TMP/other.o" 2>/dev/null)
    is "the verdict on the dispatcher" "$(found host dispatcher)" "$chain"
fi
is "what hangs on the interface afterwards" "$(hooks "$SRV" $SRV_IF)" "$before"

# Problems, each with a fix that is a command, and that ends the problem.
# mends CHECK: runs the fix
mends() {
    local fix
    is "the verdict on $1" "$(found $SRV_IF "$1")" problem
    is "the exit code for $1" "$CODE" 1
    fix=$(found $SRV_IF "$1" fix)
    # shellcheck disable=SC2086 # a command line
    srv ${fix/#wirewho/"$WIREWHO"} >/dev/null || wrong "the fix for $1 fails: $fix"
    eventually 5 mended "$1" || wrong "$1 is no better after its fix, $fix: $(found $SRV_IF "$1" fact)"
}
mended() {
    doctor -i $SRV_IF
    [ "$(found $SRV_IF "$1")" = ok ]
}

must ip -n "$SRV" link set dev $SRV_IF down
doctor -i $SRV_IF
mends link

other_xdp "$SRV" $SRV_IF
doctor -i $SRV_IF
contains "somebody else's XDP program" "$(found $SRV_IF XDP fact)" "other_xdp (id "
mends XDP

must ip -n "$SRV" link set dev $SRV_IF xdpgeneric object "$OBJECTS/xdp/meter.bpf.o" section xdp.frags
doctor -i $SRV_IF
contains "our stale XDP program" "$(found $SRV_IF XDP fact)" "wirewho_meter (id "
is "the fix for our stale XDP program" "$(found $SRV_IF XDP fix)" "wirewho cleanup"
mends XDP

doctor -i nosuch0
is "the verdict on an interface that is missing" "$(found nosuch0 link)" problem
is "the exit code for an interface that is missing" "$CODE" 1

# A run that lives is seen as one.
ww__start "$SRV" run -i $SRV_IF --interval 1 --jsonl "$TMP/flows"
doctor -i $SRV_IF
contains "XDP beside a run" "$(found $SRV_IF XDP fact)" "by wirewho (pid $WW_PID)"
lacks "tc egress beside a run" "$(found $SRV_IF 'tc egress' fact)" "left behind"
ww__stop
doctor -i $SRV_IF
is "XDP after a run" "$(found $SRV_IF XDP fact)" "no program attached"

# What an interface is among others. Not every kernel has every kind.
if ip -n "$SRV" link add name br0 type bridge 2>/dev/null; then
    must ip -n "$SRV" link add name port0 type veth peer name port1
    must ip -n "$SRV" link set port0 master br0 up
    must ip -n "$SRV" link set br0 up
    doctor -i br0 -i port0
    contains "a bridge" "$(found br0 place fact)" "a bridge"
    contains "a bridge's port" "$(found port0 place fact)" "a port of br0"
    contains "a bridge's modes" "$(found br0 'XDP modes' fact)" generic
fi
if ip -n "$SRV" tuntap add dev tap0 mode tap 2>/dev/null; then
    must ip -n "$SRV" link set dev tap0 mtu 9000 up
    doctor -i tap0
    contains "a tap's carrier" "$(found tap0 link fact)" "without carrier"
    contains "a tap's addresses" "$(found tap0 addresses fact)" "none: "
    contains "a tap's MTU" "$(found tap0 MTU fact)" "MTU 9000, and the driver "
fi

# Without rights: it says which are missing, and to whom to go.
if command -v setpriv >/dev/null; then
    SAID=$(srv setpriv --bounding-set=-all --inh-caps=-all --reuid 65534 --clear-groups \
        "$WIREWHO" doctor --json -i $SRV_IF)
    is "the exit code without rights" $? 1
    contains "the rights that are missing" "$(found host rights fact)" "cap_bpf is missing"
    contains "the rights that are missing" "$(found host rights fact)" "cap_net_admin is missing"
    lacks "what it says of tc without the right to ask" "$(found $SRV_IF 'tc egress' verdict)" ok
    contains "the fix for missing rights" "$(found host rights fix)" "setcap cap_bpf,cap_net_admin"
fi
srv "$WIREWHO" doctor eth0 2>/dev/null
is "the exit code after a wrong argument" $? 2
