/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ECS_H
#define WIREWHO_ECS_H
/*
 * Values of JSON records as the Elastic Common Schema wants them. Each returns a new reference; NULL where there is
 * nothing to say (or without memory), which json_pack's "s:o*" leaves out.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "attrib/container.h"
#include "attrib/owner.h"

/* Up to n bytes, or up to the first zero, made valid UTF-8 (text__utf8). */
json_t *ecs__bytes(const char *bytes, size_t n);
json_t *ecs__text(const char *text);
/* CLOCK_REALTIME ns */
json_t *ecs__time(uint64_t ns);
/* `parent` 0 and `exe` NULL: not known. `boot`: CLOCK_REALTIME ns at which CLOCK_BOOTTIME was 0 (ecs__boot()). */
json_t *ecs__process(const struct who *who, uint32_t parent, const char *exe, uint64_t boot);
json_t *ecs__user(uint32_t uid, const char *name);
json_t *ecs__container(const char *id);
/* systemd.{unit,user_unit,slice,session}, as Elastic's journald fields; and orchestrator.resource: the pod. */
json_t *ecs__systemd(const struct placement *p);
json_t *ecs__orchestrator(const struct placement *p);
/* Adds process.args and process.command_line: arguments that each end with a zero. Nothing without them. */
void ecs__add_args(json_t *process, const char *args, size_t size);

/* One end of a flow: ip and port. */
json_t *ecs__end(const struct flow_key *key, bool source);
/* `direction` NULL: not known */
json_t *ecs__network(const struct flow_key *key, const char *direction);

uint64_t ecs__boot(void);
#endif
