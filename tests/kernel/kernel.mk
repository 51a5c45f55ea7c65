# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# kernel_count: what the programs in the kernel make of captures, for tests/offline/kernel.py.

KERNEL_COUNT := $(OUT)/tests/kernel/kernel_count

.PHONY: kernel-count
kernel-count: $(KERNEL_COUNT)
objects: $(KERNEL_COUNT).o

$(KERNEL_COUNT).o: $(OUT)/tests/kernel/front.skel.h

$(KERNEL_COUNT): %: %.o $(filter $(OUT)/xdp/%,$(LIBOBJ))
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

-include $(KERNEL_COUNT).d $(OUT)/tests/kernel/front.bpf.d
