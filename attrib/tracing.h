/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACING_H
#define WIREWHO_TRACING_H
/*
 * What every trace_*.bpf.c includes: the filter, the ring buffer of events, and the count of those that found it full.
 * User space (tools/trace/trace.c) finds all of it by name.
 */
#include <stdbool.h>
#include "trace.h"
#include "who.h"

const volatile struct trace_filter filter = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* user space sets the size */
} trace_events SEC(".maps");

/* Events that found the ring buffer full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} trace_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} trace_cgroup SEC(".maps");

/* Byte by byte, straight from the task: most differ in the first one, so this is cheaper than a helper's copy. */
static __always_inline bool filter__is_named(struct task_struct *leader)
{
	int i;

#pragma unroll
	for (i = 0; i < 16; i++) {
		if (leader->comm[i] != filter.comm[i])
			return false;
		if (!filter.comm[i])
			return true;
	}
	return true;
}

/* Only in process context: whether the current process is to be looked at. */
static __always_inline bool filter__takes_current(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (filter.pid && (__u32)task->tgid != filter.pid)
		return false;
	if (filter.by_uid && task->cred->euid.val != filter.uid)
		return false;
	if (filter.by_comm && !filter__is_named(task->group_leader))
		return false;
	return !filter.by_cgroup || bpf_current_task_under_cgroup(&trace_cgroup, 0) == 1;
}

static __always_inline void trace__count_lost(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&trace_lost, &zero);

	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/* `size` is a constant. NULL: no room, and that is counted. */
static __always_inline void *trace__reserve(__u64 size)
{
	void *event = bpf_ringbuf_reserve(&trace_events, size, 0);

	if (!event)
		trace__count_lost();
	return event;
}

/*
 * User space looks by itself ten times a second; only a ring that fills up wakes it, because a wakeup costs the process
 * in question more than all the rest of its event.
 */
static __always_inline void trace__submit(void *event)
{
	__u64 waiting = bpf_ringbuf_query(&trace_events, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&trace_events, BPF_RB_RING_SIZE);

	bpf_ringbuf_submit(event, waiting > size / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}
#endif
