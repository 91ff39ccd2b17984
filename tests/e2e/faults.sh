#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# faults.sh - when memory, descriptors or threads run out: each call of a daemon, or of a client, fails in its turn,
# while every procedure of every service is used.  Nobody crashes, waits in vain, gets a wrong answer or leaves
# anything behind.
#
# E2E_LONG=1: every single call; otherwise some of them, from the first to the last.
. "${0%/*}/lib.sh"
[ -x "$BUILD/tests/faults" ] || skip "$BUILD/tests/faults was not built"
! grep -qa __tsan_ "$BUILD/ipc9d" || skip "the thread sanitizer does not run behind a preloaded library"
lab h1

# A library before the runtime of the sanitizer is what is wanted here.
export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0:allocator_may_return_null=1

# Every call of E2E_LONG, else every EVERYth.
faults() { # PLACE CALL EVERY WIDTH [OPTION...]
	local place=$1 call=$2 every=$3 width=$4
	shift 4
	[ -z "${E2E_LONG:-}" ] || every=1
	printf '%s\n' 'port = 20555' 'listen = any' 'allow = anyone all' >"$T/config"
	on_patiently h1 "$BUILD/tests/faults" "$place" "$call" "$every" "$width" "$T/run/ipc9d.sock" 20555 \
		ipc9d --config "$T/config" --socket "$T/run/ipc9d.sock" --state-dir "$T/state" "$@" >"$T/out"
	cat "$T/out" >>"$base/numbers"
}

on_patiently() { # HOST CMD... : as on, but for much longer
	local host=$1
	shift
	timeout --foreground -k 5 1000 "$LAB" exec "$host" "$@"
}

test_memory_ends_in_a_daemon() { faults daemon memory 5 1 --no-rpcbind; }
test_memory_is_short_in_a_daemon_for_several_calls() { faults daemon memory 29 6 --no-rpcbind; }
test_a_daemon_cannot_accept() { faults daemon accept 5 1 --no-rpcbind; }
test_a_daemon_has_no_descriptors_left() {
	faults daemon open 1 1 --no-rpcbind
	faults daemon socket 2 1 --no-rpcbind
	faults daemon descriptor 2 1 --no-rpcbind
}
test_a_daemon_cannot_watch_descriptors() { faults daemon epoll 4 1 --no-rpcbind; }
test_a_daemon_cannot_map_or_start_threads() {
	faults daemon map 1 1 --no-rpcbind
	faults daemon thread 1 1 --no-rpcbind
}

test_memory_ends_while_a_daemon_starts() { faults start memory 13 1 --no-rpcbind; }
test_descriptors_end_while_a_daemon_starts() {
	local call
	for call in open socket descriptor epoll thread; do faults start "$call" 1 1 --no-rpcbind; done
}
test_a_daemon_that_fails_leaves_no_registration() {
	local -x FAULTS_AFTER='! rpcinfo | awk "\$1 >= 541655040 && \$1 < 541655296" | grep .'
	end_daemon h1
	faults start memory 97 1
	faults start socket 1 1
	faults start thread 1 1
	same "registrations" "" "$(on h1 rpcinfo | awk '$1 >= 541655040 && $1 < 541655296')"
}

test_memory_ends_in_a_client() { faults client memory 37 1 --no-rpcbind; }
test_a_client_has_no_descriptors_left() {
	faults client open 1 1 --no-rpcbind
	faults client socket 4 1 --no-rpcbind
}
test_a_client_cannot_map_or_start_threads() {
	faults client map 1 1 --no-rpcbind
	faults client thread 1 1 --no-rpcbind
}

run_tests
