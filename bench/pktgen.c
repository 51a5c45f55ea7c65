// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "senders.h"
#include "xdp/say.h"

#define PROC "/proc/net/pktgen"
#define FLOWS_MOST (1u << 24) /* addresses from 10.0.0.0 on */
#define RESULT_NAPS 100
#define RESULT_NAP_NS 20000000

/*
 * pktgen holds on to each packet that it hands over, unless told not to (its flag SHARED, since 6.7). Before that, a
 * packet that comes straight back into this host stops the kernel (skbuff.c: BUG_ON(skb_shared(skb))) if it meets
 * a generic XDP program there.
 */
static bool holds_on(const char *ifname)
{
	char device[64];
	struct utsname host;
	unsigned major = 0, minor = 0;

	snprintf(device, sizeof(device), "/sys/class/net/%s/device", ifname);
	if (!access(device, F_OK) || uname(&host))
		return false;
	return sscanf(host.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 7));
}

const char *pktgen__lacks(const struct sending *s)
{
	const struct generator_opts *o = &s->opts;

	if (access(PROC "/pgctrl", W_OK))
		return "this kernel has none";
	if (!o->udp || o->ip6)
		return "it sends UDP over IPv4";
	if (o->imix || o->zipf > 0)
		return "it sends one size, and each flow alike";
	if (o->alone || s->replay)
		return "it sends its own frames, and always sends them";
	if (holds_on(o->ifname))
		return "before Linux 6.7 it is no way into an interface of this same host";
	return o->flows > FLOWS_MOST ? "it would run out of addresses" : NULL;
}

/* One line into one of pktgen's files. 0 or -errno (said, but for a signal). */
static int put(const char *file, const char *format, ...)
{
	char path[128], line[128];
	va_list args;
	int fd, n, err = 0;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(path, sizeof(path), PROC "/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, n) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err && err != -EINTR ? fail(err, NULL, "write '%s' to %s", line, path) : err;
}

/* An interface's counter. */
static uint64_t dropped(const char *ifname)
{
	char path[128];
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/tx_dropped", ifname);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

/* pktgen's names of a thread, and of the interface in it. */
static void thread_name(const struct sending *s, unsigned i, char *thread, char *device)
{
	sprintf(thread, "kpktgend_%u", s->cpu + i);
	sprintf(device, s->threads > 1 ? "%.15s@%u" : "%.15s", s->opts.ifname, i);
}

static int describe(const struct sending *s, const char *device, unsigned i)
{
	uint64_t frames = s->frames / s->threads + (i < s->frames % s->threads);
	struct in_addr last = { htonl(GENERATOR_FIRST_FLOW + (uint32_t)s->opts.flows - 1) };
	int err = put(device, "count %" PRIu64, frames);

	err = err ? err : put(device, "clone_skb 0");
	err = err ? err : put(device, "flag !SHARED"); /* unknown before 6.7, and no error there */
	err = err ? err : put(device, "pkt_size %u", s->opts.size);
	err = err ? err : put(device, "src_min 10.0.0.0");
	err = err ? err : put(device, "src_max %s", inet_ntoa(last));
	err = err ? err : put(device, "dst_min 192.168.77.1");
	err = err ? err : put(device, "dst_max 192.168.77.1");
	err = err ? err : put(device, "src_mac 02:00:00:00:77:01");
	err = err ? err : put(device, "dst_mac 02:00:00:00:77:02");
	err = err ? err : put(device, "udp_src_min 40000");
	err = err ? err : put(device, "udp_src_max 40000");
	err = err ? err : put(device, "udp_dst_min 443");
	err = err ? err : put(device, "udp_dst_max 443");
	if (!err && s->opts.rate)
		err = put(device, "ratep %" PRIu64, (s->opts.rate + s->threads - 1) / s->threads);
	return err;
}

static int prepare(const struct sending *s)
{
	char thread[32], device[32];
	unsigned i;
	int err = 0;

	for (i = 0; i < s->threads && !err; i++) {
		thread_name(s, i, thread, device);
		err = put(thread, "rem_device_all");
		err = err ? err : put(thread, "add_device %s", device);
		err = err ? err : describe(s, device, i);
	}
	return err;
}

static void take_down(const struct sending *s)
{
	char thread[32], device[32];
	unsigned i;

	for (i = 0; i < s->threads; i++) {
		thread_name(s, i, thread, device);
		put(thread, "rem_device_all");
	}
}

/* What a device says of its run: frames that the interface took, frames that it refused, microseconds. */
static int read_result(const char *device, uint64_t *made, uint64_t *errors, uint64_t *us)
{
	char path[128], text[4096];
	const char *sofar, *result;
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), PROC "/%s", device);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	sofar = strstr(text, "pkts-sofar:");
	result = strstr(text, "Result: OK:");
	if (!sofar || !result)
		return -EAGAIN;
	if (sscanf(sofar, "pkts-sofar: %" SCNu64 " errors: %" SCNu64, made, errors) != 2 ||
	    sscanf(result, "Result: OK: %" SCNu64, us) != 1)
		return -EPROTO;
	return 0;
}

/* After a signal the threads take a moment to end. */
static int await_result(const char *device, uint64_t *made, uint64_t *errors, uint64_t *us)
{
	const struct timespec nap = { .tv_nsec = RESULT_NAP_NS };
	int i, err = -EAGAIN;

	for (i = 0; i < RESULT_NAPS && err == -EAGAIN; i++) {
		err = read_result(device, made, errors, us);
		if (err == -EAGAIN)
			nanosleep(&nap, NULL);
	}
	return err ? fail(err, NULL, "read what pktgen sent out of %s", device) : 0;
}

static int add_up(const struct sending *s, uint64_t dropped_before, struct generated *out)
{
	uint64_t made, errors, us, refused = dropped(s->opts.ifname) - dropped_before, all = 0;
	char thread[32], device[32];
	unsigned i;
	int err = 0;

	for (i = 0; i < s->threads && !err; i++) {
		thread_name(s, i, thread, device);
		err = await_result(device, &made, &errors, &us);
		if (err)
			break;
		out->made += made + errors;
		all += errors;
		if (us / 1e6 > out->seconds)
			out->seconds = us / 1e6;
	}
	/* Older kernels report what a veth dropped as sent. */
	out->refused = refused > all ? refused : all;
	out->sent = out->made - out->refused;
	out->bytes = out->sent * s->opts.size;
	return err;
}

static int start(const struct sending *s)
{
	struct itimerval timer = { .it_value = { .tv_sec = s->seconds,
						 .tv_usec = (s->seconds - (long)s->seconds) *
							    1e6 } };
	int err;

	setitimer(ITIMER_REAL, &timer, NULL);
	err = put("pgctrl", "start");
	timer.it_value = (struct timeval){ 0 };
	setitimer(ITIMER_REAL, &timer, NULL);
	return err == -EINTR ? 0 : err;
}

int pktgen__send(const struct sending *s, struct generated *out)
{
	uint64_t before = dropped(s->opts.ifname);
	int err = prepare(s);

	*out = (struct generated){ 0 };
	if (!err)
		err = start(s);
	if (!err)
		err = add_up(s, before, out);
	take_down(s);
	return err;
}
