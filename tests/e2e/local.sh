#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# local.sh - one host by itself, as any user, with no network: everything works over the local socket.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
single_host

test_clipboard() {
	head -c 5M /dev/urandom >"$T/random"
	ipc9 clipboard copy <"$T/random"
	ipc9 clipboard paste >"$T/got"
	same_file "pasted" "$T/random" "$T/got"
	x=$(timeout 10 ipc9 clip copy 2>&1 <"$T/random")
	same "what the substitution gave" "" "$x"
	ipc9 clipboard paste "//$(hostname)" >"$T/got"
	same_file "by the host's own name" "$T/random" "$T/got"
}

test_mailslot() {
	background here ipc9 mailslot read here --count 2 >"$T/got"
	wait_until ipc9 mailslot info //./mailslot/here
	ipc9 mailslot send //./mailslot/here 'hello'
	printf 'from input' | ipc9 slot send '\\.\mailslot\here'
	ends 0 "$job"
	same "messages" "hello,from input" "$(paste -sd , "$T/got")"
}

test_a_broadcast_reaches_our_own_slot_with_no_network() {
	background here ipc9 mailslot read all --follow >"$T/got"
	wait_until ipc9 mailslot info //./mailslot/all
	head -c 400 /dev/zero | tr '\0' x >"$T/400"
	expect_exit 0 ipc9 mailslot send //@/mailslot/all <"$T/400"
	expect_exit 0 ipc9 mailslot send '//*/mailslot/all' second
	ipc9 mailslot send //./mailslot/all end
	wait_until grep -q end "$T/got"
	same "messages" "$(cat "$T/400" && printf '\nsecond\nend')" "$(<"$T/got")"
	printf x >>"$T/400"
	expect_exit 1 ipc9 mailslot send //@/mailslot/all <"$T/400"
	explained "401 bytes" 400
}

test_pipe() {
	background here ipc9 pipe serve sum -- awk '{ s += $1 } END { printf "%.0f\n", s }'
	wait_until eval '[[ "$(ipc9 pipe ls)" == *sum* ]]'
	same "sum" 500000500000 "$(seq 1000000 | ipc9 pipe open //./pipe/sum)"
	head -c 16M /dev/urandom >"$T/random"
	background here ipc9 pipe serve cat -- cat
	wait_until eval '[[ "$(ipc9 pipe ls)" == *cat* ]]'
	ipc9 pipe open //./pipe/cat <"$T/random" >"$T/got"
	same_file "through cat and back" "$T/random" "$T/got"
}

test_the_three_ends_of_a_pipe() {
	background here ipc9 pipe serve ends >"$T/got"
	wait_until eval '[[ "$(ipc9 pipe ls)" == *ends* ]]'
	echo text | ipc9 pipe open //./pipe/ends
	ends 0 "$job"

	background here ipc9 pipe serve ends 2>"$T/err.server" >"$T/got"
	local server=$job
	wait_until eval '[[ "$(ipc9 pipe ls)" == *ends* ]]'
	mkfifo "$T/open"
	exec 5<>"$T/open"
	background here ipc9 pipe open //./pipe/ends <"$T/open"
	echo text >&5
	wait_until has_lines 1 "$T/got"
	kill -9 "$job"
	ends_within 5 "$server"
	same "exit of the server of a client that was killed" 1 "$status"
	says_lost "what it said" "$T/err.server"
}

test_status_tells_who_we_are() {
	ipc9 status --json >"$T/out"
	same "how" kernel "$(json 'd["you"]["how"]')"
	same "uid" "$(id -u)" "$(json 'd["you"]["uid"]')"
	same "pid of the daemon" "$(<"$base/here/pid")" "$(json 'd["pid"]')"
	same "name of the host" "$(hostname)" "$(json 'd["host"]')"
	contains "in words" "$(hostname)" "$(ipc9 status)"
}

test_a_daemon_killed_while_clients_wait_ends_each_of_them() {
	local jobs=() j
	background here ipc9 mailslot read waiting 2>"$T/err1" && jobs+=("$job")
	background here ipc9 pipe serve waiting 2>"$T/err2" && jobs+=("$job")
	wait_until ipc9 mailslot info //./mailslot/waiting
	wait_until eval '[[ "$(ipc9 pipe ls)" == *waiting* ]]'
	end_daemon here KILL
	for j in "${jobs[@]}"; do
		ends_within 5 "$j"
		[ "$status" = 1 ] || [ "$status" = 4 ] || fail "exit:" "  expected: 1 or 4" "  actual:   $status"
	done
	at_least "bytes of explanation" 1 "$(wc -c <"$T/err1")"
	at_least "bytes of explanation" 1 "$(wc -c <"$T/err2")"
}

test_paste_takes_one_type_that_is_one() {
	expect_exit 2 ipc9 clipboard paste -t ""
	expect_exit 2 ipc9 clipboard paste -t nonsense
	expect_exit 2 ipc9 clipboard paste -t a/b -t c/d
}

run_tests
