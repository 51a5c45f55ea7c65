#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# Doing nothing costs next to nothing: under 32 MiB besides the count tables, and under 1 % of a CPU.
. "$(dirname "$0")/lib.sh"

net__pair 2
quiet "$SRV" $SRV_IF

# Microseconds on a CPU so far, by the scheduler's own clock: ticks would miss what runs for less than one.
cpu_time() {
    awk '{ ns += $1 } END { printf "%d", ns / 1000 }' /proc/"$WW_PID"/task/*/schedstat
}

# kB resident in mappings that are not the count tables.
resident() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / { table = /bpf-map/ } /^Rss:/ { if (table) t += $2; else n += $2 } END { print n, t }' \
        "/proc/$WW_PID/smaps"
}

ww__start "$SRV" run -i $SRV_IF --interval 1 --jsonl "$TMP/flows"
sleep 2
before=$(cpu_time)
sleep 15
spent=$(($(cpu_time) - before))
read -r own tables < <(resident)
echo "CPU: $spent us in 15 s; resident: $own kB, and $tables kB of count tables"
at_least "CPU time in 15 s, in microseconds" "$spent" 1
at_most "CPU time in 15 s, in microseconds" "$spent" 150000
at_most "resident memory besides the tables, in kB" "$own" $((32 * 1024))
at_most "resident count tables, in kB" "$tables" $((64 * 1024 + 1024))
ww__stop
