/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_USERS_H
#define WIREWHO_USERS_H
/* Names of user ids, asked once each (getpwuid_r(3)). */
#include <stdint.h>

struct users;

int users__open(struct users **out);
void users__close(struct users *u);
/* The name, valid until users__close(); NULL where the uid has none. */
const char *users__name(struct users *u, uint32_t uid);
#endif
