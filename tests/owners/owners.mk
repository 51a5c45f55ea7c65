# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# actor: the programs whose sockets have known owners, for tests/owners/run.

ACTOR     := $(OUT)/tests/owners/actor
ACTOR_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/owners/*.c))

.PHONY: actor
actor: $(ACTOR)
objects: $(ACTOR_OBJ)
unit: $(ACTOR)

$(ACTOR): $(ACTOR_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ -luring -lpthread

-include $(ACTOR_OBJ:.o=.d)
