# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make test [ONLY=pattern]   check, unit, offline and net tests; tests/run says what they are
#   make check                 format, warnings, cppcheck, syntax of scripts, licence lines, who includes whom
#   make debug                 .build/debug/wirewho, which asserts at each step who owns a frame
#   make demo                  a network of its own, real traffic, and who is on it
#   make run IFACE=eth0        the live table on your card

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT     := $(UNIT_SRC:%.c=$(OUT)/%)

STRICT   += $(WERROR)
BPFFLAGS += $(WERROR)

.PHONY: objects unit check-format check-warnings check-cppcheck check-scripts check-text check-arrows

objects: $(OBJ) $(UNIT:=.o)

unit: $(UNIT)

$(UNIT): %: %.o $(LIBOBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# The frames' owners are AF_XDP's affair, so the rest is as ever.
DEBUG     := $(OUT)/debug/wirewho
DEBUG_OBJ := $(patsubst $(OUT)/af_xdp/%.o,$(OUT)/debug/af_xdp/%.o,$(OBJ))

.PHONY: debug
debug: $(DEBUG)

$(OUT)/debug/%.o: %.c $(OUT)/packages.ok | $(SKEL)
	$(call say,CC,'$< with -DDEBUG')
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DDEBUG $(CFLAGS) -std=gnu11 $(STRICT) -MMD -MP -c -o $@ $<

$(DEBUG): $(DEBUG_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

test:
	@sh tests/packages.sh install build test vm
	@$(MAKE) --no-print-directory wirewho debug unit $(OUT)/bench/generator
	@bash tests/run $(ONLY)

# ------------------------------------------------------------------------------------------------------------- check

# What people wrote. Deferred (=), so that only `make check` goes looking.
WRITTEN = $(shell find . \( -name .git -o -name .build -o -name corpus \) -prune -o -type f \( -name '*.[ch]' \
            -o -name '*.sh' -o -name '*.py' -o -name '*.mk' -o -name Makefile -o -perm -u+x ! -name wirewho \) -print)
C_FILES = $(filter %.c %.h,$(WRITTEN))

check: check-format check-warnings check-cppcheck check-scripts check-text check-arrows

# Each clang-format formats a little differently: 14, Debian 12's, is the one that counts.
check-format:
	$(call say,CHECK,format)
	$(Q)case "$$(clang-format --version)" in *'version 14.'*) clang-format --dry-run -Werror $(C_FILES) ;; \
	    *) echo "  the format is checked with clang-format 14 only, and this is another one: not checked" ;; esac

check-warnings:
	$(call say,CHECK,warnings)
	$(Q)$(MAKE) --no-print-directory -s 'say=@:' OUT=.build/check WERROR=-Werror objects

# cppcheck does not read system headers: their macros, in short. Void pointers are counted on with, as in GNU C. Each
# version finds other things: what 2.10, Debian 12's, finds is an error, what another one finds is shown.
CPPCHECK_MACROS := '-DLIBBPF_OPTS(t,n,...)=struct t n = { __VA_ARGS__ }' '-DDECLARE_LIBXDP_OPTS(t,n,...)=struct t n = { __VA_ARGS__ }' \
                   '-DSEC(x)=' '-D__uint(n,v)=int n' '-D__type(n,t)=t *n' '-D__always_inline=inline' '-DWIREWHO_VERSION=""' \
                   '-Dbpf_object__for_each_program(p,o)=while ((p = (void *)o))'
check-cppcheck:
	$(call say,CHECK,cppcheck)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 -j 2 \
	    --suppress=arithOperationsOnVoidPointer --suppress=normalCheckLevelMaxBranches -D_GNU_SOURCE $(CPPCHECK_MACROS) -I. \
	    $(filter %.c,$(C_FILES)) || [ "$$(cppcheck --version)" != 'Cppcheck 2.10' ]

check-scripts:
	$(call say,CHECK,scripts)
	$(Q)for f in $(filter-out %.c %.h %.mk %/Makefile,$(WRITTEN)); do case "$$(head -n 1 $$f)" in \
	    *python3) python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' $$f ;; \
	    '#!/bin/sh') sh -n $$f ;; *) case $$f in *.py) ;; *) bash -n $$f ;; esac ;; esac || exit 1; done

check-text:
	$(call say,CHECK,text)
	$(Q)wrong=$$(for f in $(WRITTEN); do head -n 3 $$f | \
	    grep -q 'SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause' || echo "$$f: no licence line"; done; \
	    grep -nE '[[:space:]]+$$' $(WRITTEN) $(wildcard *.md) | sed 's/$$/<- space at the end of the line/'); \
	    [ -z "$$wrong" ] || { echo "$$wrong" >&2; exit 1; }

# Who may include whom: tools all, af_xdp and attrib xdp, xdp nobody. The join has no I/O, no BPF and no clock.
JOIN := $(wildcard $(addprefix attrib/,$(addsuffix .[ch],join flows sockets ties ways whos index pool places behind ask)))
check-arrows:
	$(call say,CHECK,arrows)
	$(Q)includes() { grep -nE "^#include [<\"]$$1" $$2; }; \
	wrong=$$(includes '(af_xdp|attrib|tools|bench|tests)/' 'xdp/*.[ch]'; includes '(attrib|tools|bench|tests)/' 'af_xdp/*.[ch]'; \
	    includes '(af_xdp|tools|bench|tests)/' 'attrib/*.[ch]'; includes '(bench|tests)/' 'tools/*.[ch] tools/*/*.[ch]'; \
	    includes '(bpf/|stdio|time\.|unistd|fcntl|sys/socket|xdp/[^f][^l]|attrib/)' '$(JOIN)'; \
	    includes '\.\.' 'xdp/*.[ch] af_xdp/*.[ch] attrib/*.[ch] tools/*.[ch] tools/*/*.[ch]'); \
	    [ -z "$$wrong" ] || { echo "$$wrong" | sed 's/$$/ <- is not to be included here/' >&2; exit 1; }

# ----------------------------------------------------------------------------------------------------- demo, and run

demo:
	@sh tests/packages.sh install build demo
	@$(MAKE) --no-print-directory wirewho
	@bash tests/demo.sh

run:
	$(if $(IFACE),,$(error which interface? Try make run IFACE=eth0; yours are: $(notdir $(wildcard /sys/class/net/*))))
	@$(MAKE) --no-print-directory wirewho
	@./wirewho top -i $(IFACE)

-include $(UNIT:=.d) $(DEBUG_OBJ:.o=.d)

include $(wildcard tests/*/*.mk)
