#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 240
# `wirewho trace exec` against strace: the same execs, failed ones too, with the same arguments, whatever bytes they hold.
# 20 000 in a row are all seen; those that a stopped reader cannot take are counted as lost, each of them.
. "$(dirname "$0")/lib.sh"

need_root
need strace gcc jq setpriv python3

GROUP=
for mount in $(awk '$3 == "cgroup2" { print $2 }' /proc/self/mounts); do
    mkdir "$mount/$WW" 2>/dev/null && GROUP=$mount/$WW && break
done
leave_group() {
    [ -z "$GROUP" ] || eventually 5 rmdir "$GROUP" 2>/dev/null
}
trap 'code=$?; leave_group; (exit $code); net__cleanup' EXIT

# inside CMD...: in the test's own cgroup
inside() {
    # shellcheck disable=SC2016 # for the shell inside
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$GROUP" "$@"
}

# watch ARG...: in the background until it watches
watch() {
    : >"$TMP/err" # or the line of the run before would do
    "$WIREWHO" trace exec "$@" >"$TMP/out" 2>"$TMP/err" &
    WW_PID=$!
    WW_PIDS+=("$WW_PID")
    WW_ERR=$TMP/err
    eventually 20 ww__began || die "it does not begin to watch: $(cat "$TMP/err")"
}

# stop: as ww__stop; every line must be JSON
stop() {
    ww__stop
    jq -e . "$TMP/out" >/dev/null || wrong "not every line is JSON"
}

events() {
    tail -n 1 "$TMP/out" | jq ".wirewho.trace.$1"
}

# ------------------------------------------------------------------------------------------------ a script, and strace

mkdir "$TMP/bin"
cp /bin/true "$TMP/bin/plain"
cp /bin/true "$TMP/bin/"$'new\nline "quoted" \xff\x1b[31m'
echo data >"$TMP/bin/no-program"
printf '\x7fELFnothing' >"$TMP/bin/broken"
chmod 755 "$TMP/bin/broken"
cat >"$TMP/script" <<END
#!/bin/sh
cd $TMP/bin
./plain one 'two words' '' "new
line" '"' '\\' "\$(printf '\\377\\033[31m')"
./new*
./missing 2>/dev/null
./no-program 2>/dev/null
./broken 2>/dev/null
(exec -a other ./plain 2>/dev/null; exec ./plain sub)
env -i ./plain "\$(head -c 3000 /dev/zero | tr '\\0' y)"
exit 3
END
chmod 755 "$TMP/script"

cat >"$TMP/compare.py" <<'END'
# Both sides as sorted lines [file, arguments, result]; what strace itself was started with is left out.
import codecs, glob, json, os, re, sys
codecs.register_error("ours", lambda e: ("".join("\\x%02X" % b for b in e.object[e.start:e.end]), e.end))
def text(hexed):
    return bytes.fromhex(hexed.replace("\\x", "")).decode("utf-8", "ours")
def strace(prefix):
    for name in glob.glob(prefix + ".*"):
        for line in open(name):
            m = re.match(r'execve\("([^"]*)", \[(.*?)\](?:, .*)? = (-?\d+)(?: (\w+))?', line)
            if m:
                yield [text(m[1]), [text(a) for a in re.findall(r'"([^"]*)"', m[2])], m[4] if int(m[3]) else "0"]
def ours(path):
    for line in open(path):
        r = json.loads(line)
        if r["event"].get("action") != "exec":
            continue
        if r["event"]["outcome"] == "success":
            yield [r["process"]["executable"], r["process"]["args"], "0"]
        else:
            yield [r["wirewho"]["tried"], r["process"]["args"], r["error"]["code"]]
a = sorted(strace(sys.argv[1]))
b = sorted(r for r in ours(sys.argv[2]) if os.path.basename(r[0]) != "strace")
# A script's arguments are its interpreter's, as the kernel has put them together.
b = [[f, a[1:] if f.endswith("/script") and a[0] == "/bin/sh" else a, r] for f, a, r in b]
for r in a:
    if r not in b: print("strace alone:", r)
for r in b:
    if r not in a: print("we alone:", r)
print(len(a) == len(b), len(a), "execs,", sum(r[2] != "0" for r in a), "failed")
END

if [ -n "$GROUP" ]; then
    watch --args --failed --exits --cgroup "/${GROUP##*/}" --jsonl -
    inside strace -ff -qq -xx -s 8192 -e trace=execve,execveat -o "$TMP/st" "$TMP/script" >/dev/null
    is "the script's exit code" $? 3
    stop
    compared=$(python3 "$TMP/compare.py" "$TMP/st" "$TMP/out")
    contains "the comparison with strace" "$compared" "True "
    lacks "the comparison with strace" "$compared" "alone"
    lacks "the comparison with strace" "$compared" " 0 failed"
    is "errors" "$(jq -r '.error.code // empty' "$TMP/out" | sort -u | tr '\n' ' ')" "EACCES ENOENT ENOEXEC "
    is "lost" "$(events lost)" 0
    is "exit code of the script in its record" \
        "$(jq -r 'select(.event.action == "exit" and .process.name == "script") | .process.exit_code' "$TMP/out" | sort -u | tail -n 1)" 3
    # nobody else's: execs outside of the cgroup went on meanwhile
    is "pids outside" "$(jq -r 'select(.process.name == "sleep") | .process.pid' "$TMP/out")" ""
else
    echo "no cgroup v2 hierarchy can be written here: not compared with strace"
fi

# For people: one line an exec, no control byte in it.
watch --args --comm new
cp /bin/true "$TMP/bin/new"
"$TMP/bin/new" $'a\nb' $'\xff\x1b[31m' 'x y'
ww__stop
is "lines" "$(wc -l <"$TMP/out")" 2
contains "the line" "$(cat "$TMP/out")" "$TMP/bin/new $TMP/bin/new \"a\\x0Ab\" \"\\xFF\\x1B[31m\" \"x y\""

# --------------------------------------------------------------------------------------------------- ends of processes

cat >"$TMP/ends.c" <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *last(void *to)
{
	usleep(200000);
	exit(5);
	return to;
}
int main(int argc, char **argv)
{
	pthread_t t;
	if (argc > 1 && !strcmp(argv[1], "kill"))
		raise(SIGKILL);
	if (argc > 1 && !strcmp(argv[1], "leader")) {
		pthread_create(&t, NULL, last, NULL);
		pthread_exit(NULL); /* the leader goes first: that is not the process's end */
	}
	return 7;
}
END
must gcc -o "$TMP/ww-ends" "$TMP/ends.c" -lpthread
watch --exits --comm ww-ends --jsonl -
"$TMP/ww-ends"
{ "$TMP/ww-ends" kill; } 2>/dev/null
"$TMP/ww-ends" leader
stop
is "ends" "$(jq -r 'select(.event.action == "exit") | .process.exit_code // .wirewho.signal.name' "$TMP/out" | tr '\n' ' ')" \
    "7 SIGKILL 5 "
at_least "the time the last one lived, in ns" \
    "$(jq 'select(.process.exit_code == 5) | .event.duration' "$TMP/out")" 200000000

# -------------------------------------------------------------------------------------------------------------- filters

watch -u nobody --failed --jsonl -
setpriv --reuid nobody --clear-groups sh -c '/bin/true; /nonexistent; /bin/true a' 2>/dev/null
/bin/true
stop
is "execs of nobody" "$(jq -r 'select(.process and .process.name != "setpriv") | "\(.user.name) \(.process.name) \(.event.outcome)"' "$TMP/out" | sort | uniq -c |
    awk '{ print $1, $2, $3, $4 }' | tr '\n' ',')" "1 nobody sh failure,1 nobody sh success,2 nobody true success,"

mkfifo "$TMP/fifo"
# shellcheck disable=SC2016 # for the shell inside
sh -c 'read line; exec "$0" sleep 0' "$(command -v env)" <>"$TMP/fifo" &
pid=$!
eventually 5 grep -q '^0 ' "/proc/$pid/syscall" || die "the shell does not read"
watch -p $pid --jsonl -
/bin/true
echo >"$TMP/fifo"
wait $pid
stop
is "execs of one pid" "$(jq -r 'select(.process) | .process.name' "$TMP/out" | tr '\n' ' ')" "env sleep "

# ------------------------------------------------------------------------------------------------------------- 20 000

cat >"$TMP/tiny.c" <<'END'
int main(void) { return 0; }
END
must gcc -O1 -static -o "$TMP/ww-tiny" "$TMP/tiny.c"
cat >"$TMP/many.c" <<'END'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (int i = atoi(argv[1]), status; i > 0; i--) {
		if (!vfork()) {
			execl(argv[2], argv[2], (char *)0);
			_exit(1);
		}
		if (wait(&status) < 0 || status)
			return 1;
	}
	return argc != 3;
}
END
must gcc -O1 -o "$TMP/ww-many" "$TMP/many.c"

watch --comm ww-tiny --jsonl -
must "$TMP/ww-many" 20000 "$TMP/ww-tiny"
stop
is "records of 20 000 execs" "$(jq -c 'select(.event.action == "exec")' "$TMP/out" | wc -l)" 20000
is "their pids and times" "$(jq -r 'select(.event.action == "exec") | "\(.process.pid) \(."@timestamp")"' "$TMP/out" | sort -u | wc -l)" 20000
is "lost" "$(events lost)" 0

# A reader that sleeps: what the ring cannot hold is counted, to the last one.
watch --comm ww-tiny --jsonl -
kill -STOP "$WW_PID"
must "$TMP/ww-many" 10000 "$TMP/ww-tiny"
kill -CONT "$WW_PID"
sleep 0.5
stop
at_least "execs lost by a stopped reader" "$(events lost)" 1000
is "execs seen and lost" "$(($(events events) + $(events lost)))" 10000
is "records" "$(jq -c 'select(.event.action == "exec")' "$TMP/out" | wc -l)" "$(events events)"

# By user, by process, by parent.
chmod 755 "$TMP" "$TMP/ww-many" "$TMP/ww-tiny"
watch --comm ww-tiny --by user --exits --jsonl -
must setpriv --reuid nobody --clear-groups "$TMP/ww-many" 300 "$TMP/ww-tiny"
must "$TMP/ww-many" 200 "$TMP/ww-tiny"
stop
is "execs by user" "$(jq -r 'select(.user) | "\(.user.name) \(.wirewho.exec.execs) \(.wirewho.exec.exits)"' "$TMP/out" | tr '\n' ',')" \
    "nobody 300 300,root 200 200,"
watch --comm ww-tiny --by parent
"$TMP/ww-many" 100 "$TMP/ww-tiny" &
parent=$!
wait $parent
ww__stop
is "execs by parent" "$(awk '$1 == "ww-many" { print $2, $3 }' "$TMP/out")" "$parent 100"
watch --comm ww-tiny --by process
must "$TMP/ww-many" 50 "$TMP/ww-tiny"
ww__stop
is "execs by process" "$(awk '$1 == "ww-tiny" { print $2 }' "$TMP/out")" 50
