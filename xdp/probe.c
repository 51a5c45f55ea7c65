// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "say.h"
#include "xdp/probe.skel.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

/* From <linux/bpf.h> of 6.6; the installed one may be older than the kernel. */
#define TCX_EGRESS 47

typedef int (*probe_fn)(void);

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

struct answer {
	bool known;
	int err;
};

/* Keeps the answer, and keeps libbpf from complaining aloud about what is meant to be allowed to fail. */
static int probe__once(struct answer *a, probe_fn try)
{
	libbpf_print_fn_t was;

	if (a->known)
		return a->err;
	was = libbpf_set_print(print);
	a->err = try();
	a->known = true;
	libbpf_set_print(was);
	return a->err;
}

/* Opens the probes with this one to be loaded. The caller destroys *out. */
static struct bpf_program *probe__open(struct probe_bpf **out, const char *name)
{
	struct probe_bpf *skel = probe_bpf__open();
	struct bpf_program *prog;

	if (!skel)
		return NULL;
	prog = bpf_object__find_program_by_name(skel->obj, name);
	if (!prog || bpf_program__set_autoload(prog, true)) {
		probe_bpf__destroy(skel);
		return NULL;
	}
	*out = skel;
	return prog;
}

static int probe__load(const char *name)
{
	struct probe_bpf *skel;
	int err;

	if (!probe__open(&skel, name))
		return -errno;
	err = probe_bpf__load(skel);
	probe_bpf__destroy(skel);
	return err;
}

/* ---- dispatcher ---- */

static int replace__slot_of(int target, const char *name)
{
	struct probe_bpf *skel;
	struct bpf_program *prog = probe__open(&skel, name);
	struct bpf_link *link;
	int err;

	if (!prog)
		return -errno;
	err = bpf_program__set_attach_target(prog, target, "probe_slot");
	if (!err)
		err = probe_bpf__load(skel);
	if (err)
		goto destroy;
	/* libxdp does both: some kernels load such a program and refuse the attachment. */
	link = bpf_program__attach_freplace(prog, 0, NULL);
	if (!link)
		err = -errno;
	bpf_link__destroy(link);
destroy:
	probe_bpf__destroy(skel);
	return err;
}

/* Whether this one may take a place in another program. */
static int try__place(const char *name)
{
	struct probe_bpf *skel;
	struct bpf_program *prog = probe__open(&skel, "probe_target");
	int err;

	if (!prog)
		return -errno;
	err = probe_bpf__load(skel);
	if (!err)
		err = replace__slot_of(bpf_program__fd(prog), name);
	probe_bpf__destroy(skel);
	return err;
}

static int try__dispatcher(void)
{
	return try__place("probe_replace");
}

int probe__dispatcher(void)
{
	static struct answer answer;

	return probe__once(&answer, try__dispatcher);
}

static int try__change(void)
{
	return try__place("probe_change");
}

int probe__chained_change(void)
{
	static struct answer answer;

	return probe__once(&answer, try__change);
}

/* ---- the others ---- */

static int try__tcx(void)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);

	/* target_fd and target_ifindex are one field of the syscall. */
	return bpf_prog_query_opts((int)if_nametoindex("lo"), TCX_EGRESS, &opts);
}

int probe__tcx(void)
{
	static struct answer answer;

	return probe__once(&answer, try__tcx);
}

static int try__socket_tracepoints(void)
{
	int err = probe__load("probe_send");

	return err ? err : probe__load("probe_receive");
}

int probe__socket_tracepoints(void)
{
	static struct answer answer;

	return probe__once(&answer, try__socket_tracepoints);
}

static int try__functions(void)
{
	struct probe_bpf *skel;
	struct bpf_program *prog = probe__open(&skel, "probe_function");
	struct bpf_link *link;
	int err;

	if (!prog)
		return -errno;
	err = probe_bpf__load(skel);
	if (!err) {
		link = bpf_program__attach_trace(prog);
		err = link ? 0 : -errno;
		bpf_link__destroy(link);
	}
	probe_bpf__destroy(skel);
	return err;
}

int probe__functions(void)
{
	static struct answer answer;

	return probe__once(&answer, try__functions);
}

static int try__frags(void)
{
	return probe__load("probe_frags");
}

int probe__frags(void)
{
	static struct answer answer;

	return probe__once(&answer, try__frags);
}

static int try__xdp(void)
{
	return probe__load("probe_plain");
}

int probe__xdp(void)
{
	static struct answer answer;

	return probe__once(&answer, try__xdp);
}

static int try__af_xdp(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int probe__af_xdp(void)
{
	static struct answer answer;

	return probe__once(&answer, try__af_xdp);
}

static int try__jit(void)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	struct probe_bpf *skel;
	int err;

	if (!probe__open(&skel, "probe_plain"))
		return -errno;
	err = probe_bpf__load(skel);
	if (!err)
		err = bpf_obj_get_info_by_fd(bpf_program__fd(skel->progs.probe_plain), &info,
					     &size);
	if (!err && !info.jited_prog_len)
		err = -EOPNOTSUPP;
	probe_bpf__destroy(skel);
	return err;
}

int probe__jit(void)
{
	static struct answer answer;

	return probe__once(&answer, try__jit);
}

int probe__btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
}

static int find_function(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) : -errno;

	btf__free(btf);
	return id < 0 ? id : 0;
}

int probe__kernel_context(void)
{
	static int answer = 1;

	if (answer > 0)
		answer = find_function("bpf_cast_to_kern_ctx");
	return answer;
}
