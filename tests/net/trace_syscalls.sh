#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 150
# `wirewho trace syscalls` counts what strace counts, name by name: calls, and failures by error; also what was in flight,
# what found the table full, and calls by another interface (i386) under their own names.
. "$(dirname "$0")/lib.sh"

need_root
need strace gcc jq

cat >"$TMP/prog.c" <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void work(int n)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;

	for (int i = 0; i < n; i++) {
		syscall(SYS_getppid);
		if (read(fd, &byte, 1) != 1)
			abort();
		if (i % 10 == 0)
			access("/nonexistent", F_OK);
		if (i % 50 == 0)
			close(-1);
	}
	close(fd);
}

/* Two reads: the first is in flight when the watching begins, the second when it ends. */
static void wait_twice(void)
{
	struct timespec t = { .tv_nsec = 50000000 };
	char byte;

	if (read(0, &byte, 1) == 1)
		for (int i = 0; i < 5; i++)
			nanosleep(&t, NULL);
	if (read(0, &byte, 1) == 1)
		_exit(1);
}

/* From here on getppid is refused. */
static int refuse(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	for (int i = 0; i < 10; i++)
		if (syscall(SYS_getppid) != -1)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "refused"))
		return refuse();
	if (argc > 1 && !strcmp(argv[1], "wait")) {
		wait_twice();
		return 0;
	}
#ifdef __x86_64__
	if (argc > 1 && !strcmp(argv[1], "i386")) {
		long result;

		for (int i = 0; i < 100; i++)
			__asm__ volatile("int $0x80" : "=a"(result) : "a"(64) : "memory", "r8", "r9", "r10", "r11");
		return result != getppid();
	}
#endif
	if (argc > 1 && !strcmp(argv[1], "numbers"))
		for (int i = 0; i < 3000; i++)
			syscall(1000 + i);
	for (int i = 1; i <= 3; i++)
		if (!fork()) {
			work(1000 * i);
			_exit(i);
		}
	work(500);
	while (wait(NULL) > 0)
		;
	return 0;
}
END
must gcc -O1 -o "$TMP/ww-prog" "$TMP/prog.c"

# watch ARG...: in the background until it watches
watch() {
    : >"$TMP/err" # or the line of the run before would do
    "$WIREWHO" trace syscalls "$@" >"$TMP/out" 2>"$TMP/err" &
    WW_PID=$!
    WW_PIDS+=("$WW_PID")
    WW_ERR=$TMP/err
    eventually 20 ww__began || die "it does not begin to watch: $(cat "$TMP/err")"
}

# counts [FILE]: "name calls" a line, sorted, over all rows
counts() {
    jq -rn '[inputs | .wirewho.syscall // empty] | group_by(.name)[] | "\(.[0].name) \(map(.calls) | add)"' "$TMP/out" | sort
}

events() {
    tail -n 1 "$TMP/out" | jq ".wirewho.trace.$1"
}

# The truth: strace's own counts. It counts a call when it returns, so exit_group is not there; and it sees the execve that
# started the program, which here was made under the shell's name.
must strace -c -f -U calls,errors,name -o "$TMP/strace" "$TMP/ww-prog"
truth=$(awk 'NF >= 2 && $1 ~ /^[0-9]+$/ && $NF != "total" && $NF != "execve" { print $NF, $1 }' "$TMP/strace" | sort)
truth_errors=$(awk 'NF == 3 && $1 ~ /^[0-9]+$/ && $NF != "total" { print $3, $2 }' "$TMP/strace" | sort)

watch --comm ww-prog --jsonl -
must "$TMP/ww-prog"
ww__stop
is "calls by name" "$(counts | grep -v '^exit_group ')" "$truth"
is "exit_group" "$(counts | grep '^exit_group ')" "exit_group 4"
is "processes" "$(jq -rn '[inputs.process.pid // empty] | unique | length' "$TMP/out")" 4
is "names of processes" "$(jq -rn '[inputs.process.name // empty] | unique | join(" ")' "$TMP/out")" ww-prog
is "lost" "$(events lost)" 0
is "events" "$(events events)" "$(counts | awk '{ n += $2 } END { print n }')"

# The same with times and failures: every number of strace's again.
watch --comm ww-prog --latency --by syscall --jsonl -
must "$TMP/ww-prog"
ww__stop
is "calls by name, with times" "$(counts | grep -v '^exit_group ')" "$truth"
is "failures by name, with times" "$(jq -r '.wirewho.syscall | select(.failed > 0) | "\(.name) \(.failed)"' "$TMP/out" | sort)" \
    "$truth_errors"
is "calls that did not return" "$(jq -r '.wirewho.syscall | select(. and .calls != .returned) | .name' "$TMP/out")" exit_group

watch --comm ww-prog --errors --jsonl -
must "$TMP/ww-prog"
ww__stop
is "failures by name" "$(counts)" "$truth_errors"
is "their errors" "$(jq -r '.wirewho.syscall // empty | "\(.name) \(.error)"' "$TMP/out" | sort -u | tr '\n' ' ')" \
    "access ENOENT close EBADF wait4 ECHILD "

# In flight: the first read began before us and is not counted, the second one does not return.
mkfifo "$TMP/fifo"
"$TMP/ww-prog" wait <>"$TMP/fifo" &
pid=$!
WW_PIDS+=("$pid")
eventually 5 grep -q '^0 ' "/proc/$pid/syscall" || die "it does not read: $(cat "/proc/$pid/syscall")"
watch -p "$pid" --latency --jsonl -
echo >"$TMP/fifo"
eventually 5 grep -q '^0 ' "/proc/$pid/syscall"
sleep 1
ww__stop
row='.wirewho.syscall | select(.name == "read") | "\(.calls) \(.returned)"'
is "reads: calls, returned" "$(jq -r "select(.wirewho.syscall) | $row" "$TMP/out")" "1 0"
slept=$(jq -c '.wirewho.syscall | select(. and (.name | test("nanosleep")))' "$TMP/out")
is "sleeps" "$(jq .calls <<<"$slept")" 5
at_least "time slept, in ns" "$(jq .total_ns <<<"$slept")" 250000000
at_most "time slept, in ns" "$(jq .total_ns <<<"$slept")" 1000000000
at_least "the longest sleep, in ns" "$(jq .max_ns <<<"$slept")" 50000000
kill "$pid"

# A table that is too small: what is in no row is counted as lost, by name, and nothing is in both.
total=$(awk '{ n += $2 } END { print n + 4 }' <<<"$truth")
watch --comm ww-prog --table 16 --jsonl -
must "$TMP/ww-prog"
ww__stop
at_least "lost calls" "$(events lost)" 1
is "calls in rows and lost ones" "$(($(events events) + $(events lost)))" "$total"
contains "what it says about the table" "$(cat "$TMP/err")" "calls found the table of 16 rows full"
contains "what it says about the table" "$(cat "$TMP/err")" "exit_group"

# Numbers that no kernel has take one row, not thousands.
watch --comm ww-prog --by syscall --jsonl -
must "$TMP/ww-prog" numbers
ww__stop
is "calls with numbers beyond the table" "$(counts | grep '^other ')" "other 2977"
is "rows that they take" "$(jq -r '.wirewho.syscall | select(. and .name == "other") | .number' "$TMP/out")" 1023

# What seccomp refuses never begins: it has no time, and does not pass for the call before it.
watch --comm ww-prog --latency --by syscall --jsonl -
must "$TMP/ww-prog" refused
ww__stop
is "refused calls, with times" "$(counts | grep -c '^getppid ')" 0
is "calls before refused ones" "$(jq -r '.wirewho.syscall | select(. and .calls != .returned) | .name' "$TMP/out")" exit_group
watch --comm ww-prog --errors --jsonl -
must "$TMP/ww-prog" refused
ww__stop
is "refused calls, as failures" "$(jq -r '.wirewho.syscall | select(. and .name == "getppid") | "\(.error) \(.calls)"' "$TMP/out")" \
    "EPERM 10"

if "$TMP/ww-prog" i386 2>/dev/null; then
    watch --comm ww-prog --by syscall --jsonl -
    must "$TMP/ww-prog" i386
    ww__stop
    is "getppid by int 0x80" "$(counts | grep getppid | tr '\n' ' ')" "getppid 1 i386:getppid 100 "
    is "its number there" "$(jq '.wirewho.syscall | select(.abi == "i386") | .number' "$TMP/out")" 64
fi

# For people: a table each interval, and only the largest rows.
watch --comm ww-prog --by syscall --top 2 1 3
must "$TMP/ww-prog"
wait "$WW_PID"
is "the exit code" $? 0
is "tables" "$(grep -c '^SYSCALL ' "$TMP/out")" 3
is "largest rows" "$(grep -cE '^(read|getppid) ' "$TMP/out")" 2
contains "the rest" "$(cat "$TMP/out")" "more rows"
is "calls in all tables" "$(awk '/ calls$/ && NF == 2 { n += $1 } END { print n }' "$TMP/out")" "$total"
