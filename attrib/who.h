/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WHO_H
#define WIREWHO_WHO_H
/* A task's identity, as every BPF program tells it. */
#include <stdbool.h>
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

static __always_inline void who__kernel(struct who *w)
{
	*w = (struct who){ .comm = KERNEL_COMM };
}

#define CGROUP_DEPTH 64

static __always_inline struct cgroup *cgroup__parent(struct cgroup *group)
{
	struct cgroup_subsys_state *parent = BPF_CORE_READ(group, self.parent);

	return parent ? (void *)parent - bpf_core_field_offset(struct cgroup, self) : NULL;
}

/* Whether a task, current or not, is in the cgroup v2 group with this id, or at most CGROUP_DEPTH below it. */
static __always_inline bool task__is_below(struct task_struct *task, __u64 id)
{
	struct cgroup *group = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	int i;

	for (i = 0; i < CGROUP_DEPTH && group; i++) {
		if (BPF_CORE_READ(group, kn, id) == id)
			return true;
		group = cgroup__parent(group);
	}
	return false;
}
#endif
