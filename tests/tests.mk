# SPDX-License-Identifier: BSD-3-Clause
# Tests: `make check`, `make check-all`; included by the Makefile.

# What of the command is tested without it: interface files and their values.
IDL_SRC := $(wildcard cli/idl*.c) cli/content.c cli/io.c

include tests/fuzz/fuzz.mk
include tests/golden/golden.mk

TEST_SRC := $(wildcard tests/*.c tests/conformance/*.c)
# The generated clients stand for those of other languages: the tests of the protocol call by them.
UNIT_OBJ := $(call obj,$(TEST_SRC) $(LIB_SRC) $(IDL_SRC) $(filter %_clnt.c,$(GEN_SRC)) $(filter-out server/main.c,$(wildcard server/*.c)))

$(BUILD)/tests/unit: $(UNIT_OBJ)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC) -linih -ljansson -lcunit

$(BUILD)/tests/mark: $(call obj,tests/bench/mark.c) $(BUILD)/libipc9.a
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)

# Fails the calls of a daemon or a client one by one: tests/e2e/faults.sh.
$(BUILD)/tests/faults: $(call obj,tests/faults/main.c tests/faults/scenario.c util/text.c) $(BUILD)/libipc9.a $(BUILD)/tests/preload.so
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $(filter-out %.so,$^) $(TIRPC)

$(BUILD)/tests/preload.so: tests/faults/preload.c tests/faults/faults.h
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(CPPFLAGS) -std=c11 $(CFLAGS) $(WARN) -fno-builtin -fPIC -fvisibility=hidden -shared -o $@ $< -ldl

# Conduits whose ends are killed between any two stores; in objects of their own: tests/e2e/conduit.sh.
CRASH_SRC := $(wildcard transport/conduit*.c) transport/ring.c transport/shm.c tests/crash/crash.c
CRASH_OBJ := $(CRASH_SRC:%.c=$(BUILD)/crash/obj/%.o)
$(BUILD)/crash/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(CPPFLAGS) -DIPC9_CRASH_POINTS '-DSLICE_NS=(20*NS_PER_MS)' -DGRACE_NAPS=2000 $(ALL_CFLAGS) $(WARN) -MMD -MP -c -o $@ $<

$(BUILD)/tests/crash: $(CRASH_OBJ)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^

-include $(CRASH_OBJ:.o=.d)

# --- Speed: `make bench`, BENCH_ARGS as of tests/bench/speed.c -------------------------------------
BENCH_DIR := $(BUILD)/tests/bench
BENCH_XDR := $(BENCH_DIR)/echo_xdr.o $(BENCH_DIR)/echo_clnt.o $(BENCH_DIR)/echo_svc.o
SPEED_SRC := $(addprefix tests/bench/,children.c crowd.c loads.c ours.c pipe.c raw.c ring.c rows.c speed.c)
# Of the library's own, what no program of others can call.
SPEED_OWN := $(call obj,$(wildcard transport/conduit*.c) transport/ring.c transport/shm.c)
NO_SPIN_BUILD := $(BUILD)/no-spin
BENCH_RPCGEN = $(call quiet,RPCGEN)mkdir -p $(@D) && rm -f $@ && cd tests/bench && rpcgen -C -M

$(BENCH_DIR)/echo.h: tests/bench/echo.x
	$(BENCH_RPCGEN) -h -o $(abspath $@) echo.x
$(BENCH_DIR)/echo_xdr.c: tests/bench/echo.x
	$(BENCH_RPCGEN) -c -o $(abspath $@) echo.x
$(BENCH_DIR)/echo_clnt.c: tests/bench/echo.x
	$(BENCH_RPCGEN) -l -o $(abspath $@) echo.x
$(BENCH_DIR)/echo_svc.c: tests/bench/echo.x
	$(BENCH_RPCGEN) -m -o $(abspath $@) echo.x
$(BENCH_DIR)/%.o: $(BENCH_DIR)/%.c $(BENCH_DIR)/echo.h
	$(call quiet,CC)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -w -c -o $@ $<

$(call obj,$(SPEED_SRC)): $(BENCH_DIR)/echo.h
$(call obj,$(SPEED_SRC)): CPPFLAGS += -isystem $(BENCH_DIR)

# The same program twice: as it is, and with a library that does not spin.
$(BUILD)/tests/speed: $(call obj,$(SPEED_SRC)) $(SPEED_OWN) $(BENCH_XDR) $(BUILD)/libipc9.a
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)
$(BUILD)/tests/speed-no-spin: $(call obj,$(SPEED_SRC)) $(SPEED_OWN) $(BENCH_XDR) $(BUILD)/libipc9.a tests/bench/no_spin.h
	@$(MAKE) --no-print-directory BUILD=$(NO_SPIN_BUILD) CFLAGS='$(CFLAGS) -include tests/bench/no_spin.h' \
		$(NO_SPIN_BUILD)/libipc9.a
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $(filter-out %.a %.h,$^) $(NO_SPIN_BUILD)/libipc9.a $(TIRPC)

.PHONY: bench
bench: $(BUILD)/tests/speed $(BUILD)/tests/speed-no-spin $(BUILD)/ipc9d
	@$(BUILD)/tests/speed $(BENCH_ARGS)

# All parts run, also behind one that fails; each ends with "... N passed, N failed, N skipped".
check: all $(BUILD)/tests/unit $(BUILD)/tests/golden $(BUILD)/tests/peer $(BUILD)/tests/faults $(BUILD)/tests/crash
	@passed=0 failed=0; \
	for part in layers shape; do \
		if scripts/check-$$part; then passed=$$((passed + 1)); else failed=$$((failed + 1)); fi; \
	done; \
	if tests/fuzz/list-types tests/fuzz/corpus/types idl/*.x >/dev/null; \
	then passed=$$((passed + 1)); else failed=$$((failed + 1)); fi; \
	echo "tree: $$passed passed, $$failed failed, 0 skipped"; \
	$(BUILD)/tests/unit || failed=1; \
	$(BUILD)/tests/golden || failed=1; \
	BUILD=$(BUILD) tests/golden/cross.sh || failed=1; \
	BUILD=$(BUILD) tests/e2e/run || failed=1; \
	test $$failed = 0

# The unit tests under the thread sanitizer, in a build of its own; setarch: its runtime wants addresses where
# newer kernels do not always put them.
TSAN_BUILD ?= build-tsan
TSAN_FLAGS := -fsanitize=thread
TSAN_RUN = $(shell setarch -R true 2>/dev/null && echo setarch -R) env \
	TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp $$TSAN_OPTIONS"
TSAN_PROBE = echo 'int main(void) { return 0; }' | \
	$(CC) $(TSAN_FLAGS) -x c -o $(TSAN_BUILD)/probe - 2>/dev/null && $(TSAN_RUN) $(TSAN_BUILD)/probe 2>/dev/null

.PHONY: check-threads
check-threads:
	@mkdir -p $(TSAN_BUILD)
	@if $(TSAN_PROBE); then \
		$(MAKE) --no-print-directory BUILD=$(TSAN_BUILD) SAN=thread $(TSAN_BUILD)/ipc9d $(TSAN_BUILD)/tests/unit && \
		$(TSAN_RUN) $(TSAN_BUILD)/tests/unit; \
	else \
		echo "SKIP threads: programs of $(CC) $(TSAN_FLAGS) cannot be built or do not run here"; \
		echo "threads: 0 passed, 0 failed, 1 skipped"; \
	fi

check-all: export E2E_LONG = 1
check-all: export E2E_LIMIT = 1200
check-all: check
