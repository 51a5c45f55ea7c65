/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PROBE_H
#define WIREWHO_PROBE_H
/*
 * What this kernel lets us do. A probe tries the feature and never compares versions; it attaches nothing to any
 * interface, leaves nothing behind, and says nothing (libbpf's own lines at SAY_DETAIL). Each returns 0 when the
 * feature can be had, else -errno. Answers are kept: asking twice costs nothing. Not for several threads.
 */

/*
 * Can libxdp chain programs here? Loads an XDP program with a replaceable global function, and a program that
 * replaces it (BPF_PROG_TYPE_EXT, kernel commit be8704ff07d2). -EPERM where the kernel refuses such programs.
 */
int probe__dispatcher(void);
/* And may one that is chained change packets, or what stands beside them? After the other one. */
int probe__chained_change(void);

/* tcx links (kernel commit e420bed02507): asks `lo` for its list, which changes nothing. */
int probe__tcx(void);

/* The socket tracepoints sock_send_length and sock_recv_length, with types (kernel commit 6e6eda44b939). */
int probe__socket_tracepoints(void);

/*
 * Programs that run when a kernel function returns, fexit (kernel commit fec56f5890d9). Attaches one to a seldom called
 * function for a moment: some kernels load such a program and refuse the attachment.
 */
int probe__functions(void);

/* XDP programs for frames in several pieces, `xdp.frags` (kernel commit c2f2cdbeffda). */
int probe__frags(void);

/* bpf_cast_to_kern_ctx(), which shows a program the kernel's own context (kernel commit fd264ca02094). */
int probe__kernel_context(void);

/* AF_XDP sockets. */
int probe__af_xdp(void);

/* Any XDP program at all: what every other answer rests on. */
int probe__xdp(void);

/* Are programs compiled? -EOPNOTSUPP when the kernel interprets them. */
int probe__jit(void);

/* The kernel's own types, which programs with tracepoints need: -ENOENT without. */
int probe__btf(void);
#endif
