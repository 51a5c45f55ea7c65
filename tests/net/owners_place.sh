#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Where a process runs: container, pod, unit and slice out of its control group, also when both are gone by the time of
# the report. Its arguments only where they were asked for.
. "$(dirname "$0")/lib.sh"

net__pair
root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$root" ] || skip "no cgroup v2 hierarchy is mounted"
ID=$(printf '%064d' 7)
GROUP=$root/ww-$$.slice
forget() {
    find "$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null
    net__cleanup
}
trap forget EXIT
mkdir "$GROUP" 2>/dev/null || skip "no cgroup can be made in $root"

cat >"$TMP/client.py" <<-'END'
	import socket, sys
	s = socket.create_connection((sys.argv[1], 5000))
	s.sendall(b"x")
	s.recv(1)
	if len(sys.argv) > 3:
	    import time
	    time.sleep(float(sys.argv[3]))
	END
cat >"$TMP/server.py" <<-'END'
	import socket
	s = socket.create_server(("", 5000))
	print("ready", flush=True)
	while True:
	    c = s.accept()[0]
	    c.sendall(c.recv(1))
	    c.close()
	END
bg "$SRV" python3 "$TMP/server.py" >"$TMP/server.out"
eventually 5 grep -q ready "$TMP/server.out" || die "the server did not start"

# The groups are removed as soon as the client has ended, well before the only report.
declare -A CLIENT
in_group() {
    must mkdir -p "$GROUP/$1"
    (
        echo "$BASHPID" >"$GROUP/$1/cgroup.procs"
        exec ip netns exec "$CLI" python3 "$TMP/client.py" $SRV4 --password=swordfish 0.4
    ) &
    CLIENT[$1]=$!
    WW_PIDS+=($!)
    wait $! || wrong "the client in $1 failed"
    eventually 2 rmdir "$GROUP/$1" || wrong "$1 is still in use"
}
pod=kubepods-burstable-pod0a1b2c3d_0001_4000_8000_0123456789ab.slice
all() {
    in_group "docker-$ID.scope"
    in_group "$pod/crio-$ID.scope"
    in_group "ww-test.service"
}
# field PID JQ
field() {
    jq -r "select(.process.pid == $1) | $2" "$TMP/out" | sort -u
}
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/out" --interval 600
all
ww__stop
is "docker" "$(field "${CLIENT[docker-$ID.scope]}" '"\(.container.runtime) \(.container.id) \(.systemd.unit)"')" "docker $ID null"
is "cri-o" "$(field "${CLIENT[$pod/crio-$ID.scope]}" '"\(.container.runtime) \(.container.id) \(.orchestrator.resource.id)"')" \
    "cri-o $ID 0a1b2c3d-0001-4000-8000-0123456789ab"
is "a service" "$(field "${CLIENT[ww-test.service]}" '"\(.container.id) \(.systemd.unit) \(.systemd.slice)"')" \
    "null ww-test.service ww-$$.slice"
lacks "records without --args" "$(cat "$TMP/out")" swordfish

# in a group that stays, a process that does not live long enough for anybody to look
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/out" --interval 600
must mkdir -p "$GROUP/docker-$ID.scope"
cat >"$TMP/short.c" <<-'END'
	#include <arpa/inet.h>
	#include <sys/socket.h>
	int main(void)
	{
	    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5000) };
	    int s = socket(AF_INET, SOCK_DGRAM, 0);
	    inet_pton(AF_INET, "10.77.0.1", &to.sin_addr);
	    return sendto(s, "x", 1, 0, (void *)&to, sizeof(to)) != 1;
	}
	END
must gcc -o "$TMP/short" "$TMP/short.c"
(
    echo "$BASHPID" >"$GROUP/docker-$ID.scope/cgroup.procs"
    exec ip netns exec "$CLI" "$TMP/short"
) &
short=$!
wait "$short" || wrong "the short program failed"
sleep 0.5
ww__stop
is "a short life in a container" "$(field "$short" '"\(.process.name) \(.container.runtime) \(.container.id)"')" "short docker $ID"
must rmdir "$GROUP/docker-$ID.scope"

ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/out" --interval 600 --args
in_group "ww-test.service"
ww__stop
is "the arguments" "$(field "${CLIENT[ww-test.service]}" '"\(.process.args | length) \(.process.args[-2])"')" "5 --password=swordfish"
contains "the command line" "$(field "${CLIENT[ww-test.service]}" .process.command_line)" "$TMP/client.py $SRV4 --password=swordfish 0.4"

# top: the unit stands where there is no container
ww__start "$CLI" top -i $CLI_IF --once --json 3
in_group "ww-test.service"
wait "$WW_PID"
is "the unit in top's JSON" "$(jq -r ".rows[] | select(.pid == ${CLIENT[ww-test.service]}) | \"\(.unit) \(.container) \(.command_line)\"" "$WW_OUT")" \
    "ww-test.service null null"
ww__start "$CLI" top -i $CLI_IF --once 3
in_group "ww-test.service"
wait "$WW_PID"
contains "the unit in top's table" "$(grep " python3 " "$WW_OUT")" " ww-test.ser+"
! "$WIREWHO" top --args >/dev/null 2>&1 || wrong "top --args without --json should be refused"
