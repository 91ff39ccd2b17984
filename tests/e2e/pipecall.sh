#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# pipecall.sh - ipc9 pipe call, wait and info, and pipes for their own host only; on one host and between two.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

serve() { # NAME [OPTION...] [-- CMD...] : on h2
	background h2 ipc9 pipe serve "$@" >"$T/served" 2>"$T/served.err"
	server=$job
	wait_until is_listening "$1"
}

is_listening() { # NAME
	on h2 ipc9 pipe info "//./pipe/$1" --json >"$T/info"
	json "d['listening'] > 0 or sys.exit(1)" "$T/info"
}

# A client on h1 that has an instance until its descriptor, 6 or 7, is closed.
occupy() { # NAME DESCRIPTOR
	mkfifo "$T/input$2"
	eval "exec $2<>\"\$T/input$2\""
	background h1 ipc9 pipe open "//h2/pipe/$1" <"$T/input$2" >"$T/opened$2"
	echo first >&"$2"
	wait_until has_lines 1 "$T/opened$2"
}

test_a_call_brings_one_reply() {
	serve upper --message -- stdbuf -oL tr a-z A-Z
	same "from another host" HELLO "$(on h1 ipc9 pipe call //h2/pipe/upper hello)"
	same "from the same host" HELLO "$(on h2 ipc9 pipe call //./pipe/upper hello)"
	same "request from standard input" ABC "$(printf abc | on h1 ipc9 pipe call //h2/pipe/upper)"
	on h1 ipc9 pipe call //h2/pipe/upper x --json >"$T/out"
	same "as JSON" '[1, "X"]' "$(json '[d["size_bytes"], d["data"]]')"
	on h1 ipc9 pipe call //h2/pipe/upper '' --json >"$T/out"
	same "an empty message and its empty reply" 0 "$(json 'd["size_bytes"]')"
}

test_a_call_carries_messages_of_any_allowed_size() {
	serve echo --message -- cat
	head -c 1048575 /dev/zero | tr '\0' x >"$T/long"
	on h1 ipc9 pipe call //h2/pipe/echo <"$T/long" >"$T/back"
	same_file "the longest line" "$T/long" "$T/back"
	head -c 1048577 /dev/zero >"$T/long"
	expect_exit 1 on h1 ipc9 pipe call //h2/pipe/echo <"$T/long"
	explained "one byte too many" 1048576
}

test_a_call_waits_for_a_free_instance() {
	serve two --message --instances 2 -- stdbuf -oL cat
	occupy two 6
	client=$job
	occupy two 7
	expect_exit 3 on h1 ipc9 pipe call //h2/pipe/two x --timeout 50
	explained "no instance in time" two
	expect_exit 3 on h1 ipc9 pipe wait //h2/pipe/two --timeout 50
	expect_exit 3 on h1 ipc9 pipe wait //h2/pipe/two --default
	background h1 ipc9 pipe call //h2/pipe/two second >"$T/reply"
	caller=$job
	background h1 ipc9 pipe wait //h2/pipe/two
	waiter=$job
	exec 6>&-
	ends 0 "$client"
	ends 0 "$caller"
	ends 0 "$waiter"
	same "reply" second "$(<"$T/reply")"
}

test_what_there_is_not_is_said_at_once() {
	expect_exit 3 on h1 ipc9 pipe wait //h2/pipe/absent
	explained "wait" absent
	expect_exit 3 on h1 ipc9 pipe call //h2/pipe/absent x
	explained "call" absent
	expect_exit 3 on h1 ipc9 pipe info //h2/pipe/absent
	explained "info" absent
	expect_exit 4 on h1 ipc9 pipe call //h1:1/pipe/x x
	expect_exit 4 on h1 ipc9 pipe wait //nohost/pipe/x
}

test_a_byte_pipe_takes_no_calls() {
	serve bytes -- cat
	expect_exit 1 on h1 ipc9 pipe call //h2/pipe/bytes x
	explained "call" "byte pipe"
}

test_a_server_that_is_lost_before_its_reply_leaves_the_outcome_unknown() {
	serve lost --message -- sh -c 'read -r line; echo got >&2; sleep 60'
	background h1 ipc9 pipe call //h2/pipe/lost x >"$T/out" 2>"$T/err"
	wait_until grep -q got "$T/served.err"
	to_job KILL "$server"
	ends 1 "$job"
	explained "call" "may have read the request or not"
}

test_info_tells_about_one_pipe() {
	serve 'My Pipe' --message --instances 3 --local-only -- cat
	on h2 ipc9 pipe info '//./pipe/my pipe' --json >"$T/out"
	same "as JSON" '["My Pipe", "message", "duplex", 3, true, 50]' \
		"$(json '[d[k] for k in ("name", "type", "access", "max_instances", "local_only", "default_wait_ms")]')"
	on h2 ipc9 pipe info '//./pipe/my pipe' >"$T/out"
	contains "for people" "this host only" "$(<"$T/out")"
}

test_a_local_pipe_admits_nobody_from_other_hosts() {
	serve mine --local-only -- sh -c 'echo "served $IPC9_PEER_HOST"; cat'
	same "on its host" "served local" "$(on h2 ipc9 pipe open //./pipe/mine </dev/null)"
	wait_until is_listening mine
	expect_exit 5 on h1 ipc9 pipe open //h2/pipe/mine </dev/null
	explained "open" "its own host"
	expect_exit 5 on h1 ipc9 pipe wait //h2/pipe/mine
	expect_exit 5 on h1 ipc9 pipe call //h2/pipe/mine x
	expect_exit 3 on h1 ipc9 pipe info //h2/pipe/mine
	same "what others hear of it" '{"pipes":[]}' "$(on h1 ipc9 pipe ls //h2 --json)"
	# The server saw nothing of them, and they are in the log.
	same "what the server said" "" "$(<"$T/served.err")"
	grep -q 'audit.*mine' "$base/h2/log" || fail "no word of it in the log: $(tail -n 5 "$base/h2/log")"
}

run_tests
