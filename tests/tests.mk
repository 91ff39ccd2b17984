# SPDX-License-Identifier: BSD-3-Clause
# Tests: `make check`, `make check-all`; included by the Makefile.

include tests/fuzz/fuzz.mk
include tests/golden/golden.mk

TEST_SRC := $(wildcard tests/*.c tests/conformance/*.c)
# The generated clients stand for those of other languages: the tests of the protocol call by them.
UNIT_OBJ := $(call obj,$(TEST_SRC) $(LIB_SRC) $(filter %_clnt.c,$(GEN_SRC)) $(filter-out server/main.c,$(wildcard server/*.c)))

$(BUILD)/tests/unit: $(UNIT_OBJ)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC) -linih -lcunit

$(BUILD)/tests/mark: $(call obj,tests/bench/mark.c $(LIB_SRC))
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)

# All parts run, also behind one that fails; each ends with "... N passed, N failed, N skipped".
check: all $(BUILD)/tests/unit $(BUILD)/tests/golden
	@passed=0 failed=0; \
	for part in layers shape; do \
		if scripts/check-$$part; then passed=$$((passed + 1)); else failed=$$((failed + 1)); fi; \
	done; \
	echo "tree: $$passed passed, $$failed failed, 0 skipped"; \
	$(BUILD)/tests/unit || failed=1; \
	$(BUILD)/tests/golden || failed=1; \
	BUILD=$(BUILD) tests/e2e/run || failed=1; \
	test $$failed = 0

check-all: export E2E_LONG = 1
check-all: check
