/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WHO_H
#define WIREWHO_WHO_H
/* A task's identity, as every BPF program tells it. */
#include "core.h"
#include "owner.h"

static __always_inline void who__of(struct who *w, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	w->pid = task->tgid;
	w->start = leader->start_boottime;
	w->uid = task->cred->euid.val;
	bpf_probe_read_kernel(w->comm, sizeof(w->comm), leader->comm);
}

/* Only in process context. */
static __always_inline void who__current(struct who *w)
{
	who__of(w, bpf_get_current_task_btf());
	w->cgroup = bpf_get_current_cgroup_id();
}
#endif
