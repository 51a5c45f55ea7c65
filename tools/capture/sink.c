// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "tools/text.h"
#include "xdp/link.h"
#include "xdp/say.h"

#define STATISTICS_ROOM 256 /* one block: 24 bytes and seven options of 12 */

/*
 * What lies in a lane until the writer comes to it: packets as they go into the file, but for what is not known yet; and before
 * one that others were dropped before, how many. That is none of pcapng's blocks.
 */
struct dropped {
	uint32_t zero; /* where a block has its type */
	uint32_t size;
	uint64_t packets;
};

#define HELD_LEAST 192 /* of a frame, so that its flow is known whatever the snaplen */
#define HEAD_ROOM (1024 + LINKS_MAX * 4096)

/* ---- the head of a file ---- */

static size_t put_section(void *at, size_t room)
{
	char os[256];
	struct utsname u;
	struct pcapng_option option[] = {
		{}, pcapng__text(PCAPNG_SHB_USERAPPL, "wirewho " WIREWHO_VERSION)
	};

	uname(&u);
	snprintf(os, sizeof(os), "%.60s %.120s", u.sysname, u.release);
	option[0] = pcapng__text(PCAPNG_SHB_OS, os);
	return pcapng__section(at, room, (struct pcapng_options){ option, 2 });
}

static size_t put_interface(struct capture_sink *s, unsigned link, const struct capture_opts *o,
			    void *at, size_t room)
{
	const uint8_t nanoseconds = 9;
	struct link_facts facts = {};
	char filter[2048];
	int length = snprintf(filter, sizeof(filter), "%c%s", 0, o->expression);
	const struct pcapng_option option[] = {
		pcapng__text(PCAPNG_IF_NAME, o->ifname[link]),
		{ PCAPNG_IF_TSRESOL, sizeof(nanoseconds), &nanoseconds },
		{ PCAPNG_IF_FILTER, length < (int)sizeof(filter) ? length : (int)sizeof(filter) - 1,
		  filter },
	};

	link__facts(o->ifname[link], &facts);
	s->raw[link] = facts.raw;
	return pcapng__interface(at, room, facts.raw ? PCAPNG_LINK_RAW : PCAPNG_LINK_ETHERNET,
				 s->snaplen, (struct pcapng_options){ option, 3 });
}

static int make_head(struct capture_sink *s, const struct capture_opts *o)
{
	unsigned i;

	s->head = malloc(HEAD_ROOM);
	if (!s->head)
		return fail(-ENOMEM, NULL, "make the head of %s", o->path);
	s->head_size = put_section(s->head, HEAD_ROOM);
	for (i = 0; i < o->links; i++)
		s->head_size += put_interface(s, i, o, s->head + s->head_size,
					      HEAD_ROOM - s->head_size);
	return 0;
}

/* ---- packets, in the lanes' threads ---- */

static bool is_past(const struct capture_sink *s)
{
	return s->count && __atomic_load_n(&s->taken, __ATOMIC_RELAXED) >= s->count;
}

static void refuse(struct capture_sink *s, struct capture_lane *l)
{
	if (spool__failed(s->spool)) {
		l->output_failed++;
		return;
	}
	l->output_dropped++;
	l->missing++;
}

/* What every packet of a queue has, as long as there is nothing else to say of it. */
static void make_usual(const struct capture_sink *s, struct capture_lane *l, uint32_t queue)
{
	const uint32_t flags = PCAPNG_INBOUND;
	const struct pcapng_option option[] = {
		{ PCAPNG_EPB_QUEUE, sizeof(queue), &queue },
		{ PCAPNG_EPB_FLAGS, sizeof(flags), &flags },
		{ PCAPNG_EPB_VERDICT, sizeof(s->verdict), &s->verdict },
	};

	l->usual_size = pcapng__options(l->usual, sizeof(l->usual),
					(struct pcapng_options){ option, s->has_verdict ? 3 : 2 });
	l->usual_queue = queue;
}

static bool put_frame(const struct capture_sink *s, struct capture_lane *l, unsigned number,
		      const struct frame *f)
{
	const struct dropped dropped = { .size = sizeof(dropped), .packets = l->missing };
	const struct pcapng_packet packet = { .interface = f->link,
					      .time = f->time,
					      .caplen = f->caplen < s->held ? f->caplen : s->held,
					      .length = f->length,
					      .data = f->data,
					      .encoded = l->usual,
					      .encoded_size = l->usual_size };
	size_t size = pcapng__packet_size(&packet), before = l->missing ? sizeof(dropped) : 0;
	uint8_t *at = spool__reserve(s->spool, number, before + size);

	if (!at)
		return false;
	memcpy(at, &dropped, before);
	pcapng__packet(at + before, size, &packet);
	spool__commit(s->spool, number, before + size);
	return true;
}

static void on_frame(void *to, unsigned number, const struct frame *f)
{
	struct capture_sink *s = to;
	struct capture_lane *l = &s->lane[number];

	if (is_past(s)) {
		l->past_count++;
		return;
	}
	if (!l->usual_size || l->usual_queue != f->queue)
		make_usual(s, l, f->queue);
	if (!put_frame(s, l, number, f)) {
		refuse(s, l);
		return;
	}
	l->committed++;
	l->missing = 0;
}

static void on_batch(void *to, unsigned number)
{
	struct capture_sink *s = to;

	spool__publish(s->spool, number);
}

struct frame_sink capture_sink__frames(struct capture_sink *s)
{
	return (struct frame_sink){ .to = s, .frame = on_frame, .batch = on_batch };
}

/* ---- packets, in the writer's thread ---- */

static void on_ready(void *to)
{
	struct capture_sink *s = to;

	capture_owner__read(s->owner);
	s->round++; /* names may have changed */
}

static size_t put_process(struct capture_sink *s, const struct process *p, void *at, size_t room)
{
	const struct who *who = &p->who;
	/* By pid alone: whoever has the pid was told of last. */
	struct capture_told *told = &s->told[who->pid % CAPTURE_TOLD];
	char name[4 * sizeof(who->comm) + 1], exe[4096], user[256];
	const struct pcapng_process process = { .pid = who->pid,
						.parent = p->parent,
						.uid = who->uid,
						.start = who->start ? s->boot + who->start : 0,
						.name = name,
						.exe = exe,
						.user = user };

	if (told->file == s->file && told->pid == who->pid && told->start == who->start &&
	    !memcmp(told->comm, who->comm, sizeof(told->comm)))
		return 0;
	*told = (struct capture_told){ .pid = who->pid, .start = who->start, .file = s->file };
	memcpy(told->comm, who->comm, sizeof(told->comm));
	text__utf8(name, sizeof(name), who->comm, sizeof(who->comm));
	text__utf8(exe, sizeof(exe), p->exe ? p->exe : "", sizeof(exe));
	text__utf8(user, sizeof(user), p->user ? p->user : "", sizeof(user));
	return pcapng__process(at, room, &process);
}

/* The queue stands first among the options. */
static uint32_t queue_of(const struct pcapng_packet *packet)
{
	uint32_t queue;

	memcpy(&queue, (const uint8_t *)packet->encoded + 4, sizeof(queue));
	return queue;
}

/* The options of a packet of which more is known. */
static size_t put_options(const struct capture_sink *s, uint32_t queue, const struct process *p,
			  enum owner_how how, void *at, size_t room)
{
	const uint32_t flags = PCAPNG_INBOUND, ids[2] = { p ? p->who.pid : 0, 0 };
	struct pcapng_option option[6] = { { PCAPNG_EPB_QUEUE, sizeof(queue), &queue },
					   { PCAPNG_EPB_FLAGS, sizeof(flags), &flags } };
	char comment[OWNER_COMMENT_SIZE];
	unsigned n = 2;

	if (s->missing)
		option[n++] = (struct pcapng_option){ PCAPNG_EPB_DROPCOUNT, sizeof(s->missing),
						      &s->missing };
	if (s->has_verdict)
		option[n++] = (struct pcapng_option){ PCAPNG_EPB_VERDICT, sizeof(s->verdict),
						      &s->verdict };
	if (p)
		option[n++] = (struct pcapng_option){ PCAPNG_EPB_PROCESS, sizeof(ids), ids };
	if (p && s->comments)
		option[n++] = (struct pcapng_option){
			PCAPNG_COMMENT, owner_comment__print(comment, sizeof(comment), p, how),
			comment
		};
	return pcapng__options(at, room, (struct pcapng_options){ option, n });
}

/* Most packets have the same to say as others of their process just before. */
static const struct capture_saying *saying(struct capture_sink *s, uint32_t queue,
					   const struct process *p, enum owner_how how)
{
	struct capture_saying *y = &s->saying[p ? p->who.pid % CAPTURE_SAYINGS : 0];

	if (y->round == s->round && y->process == p && y->how == how && y->queue == queue &&
	    !s->missing)
		return y;
	*y = (struct capture_saying){
		.process = p, .how = how, .queue = queue, .round = s->missing ? 0 : s->round
	};
	y->size = put_options(s, queue, p, how, y->options, sizeof(y->options));
	return y;
}

/* The packet, or SPOOL_AS_IT_IS: most have nobody's name, or nobody asked for it. */
static size_t put_packet(struct capture_sink *s, struct pcapng_packet *packet,
			 const struct process *p, enum owner_how how, void *at, size_t room)
{
	const struct capture_saying *y;

	if (!p && !s->missing && packet->caplen <= s->snaplen)
		return SPOOL_AS_IT_IS;
	if (packet->caplen > s->snaplen)
		packet->caplen = s->snaplen;
	if (p || s->missing) {
		y = saying(s, queue_of(packet), p, how);
		packet->encoded = y->options;
		packet->encoded_size = y->size;
	}
	return pcapng__packet(at, room, packet);
}

/* One of the --count packets; false when the last is behind us. */
static bool take_ticket(struct capture_sink *s)
{
	uint64_t taken = s->taken + 1;

	if (!s->count)
		return true;
	if (taken > s->count)
		return false;
	__atomic_store_n(&s->taken, taken, __ATOMIC_RELAXED);
	if (taken == s->count)
		eventfd_write(s->enough_fd, 1);
	return true;
}

static void note_dropped(struct capture_sink *s, const void *block)
{
	struct dropped d;

	memcpy(&d, block, sizeof(d));
	s->missing += d.packets;
}

static const struct process *owner_of(struct capture_sink *s, const struct pcapng_packet *packet,
				      enum owner_how *how)
{
	const struct captured c = { .data = packet->data,
				    .caplen = packet->caplen,
				    .length = packet->length,
				    .link = packet->interface,
				    .raw = s->raw[packet->interface] };

	*how = OWNER_NONE;
	return s->owner ? capture_owner__of(s->owner, &c, how) : NULL;
}

static bool is_wanted(struct capture_sink *s, const struct pcapng_packet *packet,
		      const struct process *p)
{
	if (!capture_filter__takes_bytes(s->filter, s->raw[packet->interface], packet->data,
					 packet->caplen, packet->length) ||
	    !capture_filter__takes_owner(s->filter, p)) {
		s->filtered++;
		return false;
	}
	if (take_ticket(s))
		return true;
	s->past_count++;
	return false;
}

static size_t on_block(void *to, const void *block, void *out, size_t room)
{
	struct capture_sink *s = to;
	struct pcapng_packet packet;
	const struct process *p;
	enum owner_how how;
	size_t size;

	if (!pcapng__is_packet(block)) {
		note_dropped(s, block);
		return 0;
	}
	packet = pcapng__packet_at(block);
	p = owner_of(s, &packet, &how);
	if (!is_wanted(s, &packet, p))
		return 0;
	s->by_how[p ? how : OWNER_NONE]++;
	s->file_packets[packet.interface]++;
	size = p ? put_process(s, p, out, room) : 0;
	size += put_packet(s, &packet, p, how, (uint8_t *)out + size, room - size);
	s->missing = 0;
	return size;
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t on_head(void *to, void *out, size_t room)
{
	struct capture_sink *s = to;

	if (room < s->head_size)
		return 0;
	memcpy(out, s->head, s->head_size);
	memset(s->file_packets, 0, sizeof(s->file_packets));
	s->file_start = now(CLOCK_REALTIME);
	s->file++;
	return s->head_size;
}

/* The sums of the whole capture stand at the end of its last file. */
static size_t on_foot(void *to, void *out, size_t room)
{
	struct capture_sink *s = to;
	uint64_t end_ns = now(CLOCK_REALTIME);
	const struct pcapng_time start = pcapng__time(s->file_start), end = pcapng__time(end_ns);
	size_t size = 0;
	unsigned i;

	for (i = 0; i < s->links; i++) {
		const struct pcapng_option option[] = {
			{ PCAPNG_ISB_STARTTIME, sizeof(start), &start },
			{ PCAPNG_ISB_ENDTIME, sizeof(end), &end },
			{ PCAPNG_ISB_USRDELIV, sizeof(uint64_t), &s->file_packets[i] },
		};

		size += pcapng__statistics((uint8_t *)out + size, room - size, i, end_ns,
					   (struct pcapng_options){ option, 3 });
	}
	return size;
}

/* ---- opening and closing ---- */

static int open_owner(struct capture_sink *s, const struct capture_opts *o)
{
	s->told = calloc(CAPTURE_TOLD, sizeof(*s->told));
	if (!s->told)
		return fail(-ENOMEM, NULL, "make the table of owners");
	return capture_owner__open(&s->owner, o->ifname, o->links);
}

static void set_editor(struct capture_sink *s, const struct rotate *rotate)
{
	const struct spool_editor editor = {
		.to = s,
		.hold_ms = s->owner ? CAPTURE_OWNER_HOLD_MS : 0,
		.fd = s->owner ? capture_owner__fd(s->owner) : -1,
		.ready = s->owner ? on_ready : NULL,
		.edit = on_block,
		.head = on_head,
		.foot = on_foot,
	};

	spool__edit(s->spool, &editor);
	spool__rotate(s->spool, rotate);
}

static int open_file(struct capture_sink *s, const struct capture_opts *o)
{
	struct rotate rotate = o->rotate;
	char name[PATH_MAX];
	int err = 0;

	if (rotate.path && rotate__next(&rotate, time(NULL), name, sizeof(name)))
		err = fail(-ENAMETOOLONG, NULL, "name the first file after %s", rotate.path);
	if (!err)
		err = spool__open(&s->spool, rotate.path ? name : o->path, s->lanes);
	if (!err)
		set_editor(s, &rotate);
	return err ? err : spool__write(s->spool, s->head, s->head_size);
}

static int open_lanes(struct capture_sink *s, const struct capture_opts *o)
{
	s->lane = aligned_alloc(64, s->lanes * sizeof(*s->lane));
	s->saying = calloc(CAPTURE_SAYINGS, sizeof(*s->saying));
	s->enough_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->lane || !s->saying || s->enough_fd < 0)
		return fail(-ENOMEM, NULL, "make the way to %s", o->path);
	memset(s->lane, 0, s->lanes * sizeof(*s->lane));
	return 0;
}

/* Owners and filters look at headers that the snaplen may leave out. */
static uint32_t held_of(const struct capture_opts *o)
{
	bool looks = o->owners || o->filter->expression;

	return looks && o->snaplen < HELD_LEAST ? HELD_LEAST : o->snaplen;
}

int capture_sink__open(struct capture_sink *s, const struct capture_opts *opts, unsigned lanes)
{
	int err;

	*s = (struct capture_sink){
		.lanes = lanes,
		.links = opts->links,
		.snaplen = opts->snaplen,
		.held = held_of(opts),
		.count = opts->count,
		.comments = opts->comments,
		.has_verdict = opts->verdict,
		.verdict = pcapng__xdp_verdict(opts->sample == SAMPLE_MODE_COPY ? XDP_PASS
										: XDP_REDIRECT),
		.file = 1,
		.round = 1,
		.file_start = now(CLOCK_REALTIME),
		.boot = now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME),
	};
	err = open_lanes(s, opts);
	if (!err)
		err = capture_filter__open(&s->filter, opts->filter);
	if (!err && opts->owners)
		err = open_owner(s, opts);
	if (!err)
		err = make_head(s, opts);
	return err ? err : open_file(s, opts);
}

int capture_sink__close(struct capture_sink *s)
{
	int err = spool__close(s->spool);

	if (s->enough_fd > 0)
		close(s->enough_fd);
	capture_owner__close(s->owner);
	capture_filter__close(s->filter);
	free(s->lane);
	free(s->told);
	free(s->saying);
	free(s->head);
	*s = (struct capture_sink){};
	return err;
}

/* ---- the end of the file ---- */

static size_t put_statistics(void *at, const struct capture_link_losses *k, uint32_t interface,
			     uint64_t start, uint64_t end)
{
	const struct pcapng_time from = pcapng__time(start), to = pcapng__time(end);
	uint64_t matched = capture_link_losses__matched(k);
	uint64_t dropped = k->stats.rx_dropped + k->stats.rx_ring_full +
			   k->tally.sample[SAMPLE_COPY_LOST].packets;
	const struct pcapng_option option[] = {
		{ PCAPNG_ISB_STARTTIME, sizeof(from), &from },
		{ PCAPNG_ISB_ENDTIME, sizeof(to), &to },
		{ PCAPNG_ISB_IFRECV, sizeof(uint64_t), &k->tally.seen.packets },
		{ PCAPNG_ISB_FILTERACCEPT, sizeof(uint64_t), &matched },
		{ PCAPNG_ISB_OSDROP, sizeof(uint64_t), &dropped },
		{ PCAPNG_ISB_USRDELIV, sizeof(uint64_t), &k->stats.delivered },
	};

	return pcapng__statistics(at, STATISTICS_ROOM, interface, end,
				  (struct pcapng_options){ option, 6 });
}

size_t capture_sink__statistics(const struct capture_losses *l, uint64_t start, uint64_t end,
				void **out)
{
	uint8_t *blocks = malloc((size_t)l->links * STATISTICS_ROOM);
	size_t size = 0;
	unsigned i;

	*out = blocks;
	for (i = 0; blocks && i < l->links; i++)
		size += put_statistics(blocks + size, &l->link[i], i, start, end);
	return size;
}
