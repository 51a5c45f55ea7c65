// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "state.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "attrib/cgroup2.h"
#include "xdp/pin.h"
#include "xdp/probe.h"
#include "xdp/say.h"

#define RING_BYTES (8u << 20)

static const struct {
	const char *section;
	enum bpf_attach_type type;
} kinds[] = {
	{ "tp_btf/", BPF_TRACE_RAW_TP },
	{ "fentry/", BPF_TRACE_FENTRY },
	{ "fexit/", BPF_TRACE_FEXIT },
};

const struct trace_filter *trace__filter(const struct trace *t)
{
	return &t->filter;
}

/* kernfs gives a directory its id as inode number. */
uint64_t trace__cgroup_id(const struct trace *t)
{
	struct stat group;

	return t->cgroup < 0 || fstat(t->cgroup, &group) ? 0 : group.st_ino;
}

/* 0, or why nothing can hang there. Other kinds than these show when they are attached. */
static int is_missing(const struct bpf_program *p)
{
	const char *section = bpf_program__section_name(p);
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t n = strlen(kinds[i].section);
		int id;

		if (strncmp(section, kinds[i].section, n))
			continue;
		id = libbpf_find_vmlinux_btf_id(section + n, kinds[i].type);
		if (id < 0)
			return id;
		return kinds[i].type == BPF_TRACE_RAW_TP ? 0 : probe__functions();
	}
	return 0;
}

static struct bpf_program *find(struct bpf_object *obj, const char *name)
{
	return bpf_object__find_program_by_name(obj, name);
}

#define NAMES 200

/* One more name, and in brackets what is wrong with it (NULL: nothing). */
static void add_name(char names[NAMES], const char *between, const char *name, const char *wrong)
{
	size_t n = strlen(names);

	snprintf(names + n, NAMES - n, "%s%s%s%s%s", n ? between : "", name, wrong ? " (" : "",
		 wrong ? wrong : "", wrong ? ")" : "");
}

/* Those of the other programs that can be had; how many, or -errno (said). Their hooks' names, and those of the rest. */
static int choose_instead(struct bpf_object *obj, const struct trace_hook *h, char taken[NAMES],
			  char refused[NAMES])
{
	struct bpf_program *p;
	int i, err, n = 0;

	for (i = 0; i < TRACE_INSTEAD && h->instead[i]; i++) {
		p = find(obj, h->instead[i]);
		if (!p)
			return fail(-ENOENT, NULL, "find the program %s", h->instead[i]);
		err = is_missing(p);
		if (err) {
			add_name(refused, ", nor ", bpf_program__section_name(p), strerror(-err));
			continue;
		}
		add_name(taken, " and ", bpf_program__section_name(p), NULL);
		bpf_program__set_autoload(p, true);
		n++;
	}
	return n;
}

static int say_missing(const struct trace *t, const struct trace_hook *h,
		       const struct bpf_program *first, const char *refused)
{
	say(h->loss ? SAY_NOTE : SAY_ERROR, "trace %s: this kernel has no hook %s%s%s%s%s",
	    t->tracer->name, bpf_program__section_name(first), *refused ? ", nor " : "", refused,
	    h->loss ? ": " : "; there is no other one for it", h->loss ? h->loss : "");
	return h->loss ? 0 : -ENOENT;
}

/* What of it is to be loaded. */
static int choose(const struct trace *t, struct bpf_object *obj, const struct trace_hook *h)
{
	struct bpf_program *first = find(obj, h->program);
	char taken[NAMES] = "", refused[NAMES] = "";
	int err = first ? is_missing(first) : -ENOENT, n;

	if (!first)
		return fail(err, NULL, "find the program %s", h->program);
	if (!err)
		return bpf_program__set_autoload(first, true);
	n = choose_instead(obj, h, taken, refused);
	if (n <= 0)
		return n ? n : say_missing(t, h, first, refused);
	say(SAY_NOTE, "trace %s: this kernel has no hook %s: taking %s instead", t->tracer->name,
	    bpf_program__section_name(first), taken);
	return 0;
}

static bool is_of_cgroup(const struct bpf_program *p)
{
	const char *section = bpf_program__section_name(p);

	return !strncmp(section, "cgroup", 6) || !strcmp(section, "sockops");
}

/* Programs of the cgroup see all of the host's sockets from the hierarchy's root. */
static struct bpf_link *attach_root(struct bpf_program *p)
{
	struct bpf_link *link;
	int root = cgroup2__root();

	if (root < 0) {
		errno = -root;
		return NULL;
	}
	link = bpf_program__attach_cgroup(p, root);
	close(root);
	return link;
}

/* Iterators are opened by their tracer, when it wants to look. */
static bool is_iterator(const struct bpf_program *p)
{
	return !strncmp(bpf_program__section_name(p), "iter/", 5);
}

static int attach(struct trace *t, struct bpf_program *p)
{
	struct bpf_link *link;

	if (t->links == TRACE_LINKS)
		return fail(-E2BIG, NULL, "attach %s", bpf_program__section_name(p));
	link = is_of_cgroup(p) ? attach_root(p) : bpf_program__attach(p);
	if (!link)
		return fail(-errno, "see `wirewho doctor`", "trace %s: attach %s", t->tracer->what,
			    bpf_program__section_name(p));
	t->link[t->links++] = link;
	t->program[t->programs++] = p;
	return 0;
}

static int prepare_maps(struct bpf_object *obj)
{
	struct bpf_map *events = bpf_object__find_map_by_name(obj, "trace_events");

	return events ? bpf_map__set_max_entries(events, RING_BYTES) : 0;
}

static int on_event(void *to, void *data, size_t size)
{
	struct trace *t = to;

	t->events += !t->tracer->counts;
	t->tracer->event(t->self, data, size);
	return 0;
}

/* After loading: the maps have descriptors now. */
static int take_maps(struct trace *t, struct bpf_object *obj)
{
	uint32_t zero = 0;
	int events = bpf_object__find_map_fd_by_name(obj, "trace_events");
	int cgroup = bpf_object__find_map_fd_by_name(obj, "trace_cgroup");

	t->lost_map = bpf_object__find_map_fd_by_name(obj, "trace_lost");
	if (t->cgroup >= 0 && bpf_map_update_elem(cgroup, &zero, &t->cgroup, BPF_ANY))
		return fail(-errno, NULL, "filter by the cgroup %s", t->opts->whom.cgroup);
	if (!t->tracer->event)
		return 0;
	t->ring = ring_buffer__new(events, on_event, t, NULL);
	return t->ring ? 0 : fail(-errno, NULL, "open the ring of events");
}

static int choose_all(const struct trace *t, struct bpf_object *obj, const struct trace_hook *hook,
		      size_t n)
{
	struct bpf_program *p;
	size_t i;
	int err = 0;

	bpf_object__for_each_program(p, obj) bpf_program__set_autoload(p, false);
	for (i = 0; i < n && !err; i++)
		if (!hook[i].off)
			err = choose(t, obj, &hook[i]);
	return err;
}

static int attach_all(struct trace *t, struct bpf_object *obj)
{
	struct bpf_program *p;
	int err = 0;

	bpf_object__for_each_program(p, obj)
	{
		if (!err && bpf_program__autoload(p) && !is_iterator(p))
			err = attach(t, p);
	}
	return err;
}

int trace__load(struct trace *t, struct bpf_object *obj, const struct trace_hook *hook, size_t n)
{
	char name[64];
	int err = prepare_maps(obj);

	if (!err)
		err = choose_all(t, obj, hook, n);
	if (err)
		return err;
	err = bpf_object__load(obj);
	if (err)
		return fail(
			err,
			"run as root, or with CAP_BPF and CAP_PERFMON; -v shows the kernel's own words",
			"trace %s: load the programs", t->tracer->what);
	snprintf(name, sizeof(name), "trace-%s", t->tracer->name);
	err = pins__add(name, obj);
	if (!err)
		err = take_maps(t, obj);
	return err ? err : attach_all(t, obj);
}

void load__detach(struct trace *t)
{
	while (t->links)
		bpf_link__destroy(t->link[--t->links]);
}

/*
 * A program that interrupts itself on a CPU (softirq upon process) is not run the second time; the kernel counts that.
 */
static uint64_t missed(const struct trace *t)
{
	struct bpf_prog_info info;
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < t->programs; i++) {
		__u32 size = sizeof(info);

		memset(&info, 0, sizeof(info));
		if (!bpf_obj_get_info_by_fd(bpf_program__fd(t->program[i]), &info, &size))
			sum += info.recursion_misses;
	}
	return sum;
}

uint64_t trace__lost(const struct trace *t)
{
	int cpu, cpus = libbpf_num_possible_cpus();
	uint64_t each[cpus], sum = t->lost_elsewhere + missed(t);
	uint32_t zero = 0;

	if (t->lost_map < 0 || bpf_map_lookup_elem(t->lost_map, &zero, each))
		return sum;
	for (cpu = 0; cpu < cpus; cpu++)
		sum += each[cpu];
	return sum;
}

void trace__add_events(struct trace *t, uint64_t n)
{
	t->events += n;
}

void trace__add_lost(struct trace *t, uint64_t n)
{
	t->lost_elsewhere += n;
}
