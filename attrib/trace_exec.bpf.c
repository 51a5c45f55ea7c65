// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs as they start, fail to start, and end: always in the context of the process in question. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "tracing.h"
#include "trace_exec.h"

#define SIGNAL_GROUP_EXIT 4 /* <linux/sched/signal.h> */

const volatile bool with_args = false;

/* A process whose threads end at the same time may find itself without a living thread twice. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} exits_told SEC(".maps");

static __always_inline struct trace_exec_event *event__begin(enum trace_exec_kind kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct trace_exec_event *e = with_args && kind != TRACE_EXIT
					     ? trace__reserve(sizeof(*e) + TRACE_ARGS)
					     : trace__reserve(sizeof(*e));

	if (!e)
		return NULL;
	e->time = bpf_ktime_get_ns();
	who__current(&e->who);
	who__of(&e->parent, task->real_parent);
	e->parent.cgroup = 0;
	e->kind = kind;
	e->lived = 0;
	e->result = 0;
	e->args_size = e->args_of = 0;
	e->file_is_known = 0;
	e->file[0] = 0;
	return e;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	struct trace_exec_event *e;

	if (!filter__takes_current())
		return 0;
	e = event__begin(TRACE_EXEC);
	if (!e)
		return 0;
	e->file_is_known = bpf_probe_read_kernel_str(e->file, sizeof(e->file), binary->filename) >
			   0;
	trace__submit(e);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
