// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "pcapng.h"
#include "xdp/link.h"
#include "xdp/say.h"

#define STATISTICS_ROOM 256 /* one block: 24 bytes and seven options of 12 */

/* ---- the head of the file ---- */

static int write_section(struct capture_sink *s)
{
	char os[256], block[1024];
	struct utsname u;
	struct pcapng_option option[] = {
		{}, pcapng__text(PCAPNG_SHB_USERAPPL, "wirewho " WIREWHO_VERSION)
	};

	uname(&u);
	snprintf(os, sizeof(os), "%.60s %.120s", u.sysname, u.release);
	option[0] = pcapng__text(PCAPNG_SHB_OS, os);
	return spool__write(s->spool, block,
			    pcapng__section(block, sizeof(block),
					    (struct pcapng_options){ option, 2 }));
}

static int write_interface(struct capture_sink *s, const char *ifname, const char *expression)
{
	const uint8_t nanoseconds = 9;
	struct link_facts facts = {};
	char filter[2048], block[4096];
	int length = snprintf(filter, sizeof(filter), "%c%s", 0, expression);
	const struct pcapng_option option[] = {
		pcapng__text(PCAPNG_IF_NAME, ifname),
		{ PCAPNG_IF_TSRESOL, sizeof(nanoseconds), &nanoseconds },
		{ PCAPNG_IF_FILTER, length < (int)sizeof(filter) ? length : (int)sizeof(filter) - 1,
		  filter },
	};

	link__facts(ifname, &facts);
	return spool__write(s->spool, block,
			    pcapng__interface(block, sizeof(block),
					      facts.raw ? PCAPNG_LINK_RAW : PCAPNG_LINK_ETHERNET,
					      s->snaplen, (struct pcapng_options){ option, 3 }));
}

int capture_sink__open(struct capture_sink *s, const struct capture_opts *opts, unsigned lanes)
{
	unsigned i;
	int err;

	*s = (struct capture_sink){ .lanes = lanes,
				    .snaplen = opts->snaplen,
				    .count = opts->count };
	s->lane = aligned_alloc(64, lanes * sizeof(*s->lane));
	s->enough_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->lane || s->enough_fd < 0)
		return fail(-ENOMEM, NULL, "make the way to %s", opts->path);
	memset(s->lane, 0, lanes * sizeof(*s->lane));
	err = spool__open(&s->spool, opts->path, lanes);
	if (!err)
		err = write_section(s);
	for (i = 0; i < opts->links && !err; i++)
		err = write_interface(s, opts->ifname[i], opts->expression);
	return err;
}

int capture_sink__close(struct capture_sink *s)
{
	int err = spool__close(s->spool);

	if (s->lane)
		close(s->enough_fd);
	free(s->lane);
	*s = (struct capture_sink){};
	return err;
}

/* ---- packets ---- */

static bool is_past(const struct capture_sink *s)
{
	return s->count && __atomic_load_n(&s->taken, __ATOMIC_RELAXED) >= s->count;
}

/* One of the --count packets; false when another lane had the last. */
static bool take_ticket(struct capture_sink *s)
{
	uint64_t ticket;

	if (!s->count)
		return true;
	ticket = __atomic_fetch_add(&s->taken, 1, __ATOMIC_RELAXED);
	if (ticket + 1 == s->count)
		eventfd_write(s->enough_fd, 1);
	return ticket < s->count;
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

static void on_frame(void *to, unsigned number, const struct frame *f)
{
	struct capture_sink *s = to;
	struct capture_lane *l = &s->lane[number];
	const uint32_t queue = f->queue;
	const struct pcapng_option option[] = {
		{ PCAPNG_EPB_QUEUE, sizeof(queue), &queue },
		{ PCAPNG_EPB_DROPCOUNT, sizeof(l->missing), &l->missing },
	};
	const struct pcapng_packet p = { .interface = f->link,
					 .time = f->time,
					 .caplen = f->caplen < s->snaplen ? f->caplen : s->snaplen,
					 .length = f->length,
					 .data = f->data,
					 .options = { option, l->missing ? 2 : 1 } };
	size_t size = pcapng__packet_size(&p);
	void *room = is_past(s) ? NULL : spool__reserve(s->spool, number, size);

	if (!room && !is_past(s)) {
		refuse(s, l);
	} else if (!room || !take_ticket(s)) {
		l->past_count++;
	} else {
		pcapng__packet(room, size, &p);
		spool__commit(s->spool, number, size);
		l->committed++;
		l->missing = 0;
	}
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

/* ---- the end of the file ---- */

static size_t put_statistics(void *at, const struct capture_link_losses *k, uint32_t interface,
			     uint64_t start, uint64_t end)
{
	const struct pcapng_time from = pcapng__time(start), to = pcapng__time(end);
	uint64_t matched = capture_link_losses__matched(k);
	uint64_t dropped = k->stats.rx_dropped + k->stats.rx_ring_full;
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
