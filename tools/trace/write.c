// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tools/outputs/ecs.h"
#include "tools/outputs/output.h"
#include "tools/outputs/view.h"
#include "xdp/say.h"

#define NS 1000000000ull

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static int write__fail(struct trace *t, int err)
{
	if (t->err)
		return t->err;
	t->err = err ? err : -EIO;
	return fail(t->err, NULL, "write to %s", t->file_name);
}

int write__open(struct trace *t)
{
	const char *path = t->opts->jsonl ? t->opts->jsonl : "-";
	bool to_stdout = !strcmp(path, "-");

	t->file_name = to_stdout ? "standard output" : path;
	t->file = to_stdout ? output__stdout() : fopen(path, "we");
	if (!t->file)
		return fail(-errno, NULL, "write to %s", t->file_name);
	t->boot = ecs__boot();
	write__clocks(t);
	return 0;
}

int write__flush(struct trace *t)
{
	errno = 0;
	if (!t->err && (fflush(t->file) || ferror(t->file)))
		return write__fail(t, -errno);
	return t->err;
}

int write__close(struct trace *t)
{
	FILE *file = t->file;
	int i;

	t->file = NULL;
	if (file && fclose(file))
		write__fail(t, -errno);
	for (i = 0; i < TRACE_TEXTS; i++)
		free(t->text[i]);
	return t->err;
}

/* Anew for each batch: the wall clock may have been set meanwhile. */
void write__clocks(struct trace *t)
{
	t->offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

FILE *trace__out(const struct trace *t)
{
	return t->opts->jsonl ? NULL : t->file;
}

uint64_t trace__realtime(const struct trace *t, uint64_t ns)
{
	return ns + t->offset;
}

char *trace__clock(const struct trace *t, uint64_t ns, char text[TRACE_CLOCK_SIZE])
{
	uint64_t now = trace__realtime(t, ns);
	time_t seconds = now / NS;
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(text, TRACE_CLOCK_SIZE, "%H:%M:%S", &local);
	snprintf(text + 8, TRACE_CLOCK_SIZE - 8, ".%03u", (unsigned)(now % NS / 1000000));
	return text;
}

const char *trace__user(struct trace *t, uint32_t uid)
{
	static char number[16];
	const char *name = users__name(t->users, uid);

	if (name)
		return name;
	snprintf(number, sizeof(number), "%u", uid);
	return number;
}

const char *trace__text(struct trace *t, const char *bytes, size_t n)
{
	size_t size = 4 * strnlen(bytes, n) + 1;
	char **slot = &t->text[t->texts++ % TRACE_TEXTS];
	char *text = realloc(*slot, size);

	if (!text)
		return "";
	*slot = text;
	view__clean(bytes, n, text, size);
	return text;
}

json_t *trace__record(struct trace *t, uint64_t ns, const char *action, const struct who *who,
		      uint32_t parent, const char *exe)
{
	const struct process *p = who ? trace__process(t, who) : NULL;
	json_t *record = json_pack("{s:o, s:{s:s, s:s}}", "@timestamp",
				   ecs__time(trace__realtime(t, ns)), "event", "kind", "event",
				   "action", action);

	if (record && who)
		json_object_update_new(record,
				       json_pack("{s:o, s:o, s:o*}", "process",
						 ecs__process(who, parent, exe, t->boot), "user",
						 trace__user_json(t, who->uid), "container",
						 ecs__container(p ? p->container : NULL)));
	return record;
}

json_t *trace__metric(struct trace *t, uint64_t start, uint64_t end)
{
	return json_pack("{s:o, s:{s:s, s:o, s:o}}", "@timestamp",
			 ecs__time(trace__realtime(t, end)), "event", "kind", "metric", "start",
			 ecs__time(trace__realtime(t, start)), "end",
			 ecs__time(trace__realtime(t, end)));
}

json_t *trace__process_json(struct trace *t, const struct who *who)
{
	return ecs__process(who, 0, NULL, t->boot);
}

json_t *trace__user_json(struct trace *t, uint32_t uid)
{
	return ecs__user(uid, users__name(t->users, uid));
}

void trace__add(json_t *record, const char *name, json_t *value)
{
	json_t *ours = json_object_get(record, "wirewho");

	if (!ours) {
		ours = json_object();
		json_object_set_new(record, "wirewho", ours);
	}
	if (value)
		json_object_set_new(ours, name, value);
}

json_t *trace__time(const struct trace *t, uint64_t ns)
{
	return ecs__time(trace__realtime(t, ns));
}

void trace__add_times(const struct trace *t, json_t *record, uint64_t start, uint64_t end)
{
	json_object_update_new(json_object_get(record, "event"),
			       json_pack("{s:o, s:o, s:I}", "start",
					 ecs__time(trace__realtime(t, start)), "end",
					 ecs__time(trace__realtime(t, end)), "duration",
					 (json_int_t)(end - start)));
}

void trace__write(struct trace *t, json_t *record)
{
	if (t->err) {
		json_decref(record);
		return;
	}
	if (!record) {
		write__fail(t, -ENOMEM);
		return;
	}
	errno = 0;
	if (json_dumpf(record, t->file, JSON_COMPACT) || fputc('\n', t->file) == EOF)
		write__fail(t, -errno);
	json_decref(record);
}

/* The last line of a run, as the flow records' ledger is. */
void write__end(struct trace *t)
{
	uint64_t now = clock_ns(CLOCK_REALTIME), lost = trace__lost(t);

	if (t->opts->jsonl)
		trace__write(t,
			     json_pack("{s:o, s:{s:s, s:o, s:o}, s:{s:{s:s, s:I, s:I}}}",
				       "@timestamp", ecs__time(now), "event", "kind", "state",
				       "start", ecs__time(trace__realtime(t, t->start)), "end",
				       ecs__time(now), "wirewho", "trace", "name", t->tracer->name,
				       "events", (json_int_t)t->events, "lost", (json_int_t)lost));
	say(SAY_NOTE, "%llu events, %llu lost", (unsigned long long)t->events,
	    (unsigned long long)lost);
}
