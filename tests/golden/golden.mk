# SPDX-License-Identifier: BSD-3-Clause
# Golden bytes, and other architectures that are really run: `make check-golden`, `make check-cross`.

GOLDEN_SRC := $(wildcard tests/golden/*.c) $(COMMON_SRC) $(filter %_xdr.c,$(GEN_SRC))

$(BUILD)/tests/golden: $(call obj,$(GOLDEN_SRC))
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)

# A program with an interface of its own, for either engine: as applications have it, not as idl/ is built.
PEER := $(BUILD)/peer
PEER_GENERATED := $(PEER)/peer.h $(PEER)/peer_xdr.c $(PEER)/peer_clnt.c $(PEER)/peer_svc.c

$(PEER)/peer.h: PEER_PART := -h
$(PEER)/peer_xdr.c: PEER_PART := -c
$(PEER)/peer_clnt.c: PEER_PART := -l
$(PEER)/peer_svc.c: PEER_PART := -m
$(PEER_GENERATED): tests/golden/peer/peer.x
	@mkdir -p $(@D)
	$(call quiet,RPCGEN)rm -f $@ && cd $(<D) && rpcgen -C -M $(PEER_PART) -o $(abspath $@) $(<F)

$(PEER)/%.o: $(PEER)/%.c | $(PEER_GENERATED)
	$(call quiet,CC)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -w -c -o $@ $<

$(call obj,tests/golden/peer/peer.c): CPPFLAGS += -I$(PEER)
$(call obj,tests/golden/peer/peer.c): | $(PEER_GENERATED)

$(BUILD)/tests/peer: $(call obj,tests/golden/peer/peer.c $(LIB_SRC)) $(patsubst %.c,%.o,$(filter %.c,$(PEER_GENERATED)))
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC)

.PHONY: check-golden check-cross

check-golden: $(BUILD)/tests/golden
	$(BUILD)/tests/golden

# Makes for each architecture a folder of its own, build-cross/ARCH; SKIPs what the machine lacks.
check-cross: $(PROGRAMS) $(BUILD)/tests/golden $(BUILD)/tests/peer
	BUILD=$(BUILD) tests/golden/cross.sh
