# SPDX-License-Identifier: BSD-3-Clause
# Fuzzing: `make fuzz` runs each target FUZZ_SECONDS (60), `make fuzz-corpus` each corpus once and then 5;
# included by tests/tests.mk.
#
# The tree is built once more by clang into a folder of its own, by the same rules with other flags.  A new
# target is a word here, tests/fuzz/fuzz_NAME.c, and seeds in tests/fuzz/corpus/NAME.

FUZZ_TARGETS := record call types name config dispatch idl replies ring frames
FUZZ_CC      ?= clang
FUZZ_BUILD   := $(BUILD)/fuzz
FUZZ_SAN     := address,undefined
FUZZ_FLAGS   := -fno-omit-frame-pointer -fno-sanitize-recover=all
FUZZ_TYPES   := $(FUZZ_BUILD)/types.inc

fuzz: FUZZ_MODE := fuzz
fuzz: FUZZ_SECONDS ?= 60
fuzz-corpus: FUZZ_MODE := corpus
fuzz-corpus: FUZZ_SECONDS ?= 5

# Whether FUZZ_CC is there, and the libraries of its sanitizers.
FUZZ_PROBE = echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	$(FUZZ_CC) -fsanitize=fuzzer,$(FUZZ_SAN) -x c -o $(FUZZ_BUILD)/probe - 2>/dev/null

.PHONY: fuzz fuzz-corpus fuzz-build fuzz-programs
fuzz fuzz-corpus:
	@mkdir -p $(FUZZ_BUILD)
	@if $(FUZZ_PROBE); then \
		$(MAKE) --no-print-directory fuzz-build && \
		tests/fuzz/run $(FUZZ_MODE) $(FUZZ_BUILD) $(FUZZ_SECONDS) $(FUZZ_TARGETS); \
	else \
		echo "SKIP fuzz: $(FUZZ_CC) with -fsanitize=fuzzer,$(FUZZ_SAN) is not installed"; \
		echo "fuzz: 0 passed, 0 failed, 1 skipped"; \
	fi

fuzz-build:
	@$(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=$(FUZZ_CC) SAN= \
		SAN_FLAGS='-fsanitize=fuzzer-no-link,$(FUZZ_SAN) $(FUZZ_FLAGS)' \
		FUZZ_BUILD=$(FUZZ_BUILD) fuzz-programs

fuzz-programs: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz-%)

# A type without a place in the list, or without seeds, stops here.
$(FUZZ_TYPES): $(IDL:%=idl/%.x) tests/fuzz/list-types tests/fuzz/idl.py $(wildcard tests/fuzz/corpus/types)
	@mkdir -p $(@D)
	$(call quiet,TYPES)tests/fuzz/list-types tests/fuzz/corpus/types $(IDL:%=idl/%.x) >$@

$(FUZZ_BUILD)/obj/tests/fuzz/fuzz_types.o: $(FUZZ_TYPES)
$(FUZZ_BUILD)/obj/tests/fuzz/%.o: CPPFLAGS += -I$(FUZZ_BUILD)

# Its time is its own.
$(FUZZ_BUILD)/fuzz-dispatch: LDFLAGS += -Wl,--wrap=clock_gettime

# It has a part of the command too.
$(FUZZ_BUILD)/fuzz-idl: $(IDL_SRC:%.c=$(FUZZ_BUILD)/obj/%.o)
$(FUZZ_BUILD)/fuzz-idl: FUZZ_LIBS := -ljansson

# And this one of the library.
$(FUZZ_BUILD)/fuzz-frames: $(addprefix $(FUZZ_BUILD)/obj/client/,frames.o frames_in.o frames_queue.o frames_out.o frames_later.o)

$(FUZZ_BUILD)/fuzz-%: $(FUZZ_BUILD)/obj/tests/fuzz/fuzz_%.o \
		$(patsubst %.c,$(FUZZ_BUILD)/obj/%.o,$(filter-out server/main.c,$(DAEMON_SRC)))
	$(call quiet,LD)$(CC) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $^ $(TIRPC) $(FUZZ_LIBS) -linih
