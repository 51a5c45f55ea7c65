// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "owners.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attrib/owner.skel.h"
#include "cgroup2.h"
#include "xdp/link.h"
#include "xdp/pin.h"
#include "xdp/probe.h"
#include "xdp/say.h"

#define RING_BYTES (4u << 20)
#define LINKS 32
#define TURNS_ENTRIES (TURNS_MAX * 2)
#define TURN_LOOKS \
	10 /* an entry that is still there, and the same, so many looks later has lost its event */

/* An entry of the map of turns, as it was seen. */
struct turn_seen {
	struct flow_key key;
	struct turn turn;
};

/* The kernel's own UDP sockets in our namespace: nothing but looking tells when one has gone. */
#define KERNELS_MAX 256
struct kernels {
	struct {
		uint64_t cookie;
		unsigned seen; /* in which walk */
	} at[KERNELS_MAX];
	size_t n;
	unsigned walk;
};

struct owners {
	struct owner_bpf *skel;
	struct ring_buffer *ring;
	int link[LINKS];
	unsigned links;
	owner_fn fn;
	void *to;
	struct turn_seen *seen; /* room for all entries, as soon as there is one */
	size_t seen_n;
	unsigned looks;
	uint64_t netns; /* our own: cookie */
	struct kernels kernels;
};

static void kernels__see(struct kernels *k, uint64_t cookie, bool is_new)
{
	size_t i = 0;

	while (i < k->n && k->at[i].cookie != cookie)
		i++;
	if (i == KERNELS_MAX || (i == k->n && !is_new))
		return;
	k->n += i == k->n;
	k->at[i].cookie = cookie;
	k->at[i].seen = k->walk;
}

static bool is_kernels_udp(const struct owner_event *e)
{
	return e->kind == OWNER_SOCKET && !e->who.pid && e->key.proto == IPPROTO_UDP;
}

/* In another namespace nobody would see its end. */
static void hand_on(struct owners *o, const struct owner_event *e)
{
	if (is_kernels_udp(e)) {
		if (e->netns != o->netns || o->kernels.n == KERNELS_MAX)
			return;
		kernels__see(&o->kernels, e->cookie, true);
	}
	o->fn(o->to, e);
}

static int on_event(void *to, void *data, size_t size)
{
	struct owners *o = to;

	if (size >= sizeof(struct owner_event))
		hand_on(o, data);
	return 0;
}

/* What a kernel may lack, and the functions to look at instead: program and function. */
static const struct {
	const char *program, *tracepoint;
	const char *instead[3][2];
} optional[] = {
	{ "on_send",
	  "sock_send_length",
	  { { "sent_inet", "inet_sendmsg" },
	    { "sent_inet6", "inet6_sendmsg" },
	    { "sent_page", "inet_sendpage" } } },
	{ "on_receive",
	  "sock_recv_length",
	  { { "received_inet", "inet_recvmsg" }, { "received_inet6", "inet6_recvmsg" } } },
};

static void choose(struct owners *o, const char *program, bool wanted)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(o->skel->obj, program), wanted);
}

/* Those that this kernel has: sendfile has a function of its own on some only. */
static unsigned choose_instead(struct owners *o, const char *const instead[3][2])
{
	unsigned i, chosen = 0;

	for (i = 0; i < 3 && instead[i][0]; i++) {
		if (libbpf_find_vmlinux_btf_id(instead[i][1], BPF_TRACE_FEXIT) <= 0)
			continue;
		choose(o, instead[i][0], true);
		chosen++;
	}
	return chosen;
}

static void leave_out_missing(struct owners *o)
{
	int err = probe__functions();
	size_t i;

	for (i = 0; i < sizeof(optional) / sizeof(*optional); i++) {
		if (libbpf_find_vmlinux_btf_id(optional[i].tracepoint, BPF_TRACE_RAW_TP) > 0)
			continue;
		choose(o, optional[i].program, false);
		if (!err && choose_instead(o, optional[i].instead))
			say(SAY_NOTE,
			    "this kernel has no tracepoint %s: watching %s and its like instead, "
			    "which gives the same answers at some cost; Linux 6.3 has it",
			    optional[i].tracepoint, optional[i].instead[0][1]);
		else
			say(SAY_NOTE,
			    "this kernel has no tracepoint %s, and functions cannot be watched (%s): a "
			    "process that took over a socket shows later, or not at all; Linux 6.3 has it",
			    optional[i].tracepoint, strerror(err ? -err : ENOENT));
	}
}

static uint32_t ring_bytes(void)
{
	const char *asked = getenv("WIREWHO_OWNER_RING");

	return asked ? (uint32_t)strtoul(asked, NULL, 10) : RING_BYTES;
}

static int load(struct owners *o, uint64_t cgroup)
{
	int err;

	o->skel = owner_bpf__open();
	if (!o->skel)
		return fail(-errno, NULL, "open the owner programs");
	o->skel->rodata->watched_cgroup = cgroup;
	o->skel->rodata->look_inside = !probe__kernel_context();
	bpf_map__set_max_entries(o->skel->maps.owner_events, ring_bytes());
	leave_out_missing(o);
	err = owner_bpf__load(o->skel);
	if (err)
		return fail(
			err,
			"run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; see `wirewho doctor`",
			"load the owner programs");
	return pins__add("owners", o->skel->obj);
}

static int keep(struct owners *o, int fd)
{
	if (fd < 0)
		return -errno;
	o->link[o->links++] = fd;
	return 0;
}

static int attach_tracepoints(struct owners *o)
{
	struct bpf_program *p;
	int err = 0;

	bpf_object__for_each_program(p, o->skel->obj)
	{
		if (bpf_program__type(p) != BPF_PROG_TYPE_TRACING || bpf_program__fd(p) < 0 ||
		    bpf_program__expected_attach_type(p) == BPF_TRACE_ITER)
			continue;
		err = keep(o, bpf_link_create(bpf_program__fd(p), 0,
					      bpf_program__expected_attach_type(p), NULL));
		if (err)
			return fail(err, NULL, "attach %s", bpf_program__section_name(p));
	}
	return 0;
}

static int attach_cgroup(struct owners *o, int cgroup)
{
	struct bpf_program *p;
	int err = 0;

	bpf_object__for_each_program(p, o->skel->obj)
	{
		if (bpf_program__type(p) == BPF_PROG_TYPE_TRACING)
			continue;
		err = keep(o, bpf_link_create(bpf_program__fd(p), cgroup,
					      bpf_program__expected_attach_type(p), NULL));
		if (err)
			return fail(err, NULL, "attach %s to the root cgroup",
				    bpf_program__section_name(p));
	}
	return 0;
}

static int attach(struct owners *o)
{
	int cgroup, err = attach_tracepoints(o);

	if (err)
		return err;
	cgroup = cgroup2__root();
	if (cgroup < 0) {
		say(SAY_NOTE,
		    "no cgroup v2 hierarchy (%s): owners come from send and receive only, so the first "
		    "packets of a connection may have none; `mount -t cgroup2 none DIR` helps",
		    strerror(-cgroup));
		return 0;
	}
	err = attach_cgroup(o, cgroup);
	close(cgroup);
	return err;
}

int owners__open(struct owners **out, uint64_t cgroup, owner_fn fn, void *to)
{
	struct owners *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	o->fn = fn;
	o->to = to;
	o->netns = link__netns();
	err = load(o, cgroup);
	if (!err) {
		o->ring = ring_buffer__new(bpf_map__fd(o->skel->maps.owner_events), on_event, o,
					   NULL);
		err = o->ring ? 0 : fail(-errno, NULL, "open the owner event ring");
	}
	if (!err)
		err = attach(o);
	if (err) {
		owners__close(o);
		return err;
	}
	*out = o;
	return 0;
}

void owners__close(struct owners *o)
{
	if (!o)
		return;
	while (o->links)
		close(o->link[--o->links]);
	ring_buffer__free(o->ring);
	owner_bpf__destroy(o->skel);
	free(o->seen);
	free(o);
}

int owners__fd(const struct owners *o)
{
	return ring_buffer__epoll_fd(o->ring);
}

int owners__read(struct owners *o)
{
	return ring_buffer__consume(o->ring);
}

typedef void (*walk_fn)(struct owners *o, const struct owner_event *e);

/* The iterator hands out whole events, but a read may end inside one. */
static int read_walk(struct owners *o, int fd, walk_fn fn)
{
	struct owner_event events[256];
	size_t have = 0, i;
	ssize_t n;

	while ((n = read(fd, (char *)events + have, sizeof(events) - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		have += n;
		for (i = 0; i < have / sizeof(*events); i++)
			fn(o, &events[i]);
		memmove(events, &events[i], have % sizeof(*events));
		have %= sizeof(*events);
	}
	return 0;
}

static int walk(struct owners *o, const struct bpf_program *program, walk_fn fn)
{
	int link = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, NULL);
	int iter = link < 0 ? -1 : bpf_iter_create(link), err;

	err = iter < 0 ? -errno : read_walk(o, iter, fn);
	if (iter >= 0)
		close(iter);
	if (link >= 0)
		close(link);
	return err;
}

int owners__snapshot(struct owners *o)
{
	int err = walk(o, o->skel->progs.snapshot, hand_on);

	if (err)
		return fail(err, NULL, "read the open sockets of all processes");
	err = walk(o, o->skel->progs.snapshot_kernel, hand_on);
	return err ? fail(err, NULL, "read the kernel's own sockets") : 0;
}

static void see_kernels(struct owners *o, const struct owner_event *e)
{
	kernels__see(&o->kernels, e->cookie, false);
}

void owners__end_kernels(struct owners *o)
{
	struct kernels *k = &o->kernels;
	size_t i;

	if (!k->n)
		return;
	k->walk++;
	if (walk(o, o->skel->progs.snapshot_kernel, see_kernels))
		return;
	for (i = k->n; i--;) {
		struct owner_event gone = { .kind = OWNER_GONE, .cookie = k->at[i].cookie };

		if (k->at[i].seen == k->walk)
			continue;
		k->at[i] = k->at[--k->n];
		o->fn(o->to, &gone);
	}
}

uint64_t owners__lost(const struct owners *o)
{
	uint64_t each[libbpf_num_possible_cpus()], sum = 0;
	uint32_t zero = 0;
	size_t i;

	if (bpf_map_lookup_elem(bpf_map__fd(o->skel->maps.owner_lost), &zero, each))
		return 0;
	for (i = 0; i < sizeof(each) / sizeof(*each); i++)
		sum += each[i];
	return sum;
}

static bool is_among(uint32_t wanted, const uint32_t *ifindex, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ifindex[i] == wanted)
			return true;
	return false;
}

static void forget_doors(int map, const uint32_t *ifindex, size_t n)
{
	uint32_t key, gone;
	int err = bpf_map_get_next_key(map, NULL, &key);

	while (!err) {
		gone = key;
		err = bpf_map_get_next_key(map, &gone, &key);
		if (!is_among(gone, ifindex, n))
			bpf_map_delete_elem(map, &gone);
	}
}

int owners__set_doors(struct owners *o, const uint32_t *ifindex, size_t n)
{
	int map = bpf_map__fd(o->skel->maps.doors), err = 0;
	uint8_t yes = 1;
	size_t i;

	forget_doors(map, ifindex, n);
	for (i = 0; i < n && !err; i++)
		err = bpf_map_update_elem(map, &ifindex[i], &yes, BPF_ANY);
	if (err)
		say(SAY_NOTE,
		    "more than 16384 interfaces lead to other namespaces: behind some, equal addresses have no owner");
	return err;
}

static int lend_map(struct bpf_object *obj, const struct bpf_map *map)
{
	struct bpf_map *to = bpf_object__find_map_by_name(obj, bpf_map__name(map));

	return to ? bpf_map__reuse_fd(to, bpf_map__fd(map)) : -ENOENT;
}

int owners__lend(struct owners *o, struct bpf_object *obj)
{
	int err = lend_map(obj, o->skel->maps.socket_owners);

	if (!err)
		err = lend_map(obj, o->skel->maps.owner_events);
	if (!err)
		err = lend_map(obj, o->skel->maps.owner_lost);
	if (!err)
		err = lend_map(obj, o->skel->maps.doors);
	return err ? err : owners__lend_turns(o, obj);
}

int owners__lend_sockets(struct owners *o, struct bpf_object *obj)
{
	return lend_map(obj, o->skel->maps.socket_owners);
}

int owners__lend_turns(void *owners, struct bpf_object *obj)
{
	struct owners *o = owners;
	int err = lend_map(obj, o->skel->maps.turns);

	return err ? err : lend_map(obj, o->skel->maps.data_turns);
}

/*
 * Another change may come between looking and taking out: what is taken out tells, and is put in again. Where the owner
 * programs have put in a new one before that, there is one entry, counted twice.
 */
static void drop_turn(struct owners *o, const struct flow_key *key, uint32_t number)
{
	int turns = bpf_map__fd(o->skel->maps.turns);
	struct turn was;

	if (bpf_map_lookup_and_delete_elem(turns, key, &was))
		return;
	if (was.number != number && !bpf_map_update_elem(turns, key, &was, BPF_NOEXIST))
		return;
	__atomic_fetch_sub(&o->skel->data_turns->turns_n, 1, __ATOMIC_RELAXED);
}

/* Another change may have come since: its entry stays. */
static void forget_turn(struct owners *o, const struct flow_key *key, uint8_t turn)
{
	struct turn now;

	if (bpf_map_lookup_elem(bpf_map__fd(o->skel->maps.turns), key, &now) || now.number != turn)
		return;
	drop_turn(o, key, turn);
}

void owners__turned(struct owners *o, const struct owner_event *e)
{
	struct flow_key back = e->key;

	memcpy(back.saddr, e->key.daddr, sizeof(back.saddr));
	memcpy(back.daddr, e->key.saddr, sizeof(back.daddr));
	back.sport = e->key.dport;
	back.dport = e->key.sport;
	forget_turn(o, &e->key, e->turn);
	forget_turn(o, &back, e->turn);
}

/* ---- turns whose event was lost ---- */

static void drop_unchanged(struct owners *o)
{
	int turns = bpf_map__fd(o->skel->maps.turns);
	struct turn now;
	size_t i;

	for (i = 0; i < o->seen_n; i++)
		if (!bpf_map_lookup_elem(turns, &o->seen[i].key, &now) &&
		    now.number == o->seen[i].turn.number && now.n == o->seen[i].turn.n)
			drop_turn(o, &o->seen[i].key, now.number);
	o->seen_n = 0;
}

static void see_turns(struct owners *o)
{
	int turns = bpf_map__fd(o->skel->maps.turns);
	struct turn_seen *s = NULL;

	if (!o->seen)
		o->seen = calloc(TURNS_ENTRIES, sizeof(*o->seen));
	while (o->seen && o->seen_n < TURNS_ENTRIES) {
		struct turn_seen *next = &o->seen[o->seen_n];

		if (bpf_map_get_next_key(turns, s ? &s->key : NULL, &next->key))
			return;
		s = next;
		if (!bpf_map_lookup_elem(turns, &next->key, &next->turn))
			o->seen_n++;
	}
}

void owners__expire_turns(struct owners *o)
{
	if (++o->looks % TURN_LOOKS)
		return;
	drop_unchanged(o);
	if (o->skel->data_turns->turns_n)
		see_turns(o);
}
