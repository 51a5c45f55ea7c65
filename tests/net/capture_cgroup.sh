#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# --cgroup: only packets of processes in that cgroup or below it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

BASE=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$BASE" ] || skip "no cgroup v2 hierarchy is mounted"
GROUP=$BASE/$WW
leave_group() {
    local code=$?
    trap - EXIT
    for pid in "${WW_PIDS[@]}"; do
        { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
    done
    rmdir "$GROUP/below" "$GROUP" 2>/dev/null
    (exit $code)
    net__cleanup
}

net__pair 1
trap leave_group EXIT
mkdir "$GROUP" 2>/dev/null && mkdir "$GROUP/below" || skip "no cgroup can be made in $BASE"
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01

# owner PORT [CGROUP]: a socket of a process of its own, in that group before it binds
owner() {
    mkfifo "$TMP/go.$1"
    bg "$SRV" bash -c 'read -r _ <"$1"; exec python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"\", int(sys.argv[1])))
print(\"bound\", flush=True)
time.sleep(1000)" "$2"' bash "$TMP/go.$1" "$1" >"$TMP/owner.$1"
    [ -z "${2-}" ] || must sh -c "echo $BG_PID >$2/cgroup.procs"
    echo >"$TMP/go.$1"
    eventually 5 grep -q bound "$TMP/owner.$1" || die "no socket on port $1"
}

owner 9000 "$GROUP"
owner 9001 "$GROUP/below"
owner 9002
# ports ARG...: whose packets are in the file, each with how many
ports() {
    cap__start --sample "$1" "${@:2}" 'udp'
    for port in 9000 9001 9002; do
        cap__send 100 --rate 5000 --udp $port
    done
    cap__end
    tcpdump -nr "$CAP_FILE" udp 2>/dev/null | sed -E 's/.* > [0-9.]+\.([0-9]+): .*/\1/' | sort | uniq -c | awk '{ printf "%s:%s ", $2, $1 }'
}
for sample in inline copy; do
    is "$sample: in the group or below" "$(ports $sample --cgroup "/$WW")" "9000:100 9001:100 "
    is "$sample: below" "$(ports $sample --cgroup "/$WW/below")" "9001:100 "
done
is "filtered" "$(cap__number filtered)" 200
srv timeout 10 "$WIREWHO" capture -i $SRV_IF -w "$CAP_FILE" --cgroup 77 udp 2>"$CAP_ERR"
is "--cgroup 77: the exit code" $? 2
contains "--cgroup 77" "$(cat "$CAP_ERR")" "begins with /"
