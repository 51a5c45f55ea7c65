/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_VETH_H
#define WIREWHO_VETH_H
/* Makes a veth pair in the current network namespace; both ends down. 0 or -errno. */
int veth__make(const char *name, const char *peer);
#endif
