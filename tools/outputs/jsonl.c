// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* JSON Lines with the Elastic Common Schema's names: one object a flow record, the ledger as the last line. */
#include "output.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "ecs.h"
#include "ledger_json.h"
#include "xdp/say.h"

struct jsonl {
	struct output base;
	const struct run_facts *facts;
	const char *name; /* of the file, for error lines */
	FILE *file;
	uint64_t boot; /* CLOCK_REALTIME ns at which CLOCK_BOOTTIME was 0 */
	int err;       /* the first one: said, and nothing is written after it */
};

/* ---- values ---- */

static json_t *json_count(const struct count *n)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)n->packets, "bytes",
			 (json_int_t)n->bytes);
}

static int jsonl__fail(struct jsonl *j, int err)
{
	j->err = err ? err : -EIO;
	return fail(j->err, NULL, "write to %s", j->name);
}

/* Takes the reference to `line`; NULL stands for one that could not be made. */
static int jsonl__write(struct jsonl *j, json_t *line)
{
	int err = j->err;

	if (!err && !line) {
		err = jsonl__fail(j, -ENOMEM);
	} else if (!err) {
		errno = 0;
		if (json_dumpf(line, j->file, JSON_COMPACT) || fputc('\n', j->file) == EOF)
			err = jsonl__fail(j, -errno);
	}
	json_decref(line);
	return err;
}

/* ---- flow records ---- */

static json_t *end__json(const struct flow_key *key, bool source, const struct count *n)
{
	json_t *end = ecs__end(key, source);

	if (end)
		json_object_update_new(end, json_count(n));
	return end;
}

/* The source of an oriented key is this host; offline nobody knows which side this host is. */
static const char *direction(const struct jsonl *j, bool source_opened)
{
	if (!j->facts->live)
		return NULL;
	return source_opened ? "egress" : "ingress";
}

static json_t *observer__json(const struct jsonl *j, const struct flow_key *key)
{
	if (key->link >= j->facts->links || !*j->facts->ifname[key->link])
		return NULL;
	return json_pack("{s:{s:{s:o*}}}", "ingress", "interface", "name",
			 ecs__text(j->facts->ifname[key->link]));
}

/* Who owns an end: process, user, and where it runs. */
static json_t *owner__json(const struct jsonl *j, const struct who *known, const struct process *p)
{
	const struct who *who = p ? &p->who : known;
	json_t *owner = json_pack("{s:o, s:o}", "process",
				  ecs__process(who, p ? p->parent : 0, p ? p->exe : NULL, j->boot),
				  "user", ecs__user(who->uid, p ? p->user : NULL));
	json_t *container;

	if (!owner || !p)
		return owner;
	container = ecs__container(p->container);
	ecs__add_args(json_object_get(owner, "process"), p->args, p->args_size);
	if (container && p->placement.runtime)
		json_object_set_new(container, "runtime", json_string(p->placement.runtime));
	json_object_update_new(owner, json_pack("{s:o*, s:o*, s:o*}", "container", container,
						"orchestrator", ecs__orchestrator(&p->placement),
						"systemd", ecs__systemd(&p->placement)));
	return owner;
}

/* The owner of the other end, where that is on this host too. */
static json_t *peer__json(const struct jsonl *j, const struct flow_record *r)
{
	json_t *peer = r->flow->peer ? owner__json(j, r->flow->peer, r->peer) : NULL;

	if (peer)
		json_object_set_new(peer, "attribution",
				    json_string(owner_how_names[r->flow->peer_how]));
	return peer;
}

/* What only a run on the owner's host can know, and a file that it wrote. Returns 0, or -1 without memory. */
static int record__add_live(const struct jsonl *j, json_t *record, const struct flow_record *r,
			    bool source_opened)
{
	const char *near = source_opened ? "source" : "destination";
	const char *far = source_opened ? "destination" : "source";
	static const char *const repeated[] = {
		[REPEATED_PEER] = "peer", [REPEATED_OWNER] = "owner"
	};
	json_t *about = json_pack("{s:o*, s:{s:s, s:s, s:s*, s:o*, s:s*}}", "observer",
				  observer__json(j, r->flow->key), "wirewho", "attribution",
				  owner_how_names[r->flow->how], "local", near, "owner",
				  r->flow->far ? far : NULL, "peer", peer__json(j, r), "repeated",
				  repeated[r->flow->repeated]);
	int err = json_object_update_new(record, about);

	if ((!r->flow->who && !r->process) || err)
		return err;
	return json_object_update_new(record, owner__json(j, r->flow->who, r->process));
}

static int jsonl__flow(struct output *o, const struct flow_record *r)
{
	struct jsonl *j = (struct jsonl *)o;
	const struct flow_view *f = r->flow;
	bool opened = flow_view__source_opened(f);
	json_t *record;

	if (j->err)
		return j->err;
	record = json_pack("{s:o, s:{s:s, s:o, s:o}, s:o, s:o, s:o}", "@timestamp",
			   ecs__time(r->now), "event", "kind", "metric", "start",
			   ecs__time(r->start), "end", ecs__time(r->end), "network",
			   ecs__network(f->key, direction(j, opened)), "source",
			   end__json(f->key, opened, opened ? &f->sent : &f->received),
			   "destination",
			   end__json(f->key, !opened, opened ? &f->received : &f->sent));
	if (record && (j->facts->live || f->who) && record__add_live(j, record, r, opened)) {
		json_decref(record);
		record = NULL;
	}
	return jsonl__write(j, record);
}

/* ---- the ledger ---- */

static void add_counts(json_t *to, const struct count *count, const char *const *name, int n,
		       bool zeros)
{
	for (int i = 0; i < n; i++)
		if (zeros || count[i].packets)
			json_object_set_new(to, name[i], json_count(&count[i]));
}

/* Each CPU closes for itself: its table has no other writer. */
static json_t *cpus__json(const struct ledger_line *l)
{
	json_t *cpus = l->cpus ? json_array() : NULL;

	for (int i = 0; cpus && i < l->cpus; i++) {
		const struct tally *t = &l->cpu[i];
		struct count named = tally__named(t);
		json_t *cpu = json_pack("{s:i, s:o, s:I, s:I}", "cpu", i, "seen",
					json_count(&t->seen), "difference",
					(json_int_t)(t->seen.packets - named.packets),
					"difference_bytes",
					(json_int_t)(t->seen.bytes - named.bytes));

		if (cpu)
			add_counts(cpu, t->reason, reason_names, REASON_N, false);
		json_array_append_new(cpus, cpu);
	}
	return cpus;
}

static json_t *line__json(const struct ledger_line *l)
{
	json_t *samples = json_object();
	json_t *line = json_pack("{s:o*, s:s, s:o*, s:o}", "interface",
				 *l->ifname ? ecs__text(l->ifname) : NULL, "direction",
				 l->direction, "attach", *l->attach ? ecs__text(l->attach) : NULL,
				 "seen", json_count(&l->tally.seen));

	if (line)
		add_counts(line, l->tally.reason, reason_names, REASON_N, true);
	json_object_set_new(line, "difference", json_integer(ledger_line__difference(l)));
	json_object_set_new(line, "difference_bytes",
			    json_integer(ledger_line__difference_bytes(l)));
	if (l->has_driver)
		json_object_set_new(line, "driver",
				    json_pack("{s:o, s:o}", "least", json_count(&l->driver.least),
					      "most", json_count(&l->driver.most)));
	if (l->cpus)
		json_object_set_new(line, "cpus", cpus__json(l));
	add_counts(samples, l->tally.sample, sample_names, SAMPLE_N, false);
	if (json_object_size(samples))
		json_object_set(line, "samples", samples);
	json_decref(samples);
	return line;
}

static json_t *lines__json(const struct ledger *l)
{
	json_t *lines = json_array();

	for (unsigned i = 0; i < l->lines; i++) {
		if (!json_array_append_new(lines, line__json(&l->line[i])))
			continue;
		json_decref(lines);
		return NULL;
	}
	return lines;
}

static json_t *attribution__json(const struct run_facts *facts, const struct ledger *l)
{
	json_t *by_how = facts->live || facts->owned ? json_object() : NULL;

	if (by_how)
		add_counts(by_how, l->by_how, owner_how_names, OWNER_HOW_N, true);
	return by_how;
}

static json_t *snapshots__json(const struct snapshots *s)
{
	if (!s->taken)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:f}", "taken", (json_int_t)s->taken, "sockets",
			 (json_int_t)s->sockets, "owners", (json_int_t)s->owners, "seconds",
			 (double)s->ns / 1e9);
}

json_t *ledger__json(const struct run_facts *facts, const struct ledger *l)
{
	return json_pack("{s:o, s:{s:s, s:o, s:o}, s:{s:{s:o*, s:o, s:o*, s:I, s:o*, s:I}}}",
			 "@timestamp", ecs__time(l->now), "event", "kind", "state", "start",
			 ecs__time(l->start), "end", ecs__time(l->end), "wirewho", "ledger", "file",
			 ecs__text(facts->file), "lines", lines__json(l), "attribution",
			 attribution__json(facts, l), "owner_events_lost",
			 (json_int_t)l->owner_events_lost, "snapshots",
			 snapshots__json(&l->snapshots), "join_failed_packets",
			 (json_int_t)l->join_failed_packets);
}

static int jsonl__ledger(struct output *o, const struct ledger *l)
{
	struct jsonl *j = (struct jsonl *)o;

	return j->err ? j->err : jsonl__write(j, ledger__json(j->facts, l));
}

/* ---- opening and closing ---- */

static int jsonl__open(struct output **out, const char *arg, const struct run_facts *facts)
{
	bool to_stdout = !strcmp(arg, "-");
	struct jsonl *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return fail(-ENOMEM, NULL, "open the JSON Lines output");
	j->base.kind = &output_jsonl;
	j->facts = facts;
	j->name = to_stdout ? "standard output" : arg;
	/* In a file the start of a process is counted from 1970 already. */
	j->boot = facts->live ? ecs__boot() : 0;
	j->file = to_stdout ? output__stdout() : fopen(arg, "we");
	if (!j->file) {
		err = fail(-errno, NULL, "write JSON Lines to %s", j->name);
		free(j);
		return err;
	}
	*out = &j->base;
	return 0;
}

static int jsonl__flush(struct output *o)
{
	struct jsonl *j = (struct jsonl *)o;

	if (!j->err && fflush(j->file))
		return jsonl__fail(j, -errno);
	return j->err;
}

static int jsonl__close(struct output *o)
{
	struct jsonl *j = (struct jsonl *)o;
	int err;

	if (fclose(j->file) && !j->err)
		jsonl__fail(j, -errno);
	err = j->err;
	free(j);
	return err;
}

const struct output_kind output_jsonl = {
	.name = "jsonl",
	.open = jsonl__open,
	.flow = jsonl__flow,
	.flush = jsonl__flush,
	.ledger = jsonl__ledger,
	.close = jsonl__close,
};
