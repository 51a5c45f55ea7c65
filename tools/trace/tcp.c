// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace tcp: every state change of every connection, and its sums when it is closed. */
#include "tracers.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "attrib/trace_tcp.h"
#include "attrib/trace_tcp.skel.h"
#include "endpoints.h"
#include "smalls.h"
#include "trace.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "trace tcp",
	.synopsis = "[OPTION]... [interval [count]]",
	.about =
		"One line for each change of a TCP connection's state, on the whole host, with the socket's owner and how\n"
		"long the state before lasted; and when a connection is closed, what it carried. --states, --connect,\n"
		"--accept and --close choose lines; without them all are shown. A ~ marks a time that was found by looking\n"
		"(SYN_RECV and TIME_WAIT that end without a socket): it may be a second late.",
	.examples =
		"  wirewho trace tcp --connect --accept       who opens connections, and to whom\n"
		"  wirewho trace tcp --close --port 443       what each carried\n"
		"  wirewho trace tcp -p 4242 --jsonl - | jq .wirewho.tcp\n",
};

struct tcp {
	struct trace_opts opts;
	bool states, connect, accept, close;
	struct opt_list ports;
	struct trace_tcp_choice choice;
	unsigned lines; /* enum tcp_line bits */
	struct trace *trace;
	struct trace_tcp_bpf *skel;
	struct endpoints *endpoints;
	struct smalls *smalls;
};

/* One change, from wherever it was learned. */
struct change {
	const struct trace_tcp_event *e;
	uint64_t time, since; /* since: 0 not known */
	uint8_t before, after;
	bool looked;
};

static const char *state_name(uint8_t state)
{
	static const char *const names[STATE_N] = {
#define X(number, name) [number] = #name,
		TCP_STATES(X)
#undef X
	};

	return state < STATE_N && names[state] ? names[state] : "?";
}

static struct endpoint endpoint__of(const struct trace_tcp_event *e, uint64_t time)
{
	return (struct endpoint){
		.time = time,
		.key = &e->key,
		.netns = e->netns,
		.who = &e->who,
		.how = e->how,
		.opened = e->role == TCP_ROLE_UNKNOWN ? -1 : e->role == TCP_ROLE_CONNECTED,
	};
}

/* "Connection refused" of a connection that failed, or NULL. */
static const char *error_name(const struct trace_tcp_event *e)
{
	return e->error ? strerrorname_np(e->error) : NULL;
}

/* ---- state lines ---- */

static void change__print(struct tcp *x, const struct change *c)
{
	struct endpoint p = endpoint__of(c->e, c->time);
	FILE *out = trace__out(x->trace);
	const char *error = c->after == STATE_CLOSE ? error_name(c->e) : NULL;

	endpoints__line(x->endpoints, &p);
	fprintf(out, " %-11s -> %-11s ", state_name(c->before), state_name(c->after));
	if (c->since)
		fprintf(out, "%s%.3f ms", c->looked ? "~" : "",
			(double)(c->time - c->since) / 1000000);
	else
		fputs("-", out);
	fprintf(out, "%s%s\n", error ? " " : "", error ? error : "");
}

static void change__write(struct tcp *x, const struct change *c)
{
	struct endpoint p = endpoint__of(c->e, c->time);
	json_t *spent = c->since ? json_integer(c->time - c->since) : NULL;
	const char *error = c->after == STATE_CLOSE ? error_name(c->e) : NULL;
	json_t *tcp = json_pack("{s:s, s:s, s:o*, s:s*, s:b}", "old_state", state_name(c->before),
				"new_state", state_name(c->after), "old_state_ns", spent, "error",
				error, "looked", c->looked);

	trace__write(x->trace, endpoints__record(x->endpoints, &p, "tcp-state",
						 json_pack("{s:o}", "tcp", tcp)));
}

static bool is_wanted(const struct tcp *x, const struct change *c)
{
	bool opening = c->before == STATE_SYN_SENT || c->before == STATE_SYN_RECV;
	bool opened = opening && c->after == STATE_ESTABLISHED;

	if (x->lines & TCP_LINE_STATES)
		return true;
	if (c->e->role == TCP_ROLE_CONNECTED)
		return x->lines & TCP_LINE_CONNECT &&
		       (opened || (opening && c->after == STATE_CLOSE));
	return x->lines & TCP_LINE_ACCEPT && opened;
}

static void tell(struct tcp *x, const struct change *c)
{
	if (!is_wanted(x, c))
		return;
	trace__add_events(x->trace, 1);
	if (trace__out(x->trace))
		change__print(x, c);
	else
		change__write(x, c);
}

/* ---- sums ---- */

static void sums__print(struct tcp *x, const struct trace_tcp_event *e)
{
	struct endpoint p = endpoint__of(e, e->time);
	const struct trace_tcp_sums *s = &e->sums;
	FILE *out = trace__out(x->trace);
	const char *error = error_name(e);

	endpoints__line(x->endpoints, &p);
	fputs(" closed", out);
	if (e->begun)
		fprintf(out, " after %.3f ms", (double)(e->time - e->begun) / 1000000);
	fprintf(out, ": sent %llu bytes in %u segments, received %llu in %u, %u sent again",
		s->sent_bytes, s->sent_segments + s->synacks, s->received_bytes,
		s->received_segments, s->repeated);
	if (s->rtt_us)
		fprintf(out, ", rtt %.3f ms", s->rtt_us / 1000.0);
	fprintf(out, "%s%s%s%s%s\n", error ? ", " : "", error ? error : "",
		e->reset & TCP_RESET_SENT ? ", reset sent" : "",
		e->reset & TCP_RESET_RECEIVED ? ", reset received" : "",
		e->begun ? "" : "; it is older than this run");
}

static json_t *sums__json(const struct trace_tcp_event *e)
{
	const struct trace_tcp_sums *s = &e->sums;

	return json_pack(
		"{s:s, s:s*, s:s*, s:b, s:b, s:o*, s:{s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
		"old_state", state_name(e->before), "timewait",
		e->timewait ? state_name(e->timewait) : NULL, "error", error_name(e), "reset_sent",
		(e->reset & TCP_RESET_SENT) != 0, "reset_received",
		(e->reset & TCP_RESET_RECEIVED) != 0, "rtt_us",
		s->rtt_us ? json_integer(s->rtt_us) : NULL, "sent", "segments",
		(json_int_t)s->sent_segments + s->synacks, "data_segments",
		(json_int_t)s->sent_data, "payload_bytes", (json_int_t)s->sent_bytes,
		"retransmitted_segments", (json_int_t)s->repeated, "retransmitted_bytes",
		(json_int_t)s->repeated_bytes, "received", "segments",
		(json_int_t)s->received_segments, "data_segments", (json_int_t)s->received_data,
		"payload_bytes", (json_int_t)s->received_bytes);
}

static void sums__write(struct tcp *x, const struct trace_tcp_event *e)
{
	struct endpoint p = endpoint__of(e, e->time);
	json_t *record = endpoints__record(x->endpoints, &p, "tcp-close",
					   json_pack("{s:o}", "tcp", sums__json(e)));

	if (e->begun)
		trace__add_times(x->trace, record, e->begun, e->time);
	trace__write(x->trace, record);
}

static void tell_sums(struct tcp *x, const struct trace_tcp_event *e)
{
	trace__add_events(x->trace, 1);
	if (trace__out(x->trace))
		sums__print(x, e);
	else
		sums__write(x, e);
}

/* ---- events ---- */

/* The state before was entered when the ends were not known yet. Of a request it was told then. */
static uint64_t tell_untold(struct tcp *x, const struct trace_tcp_event *e)
{
	uint64_t asked = 0;

	if (e->before == STATE_SYN_RECV)
		asked = smalls__take(x->smalls, &e->key, e->netns, STATE_SYN_RECV, NULL);
	if (asked)
		return asked;
	tell(x,
	     &(struct change){ .e = e, .time = e->since, .before = e->untold, .after = e->before });
	return e->since;
}

/* The same ends begin anew: the kernel has let go of the time-wait socket. */
static void end_timewait(struct tcp *x, const struct trace_tcp_event *e)
{
	struct trace_tcp_event last;
	struct change c = {
		.e = &last, .time = e->time, .before = STATE_TIME_WAIT, .after = STATE_CLOSE
	};

	c.since = smalls__take(x->smalls, &e->key, e->netns, STATE_TIME_WAIT, &last);
	if (c.since)
		tell(x, &c);
}

static void on_state(struct tcp *x, const struct trace_tcp_event *e)
{
	struct change c = {
		.e = e, .time = e->time, .since = e->since, .before = e->before, .after = e->after
	};

	if (e->after == STATE_SYN_SENT)
		end_timewait(x, e);
	if (e->untold)
		c.since = tell_untold(x, e);
	if (e->timewait == STATE_TIME_WAIT)
		c.after = STATE_TIME_WAIT;
	/* A time-wait socket goes on in FIN_WAIT2: no change yet. */
	if (e->timewait != STATE_FIN_WAIT2 ||
	    smalls__add(x->smalls, e, STATE_FIN_WAIT2, c.since ? c.since : e->time))
		tell(x, &c);
	if (e->timewait == STATE_TIME_WAIT && x->lines & TCP_LINE_STATES)
		smalls__add(x->smalls, e, STATE_TIME_WAIT, e->time);
}

/* False: it is nobody's that is asked for. */
static bool find_listener(struct tcp *x, struct trace_tcp_event *e)
{
	enum owner_how how = OWNER_NONE;
	const struct who *who = endpoints__listener(x->endpoints, &e->key, e->netns, &how);

	if (who) {
		e->who = *who;
		e->how = OWNER_LISTENER;
	}
	return trace__takes(x->trace, &e->who);
}

static void on_request(struct tcp *x, const struct trace_tcp_event *told)
{
	struct trace_tcp_event e = *told;

	end_timewait(x, &e);
	if (!find_listener(x, &e))
		return;
	tell(x, &(struct change){
			.e = &e, .time = e.time, .before = STATE_LISTEN, .after = STATE_SYN_RECV });
	smalls__add(x->smalls, &e, STATE_SYN_RECV, e.time);
}

/* A connection without full socket has changed. */
static void on_small(void *arg, const struct trace_tcp_event *e, __u64 since, __u8 from, __u8 to,
		     __u64 time)
{
	tell(arg, &(struct change){ .e = e,
				    .time = time,
				    .since = since,
				    .before = from,
				    .after = to,
				    .looked = true });
}

static void tcp__event(void *self, const void *data, size_t size)
{
	const struct trace_tcp_event *e = data;
	struct tcp *x = self;

	if (size < sizeof(*e))
		return;
	if (e->kind == TRACE_TCP_REQUEST) {
		on_request(x, e);
		return;
	}
	if (e->kind == TRACE_TCP_STATE)
		on_state(x, e);
	else
		tell_sums(x, e);
}

static void tcp__look(void *self, uint64_t now)
{
	struct tcp *x = self;

	endpoints__look(x->endpoints, now);
	smalls__look(x->smalls, now);
}

/* ---- opening and closing ---- */

static int load(struct tcp *x)
{
	const struct trace_hook hooks[] = {
		{ .program = "tcp_on_state" },
		{ .program = "tcp_on_change" },
		{ .program = "tcp_on_destroy" },
		{ .program = "tcp_on_reset_sent",
		  .loss = "resets that this host sends are not named" },
		{ .program = "tcp_on_reset_received", .loss = "received resets are not named" },
		{ .program = "tcp_on_connect", .off = !(x->lines & TCP_LINE_STATES) },
		{ .program = "tcp_on_request",
		  .off = !(x->lines & (TCP_LINE_STATES | TCP_LINE_ACCEPT)) },
		{ .program = "tcp_small_sockets" },
	};

	return trace__load(x->trace, x->skel->obj, hooks, sizeof(hooks) / sizeof(*hooks));
}

static int prepare(struct tcp *x)
{
	memcpy((void *)&x->skel->rodata->choice, &x->choice, sizeof(x->choice));
	x->skel->rodata->filter = *trace__filter(x->trace);
	return endpoints__open(&x->endpoints, x->trace, x->skel->obj);
}

/* Connections to it are told from the SYN on. */
static void on_listener(void *self, const struct flow_key *key, uint64_t netns)
{
	struct tcp *x = self;
	struct trace_tcp_place place = { .netns = netns, .port = ntohs(key->sport) };
	uint8_t yes = 1;

	if (bpf_map_update_elem(bpf_map__fd(x->skel->maps.tcp_listeners), &place, &yes, BPF_ANY))
		x->skel->bss->all_listen = 1;
}

static int tcp__open(void *self, struct trace *t)
{
	struct tcp *x = self;
	int err;

	x->trace = t;
	x->skel = trace_tcp_bpf__open();
	if (!x->skel)
		return fail(-errno, NULL, "open the TCP tracer's programs");
	err = prepare(x);
	if (!err)
		err = load(x);
	if (!err)
		err = smalls__open(&x->smalls, bpf_program__fd(x->skel->progs.tcp_small_sockets),
				   on_small, x);
	if (!err) {
		endpoints__tell_listeners(x->endpoints, on_listener, x);
		err = endpoints__snapshot(x->endpoints);
	}
	if (!err && trace__out(t)) {
		endpoints__heads(x->endpoints);
		fputs(" STATE\n", trace__out(t));
	}
	return err;
}

static void tcp__close(void *self)
{
	struct tcp *x = self;

	if (x->smalls && smalls__missed(x->smalls))
		say(SAY_NOTE,
		    "%llu connections without a socket could not be looked after: how SYN_RECV, FIN_WAIT2 or "
		    "TIME_WAIT ended is not told of them",
		    smalls__missed(x->smalls));
	smalls__close(x->smalls);
	trace_tcp_bpf__destroy(x->skel);
	endpoints__close(x->endpoints);
}

static const struct tracer tracer = {
	.name = "tcp",
	.what = "TCP connections",
	.open = tcp__open,
	.look = tcp__look,
	.event = tcp__event,
	.counts = true,
	.close = tcp__close,
};

static unsigned chosen(const struct tcp *x)
{
	unsigned lines = (x->states ? TCP_LINE_STATES : 0) | (x->connect ? TCP_LINE_CONNECT : 0) |
			 (x->accept ? TCP_LINE_ACCEPT : 0) | (x->close ? TCP_LINE_CLOSE : 0);

	return lines ? lines : TCP_LINE_STATES | TCP_LINE_CLOSE;
}

int trace_tcp(int argc, char **argv)
{
	struct tcp x = { 0 };
	const struct opt opts[] = {
		{ 0, "states", NULL, "every change of a state", OPT_FLAG, &x.states, 0, 0, NULL },
		{ 0, "connect", NULL, "connections that were opened from here, or could not be",
		  OPT_FLAG, &x.connect, 0, 0, NULL },
		{ 0, "accept", NULL, "connections that were opened from elsewhere", OPT_FLAG,
		  &x.accept, 0, 0, NULL },
		{ 0, "close", NULL, "sums of connections that were closed", OPT_FLAG, &x.close, 0,
		  0, NULL },
		{ 0, "port", "N", "only this port, at either end; may be given several times",
		  OPT_LIST, &x.ports, 0, 0, NULL },
		TRACE_OPTS(&x.opts),
		{ 0 },
	};
	int code = trace__parse(&x.opts, argc, argv, &usage, opts);

	x.lines = x.choice.lines = chosen(&x);
	if (code < 0 && endpoints__ports(&x.ports, x.choice.port, TRACE_TCP_PORTS, &x.choice.ports))
		code = 2;
	if (code < 0)
		code = trace__run(&x.opts, &tracer, &x);
	opt_list__free(&x.ports);
	return code;
}
