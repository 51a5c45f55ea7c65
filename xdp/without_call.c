// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "without_call.h"

#include <elf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

static bool is_call(const struct bpf_insn *insn, int helper)
{
	return insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg && insn->imm == helper;
}

/* A 64-bit constant takes two instructions, and the second one is none. */
static unsigned in_code(struct bpf_insn *insn, size_t n, int helper, int answer)
{
	unsigned found = 0;

	for (size_t i = 0; i < n; i++) {
		if (insn[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
			i++;
		} else if (is_call(&insn[i], helper)) {
			insn[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K,
						     .imm = answer };
			found++;
		}
	}
	return found;
}

unsigned without_call(void *elf, size_t size, int helper, int answer)
{
	const Elf64_Ehdr *head = elf;
	const Elf64_Shdr *section = (void *)((char *)elf + head->e_shoff);
	unsigned found = 0;

	if (size < sizeof(*head) || head->e_shoff + head->e_shnum * sizeof(*section) > size)
		return 0;
	for (unsigned i = 0; i < head->e_shnum; i++, section++)
		if (section->sh_type == SHT_PROGBITS && section->sh_flags & SHF_EXECINSTR &&
		    section->sh_offset + section->sh_size <= size)
			found += in_code((void *)((char *)elf + section->sh_offset),
					 section->sh_size / sizeof(struct bpf_insn), helper,
					 answer);
	return found;
}
