# SPDX-License-Identifier: BSD-3-Clause
# ipc9.  `make help` lists the targets.

VERSION   := 0.1.0
SONAME    := libipc9.so.0
# Each has idl/M.x, server/M.c, client/M.c and tests/test_M.c; adding one is a word here.
MECHANISMS := bench clipboard filemap mailslot pipe
IDL        := common control rpcring $(MECHANISMS)

# --- Where things go (GNU names) -----------------------------------------------------------------
prefix      ?= /usr/local
exec_prefix ?= $(prefix)
bindir      ?= $(exec_prefix)/bin
sbindir     ?= $(exec_prefix)/sbin
libdir      ?= $(exec_prefix)/lib
includedir  ?= $(prefix)/include
mandir      ?= $(prefix)/share/man
DESTDIR     ?=

# --- How to build: SAN=address,undefined builds with sanitizers into a folder of its own ---------
SAN     ?=
BUILD   ?= build$(if $(SAN),-san)
CC      ?= gcc
CFLAGS  ?= -O2 -g
INSTALL ?= install
PKG_CONFIG ?= pkg-config

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
	-Wno-sign-conversion -Wformat=2 -Wvla -Werror
comma := ,
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CPPFLAGS += -D_GNU_SOURCE -DIPC9_VERSION='"$(VERSION)"' -I. \
	$(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags libtirpc))
ALL_CFLAGS = -std=c11 $(CFLAGS) $(SAN_FLAGS) -fPIC -fvisibility=hidden -pthread
ALL_LDFLAGS = $(LDFLAGS) $(SAN_FLAGS) -pthread
TIRPC := $(shell $(PKG_CONFIG) --libs libtirpc)

# --- What there is -------------------------------------------------------------------------------
GENERATED := $(IDL:%=rpcgen-out/%.h) $(IDL:%=rpcgen-out/%_xdr.c) \
	$(patsubst %,rpcgen-out/%_clnt.c,$(filter-out common,$(IDL)))
GEN_SRC   := $(filter %.c,$(GENERATED))
COMMON_SRC := $(wildcard util/*.c xdr/*.c transport/*.c) $(if $(filter thread,$(SAN)),tests/tsan.c)
LIB_SRC   := $(COMMON_SRC) $(wildcard client/*.c) $(filter %_xdr.c,$(GEN_SRC))
DAEMON_SRC := $(COMMON_SRC) $(wildcard server/*.c) $(filter %_xdr.c,$(GEN_SRC))
CLI_SRC   := $(wildcard cli/*.c)
MAN       := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(wildcard docs/man/*.scd))

obj = $(1:%.c=$(BUILD)/obj/%.o)
PROGRAMS := $(BUILD)/ipc9d $(BUILD)/ipc9
LIBRARIES := $(BUILD)/libipc9.so.$(VERSION) $(BUILD)/libipc9.a

.PHONY: all check check-all demo install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) $(LIBRARIES) $(MAN)

help:
	@echo 'make            build everything into $(BUILD)/'
	@echo 'make check      run the tests (root, or user namespaces, for those with several hosts)'
	@echo 'make check-all  the same with the long counts'
	@echo 'make check-cross  only golden bytes and services on big-endian and 32-bit machines, under qemu;'
	@echo '                skipped where scripts/setup --cross was not run'
	@echo 'make check-threads  the unit tests under the thread sanitizer, in build-tsan/'
	@echo 'make fuzz       fuzz each decoder for FUZZ_SECONDS (60); fuzz-corpus: the corpora, and 5 s'
	@echo 'make bench      measure the engine beside raw sockets (BENCH_ARGS=--list)'
	@echo 'make demo       show the services working across three virtual hosts'
	@echo 'make install    into $(prefix) (DESTDIR, prefix, bindir, ... as usual)'
	@echo 'make uninstall  take that away again'
	@echo 'make clean      remove build*/ and what rpcgen made'
	@echo 'SAN=address,undefined builds with sanitizers, into build-san/'

# One line for each command; `make V=1` shows them whole.
quiet = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$@';)

# --- Interfaces ----------------------------------------------------------------------------------
RPCGEN = $(call quiet,RPCGEN)cd idl && rm -f ../$@ && rpcgen -C -M -i 0 -DIPC9_ZERO_COPY

rpcgen-out/%.h: idl/%.x
	$(RPCGEN) -h -o ../$@ $*.x
rpcgen-out/%_xdr.c: idl/%.x
	$(RPCGEN) -c -o ../$@ $*.x
rpcgen-out/%_clnt.c: idl/%.x
	$(RPCGEN) -l -o ../$@ $*.x

# --- Objects, libraries, programs ----------------------------------------------------------------
# xdr_text is xdr_string but for strings with a NUL inside, which C would cut short (xdr/stream.h).
$(BUILD)/obj/rpcgen-out/%.o: rpcgen-out/%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Dxdr_string=xdr_text -w -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(WARN) -MMD -MP -c -o $@ $<

$(BUILD)/libipc9.so.$(VERSION): $(call obj,$(LIB_SRC)) client/libipc9.map
	$(call quiet,LD)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=client/libipc9.map $(ALL_LDFLAGS) \
		-o $@ $(filter %.o,$^) $(TIRPC)
	@ln -sf $(@F) $(BUILD)/$(SONAME)
	@ln -sf $(SONAME) $(BUILD)/libipc9.so

# One object, so that what the library keeps to itself does not meet names of the program.
$(BUILD)/libipc9.a: $(call obj,$(LIB_SRC))
	$(call quiet,AR)rm -f $@ && $(LD) -r -o $(BUILD)/libipc9.o $^ && \
		objcopy --localize-hidden $(BUILD)/libipc9.o && $(AR) rcs $@ $(BUILD)/libipc9.o

$(BUILD)/ipc9d: $(call obj,$(DAEMON_SRC))
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TIRPC) -linih

# The command uses the shared library beside it, or the installed one.
$(BUILD)/ipc9: $(call obj,$(CLI_SRC)) $(BUILD)/libipc9.so.$(VERSION) $(call obj,util/text.c util/name.c)
	$(call quiet,LD)$(CC) $(ALL_LDFLAGS) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' -o $@ $(filter %.o,$^) \
		-L$(BUILD) -lipc9 $(TIRPC) -ljansson

$(BUILD)/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(call quiet,SCDOC)scdoc <$< >$@.new && mv $@.new $@

include tests/tests.mk

demo: all
	scripts/demo --no-setup

# --- Install -------------------------------------------------------------------------------------
install: all
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir) $(DESTDIR)$(libdir)/pkgconfig \
		$(DESTDIR)$(includedir) $(patsubst .%,$(DESTDIR)$(mandir)/man%,$(sort $(suffix $(MAN))))
	$(INSTALL) -m 755 $(BUILD)/ipc9 $(DESTDIR)$(bindir)/
	$(INSTALL) -m 755 $(BUILD)/ipc9d $(DESTDIR)$(sbindir)/
	$(INSTALL) -m 755 $(BUILD)/libipc9.so.$(VERSION) $(DESTDIR)$(libdir)/
	ln -sf libipc9.so.$(VERSION) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libipc9.so
	$(INSTALL) -m 644 $(BUILD)/libipc9.a $(DESTDIR)$(libdir)/
	$(INSTALL) -m 644 client/ipc9.h client/ipc9_filemap.h client/ipc9_pipe.h client/ipc9_rpc.h $(DESTDIR)$(includedir)/
	sed -e 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|' \
		-e 's|@version@|$(VERSION)|' client/ipc9.pc.in >$(DESTDIR)$(libdir)/pkgconfig/ipc9.pc
	for m in $(MAN); do $(INSTALL) -m 644 $$m $(DESTDIR)$(mandir)/man$${m##*.}/ || exit 1; done
	[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

uninstall:
	rm -f $(DESTDIR)$(bindir)/ipc9 $(DESTDIR)$(sbindir)/ipc9d \
		$(DESTDIR)$(includedir)/ipc9.h $(DESTDIR)$(includedir)/ipc9_filemap.h \
		$(DESTDIR)$(includedir)/ipc9_pipe.h $(DESTDIR)$(includedir)/ipc9_rpc.h \
		$(DESTDIR)$(libdir)/libipc9.* $(DESTDIR)$(libdir)/pkgconfig/ipc9.pc
	for m in $(notdir $(MAN)); do rm -f $(DESTDIR)$(mandir)/man$${m##*.}/$$m; done

clean:
	rm -rf build build-san build-tsan build-fuzz build-cross $(GENERATED)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
