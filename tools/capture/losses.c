// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <inttypes.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "af_xdp/reinject.h"
#include "tools/outputs/output.h"
#include "xdp/say.h"

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
	l->past_count += s->past_count + spool__past(s->spool);
	l->filtered = s->filtered;
	l->owners = s->owner;
	l->owner_events_lost = s->owner ? capture_owner__lost(s->owner) : 0;
	memcpy(l->by_how, s->by_how, sizeof(l->by_how));
	l->files = spool__files(s->spool);
}

uint64_t capture_link_losses__matched(const struct capture_link_losses *k)
{
	uint64_t passed = 0;
	int i;

	for (i = 0; i < REASON_N; i++)
		passed += k->tally.reason[i].packets;
	return k->tally.seen.packets - passed;
}

static uint64_t redirected(const struct capture_link_losses *k)
{
	return k->tally.sample[SAMPLE_REDIRECTED].packets;
}

static uint64_t copied(const struct capture_link_losses *k)
{
	return k->tally.sample[SAMPLE_COPIED].packets;
}

/* rx_fill_ring_empty is another view of rx_dropped, and no part of the sum. */
static int64_t unexplained(const struct capture_link_losses *k)
{
	return redirected(k) + copied(k) - k->stats.delivered - k->stats.rx_dropped -
	       k->stats.rx_ring_full;
}

/* What the program did with the frames that match: the usual two always, the others where there are any. */
static void print_choices(const struct capture_link_losses *k)
{
	uint64_t matched = capture_link_losses__matched(k), seen = k->tally.seen.packets;
	uint64_t sum = 0, n;
	int i;

	fprintf(stderr,
		"%s: %" PRIu64 " seen = %" PRIu64 " matched + %" PRIu64 " passed; %" PRIu64
		" matched =",
		k->ifname, seen, matched, seen - matched, matched);
	for (i = 0; i < SAMPLE_N; i++) {
		n = k->tally.sample[i].packets;
		sum += n;
		if (n || i == SAMPLE_REDIRECTED || i == SAMPLE_NO_SOCKET)
			fprintf(stderr, " %" PRIu64 " %s +", n, sample_names[i]);
	}
	fprintf(stderr, " %" PRId64 " unexplained\n", (int64_t)(matched - sum));
}

static void print_way_back(const struct capture_link_losses *k)
{
	const struct engine_stats *s = &k->stats;

	fprintf(stderr,
		"%s: %" PRIu64 " delivered = %" PRIu64 " put_back + %" PRIu64
		" put_back_failed + %" PRId64 " unexplained\n",
		k->ifname, s->delivered, s->put_back, s->put_back_failed,
		(int64_t)(s->delivered - s->put_back - s->put_back_failed));
}

static uint64_t counted(const struct flow_sums *f)
{
	uint64_t sum = f->in_flows.packets + f->no_room.packets;
	int i;

	for (i = 0; i < REASON_N; i++)
		sum += f->reason[i].packets;
	return sum;
}

static void print_flows(const struct capture_link_losses *k)
{
	const struct flow_sums *f = &k->flows;
	uint64_t in_flows = f->in_flows.packets, no_room = f->no_room.packets, n;
	int i;

	fprintf(stderr,
		"%s: %" PRIu64 " delivered = %" PRIu64 " in_flows + %" PRIu64 " no_flow_room +",
		k->ifname, k->stats.delivered, in_flows, no_room);
	for (i = 0; i < REASON_N; i++) {
		n = f->reason[i].packets;
		if (n)
			fprintf(stderr, " %" PRIu64 " %s +", n, reason_names[i]);
	}
	fprintf(stderr, " %" PRId64 " unexplained\n  in_flows: %" PRIu64 " flows\n",
		(int64_t)(k->stats.delivered - counted(f)), f->flows);
}

static void print_link(const struct capture_link_losses *k, enum sample_mode sample)
{
	print_choices(k);
	if (sample == SAMPLE_MODE_COPY) {
		fprintf(stderr,
			"%s: %" PRIu64 " copied = %" PRIu64 " delivered + %" PRId64
			" unexplained\n",
			k->ifname, copied(k), k->stats.delivered, unexplained(k));
		return;
	}
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
	if (k->tally.sample[SAMPLE_NO_CREDIT].packets)
		fprintf(stderr,
			"  no_credit: the engine was full, stopped or starved at that moment, so passed uncaptured\n");
	if (k->tally.sample[SAMPLE_TOO_LONG].packets)
		fprintf(stderr,
			"  too_long: above the %d bytes that can be put back, so passed uncaptured\n",
			REINJECT_MOST);
	if (k->tally.sample[SAMPLE_COPY_LOST].packets)
		fprintf(stderr,
			"  copy_lost: the ring buffer was full, so passed uncaptured: try a larger --ring, or "
			"a smaller -s\n");
	if (k->tally.sample[SAMPLE_SKIPPED].packets)
		fprintf(stderr, "  skipped: not in the sample (--rate, --flow-rate), and passed\n");
	if (k->stats.put_back_failed)
		fprintf(stderr,
			"  put_back_failed: captured, but the kernel did not take them back: the host "
			"never got them\n");
	if (k->stats.credit_recovered)
		fprintf(stderr,
			"  the credit of %" PRIu64
			" frames was recovered: redirected, and dropped on the way\n",
			k->stats.credit_recovered);
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
			"(rx_queue_N_drops, rx_queue_N_xdp_drops)\n",
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
		s.lost += redirected(k) + copied(k) - k->stats.delivered +
			  k->tally.sample[SAMPLE_COPY_LOST].packets;
	}
	return s;
}

static void print_owners(const struct capture_losses *l)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < OWNER_HOW_N; i++)
		sum += l->by_how[i];
	fprintf(stderr, "%" PRIu64 " attributed =", sum);
	for (i = OWNER_NONE + 1; i < OWNER_HOW_N; i++)
		fprintf(stderr, " %" PRIu64 " %s +", l->by_how[i], owner_how_names[i]);
	fprintf(stderr, " %" PRIu64 " %s\n", l->by_how[OWNER_NONE], owner_how_names[OWNER_NONE]);
	if (l->owner_events_lost)
		fprintf(stderr,
			"  %" PRIu64 " owner events came too fast; the sockets were walked again\n",
			l->owner_events_lost);
}

void capture_losses__print(const struct capture_losses *l)
{
	const struct sums s = sum_links(l);
	uint64_t named = l->written + l->filtered + l->past_count + l->output_dropped +
			 l->output_failed;
	unsigned i;

	fprintf(stderr,
		"%" PRIu64 " packets captured\n%" PRIu64 " packets received by filter\n%" PRId64
		" packets dropped\n",
		l->written, s.matched, s.lost + (int64_t)(l->output_dropped + l->output_failed));
	for (i = 0; i < l->links; i++) {
		print_link(&l->link[i], l->sample);
		if (l->sample == SAMPLE_MODE_INLINE)
			print_way_back(&l->link[i]);
		if (l->sample == SAMPLE_MODE_TAP)
			print_flows(&l->link[i]);
		print_reasons(&l->link[i]);
	}
	fprintf(stderr,
		"%" PRIu64 " delivered = %" PRIu64 " written + %" PRIu64 " filtered + %" PRIu64
		" past_count + %" PRIu64 " output_dropped + %" PRIu64 " output_failed + %" PRId64
		" unexplained\n",
		s.delivered, l->written, l->filtered, l->past_count, l->output_dropped,
		l->output_failed, (int64_t)(s.delivered - named));
	if (l->output_dropped)
		fprintf(stderr, "  output_dropped: the file could not be written fast enough\n");
	if (l->output_failed)
		fprintf(stderr, "  output_failed: taken, but writing had failed\n");
	if (l->owners)
		print_owners(l);
	if (l->files > 1)
		fprintf(stderr, "%llu files\n", l->files);
}

/* ---- as JSON ---- */

static json_t *flows_object(const struct flow_sums *f)
{
	json_t *o = json_object();
	int i;

	json_object_set_new(o, "flows", json_integer(f->flows));
	json_object_set_new(o, "in_flows", json_integer(f->in_flows.packets));
	json_object_set_new(o, "no_flow_room", json_integer(f->no_room.packets));
	for (i = 0; i < REASON_N; i++)
		if (f->reason[i].packets)
			json_object_set_new(o, reason_names[i], json_integer(f->reason[i].packets));
	return o;
}

static json_t *link_object(const struct capture_link_losses *k, enum sample_mode sample)
{
	json_t *o = json_object(), *reasons = json_object();
	const struct engine_stats *s = &k->stats;
	int i;

	json_object_set_new(o, "name", json_string(k->ifname));
	json_object_set_new(o, "seen", json_integer(k->tally.seen.packets));
	json_object_set_new(o, "matched", json_integer(capture_link_losses__matched(k)));
	for (i = 0; i < SAMPLE_N; i++)
		json_object_set_new(reasons, sample_names[i],
				    json_integer(k->tally.sample[i].packets));
	json_object_set_new(o, "matched_as", reasons);
	json_object_set_new(o, "delivered", json_integer(s->delivered));
	json_object_set_new(o, "rx_dropped", json_integer(s->rx_dropped));
	json_object_set_new(o, "rx_ring_full", json_integer(s->rx_ring_full));
	json_object_set_new(o, "rx_invalid", json_integer(s->rx_invalid));
	json_object_set_new(o, "unexplained", json_integer(unexplained(k)));
	if (sample == SAMPLE_MODE_TAP)
		json_object_set_new(o, "counted", flows_object(&k->flows));
	if (sample != SAMPLE_MODE_INLINE)
		return o;
	json_object_set_new(o, "put_back", json_integer(s->put_back));
	json_object_set_new(o, "put_back_failed", json_integer(s->put_back_failed));
	json_object_set_new(o, "credit_recovered", json_integer(s->credit_recovered));
	return o;
}

int capture_losses__write(const struct capture_losses *l, const char *path)
{
	static const char *const name[] = { "none", "tap", "inline", "copy" };
	json_t *o = json_object(), *links = json_array(), *owners = json_object();
	const struct sums s = sum_links(l);
	unsigned i;
	int err;

	for (i = 0; i < l->links; i++)
		json_array_append_new(links, link_object(&l->link[i], l->sample));
	json_object_set_new(o, "sample", json_string(name[l->sample]));
	json_object_set_new(o, "interfaces", links);
	json_object_set_new(o, "delivered", json_integer(s.delivered));
	json_object_set_new(o, "written", json_integer(l->written));
	json_object_set_new(o, "filtered", json_integer(l->filtered));
	for (i = 0; i < OWNER_HOW_N; i++)
		json_object_set_new(owners, owner_how_names[i], json_integer(l->by_how[i]));
	if (l->owners)
		json_object_set(o, "attribution", owners);
	json_decref(owners);
	json_object_set_new(o, "filtered", json_integer(l->filtered));
	json_object_set_new(o, "past_count", json_integer(l->past_count));
	json_object_set_new(o, "output_dropped", json_integer(l->output_dropped));
	json_object_set_new(o, "output_failed", json_integer(l->output_failed));
	errno = 0;
	err = json_dump_file(o, path, JSON_INDENT(2)) ? -(errno ? errno : EIO) : 0;
	json_decref(o);
	return err ? fail(err, NULL, "write the summary to %s", path) : 0;
}
