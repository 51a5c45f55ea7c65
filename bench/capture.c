// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/capture: the first 128 bytes of every frame into a file in memory, by `wirewho capture` (tap and copy), tcpdump and
 * dumpcap. The traffic is the same for all, more than they can take: live frames from one CPU over a veth pair. They take turns,
 * and the order changes from round to round.
 *
 * Two figures each: packets captured a second of sending, and packets captured a second of CPU. Since the receiving half of the
 * path runs in the sender's context, no process' own time tells what a capture costs: the CPU is that of the whole system
 * (/proc/stat, everything but idle, iowait and steal), from the first frame to the end of the process, sender included, the same
 * for all; the process' own time stands beside it. The machine should have nothing else to do.
 *
 * What a capture says must be true: the file holds the packets that it speaks of, and of ours the sum closes; else it fails.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "generator.h"
#include "room.h"
#include "tools/opt.h"
#include "xdp/say.h"

#define OUT_END "bench-out"
#define IN_END "bench-in"
#define SELECTION "tcp port 443"
#define READY_TRIES 200
#define READY_NAP_US 50000
#define REST_US 300000 /* for what is still on its way when the last frame was sent */
#define ARGS_MOST 24

struct options {
	uint64_t rounds, seconds, size, flows, cpu;
	bool quick, owners;
	const char *json, *wirewho, *folder;
};

/* One way to capture. */
struct way {
	const char *name, *args[ARGS_MOST]; /* FILE and STATS are replaced */
	const char *ready;                  /* what it says when it has begun */
	int end;                            /* signal */
	bool ours;
};

static const struct way ways[] = {
	{ "tap",
	  { "WIREWHO", "capture", "-i", IN_END, "-w", "FILE", "-s", "128", "--sample", "tap",
	    "--stats", "STATS", "OWNERS", SELECTION },
	  "capturing to",
	  SIGTERM,
	  true },
	{ "copy",
	  { "WIREWHO", "capture", "-i", IN_END, "-w", "FILE", "-s", "128", "--sample", "copy",
	    "--stats", "STATS", "OWNERS", SELECTION },
	  "capturing to",
	  SIGTERM,
	  true },
	{ "tcpdump",
	  { "tcpdump", "-i", IN_END, "-w", "FILE", "-s", "128", "-n", "-Z", "root", SELECTION },
	  "listening on",
	  SIGINT,
	  false },
	{ "dumpcap",
	  { "dumpcap", "-i", IN_END, "-w", "FILE", "-s", "128", "-q", "-f", SELECTION },
	  "File: ",
	  SIGINT,
	  false },
};
#define WAY_N (sizeof(ways) / sizeof(*ways))

struct outcome {
	uint64_t sent, captured, lost;
	double seconds, system, process; /* of sending; CPU of the system, of the process */
};

struct sums {
	double pps[MIDDLE_MOST], per_cpu[MIDDLE_MOST], to_tcpdump[MIDDLE_MOST];
	double cpu_to_tcpdump[MIDDLE_MOST];
	struct outcome all;
	bool missing;
};

struct place {
	const struct options *opts;
	struct generator *generator;
	char file[256], stats[264], said[264];
	cpu_set_t any; /* before the sender was pinned */
};

static int equal(const char *way, const char *what, uint64_t left, uint64_t right)
{
	if (left == right)
		return 0;
	say(SAY_ERROR, "%s does not add up: %s: %llu and %llu", way, what, (unsigned long long)left,
	    (unsigned long long)right);
	return -EIO;
}

/* ---- the file ---- */

/* Packets in a pcap or pcapng file of this machine's byte order; half a one at the end is none. */
static uint64_t count_packets(const uint8_t *at, size_t size)
{
	bool ng = size >= 24 && !memcmp(at, "\x0a\x0d\x0d\x0a", 4);
	size_t step, done = ng ? 0 : 24;
	uint64_t n = 0;
	uint32_t word[4];

	for (; size - done >= 16 && done < size; done += step) {
		memcpy(word, at + done, sizeof(word));
		step = ng ? word[1] : 16 + word[2];
		if (step < 12 || step > size - done)
			break;
		n += !ng || word[0] == 6;
	}
	return n;
}

static int count_file(const char *path, uint64_t *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = { 0 };
	void *at;

	if (fd < 0 || fstat(fd, &st))
		return fail(-errno, NULL, "look at %s", path);
	at = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return fail(-errno, NULL, "read %s", path);
	*out = count_packets(at, st.st_size);
	munmap(at, st.st_size);
	return 0;
}

/* ---- what they say ---- */

/* The number in front of `what`, as tcpdump says it; the last number behind it, as dumpcap does. */
static uint64_t number_at(const char *text, const char *what, bool behind)
{
	const char *at = strstr(text, what);

	if (!at)
		return 0;
	if (behind)
		return strtoull(at + strlen(what), NULL, 10);
	while (at > text && at[-1] != '\n')
		at--;
	return strtoull(at, NULL, 10);
}

static size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0 ? n : 0;
}

static int check_peer(const struct way *w, const struct place *p, struct outcome *o)
{
	bool dumpcap = !strcmp(w->name, "dumpcap");
	char text[8192];
	uint64_t said;

	read_text(p->said, text, sizeof(text));
	said = dumpcap ? number_at(text, "Packets captured: ", true)
		       : number_at(text, " packets captured", false);
	o->lost = o->sent - o->captured;
	return equal(w->name, "packets captured = packets in the file", said, o->captured);
}

static uint64_t sum_of(const json_t *object, const char *const *name)
{
	uint64_t sum = 0;

	for (; *name; name++)
		sum += json_integer_value(json_object_get(object, *name));
	return sum;
}

static int check_sums(const struct way *w, const json_t *all, const struct outcome *o)
{
	static const char *const ends[] = { "written",        "filtered",      "past_count",
					    "output_dropped", "output_failed", NULL };
	static const char *const receipt[] = { "delivered", "rx_dropped", "rx_ring_full", NULL };
	static const char *const taken[] = { "redirected", "copied", NULL };
	static const char *const seen[] = { "seen", NULL }, *const delivered[] = { "delivered",
										   NULL };
	static const char *const written[] = { "written", NULL };
	const json_t *link = json_array_get(json_object_get(all, "interfaces"), 0);
	json_t *as = json_object_get(link, "matched_as"), *value;
	uint64_t matched = 0;
	const char *key;
	int err;

	json_object_foreach(as, key, value) matched += json_integer_value(value);
	err = equal(w->name, "sent = seen", o->sent, sum_of(link, seen));
	if (!err)
		err = equal(w->name, "seen = matched, each way", sum_of(link, seen), matched);
	if (!err)
		err = equal(w->name, "redirected or copied = delivered or dropped",
			    sum_of(as, taken), sum_of(link, receipt));
	if (!err)
		err = equal(w->name, "delivered = written or dropped", sum_of(all, delivered),
			    sum_of(all, ends));
	return err ? err
		   : equal(w->name, "written = packets in the file", sum_of(all, written),
			   o->captured);
}

static int check_ours(const struct way *w, const struct place *p, struct outcome *o)
{
	json_t *all = json_load_file(p->stats, 0, NULL);
	int err = all ? check_sums(w, all, o) : fail(-EIO, NULL, "read %s", p->stats);

	json_decref(all);
	o->lost = o->sent - o->captured;
	return err;
}

/* ---- one run ---- */

static double busy_seconds(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *file = fopen("/proc/stat", "re");
	double ticks = 0;

	if (file && fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
			   &idle, &iowait, &irq, &softirq) == 7)
		ticks = user + nice + system + irq + softirq;
	if (file)
		fclose(file);
	return ticks / sysconf(_SC_CLK_TCK);
}

static const char *replaced(const struct place *p, const char *arg)
{
	if (!strcmp(arg, "WIREWHO"))
		return p->opts->wirewho;
	if (!strcmp(arg, "FILE"))
		return p->file;
	if (!strcmp(arg, "STATS"))
		return p->stats;
	if (!strcmp(arg, "OWNERS"))
		return p->opts->owners ? "-v" : "--no-owners";
	return arg;
}

/* Any CPU, an ordinary priority, what it says into a file. */
static void become(const struct way *w, const struct place *p)
{
	const char *args[ARGS_MOST + 1] = { NULL };
	int fd = open(p->said, O_WRONLY | O_CREAT | O_TRUNC, 0600), i;

	for (i = 0; i < ARGS_MOST && w->args[i]; i++)
		args[i] = replaced(p, w->args[i]);
	sched_setaffinity(0, sizeof(p->any), &p->any);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execvp(args[0], (char *const *)args);
	_exit(127);
}

/* 0, -ENOENT when it is not installed, or -errno (said). */
static int wait_ready(const struct way *w, const struct place *p, pid_t pid)
{
	int tries = READY_TRIES, status;
	char text[8192];

	while (tries--) {
		read_text(p->said, text, sizeof(text));
		if (strstr(text, w->ready))
			return usleep(REST_US);
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
				return -ENOENT;
			break;
		}
		usleep(READY_NAP_US);
	}
	say(SAY_ERROR, "%s does not begin: %s", w->name, text);
	kill(pid, SIGKILL);
	return -EIO;
}

static int send_to(const struct way *w, struct place *p, pid_t pid, struct outcome *o)
{
	struct generated sent;
	struct rusage usage;
	double before = busy_seconds();
	int status, err = generator__send(p->generator, 0, p->opts->seconds, &sent);

	usleep(REST_US);
	kill(pid, w->end);
	if (wait4(pid, &status, 0, &usage) < 0)
		return fail(-errno, NULL, "wait for %s", w->name);
	o->system = busy_seconds() - before;
	o->process = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		     (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	o->seconds = sent.seconds;
	o->sent = sent.sent;
	if (!err && (!WIFEXITED(status) || WEXITSTATUS(status))) {
		say(SAY_ERROR, "%s failed: see %s", w->name, p->said);
		err = -EIO;
	}
	return err;
}

static int run_way(const struct way *w, struct place *p, struct outcome *o)
{
	pid_t pid = fork();
	int err;

	if (pid < 0)
		return fail(-errno, NULL, "start %s", w->name);
	if (!pid)
		become(w, p);
	err = wait_ready(w, p, pid);
	if (!err) {
		room__warm(p->opts->seconds);
		err = send_to(w, p, pid, o);
	}
	if (!err)
		err = count_file(p->file, &o->captured);
	if (!err)
		err = w->ours ? check_ours(w, p, o) : check_peer(w, p, o);
	unlink(p->file);
	unlink(p->stats);
	if (!err)
		unlink(p->said);
	return err;
}

/* ---- rounds ---- */

static void take(struct sums *s, uint64_t round, const struct outcome *o)
{
	s->pps[round] = o->captured / o->seconds;
	s->per_cpu[round] = o->captured / o->system;
	s->all.sent += o->sent;
	s->all.captured += o->captured;
	s->all.lost += o->lost;
	s->all.seconds += o->seconds;
	s->all.system += o->system;
	s->all.process += o->process;
}

static int run_round(struct place *p, uint64_t round, struct sums sum[WAY_N])
{
	const struct sums *base = &sum[2];
	size_t i;
	int err = 0;

	for (i = 0; i < WAY_N && !err; i++) {
		size_t n = (i + round) % WAY_N;
		struct outcome o = { 0 };

		if (sum[n].missing)
			continue;
		err = run_way(&ways[n], p, &o);
		if (err == -ENOENT)
			sum[n].missing = !(err = 0);
		else if (!err)
			take(&sum[n], round, &o);
	}
	for (i = 0; i < WAY_N && !base->missing; i++) {
		sum[i].to_tcpdump[round] = sum[i].pps[round] / base->pps[round];
		sum[i].cpu_to_tcpdump[round] = sum[i].per_cpu[round] / base->per_cpu[round];
	}
	return err;
}

/* ---- what came out ---- */

static void print_head(const struct options *o)
{
	printf("IPv4 TCP, %llu flows, frames of %llu bytes; 128 bytes of each to %s; sender, NAPI and XDP on CPU %llu;\n"
	       "median (min-max) of %llu rounds of %llu s; Mpps: captured a second of sending; /cpu: millions captured a second of\n"
	       "CPU, the whole system's, sender included; own: CPU seconds of the process alone, all rounds%s\n",
	       (unsigned long long)o->flows, (unsigned long long)o->size, o->folder,
	       (unsigned long long)o->cpu, (unsigned long long)o->rounds,
	       (unsigned long long)o->seconds, o->owners ? "" : "; wirewho with --no-owners");
	printf("%-8s %-20s %-8s %-20s %-8s %12s %12s %7s %7s\n", "", "Mpps", "/tcpdump", "/cpu",
	       "/tcpdump", "sent", "captured", "system", "own");
}

static void print_row(const struct way *w, const struct sums *s, size_t rounds)
{
	struct middle pps, cpu;

	if (s->missing) {
		printf("%-8s is not installed\n", w->name);
		return;
	}
	pps = middle(s->pps, rounds);
	cpu = middle(s->per_cpu, rounds);
	printf("%-8s %5.2f (%5.2f-%5.2f)  %-8.2f %5.2f (%5.2f-%5.2f)  %-8.2f %12llu %12llu %7.2f %7.2f\n",
	       w->name, pps.median / 1e6, pps.low / 1e6, pps.high / 1e6,
	       middle(s->to_tcpdump, rounds).median, cpu.median / 1e6, cpu.low / 1e6,
	       cpu.high / 1e6, middle(s->cpu_to_tcpdump, rounds).median,
	       (unsigned long long)s->all.sent, (unsigned long long)s->all.captured, s->all.system,
	       s->all.process);
}

static json_t *row_json(const struct way *w, const struct sums *s, size_t rounds)
{
	if (s->missing)
		return json_pack("{s:s,s:b}", "way", w->name, "missing", 1);
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:f,s:f,s:f}", "way", w->name, "pps",
			 middle__json(middle(s->pps, rounds)), "pps_to_tcpdump",
			 middle__json(middle(s->to_tcpdump, rounds)), "packets_per_cpu_second",
			 middle__json(middle(s->per_cpu, rounds)), "per_cpu_to_tcpdump",
			 middle__json(middle(s->cpu_to_tcpdump, rounds)), "sent",
			 (json_int_t)s->all.sent, "captured", (json_int_t)s->all.captured,
			 "seconds", s->all.seconds, "system_cpu_seconds", s->all.system,
			 "process_cpu_seconds", s->all.process);
}

static int write_json(const struct options *o, const struct sums sum[WAY_N])
{
	json_t *rows = json_array(), *all;
	size_t i;
	int err;

	for (i = 0; i < WAY_N; i++)
		json_array_append_new(rows, row_json(&ways[i], &sum[i], o->rounds));
	all = json_pack("{s:I,s:I,s:I,s:I,s:I,s:b,s:o}", "frame_bytes", (json_int_t)o->size,
			"flows", (json_int_t)o->flows, "sender_cpu", (json_int_t)o->cpu, "rounds",
			(json_int_t)o->rounds, "seconds", (json_int_t)o->seconds, "owners",
			o->owners, "rows", rows);
	err = json_dump_file(all, o->json, JSON_INDENT(1));
	json_decref(all);
	return err ? fail(-errno, NULL, "write %s", o->json) : 0;
}

static void name_files(struct place *p)
{
	snprintf(p->file, sizeof(p->file), "%s/wirewho-bench.%d.pcap", p->opts->folder, getpid());
	snprintf(p->stats, sizeof(p->stats), "%s.json", p->file);
	snprintf(p->said, sizeof(p->said), "%s.said", p->file);
}

static int run(const struct options *o)
{
	struct generator_opts opts = { .ifname = OUT_END, .flows = o->flows, .size = o->size };
	struct place p = { .opts = o };
	struct sums sum[WAY_N] = { 0 };
	uint64_t r;
	size_t i;
	int err = generator__open(&p.generator, &opts);

	if (err)
		return err;
	sched_getaffinity(0, sizeof(p.any), &p.any);
	err = generator__pin(o->cpu);
	name_files(&p);
	print_head(o);
	for (r = 0; r < o->rounds && !err; r++)
		err = run_round(&p, r, sum);
	for (i = 0; i < WAY_N && !err; i++)
		print_row(&ways[i], &sum[i], o->rounds);
	generator__close(p.generator);
	return err || !o->json ? err : write_json(o, sum);
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

static const struct usage usage = {
	.verb = "capture",
	.synopsis = "[--rounds N] [--seconds S] [--json FILE]",
	.about =
		"128 bytes of every frame to a file in memory: `wirewho capture` by tap and by copy, tcpdump, dumpcap, on the "
		"same traffic. Makes its own network namespace.",
};

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7,
			     .seconds = 3,
			     .size = 200,
			     .flows = 4096,
			     .cpu = 1,
			     .wirewho = "./wirewho",
			     .folder = "/dev/shm" };
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (7)", OPT_NUMBER, &o.rounds, 1, MIDDLE_MOST, NULL },
		{ 0, "seconds", "S", "seconds a round and way (3)", OPT_NUMBER, &o.seconds, 1, 60,
		  NULL },
		{ 0, "flows", "N", "how many flows (4096)", OPT_NUMBER, &o.flows, 1, 1 << 20,
		  NULL },
		{ 0, "size", "B", "bytes of a frame, without FCS (200)", OPT_NUMBER, &o.size, 54,
		  1514, NULL },
		{ 0, "cpu", "N", "the sender's CPU (1)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
		{ 0, "owners", NULL, "let wirewho look for owners too", OPT_FLAG, &o.owners, 0, 0,
		  NULL },
		{ 0, "wirewho", "PATH", "the program (./wirewho)", OPT_TEXT, &o.wirewho, 0, 0,
		  NULL },
		{ 0, "folder", "DIR", "where the files are made, and removed (/dev/shm)", OPT_TEXT,
		  &o.folder, 0, 0, NULL },
		{ 0, "quick", NULL, "2 rounds of 1 s", OPT_FLAG, &o.quick, 0, 0, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), err;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	if (first < argc)
		return 2;
	if (o.quick)
		o.rounds = 2, o.seconds = 1;
	setlinebuf(stdout);
	libbpf_set_print(print);
	err = room__open(OUT_END, IN_END);
	if (!err)
		err = room__receive(IN_END);
	if (!err)
		err = run(&o);
	return err ? 1 : 0;
}
