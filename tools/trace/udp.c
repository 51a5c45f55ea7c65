// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace udp: what each UDP socket carried, when it is closed, and each interval. */
#include "tracers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "attrib/trace_udp.h"
#include "attrib/trace_udp.skel.h"
#include "endpoints.h"
#include "trace.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "trace udp",
	.synopsis = "[OPTION]... [interval [count]]",
	.about =
		"One line for each UDP socket when it is closed, on the whole host, with its owner: datagrams and payload\n"
		"sent, received (arrived for the socket) and read (by its process), and what was dropped because it had no\n"
		"room. With an interval also a line for each socket that moved anything in it. Sockets that are still open\n"
		"at the end get their line then. REMOTE is * where there were several peers.",
	.examples =
		"  wirewho trace udp --port 53              who asks which name server\n"
		"  wirewho trace udp 1                      every second, who sends and receives\n"
		"  wirewho trace udp --jsonl - | jq .wirewho.udp\n",
};

struct udp {
	struct trace_opts opts;
	struct opt_list ports;
	struct trace_udp_choice choice;
	struct trace *trace;
	struct trace_udp_bpf *skel;
	struct endpoints *endpoints;
};

static const char *const actions[] = {
	[UDP_CLOSED] = "udp-close", [UDP_OPEN] = "udp-open", [UDP_INTERVAL] = "udp-interval"
};

/* The socket's own end opened it if it sent before it received. */
static int opened(const struct udp_times *t)
{
	if (!t->first_sent && !t->first_received)
		return -1;
	return t->first_sent && (!t->first_received || t->first_sent <= t->first_received);
}

static struct endpoint endpoint__of(const struct trace_udp_event *e)
{
	return (struct endpoint){
		.time = e->time,
		.key = &e->key,
		.netns = e->netns,
		.who = &e->who,
		.how = e->how,
		.opened = opened(&e->times),
	};
}

/* ---- lines ---- */

static void event__print(struct udp *x, const struct trace_udp_event *e)
{
	const struct udp_counts *n = &e->counts;
	struct endpoint p = endpoint__of(e);
	FILE *out = trace__out(x->trace);

	endpoints__line(x->endpoints, &p);
	fprintf(out, " %7llu %10llu %7llu %10llu %7llu %10llu %7llu %6llu", n->sent.packets,
		n->sent.bytes, n->received.packets, n->received.bytes, n->read.packets,
		n->read.bytes, n->dropped, n->send_errors + n->receive_errors);
	if (e->kind == UDP_CLOSED)
		fprintf(out, " %.3f ms", (double)(e->time - e->times.begun) / 1000000);
	else
		fputs(e->kind == UDP_OPEN ? " open" : " -", out);
	fprintf(out, "%s%s\n", e->error ? " " : "", e->error ? strerrorname_np(e->error) : "");
}

static void print_heads(struct udp *x)
{
	endpoints__heads(x->endpoints);
	fprintf(trace__out(x->trace), " %7s %10s %7s %10s %7s %10s %7s %6s %s\n", "SENT", "BYTES",
		"RECEIVED", "BYTES", "READ", "BYTES", "DROPPED", "ERRORS", "AGE");
}

/* ---- records ---- */

static json_t *count__json(const struct count *n)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)n->packets, "bytes",
			 (json_int_t)n->bytes);
}

/* NULL, which leaves it out: never. */
static json_t *time__json(const struct udp *x, uint64_t ns)
{
	return ns ? trace__time(x->trace, ns) : NULL;
}

static json_t *times__json(const struct udp *x, const struct udp_times *t)
{
	return json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*}", "connected", time__json(x, t->connected),
			 "first_sent", time__json(x, t->first_sent), "last_sent",
			 time__json(x, t->last_sent), "first_received",
			 time__json(x, t->first_received), "last_received",
			 time__json(x, t->last_received));
}

static json_t *udp__json(const struct udp *x, const struct trace_udp_event *e)
{
	const struct udp_counts *n = &e->counts;
	json_t *udp = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:s*, s:b}", "sent",
				count__json(&n->sent), "received", count__json(&n->received),
				"read", count__json(&n->read), "dropped", (json_int_t)n->dropped,
				"send_errors", (json_int_t)n->send_errors, "receive_errors",
				(json_int_t)n->receive_errors, "error",
				e->error ? strerrorname_np(e->error) : NULL, "several_peers",
				e->several != 0);

	json_object_update_new(udp, times__json(x, &e->times));
	return udp;
}

static void event__write(struct udp *x, const struct trace_udp_event *e)
{
	struct endpoint p = endpoint__of(e);
	json_t *record = endpoints__record(x->endpoints, &p, actions[e->kind],
					   json_pack("{s:o}", "udp", udp__json(x, e)));

	if (e->kind != UDP_INTERVAL)
		trace__add_times(x->trace, record, e->times.begun, e->time);
	trace__write(x->trace, record);
}

/* ---- events ---- */

static void udp__event(void *self, const void *data, size_t size)
{
	const struct trace_udp_event *e = data;
	struct udp *x = self;

	if (size < sizeof(*e))
		return;
	if (trace__out(x->trace))
		event__print(x, e);
	else
		event__write(x, e);
}

static void udp__look(void *self, uint64_t now)
{
	endpoints__look(((struct udp *)self)->endpoints, now);
}

/* ---- sockets that are open ---- */

/* A read may end inside an event. */
static int read_all(struct udp *x, int fd)
{
	struct trace_udp_event events[64];
	size_t have = 0, i;
	ssize_t n;

	while ((n = read(fd, (char *)events + have, sizeof(events) - have)) != 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		have += n;
		for (i = 0; i < have / sizeof(*events); i++)
			udp__event(x, &events[i], sizeof(events[i]));
		trace__add_events(x->trace, i);
		memmove(events, &events[i], have % sizeof(*events));
		have %= sizeof(*events);
	}
	return 0;
}

/* `program` goes over the storage of every socket that has any. */
static int walk(struct udp *x, const struct bpf_program *program)
{
	union bpf_iter_link_info info = { .map.map_fd = bpf_map__fd(x->skel->maps.udp_lives) };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	int link = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &opts);
	int fd = link < 0 ? -1 : bpf_iter_create(link);
	int err = fd < 0 ? -errno : read_all(x, fd);

	if (fd >= 0)
		close(fd);
	if (link >= 0)
		close(link);
	return err ? fail(err, NULL, "go over the UDP sockets that are open") : 0;
}

static int udp__interval(void *self, bool last)
{
	struct udp *x = self;
	int err = x->opts.interval ? walk(x, x->skel->progs.udp_interval) : 0;

	return !err && last ? walk(x, x->skel->progs.udp_open) : err;
}

/* ---- opening and closing ---- */

static int prepare(struct udp *x)
{
	memcpy((void *)&x->skel->rodata->choice, &x->choice, sizeof(x->choice));
	x->skel->rodata->filter = *trace__filter(x->trace);
	return endpoints__open(&x->endpoints, x->trace, x->skel->obj);
}

static int load(struct udp *x)
{
	static const struct trace_hook hooks[] = {
		{ .program = "udp_on_output" },
		{ .program = "udp_on_input" },
		{ .program = "udp_on_send",
		  .instead = { "udp_sent_inet", "udp_sent_inet6" },
		  .loss = "send errors are not counted" },
		{ .program = "udp_on_receive",
		  .instead = { "udp_received_inet", "udp_received_inet6" },
		  .loss = "what processes read, and receive errors, are not counted" },
		{ .program = "udp_on_full", .loss = "datagrams without room are not counted" },
		{ .program = "udp_on_connect4" },
		{ .program = "udp_on_connect6" },
		{ .program = "udp_on_release" },
		{ .program = "udp_open" },
		{ .program = "udp_interval" },
	};

	return trace__load(x->trace, x->skel->obj, hooks, sizeof(hooks) / sizeof(*hooks));
}

static int udp__open(void *self, struct trace *t)
{
	struct udp *x = self;
	int err;

	x->trace = t;
	x->skel = trace_udp_bpf__open();
	if (!x->skel)
		return fail(-errno, NULL, "open the UDP tracer's programs");
	err = prepare(x);
	if (!err)
		err = load(x);
	if (!err)
		err = endpoints__snapshot(x->endpoints);
	if (!err && trace__out(t))
		print_heads(x);
	return err;
}

static void udp__close(void *self)
{
	struct udp *x = self;

	trace_udp_bpf__destroy(x->skel);
	endpoints__close(x->endpoints);
}

static const struct tracer tracer = {
	.name = "udp",
	.what = "UDP sockets",
	.open = udp__open,
	.look = udp__look,
	.event = udp__event,
	.interval = udp__interval,
	.close = udp__close,
};

int trace_udp(int argc, char **argv)
{
	struct udp x = { 0 };
	const struct opt opts[] = {
		{ 0, "port", "N", "only this port, at either end; may be given several times",
		  OPT_LIST, &x.ports, 0, 0, NULL },
		TRACE_OPTS(&x.opts),
		{ 0 },
	};
	int code = trace__parse(&x.opts, argc, argv, &usage, opts);

	if (code < 0 && endpoints__ports(&x.ports, x.choice.port, TRACE_UDP_PORTS, &x.choice.ports))
		code = 2;
	if (code < 0)
		code = trace__run(&x.opts, &tracer, &x);
	opt_list__free(&x.ports);
	return code;
}
