// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "generator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "xdp/say.h"
#include "generator_draws.h"
#include "bench/generator.skel.h"

#define CALL_FRAMES 65536
#define ZIPF_FLOWS (1u << 24)
#define PACES 2000 /* calls a second when the rate is limited, if that is a frame or more each */

struct generator {
	struct generator_opts opts;
	struct generator_bpf *skel;
	unsigned ifindex;
	int netns, anchor, err;
	unsigned char frame[GENERATOR_FRAME_MOST];
};

int generator__pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return fail(-errno, NULL, "run on CPU %u", cpu);
	return 0;
}

/* ---- the driver's counters ---- */

static int ask_driver(int fd, const char *ifname, void *question)
{
	struct ifreq r = { .ifr_data = question };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &r) ? -errno : 0;
}

static bool ends_so(const char *name, const char *ending)
{
	size_t n = strnlen(name, ETH_GSTRING_LEN), m = strlen(ending);

	return n >= m && !memcmp(name + n - m, ending, m);
}

static int sum_counters(int fd, const char *ifname, const char *ending, uint32_t n, uint64_t *out)
{
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + n * sizeof(uint64_t));
	uint64_t sum = 0;
	uint32_t i, found = 0;
	int err = -ENOMEM;

	if (!names || !values)
		goto done;
	*names = (struct ethtool_gstrings){ ETHTOOL_GSTRINGS, ETH_SS_STATS, n };
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = n;
	err = ask_driver(fd, ifname, names);
	if (!err)
		err = ask_driver(fd, ifname, values);
	for (i = 0; !err && i < n; i++) {
		if (!ends_so((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, ending))
			continue;
		sum += values->data[i];
		found++;
	}
	if (!err && !found)
		err = -ENOENT;
	if (!err)
		*out = sum;
done:
	free(names);
	free(values);
	return err;
}

int driver__counter(const char *ifname, const char *ending, uint64_t *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	struct {
		struct ethtool_sset_info head;
		uint32_t n;
	} info = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_STATS } };

	if (fd < 0)
		return fail(-errno, NULL, "make a socket");
	err = ask_driver(fd, ifname, &info);
	if (!err)
		err = sum_counters(fd, ifname, ending, info.n, out);
	close(fd);
	return err ? fail(err, "frames are sent and received over veth pairs only",
			  "read the counter ...%s of %s", ending, ifname)
		   : 0;
}

/* ---- what it costs ---- */

void spent__now(struct spent *now)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
	double t[FIELDS] = { 0 }, tick = sysconf(_SC_CLK_TCK);
	FILE *file = fopen("/proc/stat", "re");
	struct timespec clock;
	int i;

	if (file && !fscanf(file, "cpu"))
		for (i = 0; i < FIELDS && fscanf(file, "%lf", &t[i]) == 1; i++)
			t[i] /= tick;
	if (file)
		fclose(file);
	clock_gettime(CLOCK_MONOTONIC, &clock);
	now->user = t[USER] + t[NICE];
	now->system = t[SYSTEM] + t[IRQ];
	now->softirq = t[SOFTIRQ];
	now->busy = (clock.tv_sec + clock.tv_nsec / 1e9) * sysconf(_SC_NPROCESSORS_ONLN) - t[IDLE] -
		    t[IOWAIT] - t[STEAL];
}

void spent__since(const struct spent *start, struct spent *out)
{
	spent__now(out);
	out->user -= start->user;
	out->system -= start->system;
	out->softirq -= start->softirq;
	out->busy -= start->busy;
}

/* ---- the frame ---- */

static unsigned headers(const struct generator_opts *o)
{
	return ETH_HLEN + (o->ip6 ? 40 : 20) + (o->udp ? 8 : 20);
}

static void write16(unsigned char *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void fill_ip4(unsigned char *ip, const struct generator_opts *o)
{
	static const unsigned char destination[] = { 192, 168, 77, 1 };

	ip[0] = 0x45;
	write16(ip + 2, o->size - ETH_HLEN);
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = o->udp ? IPPROTO_UDP : IPPROTO_TCP;
	memcpy(ip + 16, destination, sizeof(destination));
}

static void fill_ip6(unsigned char *ip, const struct generator_opts *o)
{
	static const unsigned char net[] = { 0xfd, 0x77 };

	ip[0] = 0x60;
	write16(ip + 4, o->size - ETH_HLEN - 40);
	ip[6] = o->udp ? IPPROTO_UDP : IPPROTO_TCP;
	ip[7] = 64;
	memcpy(ip + 8, net, sizeof(net));
	memcpy(ip + 24, net, sizeof(net));
	ip[39] = 1;
}

void generator__frame(unsigned char *frame, const struct generator_opts *o)
{
	static const unsigned char ethernet[] = { 2, 0, 0, 0, 0x77, 2, 2, 0, 0, 0, 0x77, 1 };
	unsigned char *ip = frame + ETH_HLEN, *l4 = ip + (o->ip6 ? 40 : 20);

	memcpy(frame, ethernet, sizeof(ethernet));
	write16(frame + 12, o->ip6 ? ETH_P_IPV6 : ETH_P_IP);
	if (o->ip6)
		fill_ip6(ip, o);
	else
		fill_ip4(ip, o);
	write16(l4, 40000);
	write16(l4 + 2, 443);
	if (o->udp) {
		write16(l4 + 4, o->size - (l4 - frame));
	} else {
		l4[12] = 0x50;
		l4[13] = 0x10; /* ACK */
	}
}

unsigned generator__place(const struct generator_opts *o)
{
	return ETH_HLEN + (o->ip6 ? 20 : 12);
}

/* ---- making and taking down ---- */

static uint64_t common_factor(uint64_t a, uint64_t b)
{
	return b ? common_factor(b, a % b) : a;
}

/* Near the golden section, where a walk spreads best. */
uint64_t generator__step(uint64_t flows)
{
	uint64_t step = flows * 0.6180339887 + 1;

	while (common_factor(flows, step) != 1)
		step++;
	return step % flows;
}

/* The rank whose part of the sum holds x. */
static uint32_t rank_at(const double *sum, uint64_t n, double x)
{
	uint64_t low = 0, high = n - 1, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (sum[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int draw(struct generator *g)
{
	unsigned short seed[3] = { 0x330e, 0x7711, 0x2026 };
	uint64_t n = g->opts.flows, i;
	double *sum = calloc(n, sizeof(*sum));

	if (!sum)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		sum[i] = (i ? sum[i - 1] : 0) + pow(i + 1, -g->opts.zipf);
	for (i = 0; i < DRAWS; i++)
		g->skel->bss->drawn[i] = rank_at(sum, n, erand48(seed) * sum[n - 1]);
	free(sum);
	return 0;
}

static int load(struct generator *g)
{
	const struct generator_opts *o = &g->opts;
	int err;

	g->skel = generator_bpf__open();
	if (!g->skel)
		return -errno;
	g->skel->rodata->by_draw = o->zipf > 0;
	g->skel->rodata->mixed = !o->imix ? 0 : headers(o) > MIX_SMALL ? headers(o) : MIX_SMALL;
	g->skel->rodata->ip_at = ETH_HLEN + (o->ip6 ? 4 : 2);
	g->skel->rodata->ip_less = ETH_HLEN + (o->ip6 ? 40 : 0);
	g->skel->rodata->l4_at = o->udp ? headers(o) - 8 + 4 : 0;
	g->skel->rodata->place = generator__place(o);
	g->skel->rodata->first = GENERATOR_FIRST_FLOW;
	g->skel->rodata->flows = o->flows;
	g->skel->rodata->step = generator__step(o->flows);
	g->skel->rodata->action = o->alone ? XDP_DROP : XDP_TX;
	err = generator_bpf__load(g->skel);
	if (!err && o->parts) {
		g->skel->bss->number = o->flows / o->parts * o->part;
		g->skel->bss->made = (uint64_t)DRAWS / o->parts * o->part;
	}
	return err || o->zipf <= 0 ? err : draw(g);
}

/*
 * A program that is attached nowhere makes each test run wait for a grace period. So it hangs on the loopback device,
 * down, of a network namespace that only we hold. In a thread of its own, because it changes its namespace.
 */
static void *make_anchor(void *to)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_SKB_MODE);
	struct generator *g = to;

	if (unshare(CLONE_NEWNET)) {
		g->err = -errno;
		return NULL;
	}
	g->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	g->anchor = bpf_link_create(bpf_program__fd(g->skel->progs.bench_generate),
				    if_nametoindex("lo"), BPF_XDP, &opts);
	g->err = g->netns < 0 || g->anchor < 0 ? -errno : 0;
	return NULL;
}

static int anchor(struct generator *g)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, make_anchor, g);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	return g->err;
}

static int check(const struct generator_opts *o)
{
	if (o->zipf > 0 && o->flows > ZIPF_FLOWS) {
		say(SAY_ERROR, "draw from %llu flows by Zipf's law: %u at most",
		    (unsigned long long)o->flows, ZIPF_FLOWS);
		return -EINVAL;
	}
	if (o->size < headers(o) || o->size > GENERATOR_FRAME_MOST) {
		say(SAY_ERROR, "a frame of %u bytes cannot be made: %u to %u can", o->size,
		    headers(o), GENERATOR_FRAME_MOST);
		return -EINVAL;
	}
	return 0;
}

int generator__open(struct generator **out, const struct generator_opts *asked)
{
	struct generator_opts opts = *asked;
	struct generator *g;
	int err;

	if (opts.imix)
		opts.size = MIX_LARGE;
	err = check(&opts);
	if (err)
		return err;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->opts = opts;
	g->netns = g->anchor = -1;
	g->ifindex = if_nametoindex(opts.ifname);
	generator__frame(g->frame, &opts);
	err = g->ifindex ? load(g) : -ENODEV;
	if (!err)
		err = anchor(g);
	if (err) {
		fail(err, "it needs root and kernel 5.18", "prepare to send out of %s",
		     opts.ifname);
		generator__close(g);
		return err;
	}
	*out = g;
	return 0;
}

void generator__close(struct generator *g)
{
	if (!g)
		return;
	if (g->anchor >= 0)
		close(g->anchor);
	if (g->netns >= 0)
		close(g->netns);
	generator_bpf__destroy(g->skel);
	free(g);
}

/* ---- sending ---- */

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* One call of the kernel; a signal ends it early. */
static int send_some(struct generator *g, uint64_t frames)
{
	struct xdp_md in = { .data_end = g->opts.size, .ingress_ifindex = g->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = g->frame, .data_size_in = g->opts.size,
		    .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .repeat = frames < CALL_FRAMES ? (int)frames : CALL_FRAMES,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	return bpf_prog_test_run_opts(bpf_program__fd(g->skel->progs.bench_generate), &opts)
		       ? -errno
		       : 0;
}

static int read_counters(const struct generator *g, uint64_t *sent, uint64_t *refused)
{
	int err = driver__counter(g->opts.ifname, "_xdp_xmit", sent);

	return err ? err : driver__counter(g->opts.ifname, "_xdp_xmit_errors", refused);
}

/* Sleeps until so many frames are due. A signal ends it early. */
static int keep_pace(const struct generator *g, double start, uint64_t made)
{
	double due = start + (double)made / g->opts.rate;
	struct timespec t = { .tv_sec = due, .tv_nsec = (due - (time_t)due) * 1e9 };

	return g->opts.rate ? -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) : 0;
}

/* Frames for the next call. */
static uint64_t portion(const struct generator *g, uint64_t frames, uint64_t made)
{
	uint64_t most = g->opts.rate ? (g->opts.rate + PACES - 1) / PACES : CALL_FRAMES;

	return frames && frames - made < most ? frames - made : most;
}

static int send_all(struct generator *g, uint64_t frames, double seconds, struct generated *out)
{
	uint64_t before = g->skel->bss->made, bytes = g->skel->bss->bytes;
	double start = now_seconds();
	int err;

	do {
		err = keep_pace(g, start, out->made);
		if (!err)
			err = send_some(g, portion(g, frames, out->made));
		out->made = g->skel->bss->made - before;
		out->bytes = g->skel->bss->bytes - bytes;
		out->seconds = now_seconds() - start;
	} while (!err && (!frames || out->made < frames) &&
		 (seconds <= 0 || out->seconds < seconds));
	return err && err != -EINTR ? fail(err, NULL, "send out of %s", g->opts.ifname) : 0;
}

static int settle(const struct generator *g, uint64_t sent, uint64_t refused, struct generated *out)
{
	int err = read_counters(g, &out->sent, &out->refused);

	if (err)
		return err;
	out->sent -= sent;
	out->refused -= refused;
	out->bytes = g->opts.imix ? out->bytes : out->sent * g->opts.size;
	if (out->sent + out->refused == out->made)
		return 0;
	say(SAY_ERROR,
	    "of %llu frames %llu left %s and %llu were refused, the others vanished; a veth's other end takes "
	    "frames only while it has XDP or GRO enabled, and up to its MTU",
	    (unsigned long long)out->made, (unsigned long long)out->sent, g->opts.ifname,
	    (unsigned long long)out->refused);
	return -EPIPE;
}

int generator__send(struct generator *g, uint64_t frames, double seconds, struct generated *out)
{
	bool counts = !g->opts.alone && !g->opts.parts;
	uint64_t sent = 0, refused = 0;
	struct spent start;
	int err = 0;

	*out = (struct generated){ 0 };
	if (counts)
		err = read_counters(g, &sent, &refused);
	spent__now(&start);
	if (!err)
		err = send_all(g, frames, seconds, out);
	spent__since(&start, &out->spent);
	if (!err && counts)
		err = settle(g, sent, refused, out);
	return err;
}
