// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <xdp/libxdp.h>
#include "xdp/say.h"

/* In the order in which the dispatcher runs them. One that does not list us tells nothing: then all of them may be behind. */
static bool name_behind(const struct attachment *a, char *text, size_t size)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(a->ifindex);
	struct xdp_program *p = NULL;
	bool ours = false;

	text[0] = 0;
	if (libxdp_get_error(all))
		return false;
	while ((p = xdp_multiprog__next_prog(p, all))) {
		if (xdp_program__id(p) == xdp_program__id(a->program)) {
			ours = true;
			text[0] = 0;
		} else if (!text[0]) {
			snprintf(text, size, "%s", xdp_program__name(p));
			if (ours)
				break;
		}
	}
	xdp_multiprog__close(all);
	return text[0];
}

static int refuse(const struct attachment *a, const char *name, const char *stands)
{
	say(SAY_ERROR,
	    "sample %s inline: the XDP program %s %s behind ours, and packets that are put back would "
	    "not pass it; use --sample copy, or add --force",
	    a->ifname, name, stands);
	return -EBUSY;
}

int capture_behind__check(const struct attachment *a, bool force)
{
	char name[64];

	/* Attached directly, we are alone. */
	if (a->how != ATTACH_DISPATCHER || !name_behind(a, name, sizeof(name)))
		return 0;
	if (force) {
		say(SAY_NOTE,
		    "%s: packets that are put back do not pass the XDP program %s behind ours (--force)",
		    a->ifname, name);
		return 0;
	}
	return refuse(a, name, "stands");
}

/* While the chain changes it may be read half: what is true is true twice. */
int capture_behind__check_again(const struct attachment *a, bool force)
{
	char name[64];

	if (force || a->how != ATTACH_DISPATCHER || !name_behind(a, name, sizeof(name)) ||
	    !name_behind(a, name, sizeof(name)))
		return 0;
	return refuse(a, name, "came to stand");
}
