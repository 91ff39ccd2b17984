#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# pipe.sh - named pipes between two hosts: every byte, every boundary, and the three ends told apart.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

# Starts "pipe serve NAME ..." on h2, out to $T/served, in from the caller's; sets $server.  The pipe listens
# when it returns.
serve() { # NAME [OPTION...] [-- CMD...]
	background h2 ipc9 pipe serve "$@" >"$T/served" 2>"$T/served.err"
	server=$job
	wait_until is_listening "$1"
}

is_listening() { # NAME
	on h2 ipc9 pipe ls --json >"$T/pipes"
	json "any(p['name'] == '$1' and p['listening'] > 0 for p in d['pipes']) or sys.exit(1)" "$T/pipes"
}

# Starts a client on h1 that holds its input open: what is written to descriptor 6 goes to the server.
hold_open() { # NAME
	rm -f "$T/input"
	mkfifo "$T/input"
	exec 6<>"$T/input"
	background h1 ipc9 pipe open "//h2/pipe/$1" <"$T/input" >"$T/opened" 2>"$T/opened.err"
	client=$job
}

test_a_tar_of_the_source_tree_is_unpacked_on_another_host() {
	mkdir "$T/tree" "$T/unpacked"
	if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$root" ls-files -z | (cd "$root" && xargs -0 sh -c 'for f; do [ ! -f "$f" ] || printf "%s\0" "$f"; done' -) >"$T/list"
	else
		(cd "$root" && find . -type f -not -path './build*' -print0) >"$T/list"
	fi
	tar -C "$root" --null -T "$T/list" -cf - | tar -C "$T/tree" -xf -
	at_least "files to send" 50 "$(find "$T/tree" -type f | wc -l)"

	serve unpack -- tar -x -C "$T/unpacked"
	on h1 tar -C "$T/tree" -c . | on h1 ipc9 pipe open //h2/pipe/unpack
	diff -r "$T/tree" "$T/unpacked" || fail "the trees differ"
}

# One in 50 of the packets that come to h2 is lost, in both directions of the pipe in turn.
test_every_byte_arrives_where_packets_are_lost() {
	command -v nft >/dev/null || skip "nft, which loses packets, is not installed"
	serve echo -- cat
	head -c 8M /dev/urandom >"$T/random"
	on h2 nft 'add table inet e2e; add chain inet e2e in { type filter hook input priority 0; };
		add rule inet e2e in meta l4proto tcp numgen random mod 50 < 1 counter drop' ||
		skip "nft does not work here"
	on h1 ipc9 pipe open //h2/pipe/echo <"$T/random" >"$T/back"
	at_least "packets lost" 1 "$(on h2 nft list chain inet e2e in | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')"
	on h2 nft delete table inet e2e
	same_file "through cat and back" "$T/random" "$T/back"
}

test_a_million_numbers_are_summed() {
	serve sum -- awk '{ s += $1 } END { printf "%.0f\n", s }'
	same "sum" 500000500000 "$(seq 1000000 | on h1 ipc9 pipe open //h2/pipe/sum)"
	same "sum, by the same server" 55 "$(seq 10 | on h2 ipc9 pipe open //./pipe/sum)"
}

test_both_directions_flow_at_once() {
	serve echo -- cat
	head -c 24M /dev/urandom >"$T/random"
	on h1 ipc9 pipe open //h2/pipe/echo <"$T/random" >"$T/back"
	same_file "through cat and back" "$T/random" "$T/back"
	on h1 ipc9 pipe open '//[fd77:1::2]/pipe/ECHO' <"$T/random" >"$T/back"
	same_file "the same over IPv6, name in capitals" "$T/random" "$T/back"
}

test_zeros_are_bytes_like_others() {
	serve zeros
	head -c 3M /dev/zero | on h1 ipc9 pipe open //h2/pipe/zeros
	ends 0 "$server"
	head -c 3M /dev/zero >"$T/expected"
	same_file "zeros" "$T/expected" "$T/served"
}

test_an_answer_comes_before_the_question_ends() {
	serve talk -- cat
	hold_open talk
	echo first >&6
	wait_until has_lines 1 "$T/opened"
	echo second >&6
	wait_until has_lines 2 "$T/opened"
	exec 6>&-
	ends 0 "$client"
	same "answers" "first second" "$(paste -sd ' ' "$T/opened")"
}

test_several_clients_are_served_at_once() {
	local i clients=()
	serve several -- sh -c 'read -r line; echo "for $line"; cat'
	for i in {1..6}; do
		mkfifo "$T/in$i"
		eval "exec 1$i<>\"\$T/in$i\""
		background h1 ipc9 pipe open //h2/pipe/several <"$T/in$i" >"$T/out$i"
		clients+=("$job")
		echo "client $i" >&"1$i"
	done
	# All of them have an answer while none has ended.
	for i in {1..6}; do wait_until has_lines 1 "$T/out$i"; done
	for i in {1..6}; do
		head -c 300000 /dev/urandom >"$T/data$i"
		cat "$T/data$i" >&"1$i" &
	done
	for i in {1..6}; do
		wait_until has_bytes 300013 "$T/out$i"
		eval "exec 1$i>&-"
	done
	for i in {1..6}; do
		ends 0 "${clients[i - 1]}"
		{ echo "for client $i" && cat "$T/data$i"; } >"$T/expected"
		same_file "client $i" "$T/expected" "$T/out$i"
	done
}

test_messages_keep_their_boundaries() {
	printf 'one\n\nthree\n\n\n' >"$T/lines"
	head -c 200000 /dev/zero | tr '\0' x >>"$T/lines"
	printf '\nlast\n' >>"$T/lines"
	serve messages --message
	on h1 ipc9 pipe open //h2/pipe/messages <"$T/lines"
	ends 0 "$server"
	same_file "client to server, empty lines too" "$T/lines" "$T/served"

	serve messages --message <"$T/lines"
	on h1 ipc9 pipe open //h2/pipe/messages </dev/null >"$T/opened"
	same_file "server to client" "$T/lines" "$T/opened"
}

test_the_end_of_input_ends_one_direction_only() {
	serve half </dev/null # the server's own direction ends at once
	hold_open half
	echo 'still heard' >&6
	wait_until has_lines 1 "$T/served"
	kill -0 "$client" || fail "the client ended although it was still sending"
	exec 6>&-
	ends 0 "$client"
	ends 0 "$server"
	same "heard by the server" 'still heard' "$(<"$T/served")"

	serve half -- sh -c 'cat >/dev/null; echo "after your end"'
	same "answer after the client's end" 'after your end' "$(on h1 ipc9 pipe open //h2/pipe/half </dev/null)"
}

test_a_client_that_closes_ends_the_server_with_0() {
	serve closes
	echo text | on h1 ipc9 pipe open //h2/pipe/closes
	ends 0 "$server"
	same "served" text "$(<"$T/served")"
	same "standard error" "" "$(<"$T/served.err")"
}

test_a_client_that_is_killed_is_lost_for_the_server() {
	serve killed
	hold_open killed
	echo half >&6
	wait_until has_lines 1 "$T/served"
	to_job KILL "$client"
	ends_within 5 "$server"
	same "exit of the server" 1 "$status"
	says_lost "what it said" "$T/served.err"
	same "what it got before" half "$(<"$T/served")"
}

test_a_client_that_is_killed_is_hung_up_on_its_command() {
	serve hangup -- sh -c 'trap "echo hangup >&2; exit" HUP; echo ready; while :; do sleep 0.05; done'
	hold_open hangup
	wait_until has_lines 1 "$T/opened"
	to_job KILL "$client"
	wait_until grep -q hangup "$T/served.err"
	wait_until grep -qE "lost|vanished" "$T/served.err"
	kill -0 "$server" || fail "the server ended with its client"
	hold_open hangup
	wait_until has_lines 1 "$T/opened"
}

test_a_server_that_is_killed_is_an_error_for_its_client() {
	serve victim
	hold_open victim
	echo text >&6
	wait_until has_lines 1 "$T/served"
	to_job KILL "$server"
	ends_within 5 "$client"
	same "exit of the client" 1 "$status"
	says_lost "what it said" "$T/opened.err"
}

test_a_server_that_ends_normally_ends_its_client_with_0() {
	serve bye -- sh -c 'echo bye'
	same "text" bye "$(on h1 ipc9 pipe open //h2/pipe/bye </dev/null)"
}

test_a_pipe_of_one_instance_is_busy_for_a_second_client() {
	serve one
	hold_open one
	echo text >&6
	wait_until has_lines 1 "$T/served"
	expect_exit 1 on h1 ipc9 pipe open //h2/pipe/one </dev/null
	explained "second client" one
	exec 6>&-
	ends 0 "$client"
	ends 0 "$server"
}

test_instances_limits_how_many_are_served() {
	serve two --instances 2 -- sh -c 'echo ready; cat'
	hold_open two
	wait_until has_lines 1 "$T/opened"
	mkfifo "$T/second"
	exec 7<>"$T/second"
	background h1 ipc9 pipe open //h2/pipe/two <"$T/second" >"$T/opened2"
	wait_until has_lines 1 "$T/opened2"
	expect_exit 1 on h1 ipc9 pipe open //h2/pipe/two </dev/null
	exec 7>&-
	ends 0 "$job"
	wait_until is_listening two
	expect_exit 0 on h1 ipc9 pipe open //h2/pipe/two </dev/null
	same "the third, when one had ended" ready "$(<"$T/out")"
}

test_a_name_ends_with_its_server() {
	serve passing
	to_job KILL "$server"
	ends_within 5 "$server"
	wait_until eval 'on h1 ipc9 pipe open //h2/pipe/passing </dev/null; [ $? = 3 ]'
	expect_exit 3 on h1 ipc9 pipe open //h2/pipe/passing </dev/null
	explained "open" passing
	serve passing # and may be taken again
}

test_a_name_of_another_user_is_not_served() {
	has_other_user || skip "needs root, to be two users"
	serve taken --instances 5 -- cat
	expect_exit 5 as_other h2 ipc9 pipe serve taken --instances 5 -- cat
	explained "another user's server" taken
}

test_ls_tells_what_can_be_opened() {
	serve 'my pipe/1' --message --instances 3 -- cat
	contains "ls" 'my pipe/1' "$(on h2 ipc9 pipe ls)"
	on h1 ipc9 pipe ls //h2 --json >"$T/out"
	same "ls --json from another host" '[["my pipe/1", "message", 3]]' \
		"$(json '[[p["name"], p["type"], p["max_instances"]] for p in d["pipes"]]')"
	to_job TERM "$server"
	ends_within 5 "$server"
	wait_until eval '[ "$(on h1 ipc9 pipe ls //h2 --json)" = "{\"pipes\":[]}" ]'
}

position() { # JOB FILE : how far it has read FILE
	local fd
	for fd in "/proc/$(process_of "$1")/fd"/*; do
		[ ! "$fd" -ef "$2" ] || awk '$1 == "pos:" { print $2 }' "${fd/\/fd\//\/fdinfo\/}"
	done
}

has_stopped_reading() { # JOB FILE
	local before
	before=$(position "$1" "$2")
	sleep 0.3
	[ "$before" -gt 0 ] && [ "$before" = "$(position "$1" "$2")" ]
}

test_a_writer_waits_for_a_reader_that_does_not_read() {
	local before sum
	daemon h2
	before=$(memory_of_daemon h2 VmRSS)
	head -c 128M /dev/urandom >"$T/much"
	sum=$(sha256sum <"$T/much")
	mkfifo "$T/later"
	exec 6<>"$T/later"
	background h2 ipc9 pipe serve slow >&6
	server=$job
	wait_until is_listening slow
	background h1 ipc9 pipe open //h2/pipe/slow <"$T/much"
	client=$job
	wait_until has_stopped_reading "$client" "$T/much"
	at_most "bytes on their way" $((32 << 20)) "$(position "$client" "$T/much")"
	sanitized || at_most "KiB of h2's daemon above $before" $((before + (16 << 10))) "$(memory_of_daemon h2 VmRSS)"
	sha256sum <"$T/later" >"$T/sum" 6>&- &
	exec 6>&-
	ends 0 "$client"
	ends 0 "$server"
	wait_until has_lines 1 "$T/sum"
	same "sha256 of all of it, later" "$sum" "$(<"$T/sum")"
}

test_a_command_that_fails_closes_its_pipe_and_its_server_tells_how() {
	local host
	serve failing --instances 9 -- sh -c 'cat; echo last; exit 7'
	for host in h1 h2; do
		expect_exit 0 eval "echo first | on $host ipc9 pipe open //h2/pipe/failing"
		same "what it wrote to $host" $'first\nlast' "$(<"$T/out")"
	done
	wait_until grep -q 'ended with exit status 7' "$T/served.err"
	kill -0 "$server" || fail "the server ended with its command"
}

test_a_command_that_is_killed_closes_its_pipe_and_its_server_tells_how() {
	serve killing -- sh -c 'echo last; kill -KILL $$'
	expect_exit 0 on h1 ipc9 pipe open //h2/pipe/killing </dev/null
	same "what it wrote" last "$(<"$T/out")"
	wait_until grep -q 'signal 9' "$T/served.err"
}

test_a_command_whose_output_cannot_be_sent_whole_is_not_taken_for_success() {
	serve long --message -- head -c 2000000 /dev/zero
	expect_exit 1 on h1 ipc9 pipe open //h2/pipe/long </dev/null
	says_lost "the client" "$T/err"
	wait_until grep -q 'longer than a message' "$T/served.err"
}

test_output_that_cannot_be_written_is_not_taken_for_success() {
	background h2 ipc9 pipe serve full >/dev/full 2>"$T/served.err"
	server=$job
	wait_until is_listening full
	expect_exit 1 on h1 ipc9 pipe open //h2/pipe/full <"$0"
	ends 1 "$server"
}

run_tests
