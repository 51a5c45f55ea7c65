// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "room.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "veth.h"
#include "xdp/say.h"

#define WARM_BYTES (600ul << 20) /* a second */

static int raise_end(const char *ifname)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	struct ifreq r = { .ifr_flags = IFF_UP | IFF_NOARP };

	if (fd < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	err = ioctl(fd, SIOCSIFFLAGS, &r) ? -errno : 0;
	close(fd);
	return err;
}

/* Nothing but our frames: no neighbour discovery. */
static void silence_ip6(void)
{
	FILE *file = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "we");

	if (!file)
		return; /* a kernel without IPv6 */
	fputs("1\n", file);
	fclose(file);
}

int room__open(const char *out_end, const char *in_end)
{
	int err = unshare(CLONE_NEWNET) ? -errno : 0;

	if (!err) {
		silence_ip6();
		err = veth__make(out_end, in_end);
	}
	if (!err)
		err = raise_end(out_end);
	if (!err)
		err = raise_end(in_end);
	return err ? fail(err, "run as root", "make a veth pair in a network namespace") : 0;
}

int room__receive(const char *in_end)
{
	struct ethtool_value gro = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq r = { .ifr_data = (void *)&gro };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", in_end);
	err = fd < 0 || ioctl(fd, SIOCETHTOOL, &r) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err ? fail(err, NULL, "turn on GRO on %s", in_end) : 0;
}

void room__warm(unsigned seconds)
{
	size_t size = WARM_BYTES * seconds, room = sysconf(_SC_AVPHYS_PAGES);
	void *at;

	room *= sysconf(_SC_PAGESIZE) / 2;
	if (size > room)
		size = room;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		  -1, 0);
	if (at != MAP_FAILED)
		munmap(at, size);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct middle middle(const double *value, size_t n)
{
	double sorted[MIDDLE_MOST];

	memcpy(sorted, value, n * sizeof(*value));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return (struct middle){
		.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
		.low = sorted[0],
		.high = sorted[n - 1],
	};
}

json_t *middle__json(struct middle m)
{
	return json_pack("{s:f,s:f,s:f}", "median", m.median, "min", m.low, "max", m.high);
}
