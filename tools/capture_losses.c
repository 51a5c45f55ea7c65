// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <inttypes.h>
#include <stdio.h>

void capture_losses__output(struct capture_losses *l, const struct capture_sink *s)
{
	unsigned i;

	for (i = 0; i < s->lanes; i++) {
		l->past_count += s->lane[i].past_count;
		l->output_dropped += s->lane[i].output_dropped;
		l->output_failed += s->lane[i].output_failed;
	}
	l->written = spool__written(s->spool);
	l->output_failed += spool__unwritten(s->spool);
}

uint64_t capture_link_losses__matched(const struct capture_link_losses *k)
{
	return k->tally.reason[REASON_FLOW].packets + k->tally.reason[REASON_OVERFLOWED].packets +
	       k->tally.reason[REASON_LOST].packets;
}

static uint64_t redirected(const struct capture_link_losses *k)
{
	return k->tally.sample[SAMPLE_REDIRECTED].packets;
}

/* rx_fill_ring_empty is another view of rx_dropped, and no part of the sum. */
static int64_t unexplained(const struct capture_link_losses *k)
{
	return redirected(k) - k->stats.delivered - k->stats.rx_dropped - k->stats.rx_ring_full;
}

static void print_link(const struct capture_link_losses *k)
{
	uint64_t matched = capture_link_losses__matched(k), seen = k->tally.seen.packets;
	uint64_t no_socket = k->tally.sample[SAMPLE_NO_SOCKET].packets;

	fprintf(stderr,
		"%s: %" PRIu64 " seen = %" PRIu64 " matched + %" PRIu64 " passed; %" PRIu64
		" matched = %" PRIu64 " redirected + %" PRIu64 " no_socket + %" PRId64
		" unexplained\n",
		k->ifname, seen, matched, seen - matched, matched, redirected(k), no_socket,
		(int64_t)(matched - redirected(k) - no_socket));
	fprintf(stderr,
		"%s: %" PRIu64 " redirected = %" PRIu64 " delivered + %" PRIu64
		" rx_dropped + %" PRIu64 " rx_ring_full + %" PRId64 " unexplained\n",
		k->ifname, redirected(k), k->stats.delivered, k->stats.rx_dropped,
		k->stats.rx_ring_full, unexplained(k));
}

/* What stands behind a name, where there is anything behind it. */
static void print_reasons(const struct capture_link_losses *k)
{
	if (k->tally.sample[SAMPLE_NO_SOCKET].packets)
		fprintf(stderr,
			"  no_socket: on a queue that was not served, so passed to the host\n");
	if (k->stats.rx_dropped)
		fprintf(stderr,
			"  rx_dropped: no free frame (rx_fill_ring_empty_descs says %" PRIu64
			"), or longer than a socket takes\n",
			k->stats.rx_fill_ring_empty);
	if (k->stats.rx_ring_full)
		fprintf(stderr, "  rx_ring_full: the engine's thread came too late\n");
	if (k->stats.rx_invalid)
		fprintf(stderr,
			"  rx_invalid_descs: the kernel refused %" PRIu64 " frames of ours\n",
			k->stats.rx_invalid);
	if (unexplained(k))
		fprintf(stderr,
			"  unexplained: the kernel gave them to no socket; `ethtool -S %s` may say more "
			"(rx_queue_N_xdp_drops)\n",
			k->ifname);
}

struct sums {
	uint64_t matched, delivered;
	int64_t lost; /* between the program and us */
};

static struct sums sum_links(const struct capture_losses *l)
{
	struct sums s = {};
	unsigned i;

	for (i = 0; i < l->links; i++) {
		const struct capture_link_losses *k = &l->link[i];

		s.matched += capture_link_losses__matched(k);
		s.delivered += k->stats.delivered;
		s.lost += redirected(k) - k->stats.delivered;
	}
	return s;
}

void capture_losses__print(const struct capture_losses *l)
{
	const struct sums s = sum_links(l);
	uint64_t named = l->written + l->past_count + l->output_dropped + l->output_failed;
	unsigned i;

	fprintf(stderr,
		"%" PRIu64 " packets captured\n%" PRIu64 " packets received by filter\n%" PRId64
		" packets dropped\n",
		l->written, s.matched, s.lost + (int64_t)(l->output_dropped + l->output_failed));
	for (i = 0; i < l->links; i++) {
		print_link(&l->link[i]);
		print_reasons(&l->link[i]);
	}
	fprintf(stderr,
		"%" PRIu64 " delivered = %" PRIu64 " written + %" PRIu64 " past_count + %" PRIu64
		" output_dropped + %" PRIu64 " output_failed + %" PRId64 " unexplained\n",
		s.delivered, l->written, l->past_count, l->output_dropped, l->output_failed,
		(int64_t)(s.delivered - named));
	if (l->output_dropped)
		fprintf(stderr, "  output_dropped: the file could not be written fast enough\n");
	if (l->output_failed)
		fprintf(stderr, "  output_failed: taken, but writing had failed\n");
}
