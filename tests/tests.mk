# SPDX-License-Identifier: BSD-3-Clause
# Tests: `make check`, `make check-all`; included by the Makefile.

TEST_SRC := $(wildcard tests/*.c tests/conformance/*.c)
UNIT_OBJ := $(call obj,$(TEST_SRC) $(LIB_SRC) $(filter-out server/main.c,$(wildcard server/*.c)))

$(BUILD)/tests/unit: $(UNIT_OBJ)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC) -linih -lcunit

check: all $(BUILD)/tests/unit
	scripts/check-layers
	scripts/check-shape
	$(BUILD)/tests/unit
	BUILD=$(BUILD) tests/e2e/run

check-all: export E2E_LONG = 1
check-all: check
