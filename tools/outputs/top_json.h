/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TOP_JSON_H
#define WIREWHO_TOP_JSON_H
/* The rows of `top` as JSON: one object a line for each interval, {"@timestamp", "by", "seconds", "rows": [...]}. */
#include <stdio.h>
#include "view.h"

/* 0 or -errno (said). */
int top_json__print(FILE *to, struct view *v, enum view_by by, enum view_sort sort, size_t most,
		    uint64_t now);
#endif
