// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls counted by process, number and, if asked for, error. User space swaps the table for an empty one every
 * second; that update returns only after every program that may still hold the old one has ended (the kernel waits for
 * them after each update of a map of maps), so what it then reads is final.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "tracing.h"
#include "syscall.h"
#include "trace_syscalls.h"

#define ERRNO_MAX 4095

const volatile bool timed = false;
const volatile bool errors_only = false;

struct syscall_table {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024); /* user space sets the size */
	__type(key, struct syscall_key);
	__type(value, struct syscall_count);
} syscall_counts SEC(".maps"), syscall_counts_next SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct syscall_table);
} syscall_counts_now SEC(".maps") = { .values = { &syscall_counts } };

/* By number: what found the table full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYSCALL_OTHER + 1);
	__type(key, __u32);
	__type(value, __u64);
} syscalls_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct syscall_entry);
} syscall_entries SEC(".maps");

static __always_inline __u16 number(long nr, enum syscall_abi abi)
{
	if (abi == SYSCALL_X32)
		nr &= ~X32_BIT;
	return nr >= 0 && nr < SYSCALL_OTHER ? nr : SYSCALL_OTHER;
}

/* Of this CPU's own, but newer kernels let other tasks of this CPU in between. */
static __always_inline void add(__u64 *to, __u64 n)
{
	__sync_fetch_and_add(to, n);
}

static __always_inline void lose(__u32 nr)
{
	__u64 *lost = bpf_map_lookup_elem(&syscalls_lost, &nr);

	if (lost)
		add(lost, 1);
}

/* Once a CPU: whose row it is. */
static __always_inline void introduce(struct syscall_count *c)
{
	struct task_struct *task = bpf_get_current_task_btf();

	c->since = bpf_ktime_get_ns();
	c->uid = task->cred->euid.val;
	bpf_probe_read_kernel(c->comm, sizeof(c->comm), task->group_leader->comm);
}

static __always_inline struct syscall_count *count_of(__u16 nr, __u8 abi, __u16 error)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct syscall_key key = { .start = task->group_leader->start_boottime,
				   .pid = task->tgid,
				   .nr = nr,
				   .error = error,
				   .abi = abi };
	struct syscall_count *c, none = {};
	__u32 zero = 0;
	void *table = bpf_map_lookup_elem(&syscall_counts_now, &zero);

	if (!table)
		return NULL;
	c = bpf_map_lookup_elem(table, &key);
	if (!c) {
		/* It may be there by now: another thread's. */
		bpf_map_update_elem(table, &key, &none, BPF_NOEXIST);
		c = bpf_map_lookup_elem(table, &key);
	}
	if (c && !c->since)
		introduce(c);
	if (!c)
		lose(nr);
	return c;
}

static __always_inline void note_entry(struct task_struct *task, __u16 nr, __u8 abi)
{
	struct syscall_entry *s = bpf_task_storage_get(&syscall_entries, task, NULL,
						       BPF_LOCAL_STORAGE_GET_F_CREATE);

	/* Without memory its time goes missing; `returned` then stays behind `calls`. */
	if (!s)
		return;
	s->nr = nr;
	s->abi = abi;
	s->time = bpf_ktime_get_ns();
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	enum syscall_abi abi = syscall__abi(task, id);
	struct syscall_count *c;
	__u16 nr = number(id, abi);

	if (!filter__takes_current())
		return 0;
	if (!errors_only) {
		c = count_of(nr, abi, 0);
		if (c)
			add(&c->calls, 1);
	}
	if (timed)
		note_entry(task, nr, abi);
	return 0;
}

static __always_inline void add_time(struct syscall_count *c, __u64 ns)
{
	add(&c->ns, ns);
	if (ns > c->ns_max)
		c->ns_max = ns;
}

/* An exit without an entry is of a call that is older than us, of a child that clone made, or one that seccomp refused. */
static __always_inline int returned(struct task_struct *task, bool failed)
{
	struct syscall_entry *s = bpf_task_storage_get(&syscall_entries, task, NULL, 0);
	struct syscall_count *c;

	if (!s || !s->time)
		return 0;
	c = count_of(s->nr, s->abi, 0);
	if (c) {
		add(&c->returned, 1);
		add(&c->failed, failed);
		add_time(c, bpf_ktime_get_ns() - s->time);
	}
	s->time = 0;
	return 0;
}

/* The number stands in the registers: these need no entry. After sigreturn it is -1, and the result the program's own. */
static __always_inline int failed_only(struct task_struct *task, struct pt_regs *regs, long result)
{
	long id = syscall__nr(regs);
	enum syscall_abi abi = syscall__abi(task, id);
	struct syscall_count *c;

	if (id < 0 || !filter__takes_current())
		return 0;
	c = count_of(number(id, abi), abi, -result);
	if (!c)
		return 0;
	add(&c->calls, 1);
	add(&c->failed, 1);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_leave, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool failed = result < 0 && result >= -ERRNO_MAX;

	if (errors_only)
		return failed ? failed_only(task, regs, result) : 0;
	return returned(task, failed);
}

char _license[] SEC("license") = "Dual BSD/GPL";
