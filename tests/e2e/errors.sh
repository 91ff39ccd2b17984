#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# errors.sh - hosts that are not there, daemons that die, links that are cut: a clear error, and soon.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2 h3

# Each verb that goes to a host, with @ for the host's name.
verbs='status //@
clipboard copy //@
clipboard paste //@/clipboard/team
clipboard types //@
clipboard clear //@
mailslot send //@/mailslot/slot text
mailslot info //@/mailslot/slot
mailslot ls //@
pipe open //@/pipe/pipe
pipe ls //@
acl get //@/pipe/pipe
acl set //@/pipe/pipe --none
acl test //@/pipe/pipe --right read'

test_an_unknown_host_ends_with_4() {
	local verb
	while read -r verb; do
		# shellcheck disable=SC2086 # words
		expect_exit 4 on h1 ipc9 ${verb//@/no-such-host}
		explained "$verb" no-such-host
	done <<<"$verbs"
}

test_a_host_without_a_daemon_ends_with_4_at_once() {
	local verb start
	end_daemon h2
	start=$(now_ms)
	while read -r verb; do
		# shellcheck disable=SC2086 # words
		expect_exit 4 on h1 ipc9 ${verb//@/h2}
		explained "$verb" h2
	done <<<"$verbs"
	at_most "ms for all of them" $((10000 * slow)) $(($(now_ms) - start))
	"$LAB" rpcbind h2 stop
	expect_exit 4 on h1 ipc9 status //h2 # nobody to ask for the port either
	"$LAB" rpcbind h2 start
	expect_exit 4 on h1 ipc9 status //h2:7
	explained "a port nobody listens on" h2
}

test_a_silent_host_ends_with_4_within_the_timeout() {
	local start took
	"$LAB" cut h3
	start=$(now_ms)
	expect_exit 4 on h1 ipc9 status //h3 --timeout 1000
	took=$(($(now_ms) - start))
	explained "silent host" h3
	"$LAB" restore h3
	at_least "ms" 900 $took
	at_most "ms" $((4000 * slow)) $took
}

test_a_dead_IPC9_SOCKET_is_said_and_no_other_tried() {
	local verb
	expect_exit 0 on h1 ipc9 status # another one runs at the usual place
	while read -r verb; do
		# shellcheck disable=SC2086 # words
		expect_exit 4 on h1 env IPC9_SOCKET="$T/dead.sock" ipc9 ${verb//@/.}
		explained "$verb" "$T/dead.sock"
	done <<<"$verbs"
	expect_exit 4 on h1 env IPC9_SOCKET="$T/dead.sock" ipc9 mailslot read slot
	expect_exit 4 on h1 env IPC9_SOCKET="$T/dead.sock" ipc9 pipe serve pipe
	expect_exit 4 on h1 env IPC9_SOCKET="$T/dead.sock" ipc9 mailslot send //@/mailslot/slot text
	# Nor does a socket file that nobody listens on help.
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/dead.sock"
	expect_exit 4 on h1 env IPC9_SOCKET="$T/dead.sock" ipc9 status
	explained "a socket that nobody listens on" "$T/dead.sock"
}

test_no_daemon_at_all_ends_with_4() {
	end_daemon h1
	expect_exit 4 on h1 ipc9 status
	explained "no daemon" ipc9d
	expect_exit 4 on h1 ipc9 mailslot read slot
}

# A client that the death of a daemon must end, in the background on HOST; $job and what it says in $T/err.NAME.
declare -A waiting
client() { # NAME HOST CMD...
	local name=$1
	shift
	background "$@" >"$T/out.$name" 2>"$T/err.$name"
	waiting[$name]=$job
}

check_clients_end() {
	local name
	for name in "${!waiting[@]}"; do
		ends_within 5 "${waiting[$name]}"
		[ "$status" = 1 ] || [ "$status" = 4 ] || fail "exit of $name:" "  expected: 1 or 4" "  actual:   $status"
		at_least "lines of explanation by $name" 1 "$(wc -l <"$T/err.$name")"
	done
}

test_a_daemon_killed_while_clients_wait_ends_each_of_them() {
	mkfifo "$T/a"
	exec 5<>"$T/a"
	client read h2 ipc9 mailslot read waiting
	client follow h2 ipc9 mailslot read following --follow
	client serve h2 ipc9 pipe serve unconnected <&5
	client commands h2 ipc9 pipe serve commands -- cat
	wait_until eval '[ "$(on h2 ipc9 pipe ls | wc -l)" = 3 ]'
	printf text | on h2 ipc9 clipboard copy
	client paste h1 sh -c 'while ipc9 clipboard paste //h2 >/dev/null; do :; done; ipc9 clipboard paste //h2 2>&1'
	unset "waiting[paste]"
	paste=$job
	wait_until on h2 ipc9 mailslot info //./mailslot/following
	wait_until on h2 ipc9 mailslot info //./mailslot/waiting

	end_daemon h2 KILL
	check_clients_end
	ends_within 5 "$paste"
	same "exit of a paste after that" 4 "$status"
}

# Its two ends have nothing to do with the daemon any more, on one host or between two.
test_a_pipe_in_use_outlives_its_daemon() {
	local host
	for host in h1 h2; do
		rm -f "$T/in"
		mkfifo "$T/in"
		exec 5<>"$T/in"
		background h2 ipc9 pipe serve "used-by-$host" >"$T/out.server" 2>"$T/err.server" </dev/null
		server=$job
		wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *used-by-$host* ]]'
		background "$host" ipc9 pipe open "//h2/pipe/used-by-$host" >"$T/out.client" 2>"$T/err.client" <"$T/in"
		client=$job
		echo before >&5
		wait_until has_lines 1 "$T/out.server"
		end_daemon h2 KILL
		echo after >&5
		wait_until has_lines 2 "$T/out.server"
		exec 5>&-
		ends_within 5 "$client"
		same "exit of the client at $host" 0 "$status"
		ends_within 5 "$server"
		same "exit of the server for $host" 0 "$status"
		same "what came from $host" "before after" "$(tr '\n' ' ' <"$T/out.server" | sed 's/ $//')"
		daemon h2
	done
}

test_a_daemon_that_ends_ends_its_clients_too() {
	client read h2 ipc9 mailslot read waiting
	client serve h2 ipc9 pipe serve unconnected
	wait_until on h2 ipc9 mailslot info //./mailslot/waiting
	wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *unconnected* ]]'
	end_daemon h2 TERM
	check_clients_end
}

test_a_daemon_killed_in_mid_paste_is_an_error() {
	head -c 256M /dev/zero | on h2 ipc9 clipboard copy
	mkfifo "$T/slow"
	exec 5<>"$T/slow"
	client paste h1 ipc9 clipboard paste //h2
	background h1 ipc9 clipboard paste //h2 >&5 2>"$T/err.slow"
	wait_until has_bytes 1000000 "$T/out.paste"
	to_job STOP "$job"
	end_daemon h2 KILL
	to_job CONT "$job"
	cat <&5 >/dev/null &
	ends_within 5 "$job"
	different "exit of a paste that did not get all" 0 "$status"
}

test_a_connection_that_another_host_lost_is_an_error() {
	local start
	[ "${E2E_LONG:-}" = 1 ] || skip "takes half a minute: E2E_LONG=1 runs it"
	mkfifo "$T/a"
	exec 5<>"$T/a"
	client server h2 ipc9 pipe serve cut
	wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *cut* ]]'
	client open h1 ipc9 pipe open //h2/pipe/cut <&5
	echo text >&5
	wait_until has_lines 1 "$T/out.server"
	"$LAB" cut h2
	start=$(now_ms)
	for name in server open; do
		ends_within 45 "${waiting[$name]}"
		same "exit of $name" 1 "$status"
	done
	"$LAB" restore h2
	at_least "ms (or it did not notice the cut but something else)" 5000 $(($(now_ms) - start))
}

test_a_link_cut_in_mid_transfer_is_an_error() {
	[ "${E2E_LONG:-}" = 1 ] || skip "takes half a minute: E2E_LONG=1 runs it"
	client sink h2 ipc9 pipe serve sink
	wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *sink* ]]'
	client endless h1 ipc9 pipe open //h2/pipe/sink </dev/zero
	wait_until has_bytes 1000000 "$T/out.sink"
	"$LAB" cut h2
	for name in sink endless; do
		ends_within 45 "${waiting[$name]}"
		different "exit of $name" 0 "$status"
		at_least "bytes of explanation by $name" 1 "$(wc -c <"$T/err.$name")"
	done
	"$LAB" restore h2
}

run_tests
