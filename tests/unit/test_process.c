// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The process table against real processes, and the containers of cgroup paths. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "attrib/container.h"
#include "attrib/process.h"

#define NS 1000000000ull
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static struct process_table *t;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

/* ---- containers ---- */

static const struct {
	const char *path, *container, *runtime, *pod;
} paths[] = {
	{ "/system.slice/docker-" ID ".scope", ID, "docker", NULL },
	{ "/docker/" ID, ID, "docker", NULL },
	{ "/system.slice/docker-" ID ".scope/init.scope", ID, "docker", NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope", ID,
	  "docker", NULL },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234.slice/"
	  "cri-containerd-" ID ".scope",
	  ID, "containerd", "12345678-1234" },
	{ "/kubepods.slice/kubepods-pod0a1b2c3d_0001_4000_8000_0123456789ab.slice/"
	  "crio-" ID ".scope",
	  ID, "cri-o", "0a1b2c3d-0001-4000-8000-0123456789ab" },
	{ "/kubepods/besteffort/pod12345678-1234-1234-1234-123456789012/" ID, ID, NULL,
	  "12345678-1234-1234-1234-123456789012" },
	{ "/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:" ID, ID,
	  "containerd", "1" },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/docker-" ID ".scope",
	  ID, "docker", "1" },
	{ "/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope", ID, "cri-o", "1" },
	{ "/kubepods.slice/kubepods-pod1.slice", NULL, NULL, "1" },
	{ "/machine.slice/libpod-" ID ".scope/container", ID, "podman", NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID,
	  "podman", NULL },
	{ "/libpod_parent/libpod-" ID, ID, "podman", NULL },
	{ "/system.slice/nerdctl-" ID ".scope", ID, "containerd", NULL },
	{ "/ecs/0123456789abcdef/" ID, ID, NULL, NULL },
	/* the innermost */
	{ "/docker/" ID "/docker/" ID2, ID2, "docker", NULL },
	{ "/docker/" ID "/kubelet/kubepods/burstable/podabc-1/" ID2, ID2, NULL, "abc-1" },
	{ "/lxc.payload.web/docker/" ID, ID, "docker", NULL },
	/* the monitor stands beside its container */
	{ "/machine.slice/libpod-conmon-" ID ".scope", NULL, NULL, NULL },
	{ "/system.slice/crio-conmon-" ID ".scope", NULL, NULL, NULL },
	/* a pod is not a container, and podman's are not kubernetes' */
	{ "/machine.slice/machine-libpod_pod_" ID ".slice", NULL, NULL, NULL },
	{ "/pod123/" ID, ID, NULL, NULL },
	/* names */
	{ "/lxc.payload.web", "web", "lxc", NULL },
	{ "/lxc.payload.web/system.slice/nginx.service", "web", "lxc", NULL },
	{ "/lxc.monitor.web", NULL, NULL, NULL },
	{ "/lxc/web", "web", "lxc", NULL },
	{ "/machine.slice/machine-web.scope", "web", NULL, NULL },
	{ "/machine.slice/machine-web\\x2d1.scope", "web-1", NULL, NULL },
	{ "/machine.slice/systemd-nspawn@web.service/payload", "web", "systemd-nspawn", NULL },
	{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", NULL, NULL, NULL },
	/* none */
	{ "/", NULL, NULL, NULL },
	{ "", NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL },
	{ "/user.slice/user-0.slice/session-1.scope", NULL, NULL, NULL },
	{ "/system.slice/nginx.service", NULL, NULL, NULL },
	{ "/system.slice/docker.service", NULL, NULL, NULL },
	{ "/other/machine-web.scope", NULL, NULL, NULL },
	{ "/docker/" ID "0", NULL, NULL, NULL }, /* 65 digits */
	{ "/docker/0" ID, NULL, NULL, NULL },
	{ "/docker/123456789abcdef", NULL, NULL, NULL },
	{ "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg", NULL, NULL,
	  NULL },
	{ "/lxc.payload.", NULL, NULL, NULL },
};

static void same_text(const char *path, const char *what, const char *got, const char *wanted)
{
	if (!got != !wanted || (got && strcmp(got, wanted)))
		fail_msg("%s: %s %s, not %s", path, what, got, wanted);
}

static void knows_containers(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct placement p = { 0 };

		placement__add(&p, paths[i].path);
		same_text(paths[i].path, "container", p.container, paths[i].container);
		same_text(paths[i].path, "runtime", p.runtime, paths[i].runtime);
		same_text(paths[i].path, "pod", p.pod, paths[i].pod);
		placement__free(&p);
		assert_null(p.container);
	}
}

static const struct {
	const char *path, *unit, *user_unit, *slice, *session;
} units[] = {
	{ "/system.slice/nginx.service", "nginx.service", NULL, "system.slice", NULL },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", NULL,
	  "system-getty.slice", NULL },
	{ "/user.slice/user-0.slice/session-12.scope", "session-12.scope", NULL, "user-0.slice",
	  "12" },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service",
	  "user@1000.service", "firefox.service", "user-1000.slice", NULL },
	{ "/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service",
	  "init.scope", "user-1000.slice", NULL },
	{ "/init.scope", "init.scope", NULL, NULL, NULL },
	{ "/nginx.service", "nginx.service", NULL, NULL, NULL }, /* without a slice */
	/* what a unit does inside itself is its own affair */
	{ "/system.slice/nginx.service/workers", "nginx.service", NULL, "system.slice", NULL },
	{ "/system.slice/a.service/b.service", "a.service", NULL, "system.slice", NULL },
	/* a container's scope is the container, and its units are in there */
	{ "/system.slice/docker-" ID ".scope", NULL, NULL, NULL, NULL },
	{ "/lxc.payload.web/system.slice/nginx.service", NULL, NULL, NULL, NULL },
	{ "/system.slice", NULL, NULL, NULL, NULL },
	{ "/", NULL, NULL, NULL, NULL },
};

static void knows_units(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		struct placement p = { 0 };

		placement__add(&p, units[i].path);
		same_text(units[i].path, "unit", p.unit, units[i].unit);
		same_text(units[i].path, "user unit", p.user_unit, units[i].user_unit);
		same_text(units[i].path, "slice", p.slice, units[i].slice);
		same_text(units[i].path, "session", p.session, units[i].session);
		placement__free(&p);
	}
}

/* cgroup v1: each hierarchy has a path of its own; what one does not say, another may. */
static void adds_hierarchies(void **state)
{
	struct placement p = { 0 };

	(void)state;
	placement__add(&p, "/");
	placement__add(&p, "/system.slice/ssh.service");
	placement__add(&p, "/docker/" ID);
	placement__add(&p, "/docker/" ID2);
	same_text("all", "container", p.container, ID);
	same_text("all", "unit", p.unit, "ssh.service");
	placement__free(&p);
}

/* ---- real processes ---- */

/* Field 22 of stat, as the kernel gives it to the programs: ns since boot, here at the granularity of a tick. */
static uint64_t start_of(pid_t pid)
{
	char path[64], line[1024] = "", *rest;
	unsigned long long start = 0;
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	rest = strrchr(line, ')') + 2;
	for (i = 3; i < 22; i++)
		rest = strchr(rest, ' ') + 1;
	start = strtoull(rest, NULL, 10);
	return start * (NS / sysconf(_SC_CLK_TCK));
}

static struct who who_of(pid_t pid)
{
	struct who w = { .pid = pid, .uid = getuid(), .start = start_of(pid), .comm = "sleeper" };

	return w;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left where a test fails */
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void kill_and_wait(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int setup(void **state)
{
	(void)state;
	return process_table__open(&t);
}

static int teardown(void **state)
{
	(void)state;
	process_table__close(t);
	return 0;
}

static void reads_a_process(void **state)
{
	struct passwd *user = getpwuid(getuid());
	pid_t pid = sleeper();
	struct who w = who_of(pid);
	const struct process *p;
	char self[PATH_MAX] = "", link[64];

	(void)state;
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	assert_true(readlink(link, self, sizeof(self) - 1) > 0);
	p = process_table__get(t, &w);
	assert_non_null(p);
	assert_string_equal(p->exe, self);
	assert_int_equal(p->parent, getpid());
	assert_int_equal(p->ended, 0);
	assert_non_null(p->cgroup);
	assert_int_equal(p->cgroup[0], '/');
	if (user)
		assert_string_equal(p->user, user->pw_name);
	/* Read once: the same object, and still there when the process is not. */
	kill_and_wait(pid);
	assert_ptr_equal(process_table__get(t, &w), p);
	assert_string_equal(p->exe, self);
}

/* The programs count in ns, /proc in ticks: a tick off is the same, more is another process with a reused pid. */
static void tells_reused_pids(void **state)
{
	static const struct {
		int ticks;
		bool same;
	} rows[] = { { -2, false }, { -1, true }, { 0, true }, { 1, true }, { 2, false } };
	pid_t pid = sleeper();
	struct who w = who_of(pid);
	uint64_t start = w.start, tick = NS / sysconf(_SC_CLK_TCK);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct process *p;

		w.start = start + rows[i].ticks * (int64_t)tick;
		p = process_table__get(t, &w);
		assert_non_null(p);
		assert_int_equal(p->who.pid, pid);
		assert_int_equal(p->exe != NULL, rows[i].same);
		assert_int_equal(p->cgroup != NULL, rows[i].same);
		assert_int_equal(p->ended == 0, rows[i].same);
	}
	/* Also where the two would stand in the same bucket of a table. */
	w.start = start + (1ull << 32);
	assert_null(process_table__get(t, &w)->exe);
	kill_and_wait(pid);
}

static void user_without_a_name(void **state)
{
	struct who w = { .pid = 1u << 30, .uid = 4000000000u, .start = 1 };

	(void)state;
	assert_null(getpwuid(w.uid));
	assert_null(process_table__get(t, &w)->user);
	assert_null(process_table__get(t, &w)->user);
	w = (struct who){ .pid = (1u << 30) + 1, .uid = 0, .start = 1 };
	assert_string_equal(process_table__get(t, &w)->user, "root");
}

static void event(enum owner_kind kind, const struct who *w, uint64_t time, uint32_t parent)
{
	struct owner_event e = { .kind = kind,
				 .who = *w,
				 .time = time,
				 .parent = parent,
				 .how = OWNER_EXACT,
				 .cookie = 1 };

	process_table__event(t, &e);
}

/* Owners are read when they show, because they may be gone when their packets are counted. */
static void reads_owners_at_once(void **state)
{
	pid_t pid[3] = { sleeper(), sleeper(), sleeper() };
	struct who w[3];
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		w[i] = who_of(pid[i]);
	event(OWNER_SOCKET, &w[0], 1, 0);
	event(OWNER_TIE, &w[1], 1, 0);
	event(OWNER_EXEC, &w[2], 1, 0); /* owns nothing */
	for (i = 0; i < 3; i++)
		kill_and_wait(pid[i]);
	assert_non_null(process_table__get(t, &w[0])->exe);
	assert_non_null(process_table__get(t, &w[1])->exe);
	assert_null(process_table__get(t, &w[2])->exe);
	/* No owner known is not a process. */
	event(OWNER_TIE, &(struct who){ 0 }, 1, 0);
}

/* A child that executes a copy of sleep(1) after a byte on the pipe. */
static pid_t executor(int *go, const char *program)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		char c;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(fds[0], &c, 1) == 1)
			execl(program, program, "60", (char *)NULL);
		_exit(1);
	}
	close(fds[0]);
	*go = fds[1];
	return pid;
}

static void wait_for_exe(pid_t pid, const char *exe)
{
	char path[64], now[PATH_MAX];
	int tries;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	for (tries = 0; tries < 500; tries++) {
		ssize_t n = readlink(path, now, sizeof(now) - 1);

		if (n > 0 && (now[n] = 0, !strcmp(now, exe)))
			return;
		usleep(10000);
	}
	fail_msg("process %d does not execute %s", pid, exe);
}

static void copy(const char *from, const char *to)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "cp -L %s %s", from, to);
	assert_int_equal(system(command), 0);
}

static void exec_renews(void **state)
{
	char program[] = "/tmp/test_process.XXXXXX";
	int fd = mkstemp(program), go;
	const struct process *p;
	struct who w;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	copy("/bin/sleep", program);
	assert_int_equal(chmod(program, 0755), 0);
	pid = executor(&go, program);
	w = who_of(pid);
	w.uid = 4000000000u;
	p = process_table__get(t, &w);
	assert_non_null(p->exe);
	assert_null(p->user);
	assert_string_not_equal(p->exe, program);

	assert_int_equal(write(go, "x", 1), 1);
	wait_for_exe(pid, program);
	strcpy(w.comm, "renamed");
	w.uid = 0;
	unlink(program); /* as an upgrade does: the name stays */
	event(OWNER_EXEC, &w, 1, 7);
	assert_ptr_equal(process_table__get(t, &w), p);
	assert_string_equal(p->exe, program);
	assert_string_equal(p->who.comm, "renamed");
	assert_string_equal(p->user, "root");
	assert_int_equal(p->parent, getpid());

	/* It executes once more and ends before anybody could look: then it is not the former program. */
	kill_and_wait(pid);
	strcpy(w.comm, "last");
	event(OWNER_EXEC, &w, 2, 7);
	assert_null(p->exe);
	assert_string_equal(p->who.comm, "last");
	assert_int_equal(p->parent, 7);
	assert_non_null(p->cgroup); /* this it keeps across an exec */
	close(go);
}

static void forgets_the_dead(void **state)
{
	struct who w = { .pid = 1u << 30, .start = 5, .comm = "dead" }, renamed = w;
	pid_t pid = sleeper();
	struct who alive = who_of(pid);
	uint64_t now = now_ns();

	(void)state;
	/* Dead at first sight: it counts from then. */
	assert_true(process_table__get(t, &w)->ended >= now);
	process_table__get(t, &alive);
	event(OWNER_EXIT, &w, now, 0);
	assert_int_equal(process_table__get(t, &w)->ended, now);
	strcpy(renamed.comm, "other");
	process_table__tick(t, now + 59 * NS);
	assert_string_equal(process_table__get(t, &renamed)->who.comm, "dead");
	process_table__tick(t, now + 61 * NS);
	assert_string_equal(process_table__get(t, &renamed)->who.comm, "other");
	assert_int_equal(process_table__get(t, &alive)->ended, 0);
	event(OWNER_EXIT, &alive, now + 70 * NS, 0);
	assert_int_equal(process_table__get(t, &alive)->ended, now + 70 * NS);
	kill_and_wait(pid);

	/* Where its end was missed: when nobody has asked for long. */
	pid = sleeper();
	alive = who_of(pid);
	process_table__tick(t, now + 100 * NS);
	process_table__get(t, &alive);
	strcpy(alive.comm, "other");
	process_table__tick(t, now + 600 * NS);
	assert_string_equal(process_table__get(t, &alive)->who.comm, "sleeper");
	process_table__tick(t, now + 1300 * NS);
	assert_string_equal(process_table__get(t, &alive)->who.comm, "other");
	kill_and_wait(pid);
}

/* What was taken in before the first tick is not old by then. */
static void first_tick_drops_nothing(void **state)
{
	pid_t pid = sleeper();
	struct who w = who_of(pid);

	(void)state;
	assert_non_null(process_table__get(t, &w)->exe);
	kill_and_wait(pid);
	process_table__tick(t, now_ns());
	assert_non_null(process_table__get(t, &w)->exe);
}

static void does_not_grow(void **state)
{
	uint64_t now = now_ns();
	struct who w = { .pid = 1u << 30 };
	uint32_t i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		w.start = i;
		process_table__get(t, &w);
		if (i % 50000 == 49999)
			process_table__tick(t, now + (uint64_t)i * NS);
	}
	w.start++;
	assert_non_null(process_table__get(t, &w));
}

/* ---- a cgroup that looks like docker's ---- */

#define CGROUP_NAME "docker-" ID ".scope"

static bool make_cgroup(char *path, size_t size, pid_t pid)
{
	char line[1024], at[512], file[1024];
	FILE *mounts = fopen("/proc/mounts", "r"), *procs;
	bool found = false;

	while (mounts && !found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*s %511s cgroup2 ", at) == 1 && strstr(line, " cgroup2 ");
	if (mounts)
		fclose(mounts);
	snprintf(path, size, "%.511s/" CGROUP_NAME, at);
	if (!found || mkdir(path, 0755))
		return false;
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	procs = fopen(file, "w");
	found = procs && fprintf(procs, "%d\n", pid) > 0;
	if (procs && fclose(procs))
		found = false;
	if (!found)
		rmdir(path);
	return found;
}

static void reads_a_container(void **state)
{
	const struct process *p;
	pid_t pid = sleeper();
	struct who w = who_of(pid);
	char path[640];
	int tries;

	(void)state;
	if (!make_cgroup(path, sizeof(path), pid)) {
		kill_and_wait(pid);
		print_message("no cgroup can be made here\n");
		skip();
	}
	p = process_table__get(t, &w);
	kill_and_wait(pid);
	for (tries = 0; tries < 100 && rmdir(path); tries++)
		usleep(10000);
	assert_non_null(p->container);
	assert_string_equal(p->container, ID);
	assert_non_null(strstr(p->cgroup, "/" CGROUP_NAME));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_containers),
		cmocka_unit_test(knows_units),
		cmocka_unit_test(adds_hierarchies),
		TEST(reads_a_process),
		TEST(tells_reused_pids),
		TEST(user_without_a_name),
		TEST(reads_owners_at_once),
		TEST(exec_renews),
		TEST(forgets_the_dead),
		TEST(first_tick_drops_nothing),
		TEST(does_not_grow),
		TEST(reads_a_container),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
