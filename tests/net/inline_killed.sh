#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# The engine is stopped for five seconds, goes on, and is killed; it is killed for want of memory. All under load, over
# IPv4 and IPv6, and no request fails.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

written() { stat -c %s "$CAP_FILE"; }

# grows WHAT SIZE: packets go on coming through the engine
grows() {
    eventually 3 eval '[ "$(written)" -gt $(('"$2"' + 10000)) ]' || wrong "$1: nothing comes through the engine"
}

# under_load ADDRESS SECONDS CMD: none of the requests may fail or take two seconds, and the engine was at work before CMD
under_load() {
    local failed=$WW_FAILED pid holds
    cap__start --sample inline -s 64 'tcp port 80'
    holds=$(WW_PID=$CAP_PID ww__holds)
    at_least "what it holds" "$(echo "$holds" | wc -l)" 5
    wrk__run "$CLI" "$2" 32 "http://$1/small" &
    pid=$!
    sleep 1
    grows "at first" 0
    "$3"
    is "the exit code" "$CAP_CODE" 137
    sleep 0.5
    kill -0 "$pid" 2>/dev/null || wrong "the requests had ended before: $3"
    wait "$pid" || WW_FAILED=$((WW_FAILED + 1))
    eventually 10 ww__released "$holds" || wrong "left after $3: $(ww__left "$holds")"
    is "what is left on $SRV_IF" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'
    [ "$WW_FAILED" -eq "$failed" ] || wrong "that was: $3, $1"
}

killed() {
    { wait "$CAP_PID"; CAP_CODE=$?; } 2>/dev/null
}

stop_continue_kill() {
    local size
    kill -STOP "$CAP_PID"
    sleep 5
    size=$(written)
    kill -CONT "$CAP_PID"
    grows "after SIGCONT" "$size"
    kill -KILL "$CAP_PID"
    killed
}

# ---- a group of processes that may have so much memory, by either version of cgroups

GROUP=
leave_group() {
    local code=$?
    trap - EXIT
    [ -z "$GROUP" ] || while grep -q . "$GROUP/cgroup.procs"; do
        # shellcheck disable=SC2046 # pids
        kill -KILL $(cat "$GROUP/cgroup.procs") 2>/dev/null
        sleep 0.1
    done
    [ -z "$GROUP" ] || rmdir "$GROUP"
    (exit $code)
    net__cleanup
}
trap leave_group EXIT

make_group() {
    local base
    base=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
    LIMIT=memory.limit_in_bytes KILLS=memory.oom_control
    if [ -z "$base" ]; then
        base=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
        [ -z "$base" ] || echo +memory >"$base/cgroup.subtree_control" 2>/dev/null
        LIMIT=memory.max KILLS=memory.events
    fi
    [ -n "$base" ] && mkdir "$base/$WW" 2>/dev/null || return 1
    GROUP=$base/$WW
    [ -w "$GROUP/$LIMIT" ]
}

# Something in the engine's group wants more and more memory; the kernel ends the engine.
out_of_memory() {
    must sh -c "echo $CAP_PID >$GROUP/cgroup.procs"
    echo 1000 >"/proc/$CAP_PID/oom_score_adj"
    must sh -c "echo $((64 << 20)) >$GROUP/$LIMIT"
    sh -c "echo \$\$ >$GROUP/cgroup.procs; exec python3 -c '
held = []
while True:
    held.append(b\"x\" * (1 << 20))'" 2>/dev/null &
    WW_PIDS+=("$!")
    killed
    at_least "processes that the kernel ended for want of memory" "$(awk '$1 == "oom_kill" { print $2 }' "$GROUP/$KILLS")" 1
}

kill_it() {
    kill -KILL "$CAP_PID"
    killed
}

net__pair 1
nginx__start "$SRV"
for address in $SRV4 "[$SRV6]"; do
    under_load "$address" 9 stop_continue_kill
done
if make_group; then
    under_load $SRV4 8 out_of_memory
else
    echo "no memory cgroup can be made here: killed instead of out of memory"
    under_load $SRV4 4 kill_it
fi
wrk__run "$CLI" 1 8 "http://$SRV4/small"
