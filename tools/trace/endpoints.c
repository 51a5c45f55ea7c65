// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "endpoints.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "attrib/join.h"
#include "attrib/owners.h"
#include "tools/outputs/ecs.h"
#include "tools/outputs/output.h"
#include "xdp/say.h"

#define NS 1000000000ull
#define RENEW_NS (5 * NS) /* between two snapshots after lost events */

struct endpoints {
	struct trace *trace;
	struct owners *owners;
	struct join *join; /* knows who listens where; it counts nothing here */
	uint64_t lost, renewed, ticked;
	listener_fn listener;
	void *to;
};

static void on_owner(void *to, const struct owner_event *e)
{
	struct endpoints *p = to;

	trace__owner_event(p->trace, e);
	join__owner(p->join, e);
	if (e->turn) /* nothing is counted here */
		owners__turned(p->owners, e);
	if (p->listener && e->kind == OWNER_SOCKET && e->listening &&
	    trace__takes(p->trace, &e->who))
		p->listener(p->to, &e->key, e->netns);
}

int endpoints__open(struct endpoints **out, struct trace *t, struct bpf_object *obj)
{
	const struct join_opts opts = { .live = true, .forget_after = 60 * NS };
	struct endpoints *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return fail(-ENOMEM, NULL, "make room for the sockets");
	p->trace = t;
	err = join__open(&p->join, &opts);
	if (!err)
		err = owners__open(&p->owners, trace__cgroup_id(t), on_owner, p);
	if (!err && owners__lend_sockets(p->owners, obj))
		err = fail(-ENOENT, NULL, "share the sockets' owners with the tracer");
	if (err) {
		endpoints__close(p);
		return err;
	}
	*out = p;
	return 0;
}

void endpoints__close(struct endpoints *p)
{
	if (!p)
		return;
	owners__close(p->owners);
	join__close(p->join);
	free(p);
}

void endpoints__tell_listeners(struct endpoints *p, listener_fn fn, void *to)
{
	p->listener = fn;
	p->to = to;
}

int endpoints__snapshot(struct endpoints *p)
{
	return owners__snapshot(p->owners);
}

/* Lost events take nothing from a socket's storage: only the listeners that user space knows are asked for again. */
static void renew(struct endpoints *p, uint64_t now)
{
	uint64_t lost = owners__lost(p->owners);

	if (lost == p->lost || now - p->renewed < RENEW_NS)
		return;
	p->lost = lost;
	p->renewed = now;
	join__snapshot_begins(p->join);
	owners__snapshot(p->owners);
	join__snapshot_ends(p->join);
}

void endpoints__look(struct endpoints *p, uint64_t now)
{
	owners__read(p->owners);
	renew(p, now);
	if (now - p->ticked < NS)
		return;
	join__tick(p->join, now);
	p->ticked = now;
}

const struct who *endpoints__listener(struct endpoints *p, const struct flow_key *key,
				      uint64_t netns, enum owner_how *how)
{
	const struct who *who;

	join__set_netns(p->join, key->link, netns);
	who = join__who(p->join, key, how);
	if (who)
		return who;
	/* It may have begun to listen since the last look. */
	owners__read(p->owners);
	return join__who(p->join, key, how);
}

/* ---- lines and records ---- */

static bool is_wildcard(const struct flow_key *key, bool source)
{
	static const __u8 any4[4], any6[16];
	const __u8 *addr = source ? key->saddr : key->daddr;

	return key->family == 4 ? !memcmp(addr + 12, any4, 4) : !memcmp(addr, any6, 16);
}

char *endpoint__text(const struct flow_key *key, bool source, char text[ENDPOINT_SIZE])
{
	const __u8 *addr = source ? key->saddr : key->daddr;
	unsigned port = ntohs(source ? key->sport : key->dport);
	char ip[INET6_ADDRSTRLEN];

	if (is_wildcard(key, source) && !port) {
		strcpy(text, "*");
		return text;
	}
	if (is_wildcard(key, source))
		strcpy(ip, "*");
	else if (key->family == 4)
		inet_ntop(AF_INET, addr + 12, ip, sizeof(ip));
	else
		inet_ntop(AF_INET6, addr, ip, sizeof(ip));
	snprintf(text, ENDPOINT_SIZE, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
	return text;
}

#define COLUMNS "%-12s %-10s %7s %-15s %-8s %-21s %-21s"

void endpoints__heads(struct endpoints *p)
{
	fprintf(trace__out(p->trace), COLUMNS, "TIME", "USER", "PID", "COMM", "HOW", "LOCAL",
		"REMOTE");
}

void endpoints__line(struct endpoints *p, const struct endpoint *e)
{
	char clock[TRACE_CLOCK_SIZE], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE], pid[16] = "-";

	if (e->how)
		snprintf(pid, sizeof(pid), "%u", e->who->pid);
	fprintf(trace__out(p->trace), COLUMNS, trace__clock(p->trace, e->time, clock),
		e->how ? trace__user(p->trace, e->who->uid) : "-", pid,
		e->how ? trace__text(p->trace, e->who->comm, sizeof(e->who->comm)) : "-",
		owner_how_names[e->how], endpoint__text(e->key, true, local),
		endpoint__text(e->key, false, remote));
}

/* The end that opened it is the source; else the one with the higher port, as in flow records. */
static bool is_opener(const struct endpoint *e)
{
	if (e->opened >= 0)
		return e->opened;
	return ntohs(e->key->sport) >= ntohs(e->key->dport);
}

/* An end of which nothing is known is left out. */
static json_t *end__json(const struct flow_key *key, bool source)
{
	bool known = !is_wildcard(key, source) || (source ? key->sport : key->dport);

	return known ? ecs__end(key, source) : NULL;
}

/* A flow's id is made of both ends. */
static json_t *network__json(const struct endpoint *e, bool opener)
{
	json_t *network = ecs__network(e->key, opener ? "egress" : "ingress");

	if (!e->key->sport || !e->key->dport)
		json_object_del(network, "community_id");
	return network;
}

json_t *endpoints__record(struct endpoints *p, const struct endpoint *e, const char *action,
			  json_t *ours)
{
	const struct process *process = e->how ? trace__process(p->trace, e->who) : NULL;
	bool opener = is_opener(e);
	json_t *record = trace__record(p->trace, e->time, action, e->how ? e->who : NULL,
				       process ? process->parent : 0,
				       process ? process->exe : NULL);

	json_object_update_new(record,
			       json_pack("{s:o, s:o*, s:o*}", "network", network__json(e, opener),
					 "source", end__json(e->key, opener), "destination",
					 end__json(e->key, !opener)));
	trace__add(record, "attribution", json_string(owner_how_names[e->how]));
	trace__add(record, "local", json_string(opener ? "source" : "destination"));
	trace__add(record, "netns", json_integer(e->netns));
	json_object_update_new(json_object_get(record, "wirewho"), ours);
	return record;
}

int endpoints__ports(const struct opt_list *list, __u16 *port, unsigned most, __u32 *n)
{
	unsigned long long number;
	size_t i;

	if (list->n > most) {
		say(SAY_ERROR, "--port may be given %u times at most, and was %zu times", most,
		    list->n);
		return -EINVAL;
	}
	for (i = 0; i < list->n; i++) {
		if (opt__number(list->item[i], "--port", 1, 65535, &number))
			return -EINVAL;
		port[i] = number;
	}
	*n = list->n;
	return 0;
}
