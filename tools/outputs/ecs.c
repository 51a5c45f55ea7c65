// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ecs.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "community_id.h"
#include "tools/text.h"

json_t *ecs__bytes(const char *bytes, size_t n)
{
	size_t size;
	json_t *value;
	char *text;

	if (!bytes)
		return NULL;
	size = 4 * strnlen(bytes, n) + 1;
	text = malloc(size);
	if (!text)
		return NULL;
	text__utf8(text, size, bytes, n);
	value = json_string(text);
	free(text);
	return value;
}

json_t *ecs__text(const char *text)
{
	return ecs__bytes(text, SIZE_MAX);
}

json_t *ecs__time(uint64_t ns)
{
	char text[TEXT_TIME_SIZE];

	return json_string(text__time(text, ns));
}

/* Milliseconds: the boot time below them is another one in each run. */
static json_t *start__json(const struct who *who, uint64_t boot)
{
	uint64_t ns = boot + who->start;

	return who->start ? ecs__time(ns - ns % 1000000) : NULL;
}

json_t *ecs__process(const struct who *who, uint32_t parent, const char *exe, uint64_t boot)
{
	json_t *above = parent ? json_pack("{s:I}", "pid", (json_int_t)parent) : NULL;

	return json_pack("{s:I, s:o*, s:o*, s:o*, s:o*}", "pid", (json_int_t)who->pid, "name",
			 ecs__bytes(who->comm, sizeof(who->comm)), "executable", ecs__text(exe),
			 "start", start__json(who, boot), "parent", above);
}

/* user.id is a keyword in the schema, so a string. */
json_t *ecs__user(uint32_t uid, const char *name)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", uid);
	return json_pack("{s:s, s:o*}", "id", id, "name", ecs__text(name));
}

json_t *ecs__container(const char *id)
{
	return id ? json_pack("{s:o*}", "id", ecs__text(id)) : NULL;
}

json_t *ecs__systemd(const struct placement *p)
{
	if (!p->unit)
		return NULL;
	return json_pack("{s:o*, s:o*, s:o*, s:o*}", "unit", ecs__text(p->unit), "user_unit",
			 ecs__text(p->user_unit), "slice", ecs__text(p->slice), "session",
			 ecs__text(p->session));
}

json_t *ecs__orchestrator(const struct placement *p)
{
	if (!p->pod)
		return NULL;
	return json_pack("{s:s, s:{s:s, s:o*}}", "type", "kubernetes", "resource", "type", "pod",
			 "id", ecs__text(p->pod));
}

void ecs__add_args(json_t *process, const char *args, size_t size)
{
	json_t *list = args && size ? json_array() : NULL;
	char *line = list ? malloc(size) : NULL;
	size_t at;

	for (at = 0; line && at < size; at += strlen(args + at) + 1) {
		json_array_append_new(list, ecs__text(args + at));
		memcpy(line + at, args + at, strlen(args + at));
		line[at + strlen(args + at)] = ' ';
	}
	if (line) {
		line[size - 1] = 0;
		json_object_set_new(process, "command_line", ecs__text(line));
		json_object_set(process, "args", list);
	}
	free(line);
	json_decref(list);
}

json_t *ecs__end(const struct flow_key *key, bool source)
{
	const __u8 *addr = source ? key->saddr : key->daddr;
	char text[INET6_ADDRSTRLEN];

	if (key->family == 4)
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, addr, text, sizeof(text));
	return json_pack("{s:s, s:i}", "ip", text, "port",
			 (int)ntohs(source ? key->sport : key->dport));
}

json_t *ecs__network(const struct flow_key *key, const char *direction)
{
	char id[COMMUNITY_ID_SIZE];

	return json_pack("{s:s, s:s, s:s, s:s*}", "transport",
			 key->proto == IPPROTO_TCP ? "tcp" : "udp", "type",
			 key->family == 4 ? "ipv4" : "ipv6", "community_id", community_id(id, key),
			 "direction", direction);
}

static uint64_t clock__ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t ecs__boot(void)
{
	return clock__ns(CLOCK_REALTIME) - clock__ns(CLOCK_BOOTTIME);
}
