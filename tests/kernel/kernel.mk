# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# kernel_count: what the programs in the kernel make of captures, for tests/offline/kernel.py.
#
# meet: two processes that use the same sockets at the same moments, for tests/net/owners_meet.sh.
#
#   make verifier    how many instructions of each BPF program the verifier goes through, and what it may be at most

KERNEL_COUNT := $(OUT)/tests/kernel/kernel_count
VERIFIER     := $(OUT)/tests/kernel/verifier
MEET         := $(OUT)/tests/kernel/meet

.PHONY: kernel-count verifier
kernel-count: $(KERNEL_COUNT)
unit: $(MEET)
objects: $(KERNEL_COUNT).o $(VERIFIER).o $(MEET).o

verifier: $(VERIFIER) $(BPF:%.c=$(OUT)/%.o)
	@bash tests/offline/verifier.sh built

$(KERNEL_COUNT).o: $(OUT)/tests/kernel/front.skel.h

$(KERNEL_COUNT) $(VERIFIER): %: %.o $(filter $(OUT)/xdp/%,$(LIBOBJ))
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(MEET): $(MEET).o $(LIBOBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

-include $(KERNEL_COUNT).d $(VERIFIER).d $(MEET).d $(OUT)/tests/kernel/front.bpf.d
