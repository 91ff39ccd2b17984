#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# mailslot.sh - messages to one slot: whole, in order, waiting until they are read.
# shellcheck disable=SC2016 # what sh -c and eval run
. "${0%/*}/lib.sh"
lab h1 h2

# Starts a reader of slot NAME on h2 with its output in $T/got, and sets $job; the slot is there when it returns.
reader() { # NAME [OPTION...]
	background h2 ipc9 mailslot read "$@" >"$T/got" 2>"$T/got.err"
	wait_until on h2 ipc9 mailslot info "//./mailslot/$1"
}

# A number of a slot on h2.
info() { # KEY NAME
	on h2 ipc9 mailslot info "//./mailslot/$2" --json >"$T/info"
	json "d['$1']" "$T/info"
}

test_read_waits_and_gives_the_bytes_and_nothing_else() {
	reader waits
	same "read before anything was sent" 0 "$(wc -c <"$T/got")"
	kill -0 "$job" || fail "the reader did not wait"
	on h1 ipc9 mailslot send //h2/mailslot/waits 'good morning'
	ends 0 "$job"
	printf 'good morning' >"$T/expected"
	same_file "message" "$T/expected" "$T/got"
	same "standard error" "" "$(<"$T/got.err")"
}

test_messages_wait_and_are_read_in_order() {
	local i
	reader order --count 41
	to_job STOP "$job"
	for ((i = 1; i <= 40; i++)); do on h1 ipc9 mailslot send //h2/mailslot/order "message $i"; done
	at_least "messages that wait" 39 "$(info waiting order)" # one may be on its way to the reader
	to_job CONT "$job"
	on h2 ipc9 mailslot send //./mailslot/order last
	ends 0 "$job"
	{ printf 'message %d\n' {1..40} && echo last; } >"$T/expected"
	same_file "all messages, a newline after each" "$T/expected" "$T/got"
}

test_count_reads_so_many_and_ends() {
	reader count --count 2
	on h1 ipc9 mailslot send //h2/mailslot/count one
	wait_until has_lines 1 "$T/got"
	kill -0 "$job" || fail "it ended after one of two"
	on h1 ipc9 mailslot send //h2/mailslot/count two
	ends 0 "$job"
	same "messages" "one two" "$(paste -sd ' ' "$T/got")"
	expect_exit 3 on h1 ipc9 mailslot send //h2/mailslot/count three
}

test_timeout_ends_with_3() {
	local start took
	start=$(now_ms)
	expect_exit 3 on h2 ipc9 mailslot read never --timeout 700
	took=$(($(now_ms) - start))
	explained "timeout" never
	at_least "ms it took" 700 $took
	at_most "ms it took" $((3000 * slow)) $took
	expect_exit 3 on h2 ipc9 mailslot read never --timeout 0
}

test_timeout_counts_from_each_message() {
	reader each --count 9 --timeout 1500
	for i in 1 2 3; do
		sleep 0.7
		on h1 ipc9 mailslot send //h2/mailslot/each "$i"
	done
	ends_within 5 "$job"
	same "exit after no more came" 3 "$status"
	same "messages before that" "1 2 3" "$(paste -sd ' ' "$T/got")"
}

test_follow_reads_until_interrupted() {
	reader follow --follow
	for i in a b c; do on h1 ipc9 mailslot send //h2/mailslot/follow $i; done
	wait_until has_lines 3 "$T/got"
	same "messages" "a b c" "$(paste -sd ' ' "$T/got")"
	to_job TERM "$job"
	ends_within 5 "$job"
	different "exit when ended" 0 "$status"
	expect_exit 3 on h1 ipc9 mailslot info //h2/mailslot/follow
}

test_interrupt_ends_with_130() {
	background h2 ipc9 mailslot read interrupted
	wait_until on h2 ipc9 mailslot info //./mailslot/interrupted
	to_job INT "$job"
	ends_within 5 "$job"
	same "exit" 130 "$status"
	expect_exit 3 on h2 ipc9 mailslot info //./mailslot/interrupted
}

test_json_tells_sender_and_exact_bytes() {
	reader json --follow --json
	on h1 ipc9 mailslot send //10.77.1.2/mailslot/json 'grüße'
	printf 'a\0\xff\n' | on h2 ipc9 mailslot send //./mailslot/json
	wait_until has_lines 2 "$T/got"
	same "how senders are known" '["claimed", "kernel"]' "$(json_lines '[m["sender"]["how"] for m in d]' "$T/got")"
	same "their uids" '[0, 0]' "$(json_lines '[m["sender"]["uid"] for m in d]' "$T/got")"
	same "the first's host" '10.77.1.1' "$(json_lines 'd[0]["sender"]["host"]' "$T/got")"
	same "sizes" '[7, 4]' "$(json_lines '[m["size_bytes"] for m in d]' "$T/got")"
	same "text" 'grüße' "$(LC_ALL=C.UTF-8 json_lines 'd[0]["data"]' "$T/got")"
	same "other bytes" '6100ff0a' "$(json_lines 'base64.b64decode(d[1]["data_base64"]).hex()' "$T/got")"
	same "broadcasts" '[false, false]' "$(json_lines '[m["broadcast"] for m in d]' "$T/got")"
	at_most "seconds since it arrived" 60 "$(json_lines 'abs(int(__import__("time").time() - d[0]["arrived_us"] / 1e6))' "$T/got")"
}

test_two_senders_of_one_host_are_told_apart() {
	has_other_user || skip "needs root, to be two users"
	reader users --follow --json
	as_other h1 ipc9 mailslot send //h2/mailslot/users theirs
	as_other h2 ipc9 mailslot send //./mailslot/users theirs
	wait_until has_lines 2 "$T/got"
	same "uids" '[65534, 65534]' "$(json_lines '[m["sender"]["uid"] for m in d]' "$T/got")"
}

test_a_message_of_no_bytes_is_a_message() {
	reader empty --count 3 --json
	on h1 ipc9 mailslot send //h2/mailslot/empty ''
	on h1 ipc9 mailslot send //h2/mailslot/empty </dev/null
	on h2 ipc9 mailslot send //./mailslot/empty x
	ends 0 "$job"
	same "sizes" '[0, 0, 1]' "$(json_lines '[m["size_bytes"] for m in d]' "$T/got")"
}

test_a_message_over_max_message_is_refused_at_the_sender() {
	reader small --max-message 10 --follow
	expect_exit 1 on h1 ipc9 mailslot send //h2/mailslot/small 12345678901
	explained "11 bytes for a slot of 10" small
	expect_exit 0 on h1 ipc9 mailslot send //h2/mailslot/small 1234567890
	wait_until has_lines 1 "$T/got"
	same "messages" 1234567890 "$(<"$T/got")"
	same "refused" 1 "$(info refused small)"
	same "maximum" 10 "$(info max_message_bytes small)"
}

test_1_MiB_goes_through_and_a_byte_more_is_refused() {
	reader large
	head -c 1048577 /dev/urandom >"$T/over"
	head -c 1048576 "$T/over" >"$T/limit"
	expect_exit 1 on h1 ipc9 mailslot send //h2/mailslot/large <"$T/over"
	explained "1048577 bytes" 1048576
	expect_exit 0 on h1 ipc9 mailslot send //h2/mailslot/large <"$T/limit"
	ends 0 "$job"
	same_file "1048576 bytes" "$T/limit" "$T/got"
}

test_a_full_slot_refuses_and_keeps_what_it_has() {
	local accepted=0 i
	reader full --follow --json
	to_job STOP "$job"
	head -c 900000 /dev/zero >"$T/piece"
	for i in {1..8}; do
		if on h1 ipc9 mailslot send //h2/mailslot/full <"$T/piece" 2>"$T/err"; then
			accepted=$((accepted + 1))
		else
			same "exit of a send to a full slot" 1 $?
			contains "what it said" full "$(<"$T/err")"
		fi
	done
	at_least "accepted" 4 $accepted
	at_most "accepted" 6 $accepted
	to_job CONT "$job"
	wait_until has_lines $accepted "$T/got"
	on h1 ipc9 mailslot send //h2/mailslot/full end
	wait_until has_lines $((accepted + 1)) "$T/got"
	same "sizes" "$accepted times 900000, then 3" \
		"$(json_lines '"%d times 900000, then %d" % ([m["size_bytes"] for m in d].count(900000), d[-1]["size_bytes"])' "$T/got")"
}

test_a_slot_that_is_not_there_ends_with_3() {
	expect_exit 3 on h1 ipc9 mailslot send //h2/mailslot/nothing-here text
	explained "send from another host" nothing-here
	expect_exit 3 on h2 ipc9 mailslot send //./mailslot/nothing-here text
	explained "send on the same" nothing-here
	expect_exit 3 on h1 ipc9 mailslot info //h2/mailslot/nothing-here
	explained "info" nothing-here
}

test_a_name_is_served_once() {
	reader once
	expect_exit 1 on h2 ipc9 mailslot read ONCE
	explained "the second reader" ONCE
	expect_exit 0 on h1 ipc9 mailslot send //h2/mailslot/Once 'still the first'
	ends 0 "$job"
	same "message" 'still the first' "$(<"$T/got")"
}

test_a_slot_ends_with_its_server() {
	reader gone
	to_job KILL "$job"
	ends_within 5 "$job"
	wait_until eval 'on h1 ipc9 mailslot info //h2/mailslot/gone; [ $? = 3 ]'
	expect_exit 3 on h1 ipc9 mailslot send //h2/mailslot/gone text
}

test_info_and_ls_tell_what_there_is() {
	reader 'list/of things' --max-message 100 --timeout 60000
	to_job STOP "$job"
	on h1 ipc9 mailslot send '//h2/mailslot/list/of things' 'may be on its way'
	on h1 ipc9 mailslot send '//h2/mailslot/list/of things' 12345
	at_least "waiting" 1 "$(info waiting 'list/of things')"
	same "read timeout" 60000 "$(info read_timeout_ms 'list/of things')"
	same "received" 2 "$(info received 'list/of things')"
	contains "ls" 'list/of things' "$(on h2 ipc9 mailslot ls)"
	on h1 ipc9 mailslot ls //h2 --json >"$T/out"
	same "ls --json from another host" '["list/of things"]' "$(json '[s["name"] for s in d["slots"]]')"
	to_job CONT "$job"
	ends 0 "$job"
	on h1 ipc9 mailslot ls //h2 --json >"$T/out"
	same "ls --json when it is gone" '[]' "$(json 'd["slots"]')"
}

run_tests
