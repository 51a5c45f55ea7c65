// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What this host can do, whatever the interface. */
#include "doctor.h"

#include <errno.h>
#include <mntent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "attrib/cgroup2.h"
#include "xdp/probe.h"

#define BPFFS_MAGIC 0xcafe4a11
#define UMEM_BYTES (16ul << 20) /* what a capture of a few queues registers */

/* Numbers and text of linux/capability.h; the header of an older system lacks the newer ones. */
enum {
	CAPABILITY_NET_ADMIN = 12,
	CAPABILITY_NET_RAW = 13,
	CAPABILITY_IPC_LOCK = 14,
	CAPABILITY_SYS_PTRACE = 19,
	CAPABILITY_SYS_ADMIN = 21,
	CAPABILITY_PERFMON = 38,
	CAPABILITY_BPF = 39,
};

static const struct {
	int bit;
	const char *name, *purpose;
	bool must;
} capabilities[] = {
	{ CAPABILITY_BPF, "cap_bpf", "load BPF programs and make maps", true },
	{ CAPABILITY_NET_ADMIN, "cap_net_admin", "attach to interfaces", true },
	{ CAPABILITY_PERFMON, "cap_perfmon", "learn from tracepoints who owns a socket", true },
	{ CAPABILITY_NET_RAW, "cap_net_raw", "open AF_XDP sockets", false },
	{ CAPABILITY_SYS_PTRACE, "cap_sys_ptrace", "read the executables of other users' processes",
	  false },
	{ CAPABILITY_SYS_ADMIN, "cap_sys_admin",
	  "name and remove BPF programs that others loaded (doctor, cleanup)", false },
};

#define CAPABILITIES (sizeof(capabilities) / sizeof(*capabilities))

/* ---- small things to read ---- */

static bool read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(text, (int)size, file);

	if (file)
		fclose(file);
	if (got)
		text[strcspn(text, "\n")] = '\0';
	return got;
}

static uint64_t effective(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t set = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "CapEff:", 7))
			set = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return set;
}

static bool may(int bit)
{
	return effective() >> bit & 1;
}

/* Probes fail with EPERM for want of capabilities, or because this kernel forbids the thing to everybody. */
static bool may_bpf(void)
{
	return may(CAPABILITY_SYS_ADMIN) ||
	       (may(CAPABILITY_BPF) && may(CAPABILITY_NET_ADMIN) && may(CAPABILITY_PERFMON));
}

/* ---- kernel ---- */

static void check__kernel(struct doctor *d)
{
	struct utsname u;

	if (uname(&u))
		return;
	doctor__find(d, DOCTOR_OK, "kernel", NULL, "%s %s %s, %ld CPUs", u.sysname, u.release,
		     u.machine, sysconf(_SC_NPROCESSORS_ONLN));
}

/* One writer a CPU: with PREEMPT_RT a softirq can be preempted by another on the same CPU. */
static void check__realtime(struct doctor *d)
{
	char realtime[8] = "";
	struct utsname u;
	bool rt;

	rt = (read_line("/sys/kernel/realtime", realtime, sizeof(realtime)) && *realtime == '1') ||
	     (!uname(&u) && strstr(u.version, "PREEMPT_RT"));
	if (rt)
		doctor__find(
			d, DOCTOR_PROBLEM, "preemption", "wirewho run --table hash ...",
			"PREEMPT_RT: two programs may write one CPU's count table at the same time");
	else
		doctor__find(d, DOCTOR_OK, "preemption", NULL,
			     "not PREEMPT_RT: one writer for each CPU's count table");
}

static void check__lockdown(struct doctor *d)
{
	char line[128];

	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)) &&
	    strstr(line, "[confidentiality]"))
		doctor__find(
			d, DOCTOR_PROBLEM, "lockdown",
			"boot with lockdown=integrity, or without Secure Boot",
			"confidentiality: BPF programs may not read kernel memory, so nobody can be named");
}

static void check__btf(struct doctor *d)
{
	int err = probe__btf();

	if (err)
		doctor__find(d, DOCTOR_PROBLEM, "BTF",
			     "a kernel built with CONFIG_DEBUG_INFO_BTF=y",
			     "/sys/kernel/btf/vmlinux: %s; without it nobody can be named",
			     strerror(-err));
	else
		doctor__find(d, DOCTOR_OK, "BTF", NULL, "/sys/kernel/btf/vmlinux");
}

/* ---- rights ---- */

static void check__capabilities(struct doctor *d)
{
	bool complete = true;
	char self[256] = "", fix[640];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0)
		self[n] = '\0';
	snprintf(fix, sizeof(fix),
		 "sudo wirewho ..., or: sudo setcap cap_bpf,cap_net_admin,cap_perfmon,cap_net_raw,"
		 "cap_sys_ptrace=ep %s",
		 self);
	for (size_t i = 0; i < CAPABILITIES; i++) {
		/* CAP_SYS_ADMIN holds what CAP_BPF and CAP_PERFMON were cut out of. */
		bool old = capabilities[i].bit >= CAPABILITY_PERFMON && may(CAPABILITY_SYS_ADMIN);

		if (may(capabilities[i].bit) || old)
			continue;
		complete = false;
		doctor__find(d, capabilities[i].must ? DOCTOR_PROBLEM : DOCTOR_NOTE, "rights",
			     capabilities[i].bit == CAPABILITY_SYS_ADMIN ? "sudo wirewho ..." : fix,
			     "%s is missing: needed to %s", capabilities[i].name,
			     capabilities[i].purpose);
	}
	if (complete)
		doctor__find(
			d, DOCTOR_OK, "rights", NULL,
			"cap_bpf, cap_net_admin, cap_perfmon, cap_net_raw, cap_sys_ptrace, cap_sys_admin");
}

static void check__memlock(struct doctor *d)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		doctor__find(d, DOCTOR_OK, "memlock", NULL, "unlimited");
	else if (may(CAPABILITY_IPC_LOCK))
		doctor__find(d, DOCTOR_OK, "memlock", NULL,
			     "%llu KiB, which does not bind us: cap_ipc_lock is there",
			     (unsigned long long)limit.rlim_cur >> 10);
	else if (limit.rlim_cur < UMEM_BYTES)
		doctor__find(
			d, DOCTOR_NOTE, "memlock",
			"ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
			"%llu KiB: count tables are not charged to it since Linux 5.11, but the frames of "
			"an AF_XDP capture are",
			(unsigned long long)limit.rlim_cur >> 10);
	else
		doctor__find(d, DOCTOR_OK, "memlock", NULL, "%llu KiB",
			     (unsigned long long)limit.rlim_cur >> 10);
}

/* ---- programs ---- */

static bool check__xdp(struct doctor *d)
{
	int err = probe__xdp();

	if (err && !may_bpf())
		doctor__find(d, DOCTOR_NOTE, "programs", "sudo wirewho doctor",
			     "without the rights above nothing more can be tried here");
	else if (err)
		doctor__find(
			d, DOCTOR_PROBLEM, "programs",
			"a kernel with CONFIG_BPF_SYSCALL=y, where nothing (seccomp, a container's "
			"profile) forbids bpf(2)",
			"the smallest XDP program cannot be loaded: %s", strerror(-err));
	else
		doctor__find(d, DOCTOR_OK, "programs", NULL, "XDP programs can be loaded%s",
			     probe__frags() ? ", but not for frames in several pieces (xdp.frags)"
					    : ", also for frames in several pieces (xdp.frags)");
	return !err;
}

static void check__jit(struct doctor *d)
{
	int err = probe__jit();

	if (err)
		doctor__find(d, DOCTOR_NOTE, "JIT", "sysctl -w net.core.bpf_jit_enable=1",
			     "programs are interpreted, several times slower: %s", strerror(-err));
	else
		doctor__find(d, DOCTOR_OK, "JIT", NULL, "programs are compiled");
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPFFS_MAGIC;
}

static void check__dispatcher(struct doctor *d)
{
	const char *path = getenv("LIBXDP_BPFFS") ? getenv("LIBXDP_BPFFS") : "/sys/fs/bpf";
	int err = probe__dispatcher();
	char fix[300];

	if (err) {
		doctor__find(
			d, DOCTOR_NOTE, "dispatcher", NULL,
			"programs of type EXT are refused (%s), so XDP programs cannot be chained: ours is "
			"attached directly, and needs an interface without another one",
			strerror(-err));
		doctor__find(d, DOCTOR_OK, "bpffs", NULL, "%s%s; needed for the dispatcher only",
			     is_bpffs(path) ? "mounted on " : "not mounted on ", path);
		return;
	}
	doctor__find(d, DOCTOR_OK, "dispatcher", NULL,
		     "XDP programs can be chained: others may stand before and after ours");
	snprintf(fix, sizeof(fix), "mount -t bpf bpf %s", path);
	if (is_bpffs(path))
		doctor__find(d, DOCTOR_OK, "bpffs", NULL, "mounted on %s", path);
	else
		doctor__find(
			d, DOCTOR_PROBLEM, "bpffs", fix,
			"not mounted on %s, and the dispatcher needs it (`ip netns exec` hides it; nsenter "
			"--net=/run/netns/NAME does not)",
			path);
}

static void check__tcx(struct doctor *d)
{
	int err = probe__tcx();

	if (err)
		doctor__find(
			d, DOCTOR_NOTE, "tc egress", NULL,
			"no tcx links (%s): what is sent is counted by a clsact filter, which outlives a "
			"killed run; `wirewho cleanup` removes it",
			strerror(-err));
	else
		doctor__find(d, DOCTOR_OK, "tc egress", NULL,
			     "tcx links, which vanish with their owner");
}

static void check__af_xdp(struct doctor *d)
{
	int err = probe__af_xdp();

	if (err)
		doctor__find(d, DOCTOR_NOTE, "AF_XDP",
			     err == -EPERM ? "see rights above"
					   : "a kernel with CONFIG_XDP_SOCKETS=y",
			     "no sockets (%s): no capture with --sample tap or inline",
			     strerror(-err));
	else
		doctor__find(d, DOCTOR_OK, "AF_XDP", NULL, "sockets can be made");
}

/* ---- owners ---- */

static void check__tracepoints(struct doctor *d)
{
	int err = probe__socket_tracepoints(), functions = err ? probe__functions() : 0;

	if (!err)
		doctor__find(d, DOCTOR_OK, "owners", NULL,
			     "tracepoints sock_send_length and sock_recv_length can be used");
	else if (!functions)
		doctor__find(
			d, DOCTOR_NOTE, "owners", "Linux 6.3 or later",
			"no tracepoints sock_send_length and sock_recv_length (%s): the functions that send "
			"and receive are watched instead (fexit), which gives the same answers at some cost",
			strerror(-err));
	else
		doctor__find(
			d, DOCTOR_NOTE, "owners", "Linux 6.3 or later",
			"no tracepoints sock_send_length and sock_recv_length (%s), nor may functions be "
			"watched (%s): a socket's owner is known from connect, bind and accept, but not "
			"corrected when another process uses it",
			strerror(-err), strerror(-functions));
}

static bool mounted(const char *type, char *path, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *m = NULL;

	while (mounts && (m = getmntent(mounts)) && strcmp(m->mnt_type, type))
		;
	if (m)
		snprintf(path, size, "%s", m->mnt_dir);
	if (mounts)
		endmntent(mounts);
	return m != NULL;
}

static void check__cgroup2(struct doctor *d)
{
	int root = cgroup2__root();
	char path[256];

	if (root < 0) {
		doctor__find(d, DOCTOR_PROBLEM, "cgroup2",
			     "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2",
			     "no cgroup v2 hierarchy, mounted or not: %s", strerror(-root));
		return;
	}
	close(root);
	if (mounted("cgroup2", path, sizeof(path)))
		doctor__find(d, DOCTOR_OK, "cgroup2", NULL, "mounted on %s", path);
	else
		doctor__find(d, DOCTOR_OK, "cgroup2", NULL,
			     "not mounted here; a mount of our own, attached nowhere, works");
}

void doctor__host(struct doctor *d)
{
	check__kernel(d);
	check__realtime(d);
	check__lockdown(d);
	check__btf(d);
	check__capabilities(d);
	check__memlock(d);
	if (!check__xdp(d))
		return;
	check__jit(d);
	check__dispatcher(d);
	check__tcx(d);
	check__tracepoints(d);
	check__cgroup2(d);
	check__af_xdp(d);
}
