// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho read: flows out of a capture, by the parser and the join that work on live packets. */
#include "verbs.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attrib/join.h"
#include "tools/opt.h"
#include "tools/outputs/output.h"
#include "tools/capture/read_owner.h"
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/parse.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "read",
	.synopsis = "FILE.pcap[ng]|- [--jsonl FILE|-] [--match EXPR]... [EXPR]",
	.about =
		"Counts a capture as if it came over the wire: one record for each flow, and a ledger in "
		"which every packet stands once. Prints a table, largest flows first, and the ledger on "
		"stderr; with --jsonl, JSON Lines. Who owned a flow is not to be learned from packets, but "
		"where `wirewho capture` wrote the file, their process stands beside them, and is named. "
		"'-' reads standard input.",
	.examples = "wirewho read web.pcapng\n"
		    "wirewho read web.pcapng 'tcp port 80 or tcp port 443'\n"
		    "tcpdump -w - -c 1000 | wirewho read - --jsonl flows.jsonl",
};

/*
 * Link types other than Ethernet: where the EtherType stands (-1: none, the IP version tells) and how long the header
 * is. The numbers of raw IP in files, 12 and 101, are both DLT_RAW to libpcap.
 */
static const struct link {
	int dlt, type, header;
} links[] = {
	{ DLT_RAW, -1, 0 },        { DLT_NULL, -1, 4 },       { DLT_LOOP, -1, 4 },
	{ DLT_LINUX_SLL, 14, 16 }, { DLT_LINUX_SLL2, 0, 20 },
};

struct reading {
	const char *file;
	pcap_t *pcap;
	int dlt;
	struct match match;
	struct read_owner *owner;
	struct join *join;
	struct output *output;
	struct ledger_line line;
	struct ledger ledger;
	struct run_facts facts;
	int err; /* the output's */
};

/* ---- one packet ---- */

static enum reason parse__link(const struct link *l, const __u8 *at, const __u8 *end,
			       struct parsed *p)
{
	if (end - at < l->header)
		return REASON_ETH_SHORT;
	if (l->type < 0 && l->header && end - at == l->header)
		return REASON_NOT_IP; /* a whole link header with nothing behind it */
	if (l->type < 0)
		return parse__raw(at + l->header, end, 0, p);
	p->vlan = 0;
	return parse__tagged(at, at + l->header, end, parse_load16(at + l->type), 0, 0, p);
}

static enum reason parse__captured(int dlt, const __u8 *at, const __u8 *end, struct parsed *p)
{
	if (dlt == DLT_EN10MB)
		return parse__frame(at, end, -1, 0, p);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (links[i].dlt == dlt)
			return parse__link(&links[i], at, end, p);
	return REASON_OTHER_LINK;
}

/* A capture can claim any time; what 64 bits of nanoseconds do not reach becomes the nearest that they do. */
static uint64_t packet__time(const struct pcap_pkthdr *h)
{
	const uint64_t most = UINT64_MAX / 1000000000 - 1;
	uint64_t seconds = h->ts.tv_sec < 0 ? 0 : h->ts.tv_sec;
	uint64_t ns = h->ts.tv_usec; /* the capture was opened so that this is nanoseconds */

	return (seconds > most ? most : seconds) * 1000000000 + (ns < 1000000000 ? ns : 999999999);
}

static void count(struct count *to, const struct count *n)
{
	to->packets += n->packets;
	to->bytes += n->bytes;
}

/*
 * The local end first, where the file says which that is. Returns which end sent the packet, as join__add() wants it.
 */
static int orient(struct flow_key *key, unsigned direction)
{
	if (direction == PCAPNG_INBOUND)
		*key = flow_key__reversed(key);
	else if (direction != PCAPNG_OUTBOUND)
		return flow_key__canonical(key);
	return direction == PCAPNG_INBOUND;
}

/* A number that stands for "the socket that this process has for this flow". */
static uint64_t cookie_of(const struct flow_key *key, const struct who *who)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ who->start ^ (uint64_t)who->pid << 32;
	const uint8_t *at = (const uint8_t *)key;

	for (size_t i = 0; i < sizeof(*key); i++)
		hash = (hash ^ at[i]) * 0x100000001b3ull;
	return hash | 1;
}

static void tell(struct reading *r, enum owner_kind kind, const struct flow_key *key,
		 const struct who *who, enum owner_how how)
{
	const struct owner_event e = { .time = r->ledger.end,
				       .kind = kind,
				       .key = *key,
				       .cookie = cookie_of(key, who),
				       .who = *who,
				       .how = how };

	join__owner(r->join, &e);
}

/* The owner that the file names, told to the join as a socket would: only when it is another than before. */
static void own(struct reading *r, const struct flow_key *key, const struct read_note *note)
{
	const struct who *mine = &note->process->who, *now;
	enum owner_how how;

	now = join__who(r->join, key, &how);
	if (now && now->pid == mine->pid && now->start == mine->start && how <= note->how)
		return;
	if (now && (now->pid != mine->pid || now->start != mine->start))
		tell(r, OWNER_GONE, key, now, how);
	tell(r, OWNER_SOCKET, key, mine, note->how);
}

static void take(struct reading *r, const struct pcap_pkthdr *h, const __u8 *data)
{
	struct count n = { .packets = 1, .bytes = h->len };
	const struct read_note note = read_owner__next(r->owner, h->len);
	uint64_t now = packet__time(h);
	uint32_t handle = HANDLE_NONE;
	struct parsed p;
	enum reason why = parse__captured(r->dlt, data, data + h->caplen, &p);
	int dir;

	if (!r->line.tally.seen.packets)
		r->ledger.start = now;
	if (now > r->ledger.end)
		r->ledger.end = now; /* captures go back in time, the join does not */
	if (why == REASON_FLOW && !match__test(&p, &r->match))
		why = REASON_UNMATCHED;
	count(&r->line.tally.seen, &n);
	count(&r->line.tally.reason[why], &n);
	if (why != REASON_FLOW)
		return;
	dir = orient(&p.flow.key, note.direction);
	if (note.process) {
		r->facts.owned = true;
		own(r, &p.flow.key, &note);
	}
	if (join__add(r->join, &p.flow.key, dir, &n, p.marks, r->ledger.end, &handle))
		r->ledger.join_failed_packets++;
}

/* ---- the capture ---- */

static int capture__open(struct reading *r)
{
	FILE *given = strcmp(r->file, "-") ? fopen(r->file, "rbe") : stdin, *file;
	char why[PCAP_ERRBUF_SIZE];
	int err;

	if (!given)
		return fail(-errno, NULL, "read %s", r->file);
	err = read_owner__open(&r->owner, given, &file);
	if (err) {
		fclose(given);
		return fail(err, NULL, "read %s", r->file);
	}
	r->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!r->pcap) {
		say(SAY_ERROR,
		    "read %s: %s; it should be a pcap or pcapng file, as `wirewho capture` and tcpdump -w write them",
		    r->file, why);
		fclose(file);
		read_owner__close(r->owner);
		return -EINVAL;
	}
	r->dlt = pcap_datalink(r->pcap);
	return 0;
}

/* To the end, or to what cannot be read. Returns 0, or -EIO for pcap_geterr(). */
static int capture__read(struct reading *r)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int got;

	while ((got = pcap_next_ex(r->pcap, &header, &data)) == 1)
		take(r, header, data);
	return got == PCAP_ERROR_BREAK ? 0 : -EIO;
}

/* ---- the records ---- */

static void on_flow(void *to, const struct flow_view *flow)
{
	struct reading *r = to;
	struct flow_record record = {
		.flow = flow,
		.now = flow->end,
		.start = flow->start,
		.end = flow->end,
		.process = flow->who ? read_owner__process(r->owner, flow->who) : NULL,
	};
	int err = r->output->kind->flow(r->output, &record);

	count(&r->ledger.by_how[flow->how], &flow->sent);
	count(&r->ledger.by_how[flow->how], &flow->received);

	if (!r->err)
		r->err = err;
}

static int report(struct reading *r)
{
	int err;

	r->line.ifname = r->line.attach = "";
	r->line.direction = "read";
	r->ledger.line = &r->line;
	r->ledger.lines = 1;
	r->ledger.now = r->ledger.end;
	join__report(r->join, r->ledger.end, on_flow, r);
	err = r->output->kind->ledger(r->output, &r->ledger);
	return r->err ? r->err : err;
}

static int read_all(struct reading *r)
{
	unsigned long long lost, before;
	int cut = capture__read(r), err = report(r);

	lost = r->ledger.join_failed_packets;
	before = r->line.tally.seen.packets;
	if (lost)
		err = fail(-ENOMEM, "try --match to count less", "count %llu of %llu packets", lost,
			   before);
	if (cut) {
		say(SAY_ERROR, "read %s: %s; the %llu packets before it are counted", r->file,
		    pcap_geterr(r->pcap), before);
		err = cut;
	}
	return err;
}

static int run(struct reading *r, const char *jsonl)
{
	static const char *const ifname[] = { "" };
	const struct output_kind *kind = jsonl ? &output_jsonl : &output_table;
	int err = capture__open(r), closed;

	if (err)
		return err;
	r->facts = (struct run_facts){ .ifname = ifname, .links = 1, .file = r->file };
	err = join__open(&r->join, &(struct join_opts){ .live = true });
	if (err) {
		fail(err, NULL, "make the table of flows");
		goto close_capture;
	}
	err = kind->open(&r->output, jsonl, &r->facts);
	if (err)
		goto close_join;
	err = read_all(r);
	closed = kind->close(r->output);
	err = err ? err : closed;
close_join:
	join__close(r->join);
close_capture:
	pcap_close(r->pcap);
	read_owner__close(r->owner);
	return err;
}

/* ---- the command line ---- */

static int select_flows(struct match *m, const char *expr)
{
	char why[160];
	unsigned at;
	int err = match__compile(m, expr, &at, why, sizeof(why));

	if (err)
		match__complain(expr, at, why);
	return err;
}

/* As tcpdump does it: what is left of the command line is one expression, quoted or not. */
static int select_rest(struct match *m, int words, char **word)
{
	size_t size = 1;
	char *expr;
	int err;

	for (int i = 0; i < words; i++)
		size += strlen(word[i]) + 1;
	expr = calloc(1, size);
	if (!expr)
		return fail(-ENOMEM, NULL, "read the expression");
	for (int i = 0; i < words; i++) {
		strcat(expr, i ? " " : "");
		strcat(expr, word[i]);
	}
	err = select_flows(m, expr);
	free(expr);
	return err;
}

int verb_read(int argc, char **argv)
{
	struct reading r = { 0 };
	struct opt_list match = { 0 };
	const char *jsonl = NULL;
	const struct opt opts[] = {
		{ 0, "jsonl", "FILE|-", "write JSON Lines there instead of a table", OPT_TEXT,
		  &jsonl, 0, 0, NULL },
		{ 0, "match", "EXPR", "count these flows only; several: any of them", OPT_LIST,
		  &match, 0, 0, NULL },
		{ 0 },
	};
	int first = opt__parse(argc, argv, &usage, opts), err = 0;

	for (size_t i = 0; first >= 0 && i < match.n && !err; i++)
		err = select_flows(&r.match, match.item[i]);
	opt_list__free(&match);
	if (first == OPT_HELPED)
		return 0;
	if (first == OPT_WRONG || err)
		return 2;
	if (first == argc) {
		say(SAY_ERROR, "read which capture? Try 'wirewho read FILE'");
		return 2;
	}
	if (first + 1 < argc && select_rest(&r.match, argc - first - 1, argv + first + 1))
		return 2;
	r.file = argv[first];
	return run(&r, jsonl) ? 1 : 0;
}
