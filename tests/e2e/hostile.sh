#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# hostile.sh - peers that stall, claim, lie and flood, against a daemon whose other clients do not notice:
# hostile.py has them, and a victim that calls beside them.  E2E_LONG=1 takes the full counts, and times.
. "${0%/*}/lib.sh"
single_host

long() { [ "${E2E_LONG:-}" = 1 ]; }

# A daemon with these lines, with 1024 descriptors as services have them by default.
limited() { # LINE...
	(ulimit -n 1024 && daemon here "port = $port" 'allow = anyone read,write,create,delete' "$@")
}

# What the row says was wrong fails the test.  Memory is looked at where sanitizers do not use most of it,
# and times where nothing else runs.
hostile() { # ROW [VARIABLE=VALUE...]
	local row=$1
	shift
	env "$@" PORT="$port" DAEMON_PID="$(<"$base/here/pid")" MEMORY="$((slow == 1))" \
		TIMED="$(long && echo $((slow == 1)) || echo 0)" \
		timeout --foreground -k 5 600 python3 "$root/tests/e2e/hostile.py" "$row" >"$T/$row" 2>"$T/$row.err" ||
		fail "$row:" "$(<"$T/$row")" "$(tail -n 20 "$T/$row.err")"
}

test_half_records_stop_nobody() {
	if long; then
		limited
		hostile partial RECORD_MS=10000 SECONDS=60 COUNT=200
	else
		limited 'record_ms = 400'
		hostile partial RECORD_MS=400 SECONDS=2 COUNT=50
	fi
}

test_trickles_are_closed_by_the_deadline_of_the_whole_record() {
	if long; then
		limited
		hostile trickle RECORD_MS=10000 SECONDS=120 COUNT=50
	else
		limited 'record_ms = 400'
		hostile trickle RECORD_MS=400 SECONDS=4 COUNT=20
	fi
}

test_who_does_not_read_is_closed_alone() {
	if long; then
		limited
		hostile slow-reader UNREAD_MS=30000 SECONDS=60
	else
		limited 'unread_ms = 500'
		hostile slow-reader UNREAD_MS=500
	fi
}

test_who_is_greedy_does_not_starve_others() {
	hostile greedy SECONDS="$(long && echo 30 || echo 1)"
}

test_no_length_that_is_claimed_is_believed() {
	hostile claims
}

test_mutated_calls_get_one_answer_or_a_close() {
	hostile mutations COUNT="$(long && echo 10000 || echo 200)"
}

test_what_is_not_there_gets_its_exact_answer() {
	hostile answers
}

test_floods_leave_room_for_local_clients_and_end() {
	limited
	if long; then
		hostile flood SECONDS=10 COUNT=5000
	else
		hostile flood SECONDS=1 COUNT=1500
	fi
}

test_one_host_gets_half_of_the_connections() {
	limited 'connections = 400'
	hostile share COUNT=600 HALF=200
	limited 'connections = 400' 'connections_per_host = 50'
	hostile share COUNT=600 HALF=50
}

test_who_is_over_the_share_is_told_so() {
	limited 'connections_per_host = 1'
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	wait_until eval '[ "$(ipc9 status | awk "/rpc.connections/ { print \$1 }")" -ge 2 ]'
	expect_exit 4 on here ipc9 status "//127.0.0.1:$port"
	explained "one connection too many" "too many connections"
	exec 5>&-
	wait_until ipc9 status "//127.0.0.1:$port"
}

test_connections_that_come_and_go_leave_nothing() {
	limited
	hostile storm COUNT="$(long && echo 20000 || echo 2000)"
}

test_more_connections_than_descriptors_are_said_and_not_taken() {
	limited 'connections = 5000' 'local_connections = 3000'
	contains "its log" ": connections = 5000" "$(<"$base/here/log")"
	contains "its log" ": local_connections = 3000" "$(<"$base/here/log")"
	hostile flood SECONDS=1 COUNT=1500
}

run_tests
