# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make bench                 .build/bench/{cost,path,join,xsk,capture,generator}; each says with --help what it measures
#   bench/service              what watching costs a web server; it is a script, and needs make all bench before

BENCH     := $(addprefix $(OUT)/bench/,cost path join xsk capture generator)
BENCH_BPF := $(wildcard bench/*.bpf.c)
BENCH_SRC := $(filter-out $(BENCH_BPF),$(wildcard bench/*.c))
BENCH_OBJ := $(BENCH_SRC:%.c=$(OUT)/%.o)

.PHONY: bench

bench: $(BENCH) $(OUT)/bench/pass.bpf.o
objects: $(BENCH_OBJ)
unit: $(OUT)/bench/generator # what the net tests send with

$(BENCH_OBJ): | $(BENCH_BPF:%.bpf.c=$(OUT)/%.skel.h)
$(OUT)/bench/generator: $(OUT)/bench/generate.o $(OUT)/bench/generator.o
$(OUT)/bench/path: $(OUT)/bench/generator.o $(OUT)/bench/room.o
$(OUT)/bench/capture: $(OUT)/bench/generator.o $(OUT)/bench/room.o
$(OUT)/bench/xsk: $(OUT)/bench/generator.o $(OUT)/bench/room.o $(OUT)/bench/bare.o $(filter $(OUT)/tools/%,$(LIBOBJ))
$(filter-out %/generator,$(BENCH)): %: %.o

$(BENCH): $(filter-out $(OUT)/tools/%,$(LIBOBJ)) $(OUT)/tools/opt.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lm

-include $(BENCH_OBJ:.o=.d) $(BENCH_BPF:%.bpf.c=$(OUT)/%.bpf.d)
