# SPDX-License-Identifier: BSD-3-Clause
# Golden bytes, and other architectures that are really run: `make check-golden`, `make check-cross`.

GOLDEN_SRC := $(wildcard tests/golden/*.c) $(COMMON_SRC) $(filter %_xdr.c,$(GEN_SRC))

$(BUILD)/tests/golden: $(call obj,$(GOLDEN_SRC))
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)

.PHONY: check-golden check-cross

check-golden: $(BUILD)/tests/golden
	$(BUILD)/tests/golden

# Makes for each architecture a folder of its own, build-cross/ARCH; SKIPs what the machine lacks.
check-cross: $(PROGRAMS) $(BUILD)/tests/golden
	BUILD=$(BUILD) tests/golden/cross.sh
