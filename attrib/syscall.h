/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SYSCALL_H
#define WIREWHO_SYSCALL_H
/*
 * The numbers of system calls mean something by the binary interface they were called through, which may change from one
 * call to the next. For BPF programs (with core.h) and for user space.
 */
enum syscall_abi {
	SYSCALL_X86_64 = 1,
	SYSCALL_I386,
	SYSCALL_X32,
	SYSCALL_ARM64,
	SYSCALL_ARM,
};

#ifdef __BPF__
#define TS_COMPAT 2                /* x86: <asm/thread_info.h> */
#define TIF_32BIT_MASK (1UL << 22) /* arm64: <asm/thread_info.h> */
#define X32_BIT 0x40000000         /* <asm/unistd.h>: __X32_SYSCALL_BIT */

/* Of the system call that the current task is in; `nr` as the tracepoint has it. */
static __always_inline enum syscall_abi syscall__abi(struct task_struct *task, long nr)
{
#ifdef __TARGET_ARCH_arm64
	return task->thread_info.flags & TIF_32BIT_MASK ? SYSCALL_ARM : SYSCALL_ARM64;
#else
	if (task->thread_info.status & TS_COMPAT)
		return SYSCALL_I386;
	return nr > 0 && nr & X32_BIT ? SYSCALL_X32 : SYSCALL_X86_64;
#endif
}

static __always_inline long syscall__nr(struct pt_regs *regs)
{
#ifdef __TARGET_ARCH_arm64
	return regs->syscallno;
#else
	return regs->orig_ax;
#endif
}

/* The first three arguments, at sys_exit too. */
static __always_inline unsigned long syscall__argument(struct pt_regs *regs, enum syscall_abi abi,
						       int n)
{
#ifdef __TARGET_ARCH_arm64
	return n == 0 ? regs->orig_x0 : n == 1 ? regs->regs[1] : regs->regs[2];
#else
	if (abi == SYSCALL_I386)
		return (__u32)(n == 0 ? regs->bx : n == 1 ? regs->cx : regs->dx);
	return n == 0 ? regs->di : n == 1 ? regs->si : regs->dx;
#endif
}
#endif
#endif
