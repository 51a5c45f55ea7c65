# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make fuzz [FUZZ_SECONDS=600]   each fuzzer for so long; `make -j 2 fuzz` runs two at a time
#
# What they found worth keeping stays in .build/fuzz/corpus and is where the next run starts. An input that breaks
# something is written to .build/fuzz, and the command that shows it again is printed.

FUZZ_SECONDS ?= 600
FUZZERS      := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OUT     := $(OUT)/fuzz
FUZZ_MAX     ?= 2500
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=all

# What each is made of, besides itself and headers.
FUZZ_match := xdp/match.c xdp/say.c
FUZZ_pcapng := $(addprefix tools/capture/,pcapng_reader.c pcapng.c owner_comment.c) tools/outputs/output.c
FUZZ_join  := $(wildcard $(addprefix attrib/,$(addsuffix .c,join flows ask behind sockets places ties ways whos pool index)))

# In the log of a failure: what does not help.
FUZZ_NOISE := ^(\#|INFO:|stat::|Shadow|=?>?  ?0x|  [A-Z].*: +[0-9a-f]{2}|0x)

FUZZ_BIN := $(FUZZERS:%=$(FUZZ_OUT)/fuzz_%)

.PHONY: fuzz fuzzers $(FUZZERS:%=fuzz-%)

fuzz: $(FUZZERS:%=fuzz-%)
fuzzers: $(FUZZ_BIN)
objects: $(FUZZERS:%=$(OUT)/tests/fuzz/fuzz_%.o)

$(FUZZ_OUT)/%.o: %.c $(OUT)/packages.ok
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -O1 -g -std=gnu11 $(STRICT) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ_OUT)/fuzz_match: $(FUZZ_match:%.c=$(FUZZ_OUT)/%.o)
$(FUZZ_OUT)/fuzz_pcapng: $(FUZZ_pcapng:%.c=$(FUZZ_OUT)/%.o)
$(FUZZ_OUT)/fuzz_join: $(FUZZ_join:%.c=$(FUZZ_OUT)/%.o)
$(FUZZ_BIN): $(FUZZ_OUT)/fuzz_%: $(FUZZ_OUT)/tests/fuzz/fuzz_%.o
	$(call say,LD,$@)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ -lpcap

$(FUZZ_OUT)/seeds/%: tests/fuzz/seeds.py tests/frames.py
	$(call say,SEEDS,$*)
	$(Q)rm -rf $@ && mkdir -p $@
	$(Q)case $* in join) ;; *) python3 tests/fuzz/seeds.py $* $@ > $@.log ;; esac

$(FUZZERS:%=fuzz-%): fuzz-%: $(FUZZ_OUT)/fuzz_% $(FUZZ_OUT)/seeds/%
	@mkdir -p $(FUZZ_OUT)/corpus/$*
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=$(FUZZ_MAX) -reload=0 \
	    -print_final_stats=1 -artifact_prefix=$(FUZZ_OUT)/$*- $(FUZZ_OUT)/corpus/$* $(FUZZ_OUT)/seeds/$* \
	    > $(FUZZ_OUT)/$*.log 2>&1 || { grep -vE '$(FUZZ_NOISE)' $(FUZZ_OUT)/$*.log | tail -n 40; \
	    echo "fuzz_$* failed; again: $< $$(sed -n 's/.*written to //p' $(FUZZ_OUT)/$*.log | tail -n 1)"; exit 1; }
	@echo "  fuzz_$*: $$(sed -n 's/^Done \(.*\)/\1/p' $(FUZZ_OUT)/$*.log)," \
	    "$$(sed -n 's/.*DONE .*\(cov: [0-9]*\).*/\1/p' $(FUZZ_OUT)/$*.log)"

-include $(FUZZERS:%=$(FUZZ_OUT)/tests/fuzz/fuzz_%.d) $(patsubst %.c,$(FUZZ_OUT)/%.d,$(FUZZ_match) $(FUZZ_pcapng) $(FUZZ_join))
