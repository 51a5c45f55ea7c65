// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs as they start, fail to start, and end: always in the context of the process in question. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "tracing.h"
#include "syscall.h"
#include "trace_exec.h"

#define SIGNAL_GROUP_EXIT 4 /* <linux/sched/signal.h> */
#define ERRNO_MAX 4095
#define ARG_MAX 512 /* of a failed exec: bytes of one argument */

const volatile bool with_args = false;

/* Set once a process's end was told: threads that end at the same time may each find that none is left. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} exit_told SEC(".maps");

static __always_inline struct trace_exec_event *event__begin(enum trace_exec_kind kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct trace_exec_event *e;

	if (with_args && kind != TRACE_EXIT)
		e = trace__reserve(sizeof(*e) + TRACE_ARGS);
	else
		e = trace__reserve(sizeof(*e));
	if (!e)
		return NULL;
	__builtin_memset(e, 0, __builtin_offsetof(struct trace_exec_event, file) + 1);
	e->time = bpf_ktime_get_ns();
	who__current(&e->who);
	who__of(&e->parent, task->real_parent);
	e->kind = kind;
	return e;
}

/* `length`: what reading a string returned, with its zero. */
static __always_inline void event__note_file(struct trace_exec_event *e, long length)
{
	e->file_known = length > 0;
	e->file_cut = length == TRACE_FILE;
}

/* ---- an exec: the new program's arguments lie at the top of its stack, one after the other ---- */

static __always_inline void take_args(struct trace_exec_event *e, struct task_struct *task)
{
	unsigned long start = task->mm->arg_start, size = task->mm->arg_end - start;

	if (size > TRACE_ARGS) {
		size = TRACE_ARGS;
		e->args_cut = 1;
	}
	if (bpf_probe_read_user(e->args, size, (void *)start))
		return;
	e->args_size = size;
	e->args_known = 1;
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
	event__note_file(e, bpf_probe_read_kernel_str(e->file, TRACE_FILE, binary->filename));
	if (with_args)
		take_args(e, task);
	trace__submit(e);
	return 0;
}

/* ---- an exec that failed: its file and arguments stand where the caller has them ---- */

struct argv {
	struct trace_exec_event *event;
	unsigned long at; /* in user space */
	__u32 size;       /* of what was copied */
	__u32 pointer;    /* bytes of one */
};

static long take_one(__u32 i, struct argv *v)
{
	unsigned long argument = 0;
	__u32 size = v->size;
	long length;

	if (bpf_probe_read_user(&argument, v->pointer == 4 ? 4 : 8,
				(void *)(v->at + i * v->pointer)) ||
	    !argument)
		return 1;
	if (size > TRACE_ARGS - ARG_MAX) {
		v->event->args_cut = 1;
		return 1;
	}
	length = bpf_probe_read_user_str(v->event->args + size, ARG_MAX, (void *)argument);
	if (length == ARG_MAX)
		v->event->args_cut = 1;
	if (length > 0 && length <= ARG_MAX)
		v->size = size + length;
	return 0;
}

static __always_inline void take_argv(struct trace_exec_event *e, unsigned long at, int pointer)
{
	struct argv v = { .event = e, .at = at, .pointer = pointer };

	bpf_loop(TRACE_ARGS, take_one, &v, 0);
	e->args_size = v.size;
	e->args_known = v.size > 0;
}

/* Of execve and execveat: which argument is the file's name, or -1. The next one is argv. */
static __always_inline int file_argument(enum syscall_abi abi, long nr)
{
	switch (abi) {
	case SYSCALL_X86_64:
		return nr == 59 ? 0 : nr == 322 ? 1 : -1;
	case SYSCALL_I386:
		return nr == 11 ? 0 : nr == 358 ? 1 : -1;
	case SYSCALL_X32:
		return nr == (X32_BIT | 520) ? 0 : nr == (X32_BIT | 545) ? 1 : -1;
	case SYSCALL_ARM64:
		return nr == 221 ? 0 : nr == 281 ? 1 : -1;
	case SYSCALL_ARM:
		return nr == 11 ? 0 : nr == 387 ? 1 : -1;
	}
	return -1;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_failed, struct pt_regs *regs, long result)
{
	struct trace_exec_event *e;
	enum syscall_abi abi;
	unsigned long file;
	int first;

	if (result >= 0 || result < -ERRNO_MAX)
		return 0;
	abi = syscall__abi(bpf_get_current_task_btf(), syscall__nr(regs));
	first = file_argument(abi, syscall__nr(regs));
	if (first < 0 || !filter__takes_current())
		return 0;
	e = event__begin(TRACE_EXEC_FAILED);
	if (!e)
		return 0;
	e->result = result;
	file = first ? syscall__argument(regs, abi, 1) : syscall__argument(regs, abi, 0);
	event__note_file(e, bpf_probe_read_user_str(e->file, TRACE_FILE, (void *)file));
	if (with_args)
		take_argv(e,
			  first ? syscall__argument(regs, abi, 2) : syscall__argument(regs, abi, 1),
			  abi == SYSCALL_X86_64 || abi == SYSCALL_ARM64 ? 8 : 4);
	trace__submit(e);
	return 0;
}

/* ---- the end of a process: of its last thread, whichever that is ---- */

static __always_inline bool is_told(struct task_struct *leader)
{
	__u64 *told = bpf_task_storage_get(&exit_told, leader, NULL,
					   BPF_LOCAL_STORAGE_GET_F_CREATE);

	return told && __sync_lock_test_and_set(told, 1);
}

/* As wait(2) tells the parent. */
static __always_inline int status_of(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	return signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code
						 : task->group_leader->exit_code;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct trace_exec_event *e;

	if (task->signal->live.counter || !filter__takes_current() || is_told(task->group_leader))
		return 0;
	e = event__begin(TRACE_EXIT);
	if (!e)
		return 0;
	e->result = status_of(task);
	e->lived = bpf_ktime_get_boot_ns() - e->who.start;
	trace__submit(e);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
