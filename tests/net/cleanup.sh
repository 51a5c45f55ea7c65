#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `wirewho cleanup` removes what is ours and nobody holds: XDP, tc, pins. What is somebody else's, or in use, stays.
. "$(dirname "$0")/lib.sh"

need bpftool jq
net__pair
OBJECTS=$WW_ROOT/${OUT:-.build}

# Somebody else's: an XDP program on an interface of its own, and filters beside ours.
must ip -n "$SRV" link add other0 type veth peer name other1
must ip -n "$SRV" link set other0 up
other_xdp "$SRV" other0
must srv tc qdisc add dev $SRV_IF clsact
other_tc "$SRV" $SRV_IF egress 3
other_tc "$SRV" $SRV_IF ingress 7
foreign=$(hooks "$SRV" $SRV_IF; hooks "$SRV" other0)

# all_hooks: everything that hangs anywhere in both namespaces
all_hooks() {
    hooks "$SRV" $SRV_IF
    hooks "$SRV" other0
    hooks "$CLI" $CLI_IF
}

# leave_behind: what a killed run would leave on a kernel that has no links for it
leave_behind() {
    must ip -n "$SRV" link set dev $SRV_IF xdpgeneric object "$OBJECTS/xdp/meter.bpf.o" section xdp.frags
    must ip -n "$CLI" link set dev $CLI_IF xdpdrv object "$OBJECTS/xdp/meter.bpf.o" section xdp.frags
    # shellcheck disable=SC2016 # for the shell inside
    must srv sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool prog load "$2" /sys/fs/bpf/i type classifier &&
        bpftool prog load "$3" /sys/fs/bpf/e type classifier &&
        tc filter add dev "$1" ingress prio 5 bpf da object-pinned /sys/fs/bpf/i &&
        tc filter add dev "$1" egress prio 5 bpf da object-pinned /sys/fs/bpf/e' sh \
        $SRV_IF "$OBJECTS/xdp/ingress.bpf.o" "$OBJECTS/attrib/egress.bpf.o"
}

clean=$(all_hooks)
leave_behind
stale=$(all_hooks)
lacks "what hangs on the interfaces before cleanup" "$clean" wirewho_
contains "what was left behind" "$stale" wirewho_egress
contains "what was left behind" "$stale" wirewho_ingress

said=$(srv "$WIREWHO" cleanup --dry-run)
is "the exit code of a dry run" $? 0
contains "what a dry run says" "$said" "would remove XDP program wirewho_meter (id "
contains "what a dry run says" "$said" "would remove tc egress filter wirewho_egress (id "
is "what a dry run leaves" "$(all_hooks)" "$stale"

said=$(srv "$WIREWHO" cleanup -v)
is "the exit code" $? 0
contains "what cleanup says" "$said" "removed   XDP program wirewho_meter (id "
contains "what cleanup says" "$said" "generic) on $SRV_IF"
contains "what cleanup says" "$said" "removed   tc egress filter wirewho_egress (id "
contains "what cleanup says" "$said" "removed   tc ingress filter wirewho_ingress (id "
contains "what cleanup says" "$said" "other_xdp (id "
contains "what cleanup says" "$said" "other_tc (id "
is "how many things it removed" "$(grep -c ^removed <<<"$said")" 3
is "what hangs on the server's interfaces afterwards" "$(hooks "$SRV" $SRV_IF; hooks "$SRV" other0)" "$foreign"

# It reaches no further than its own network namespace.
contains "the client's interface before its own cleanup" "$(cli bpftool net show dev $CLI_IF)" "driver id "
contains "what cleanup says in the client's namespace" "$(cli "$WIREWHO" cleanup)" "native) on $CLI_IF"
is "what hangs on all interfaces afterwards" "$(all_hooks)" "$clean"
is "what a second cleanup says" "$(srv "$WIREWHO" cleanup)" "nothing of ours is left here"

# Pins: ours are those in a directory called wirewho, on any bpffs.
# (The *.debug are the kernel's own.)
cat >"$TMP/pins" <<-'END'
	set -e
	mount -t bpf bpf /sys/fs/bpf
	mkdir "$1/bpffs" /sys/fs/bpf/other
	mount -t bpf bpf "$1/bpffs"
	mkdir -p "$1/bpffs/wirewho/maps" /sys/fs/bpf/wirewho
	bpftool map create "$1/bpffs/wirewho/maps/m" type array key 4 value 4 entries 1 name ours
	bpftool map create /sys/fs/bpf/wirewho/m type array key 4 value 4 entries 1 name ours
	bpftool map create /sys/fs/bpf/other/wirewho type array key 4 value 4 entries 1 name other
	bpftool prog loadall "$3" /sys/fs/bpf/wirewho/p
	"$2" cleanup -n >/dev/null
	find "$1/bpffs" /sys/fs/bpf -type f ! -name '*.debug' | wc -l
	"$2" cleanup
	find "$1/bpffs" /sys/fs/bpf -mindepth 1 ! -name '*.debug' | sort
END
pins=$(srv sh "$TMP/pins" "$TMP" "$WIREWHO" "$TMP/other.o") || wrong "cleaning pins failed: $pins"
is "pins after a dry run" "$(head -n 1 <<<"$pins")" 6
contains "what cleanup says of pins" "$pins" "removed   pinned map $TMP/bpffs/wirewho/maps/m (id "
contains "what cleanup says of pins" "$pins" "removed   pinned program /sys/fs/bpf/wirewho/p/other_xdp (id "
is "what is left on the bpffs" "$(grep ^/ <<<"$pins" | tr '\n' ' ')" "/sys/fs/bpf/other /sys/fs/bpf/other/wirewho "

# A run that lives keeps what it has, and does not notice.
ww__start "$SRV" run -i $SRV_IF --interval 1 --jsonl "$TMP/flows"
before=$(all_hooks)
said=$(srv "$WIREWHO" cleanup)
is "the exit code beside a run that lives" $? 0
contains "what cleanup says of a run that lives" "$said" "in use by wirewho (pid $WW_PID)"
lacks "what cleanup says of a run that lives" "$said" removed
is "what hangs on the interfaces beside a run that lives" "$(all_hooks)" "$before"
ww__stop
is "what hangs on the interfaces at the end" "$(all_hooks)" "$clean"

# Without the rights to look it says so, and does not claim that nothing is there.
leave_behind
if command -v setpriv >/dev/null; then
    said=$(srv setpriv --bounding-set=-all --inh-caps=-all --reuid 65534 --clear-groups "$WIREWHO" cleanup 2>&1)
    is "the exit code without rights" $? 1
    contains "what cleanup says without rights" "$said" "run as root"
    lacks "what cleanup says without rights" "$said" "nothing of ours"
fi
must srv "$WIREWHO" cleanup >/dev/null
must cli "$WIREWHO" cleanup >/dev/null
is "what hangs on the interfaces in the very end" "$(all_hooks)" "$clean"
srv "$WIREWHO" cleanup eth0 2>/dev/null
is "the exit code after a wrong argument" $? 2
