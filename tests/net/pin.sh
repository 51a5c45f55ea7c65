#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 150
# --pin: programs and maps under names that bpftool can be pointed at, fields by name; gone at a clean end, and by `wirewho
# cleanup` after a killed run. DIR must lie on a bpffs.
. "$(dirname "$0")/lib.sh"

need bpftool jq
net__pair

# Only this test sees these two: a mount namespace of its own that keeps a bpffs.
mkdir "$TMP/bpf" "$TMP/plain"
bg "$SRV" unshare --mount --propagation private sh -c "mount -t bpf bpf $TMP/bpf && echo mounted && exec sleep 600" >"$TMP/mounted"
HOLDER=$BG_PID
eventually 5 grep -q mounted "$TMP/mounted" || die "no bpffs can be mounted"
there() { nsenter --mount="/proc/$HOLDER/ns/mnt" --net="/proc/$HOLDER/ns/net" "$@"; }

# start ARG...: as ww__start, in that mount namespace
start() {
    : >"$TMP/err"
    nsenter --mount="/proc/$HOLDER/ns/mnt" --net="/proc/$HOLDER/ns/net" "$WIREWHO" "$@" >"$TMP/out" 2>"$TMP/err" &
    WW_PID=$! WW_ERR=$TMP/err
    WW_PIDS+=("$WW_PID")
    eventually 20 began || die "wirewho does not begin to watch: $(cat "$TMP/err")"
    kill -0 "$WW_PID" 2>/dev/null || die "wirewho ended at once: $(cat "$TMP/err")"
}

began() { grep -qE '^wirewho: (watching|capturing)' "$WW_ERR" || ! kill -0 "$WW_PID" 2>/dev/null; }

# pins: what is on the bpffs, without the kernel's own
pins() {
    there find "$TMP/bpf" -mindepth 1 ! -name '*.debug' | sed "s|^$TMP/bpf/||" | sort
}

shown() { there bpftool -j prog show pinned "$TMP/bpf/wirewho/$1" | jq -r .name; }

# The meter, generic: what iproute2 shows and what bpftool shows are one program; the counts have names.
start run -i $SRV_IF --mode generic --jsonl "$TMP/flows" --pin "$TMP/bpf"
must cli ping -q -c 5 -i 0.2 $SRV4 >/dev/null
contains "the link" "$(srv ip link show dev $SRV_IF)" xdpgeneric
is "the pinned program" "$(shown meter-$SRV_IF/programs/wirewho_meter)" wirewho_meter
is "its id" "$(there bpftool -j prog show pinned "$TMP/bpf/wirewho/meter-$SRV_IF/programs/wirewho_meter" | jq .id)" \
    "$(srv ip -j -d link show dev $SRV_IF | jq '.[0].xdp.prog.id')"
is "the egress program" "$(shown egress-$SRV_IF/programs/wirewho_egress)" wirewho_egress
is "an owner program" "$(shown owners/programs/on_connect4)" on_connect4
tallies=$(there bpftool -j map dump pinned "$TMP/bpf/wirewho/meter-$SRV_IF/maps/tallies")
at_least "packets seen, in the dump" "$(jq '[.[].formatted.value.seen.packets] | add' <<<"$tallies")" 5
contains "a flow slot's fields" "$(there bpftool map lookup pinned "$TMP/bpf/wirewho/meter-$SRV_IF/maps/flows4" key 0 0 0 0)" '"epoch"'
said=$(there "$WIREWHO" cleanup)
contains "what cleanup says beside a run that lives" "$said" "in use by wirewho (pid $WW_PID)"
lacks "what cleanup says beside a run that lives" "$said" removed
ww__stop
is "pins after a clean end" "$(pins)" ""

# top and capture too; and a run that ends by itself.
there timeout 20 "$WIREWHO" top -i $SRV_IF --once --pin "$TMP/bpf" >"$TMP/out" 2>"$TMP/err"
is "the exit code of top" $? 0
is "pins after top" "$(pins)" ""
start capture -i $SRV_IF -w "$TMP/x.pcapng" --sample inline --pin "$TMP/bpf" icmp
is "the way back" "$(shown reinject-$SRV_IF-0/programs/wirewho_reinject)" wirewho_reinject
is "its meter" "$(shown meter-$SRV_IF/programs/wirewho_meter)" wirewho_meter
ww__stop
is "pins after capture" "$(pins)" ""

# A tracer; its filter can be read. Two runs share DIR, but not a name.
start trace exec --comm nothing --pin "$TMP/bpf/wirewho"
is "the tracer's program" "$(shown trace-exec/programs/on_exec)" on_exec
is "its filter" "$(there bpftool -j map dump pinned "$TMP/bpf/wirewho/trace-exec/maps/rodata" |
    jq -r '.[0].formatted.value[".rodata"][] | .filter // empty | .comm')" nothing
first=$WW_PID
there timeout 10 "$WIREWHO" trace exec --pin "$TMP/bpf" >"$TMP/out" 2>"$TMP/err2"
is "the exit code of a second one" $? 1
contains "what the second one says" "$(cat "$TMP/err2")" "another run pins there"
is "the first one's program" "$(shown trace-exec/programs/on_exec)" on_exec
there timeout 10 "$WIREWHO" trace syscalls --comm nothing --pin "$TMP/bpf" 1 1 >"$TMP/out" 2>"$TMP/err2"
is "the exit code of another tracer" $? 0
is "what is left is the first one's" "$(pins | grep -c -e ^wirewho/trace-exec -e ^wirewho$)" "$(pins | wc -l)"

# Killed: cleanup removes our pins, wherever on the bpffs, and nobody else's.
there mkdir "$TMP/bpf/other" "$TMP/bpf/deep" "$TMP/bpf/deep/wirewho"
there bpftool map create "$TMP/bpf/other/wirewho" type array key 4 value 4 entries 1 name other
there bpftool map create "$TMP/bpf/deep/wirewho/m" type array key 4 value 4 entries 1 name ours
{ kill -KILL "$first"; wait "$first"; } 2>/dev/null
at_least "pins that a killed run leaves" "$(pins | grep -c trace-exec/)" 5
said=$(there "$WIREWHO" cleanup)
is "the exit code of cleanup" $? 0
contains "what cleanup says" "$said" "removed   pinned program $TMP/bpf/wirewho/trace-exec/programs/on_exec"
is "pins after cleanup" "$(pins | tr '\n' ' ')" "deep other other/wirewho "

# Not on a bpffs, not there at all: said, and nothing is attached.
for dir in "$TMP/plain" "$TMP/plain/wirewho" "$TMP/none/x"; do
    there timeout 10 "$WIREWHO" run -i $SRV_IF --jsonl "$TMP/flows" --pin "$dir" 2>"$TMP/err2"
    is "the exit code for $dir" $? 1
    is "lines it says for $dir" "$(grep -c '^wirewho: ' "$TMP/err2")" 1
    contains "what it says of $dir" "$(cat "$TMP/err2")" "pin to $dir: "
    there timeout 10 "$WIREWHO" trace exec --pin "$dir" 2>"$TMP/err2" >"$TMP/out"
    is "a tracer's exit code for $dir" $? 1
done
contains "what it says of a plain directory" \
    "$(there "$WIREWHO" trace exec --pin "$TMP/plain" 2>&1)" "does not lie on a bpffs"
