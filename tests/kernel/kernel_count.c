// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * kernel_count: counts Ethernet frames five times: by the parser in user space, by the XDP program, by the tc egress
 * program, and by that and the tc ingress program with the outer VLAN tag beside the frame. The programs run in the kernel
 * (BPF_PROG_TEST_RUN). Standard input is the frames, each a length (32 bits, host order) and its bytes; a length of
 * END_OF_CAPTURE asks for what was counted since the last. On standard output, separated by tabs:
 *
 *   user|xdp|tc|tc_beside|tc_ingress flow PROTOCOL SOURCE PORT DESTINATION PORT PACKETS BYTES MARKS
 *   user|xdp|tc|tc_beside|tc_ingress reason NAME PACKETS BYTES
 *   xdp|tc|tc_beside|tc_ingress refused PACKETS        those no test run takes, counted in user space instead
 *   end
 *
 * Exit code 77 where the kernel does not let us run programs.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/parse.h"
#include "xdp/probe.h"
#include "xdp/say.h"
#include "attrib/egress.skel.h" /* after the types they speak of */
#include "tests/kernel/front.skel.h"
#include "xdp/ingress.skel.h"
#include "xdp/meter.skel.h"

#define END_OF_CAPTURE UINT32_MAX
#define FRAME_MAX (256 * 1024)
#define LINK 5
#define SHORTEST 14 /* for a test run */
#define XDP_LONGEST (68 * 1024)
#define TC_LONGEST 3000 /* a page less what an skb needs around it; newer kernels take more */
#define FILLED 60       /* a tc test run wants an IP header where the type says IP */
#define XDP_PASSES 2    /* XDP_PASS */
#define TC_PASSES (-1)  /* TCX_NEXT */

static const char *const reason_names[] = {
#define X(id, name, class, text) name,
	REASONS(X)
#undef X
};

struct row {
	union flow_words flow;
	struct count count;
	__u8 marks;
};

/* What one parser made of one capture. */
struct counts {
	struct row *row;
	size_t rows, room;
	struct count reason[REASON_N];
	uint64_t refused;
};

/* One of the programs, with the tables it counts into. */
struct counter {
	const char *name;
	struct harvest *harvest; /* NULL: the parser in user space */
	int fd;
	int passes; /* what the program returns */
	size_t longest;
	struct tally before;
	struct counts counts;
};

enum { USER, XDP, TC, TC_BESIDE, INGRESS, COUNTERS };

struct counting {
	struct counter counter[COUNTERS];
	struct meter_bpf *meter;
	struct egress_bpf *egress[2];
	struct ingress_bpf *ingress;
	struct front_bpf *front[3];
};

/* ---- what was counted ---- */

static void count__add(struct count *to, const struct count *n)
{
	to->packets += n->packets;
	to->bytes += n->bytes;
}

static void counts__flow(struct counts *c, const union flow_words *flow, struct count n, __u8 marks)
{
	if (c->rows == c->room) {
		c->room = c->room ? c->room * 2 : 1024;
		c->row = realloc(c->row, c->room * sizeof(*c->row));
		if (!c->row)
			abort();
	}
	c->row[c->rows++] = (struct row){ .flow = *flow, .count = n, .marks = marks };
}

static int by_flow(const void *a, const void *b)
{
	return memcmp(&((const struct row *)a)->flow, &((const struct row *)b)->flow,
		      sizeof(union flow_words));
}

/* One row a flow. */
static void counts__merge(struct counts *c)
{
	size_t i, last = 0;

	if (!c->rows)
		return;
	qsort(c->row, c->rows, sizeof(*c->row), by_flow);
	for (i = 1; i < c->rows; i++) {
		if (by_flow(&c->row[last], &c->row[i])) {
			c->row[++last] = c->row[i];
			continue;
		}
		count__add(&c->row[last].count, &c->row[i].count);
		c->row[last].marks |= c->row[i].marks;
	}
	c->rows = last + 1;
}

static void counts__print(const struct counts *c, const char *who)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	size_t i;

	for (i = 0; i < c->rows; i++) {
		const struct flow_key *k = &c->row[i].flow.key;
		int family = k->family == 4 ? AF_INET : AF_INET6, skip = k->family == 4 ? 12 : 0;

		if (k->link != LINK || (k->family != 4 && k->family != 6))
			printf("%s\twrong\tlink %u, family %u\n", who, k->link, k->family);
		printf("%s\tflow\t%s\t%s\t%u\t%s\t%u\t%llu\t%llu\t%u\n", who,
		       k->proto == PARSE_IP_TCP ? "tcp" : "udp",
		       inet_ntop(family, k->saddr + skip, source, sizeof(source)), ntohs(k->sport),
		       inet_ntop(family, k->daddr + skip, destination, sizeof(destination)),
		       ntohs(k->dport), c->row[i].count.packets, c->row[i].count.bytes,
		       c->row[i].marks);
	}
	for (i = 0; i < REASON_N; i++)
		if (c->reason[i].packets || c->reason[i].bytes)
			printf("%s\treason\t%s\t%llu\t%llu\n", who, reason_names[i],
			       c->reason[i].packets, c->reason[i].bytes);
	if (c->refused)
		printf("%s\trefused\t%llu\n", who, (unsigned long long)c->refused);
}

static void counts__clear(struct counts *c)
{
	free(c->row);
	memset(c, 0, sizeof(*c));
}

/* ---- one frame ---- */

static void count_here(struct counts *c, const __u8 *data, size_t size)
{
	struct count n = { .packets = 1, .bytes = size };
	struct parsed p;
	enum reason why = parse__frame(data, data + size, -1, LINK, &p);

	count__add(&c->reason[why], &n);
	if (why == REASON_FLOW)
		counts__flow(c, &p.flow, n, p.marks);
}

/* The program in front of a tc program cuts the filling off again. */
static int count_there(struct counter *c, __u8 *data, size_t size)
{
	struct __sk_buff skb = { .mark = size };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = size, .repeat = 1);

	if (c->passes == TC_PASSES) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
		if (size < FILLED)
			opts.data_size_in = FILLED;
	}
	if (bpf_prog_test_run_opts(c->fd, &opts))
		return fail(-errno, NULL, "run %s on a frame of %zu bytes", c->name, size);
	if ((int)opts.retval == c->passes)
		return 0;
	say(SAY_ERROR, "%s answers %d to a frame of %zu bytes", c->name, (int)opts.retval, size);
	return -EPROTO;
}

static int count_frame(struct counter *c, __u8 *data, size_t size)
{
	bool refused = size < SHORTEST || size > c->longest;

	if (c->harvest && !refused)
		return count_there(c, data, size);
	count_here(&c->counts, data, size);
	c->counts.refused += c->harvest && refused;
	return 0;
}

/* ---- one capture ---- */

static void on_found(void *to, const struct harvested *h)
{
	union flow_words flow = { .key = *h->key };

	counts__flow(to, &flow, h->count, h->marks);
}

/* What the kernel counted since the last capture joins what was counted here for it. */
static int collect(struct counter *c)
{
	struct tally now;
	int i, err = harvest__run(c->harvest, on_found, &c->counts);

	if (err)
		return err;
	harvest__tally(c->harvest, LINK, -1, &now);
	for (i = 0; i < REASON_N; i++) {
		c->counts.reason[i].packets += now.reason[i].packets - c->before.reason[i].packets;
		c->counts.reason[i].bytes += now.reason[i].bytes - c->before.reason[i].bytes;
	}
	c->before = now;
	return 0;
}

static int finish(struct counting *all)
{
	int i, err = 0;

	for (i = 0; i < COUNTERS && !err; i++) {
		struct counter *c = &all->counter[i];

		if (c->harvest)
			err = collect(c);
		counts__merge(&c->counts);
		counts__print(&c->counts, c->name);
		counts__clear(&c->counts);
	}
	puts("end");
	return err;
}

/* Returns 0 at the end of the input. */
static int count_input(struct counting *all)
{
	static __u8 data[FRAME_MAX];
	uint32_t size;
	int i, err = 0;

	while (!err && fread(&size, sizeof(size), 1, stdin)) {
		if (size == END_OF_CAPTURE) {
			err = finish(all);
			continue;
		}
		if (size > FRAME_MAX || fread(data, 1, size, stdin) != size)
			return fail(-EIO, NULL, "read a frame of %u bytes", size);
		for (i = 0; i < COUNTERS && !err; i++)
			err = count_frame(&all->counter[i], data, size);
	}
	return err;
}

/* ---- the programs ---- */

static int load(struct counter *c, struct bpf_object *obj, const char *program)
{
	struct harvest_size size = { .slots = 65536, .overflow = 4096 };
	int err = harvest__open(&c->harvest, &size, c->name);

	if (!err)
		err = harvest__lend(c->harvest, obj);
	if (!err)
		err = bpf_object__load(obj);
	if (!err)
		c->fd = bpf_program__fd(bpf_object__find_program_by_name(obj, program));
	return err ? fail(err, "run as root", "load %s", program) : 0;
}

static int open_meter(struct counting *all)
{
	all->meter = meter_bpf__open();
	if (!all->meter)
		return -errno;
	all->meter->rodata->link_number = LINK;
	all->meter->rodata->look_inside = !probe__kernel_context();
	return load(&all->counter[XDP], all->meter->obj, "wirewho_meter");
}

/* The counter's program is the one in front, which calls the one under test. */
static int put_in_front(struct counting *all, int which)
{
	struct front_bpf *skel = all->front[which - TC] = front_bpf__open();
	struct counter *c = &all->counter[which];
	uint32_t first = 0;

	if (!skel)
		return -errno;
	skel->rodata->tag_beside = which != TC;
	if (front_bpf__load(skel))
		return fail(-errno, NULL, "load the program in front of %s", c->name);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.next), &first, &c->fd, BPF_ANY))
		return fail(-errno, NULL, "let it call %s", c->name);
	c->fd = bpf_program__fd(skel->progs.front);
	return 0;
}

static int open_egress(struct counting *all, int which)
{
	struct egress_bpf *skel = all->egress[which - TC] = egress_bpf__open();
	int err;

	if (!skel)
		return -errno;
	skel->rodata->link_number = LINK;
	err = load(&all->counter[which], skel->obj, "wirewho_egress");
	return err ? err : put_in_front(all, which);
}

static int open_ingress(struct counting *all)
{
	int err;

	all->ingress = ingress_bpf__open();
	if (!all->ingress)
		return -errno;
	all->ingress->rodata->link_number = LINK;
	err = load(&all->counter[INGRESS], all->ingress->obj, "wirewho_ingress");
	return err ? err : put_in_front(all, INGRESS);
}

static int open_all(struct counting *all)
{
	int err = open_meter(all);

	if (!err)
		err = open_egress(all, TC);
	if (!err)
		err = open_egress(all, TC_BESIDE);
	if (!err)
		err = open_ingress(all);
	return err;
}

static void close_all(struct counting *all)
{
	int i;

	meter_bpf__destroy(all->meter);
	for (i = 0; i < 3; i++)
		front_bpf__destroy(all->front[i]);
	for (i = 0; i < 2; i++)
		egress_bpf__destroy(all->egress[i]);
	ingress_bpf__destroy(all->ingress);
	for (i = 0; i < COUNTERS; i++) {
		harvest__close(all->counter[i].harvest);
		counts__clear(&all->counter[i].counts);
	}
}

int main(void)
{
	static struct counting all = {
		.counter = {
			[USER] = { .name = "user" },
			[XDP] = { .name = "xdp", .passes = XDP_PASSES, .longest = XDP_LONGEST },
			[TC] = { .name = "tc", .passes = TC_PASSES, .longest = TC_LONGEST },
			[TC_BESIDE] = { .name = "tc_beside", .passes = TC_PASSES,
					.longest = TC_LONGEST },
			[INGRESS] = { .name = "tc_ingress", .passes = TC_PASSES,
				      .longest = TC_LONGEST },
		},
	};
	int err;

	libbpf_set_print((libbpf_print_fn_t)say__library);
	err = probe__xdp();
	if (err) {
		printf("this host lets us load no XDP program: %s\n", strerror(-err));
		return 77;
	}
	err = open_all(&all);
	if (!err)
		err = count_input(&all);
	close_all(&all);
	return err ? 1 : 0;
}
