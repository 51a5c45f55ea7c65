# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make            build ./wirewho             make demo            who is on the wire, on a network of its own
#   make check      format, warnings, cppcheck  make run IFACE=eth0  the same on your card
#   make test       everything that can fail    make deps            install the packages that are missing
#
# Products live in .build/, beside the one binary ./wirewho. V=1 shows whole command lines.

VERSION := 0.1.0
OUT     := .build
ROOMS   := xdp af_xdp attrib tools
ARCH    := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
MULTI   := $(shell gcc -print-multiarch 2>/dev/null)

CC      := gcc
CLANG   := clang
BPFTOOL := $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool || echo bpftool)
CFLAGS  := -O2 -g
STRICT  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS := -D_GNU_SOURCE -I. -I$(OUT) -DWIREWHO_VERSION='"$(VERSION)"'
LDLIBS  := -lxdp -lbpf -lelf -lz -ljansson -lmd -lncursesw -lpcap -lpthread
BPFFLAGS := -target bpf -mcpu=v3 -O2 -g -D__TARGET_ARCH_$(ARCH) -I. -I$(OUT) -I/usr/include/$(MULTI) \
            -Wall -Wextra -Wno-unused-parameter

BPF     := $(wildcard $(ROOMS:%=%/*.bpf.c))
SRC     := $(filter-out $(BPF),$(wildcard $(ROOMS:%=%/*.c) tools/*/*.c))
OBJ     := $(SRC:%.c=$(OUT)/%.o)
SKEL    := $(BPF:%.bpf.c=$(OUT)/%.skel.h)
LIBOBJ  := $(filter-out $(OUT)/tools/main.o,$(OBJ))

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-7s %s\n' $(1) $(2)
endif

.PHONY: all deps check test demo run clean
.PRECIOUS: $(OUT)/%.bpf.o $(OUT)/%.skel.h $(OUT)/%.o
.DELETE_ON_ERROR:
all: wirewho

wirewho: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/%.o: %.c $(OUT)/packages.ok | $(SKEL)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -std=gnu11 $(STRICT) -MMD -MP -c -o $@ $<

$(OUT)/%.bpf.o: %.bpf.c $(OUT)/packages.ok
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/%.skel.h: $(OUT)/%.bpf.o
	$(call say,SKEL,$(@:$(OUT)/%=%))
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@ 2> $@.log || { cat $@.log >&2; exit 1; }

# The names of system calls, out of the installed headers.
$(OUT)/tools/trace/syscall_table.h: tools/trace/syscall_names.sh $(OUT)/packages.ok
	$(call say,GEN,$(@:$(OUT)/%=%))
	$(Q)mkdir -p $(@D)
	$(Q)sh $< $(CC) > $@
$(OUT)/tools/trace/syscall_names.o: $(OUT)/tools/trace/syscall_table.h

# What a build needs, asked for once; tests/packages.sh says which package is missing and how to get it.
$(OUT)/packages.ok: tests/packages.sh
	@mkdir -p $(OUT)
	@sh tests/packages.sh check build
	@touch $@

deps:
	@sh tests/packages.sh install build

clean:
	rm -rf $(OUT) wirewho

include $(wildcard bench/bench.mk tests/tests.mk)
-include $(OBJ:.o=.d) $(BPF:%.bpf.c=$(OUT)/%.bpf.d)
