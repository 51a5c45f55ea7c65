// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "top_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include "tools/text.h"
#include "xdp/say.h"

static json_t *count_json(const struct count *n)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)n->packets, "bytes",
			 (json_int_t)n->bytes);
}

static json_t *end_json(const struct flow_key *key, const __u8 *addr, __be16 port)
{
	char text[INET6_ADDRSTRLEN];

	if (key->family == 4)
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, addr, text, sizeof(text));
	return json_pack("{s:s, s:i}", "ip", text, "port", (int)ntohs(port));
}

static void add_flow(json_t *row, const struct flow_key *key)
{
	json_object_set_new(row, "transport",
			    json_string(key->proto == IPPROTO_TCP ? "tcp" : "udp"));
	json_object_set_new(row, "local", end_json(key, key->saddr, key->sport));
	json_object_set_new(row, "remote", end_json(key, key->daddr, key->dport));
}

static json_t *row_json(const struct view_row *r, enum view_by by)
{
	json_t *row = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:i, s:s, s:o, s:o}",
				"name", r->name, "comm", r->comm, "user", r->user, "container",
				r->container, "unit", r->unit, "executable", r->exe, "command_line",
				r->args, "flows", (int)r->flows, "attribution",
				owner_how_names[r->how], "received", count_json(&r->received),
				"sent", count_json(&r->sent));

	if (row && r->pid)
		json_object_set_new(row, "pid", json_integer(r->pid));
	if (row && by == VIEW_FLOW && !r->name)
		add_flow(row, &r->key);
	if (row && by == VIEW_PORT && !r->name)
		json_object_set_new(row, "port", json_integer(ntohs(r->key.dport)));
	return row;
}

int top_json__print(FILE *to, struct view *v, enum view_by by, enum view_sort sort, size_t most,
		    uint64_t now)
{
	const struct view_row *const *rows;
	size_t i, n = view__rows(v, by, sort, &rows);
	char time[TEXT_TIME_SIZE];
	json_t *list = json_array(), *line;
	int err = 0;

	for (i = 0; i < n && (!most || i < most); i++)
		json_array_append_new(list, row_json(rows[i], by));
	line = json_pack("{s:s, s:s, s:f, s:f, s:o}", "@timestamp", text__time(time, now), "by",
			 view_by_names[by], "seconds", view__sum(v)->seconds, "unnamed_share",
			 view_sum__unnamed(view__sum(v)), "rows", list);
	errno = 0;
	if (!line || json_dumpf(line, to, JSON_COMPACT) || fputc('\n', to) == EOF || fflush(to))
		err = fail(errno ? -errno : -ENOMEM, NULL, "write to standard output");
	json_decref(line);
	return err;
}
