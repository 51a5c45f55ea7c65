// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sampler without the call that may keep it out of a dispatcher: none of it is left, and nothing else is changed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "xdp/sampler.h"
#include "xdp/sampler.skel.h"
#include "xdp/without_call.h"

static void sampler(void **state)
{
	size_t size, changed = 0;
	const uint8_t *was = sampler_bpf__elf_bytes(&size);
	uint8_t *now = malloc(size);
	unsigned calls;

	(void)state;
	memcpy(now, was, size);
	assert_int_equal(without_call(now, size, BPF_FUNC_unspec - 1, 0), 0);
	assert_memory_equal(now, was, size);
	calls = without_call(now, size, BPF_FUNC_xdp_adjust_meta, -1);
	assert_in_range(calls, 1, 16);
	for (size_t i = 0; i < size; i += sizeof(struct bpf_insn))
		changed += i + sizeof(struct bpf_insn) <= size &&
			   memcmp(now + i, was + i, sizeof(struct bpf_insn));
	assert_int_equal(changed, calls);
	assert_int_equal(without_call(now, size, BPF_FUNC_xdp_adjust_meta, -1), 0);
	free(now);
}

static void not_whole(void **state)
{
	size_t size;
	const uint8_t *was = sampler_bpf__elf_bytes(&size);
	uint8_t *now = malloc(size);

	(void)state;
	memcpy(now, was, size);
	assert_int_equal(without_call(now, 10, BPF_FUNC_xdp_adjust_meta, -1), 0);
	assert_int_equal(without_call(now, size / 2, BPF_FUNC_xdp_adjust_meta, -1), 0);
	assert_memory_equal(now, was, size);
	free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sampler),
		cmocka_unit_test(not_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
