# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make benches               .build/bench/{cost,path,join,xsk,capture,generator}; each says with --help what it measures
#   make bench [QUICK=1]       installs what is missing, builds, runs bench/run; [ONLY=NAME,...] for parts of it, [MINUTES=N]: begins
#                              no part after so many

BENCH     := $(addprefix $(OUT)/bench/,cost path join xsk capture generator switch)
BENCH_BPF := $(wildcard bench/*.bpf.c)
BENCH_SRC := $(filter-out $(BENCH_BPF),$(wildcard bench/*.c))
BENCH_OBJ := $(BENCH_SRC:%.c=$(OUT)/%.o)

.PHONY: bench benches

# Parts of it: ONLY=service,peers; bench/run --help says what there is.
bench:
	@sh tests/packages.sh install build bench
	@$(MAKE) --no-print-directory -j $$(nproc) wirewho benches
	@bench/run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(MINUTES),--minutes $(MINUTES))

benches: $(BENCH) $(OUT)/bench/pass.bpf.o
objects: $(BENCH_OBJ)
unit: $(OUT)/bench/generator # what the net tests send with

$(BENCH_OBJ): | $(BENCH_BPF:%.bpf.c=$(OUT)/%.skel.h)
$(OUT)/bench/generator: $(addprefix $(OUT)/bench/,generate.o generator.o pktgen.o packets.o)
$(OUT)/bench/cost: $(OUT)/bench/generator.o $(OUT)/bench/room.o $(OUT)/bench/veth.o
$(OUT)/bench/path: $(OUT)/bench/generator.o $(OUT)/bench/room.o $(OUT)/bench/veth.o
$(OUT)/bench/capture: $(OUT)/bench/generator.o $(OUT)/bench/room.o $(OUT)/bench/veth.o
$(OUT)/bench/xsk: $(OUT)/bench/generator.o $(OUT)/bench/room.o $(OUT)/bench/veth.o $(OUT)/bench/bare.o $(filter $(OUT)/tools/%,$(LIBOBJ))
$(filter-out %/generator,$(BENCH)): %: %.o

$(BENCH): $(filter-out $(OUT)/tools/%,$(LIBOBJ)) $(OUT)/tools/opt.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lm

-include $(BENCH_OBJ:.o=.d) $(BENCH_BPF:%.bpf.c=$(OUT)/%.bpf.d)
