#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# squat.sh - another user is there first: with a name, with the socket, with a link where the daemon makes its files.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
single_host
has_other_user || skip "needs root, to be several users"
: >"$base/empty"

as_uid() { # UID CMD...
	local uid=$1
	shift
	[ -d "$base/other" ] || as_other here true
	on here setpriv --reuid "$uid" --regid "$uid" --clear-groups -- env "PATH=$base/other:$PATH" "$@"
}

# A pipe of uid 65533 that everybody may open and that keeps what it gets in $T/stolen.
squat_pipe() { # NAME
	as_uid 65533 true
	install -m 666 /dev/null "$T/stolen"
	background here setpriv --reuid 65533 --regid 65533 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 pipe serve "$1" --allow 'anyone all' -- sh -c "cat >>'$T/stolen'" 2>"$T/squatter.err"
	wait_until eval "[[ \"\$(ipc9 pipe ls)\" == *$1* ]]"
}

# An ipc9d beside the ordinary one; its folders are $T/NAME.
another() { # NAME [OPTION...]
	local name=$1
	shift
	timeout --foreground 20 ipc9d --config "$base/empty" --no-rpcbind --port "$(free_port)" \
		--socket "$T/$name/ipc9d.sock" --state-dir "$T/$name/state" "$@"
}

test_who_comes_second_to_a_name_is_told_and_gets_no_instance() {
	squat_pipe bank
	expect_exit 5 as_other here ipc9 pipe serve bank
	explained "an instance for another's pipe" "belongs to uid 65533"
	expect_exit 5 ipc9 pipe serve bank # nor root
	explained "an instance for root" "belongs to uid 65533"
	expect_exit 5 as_other here ipc9 pipe serve --first bank
	expect_exit 5 as_other here ipc9 acl set //./pipe/bank --none
}

test_first_makes_the_name_or_nothing_also_for_its_own_user() {
	background here ipc9 pipe serve --first shop -- cat # several instances, of which one is the first
	wait_until eval '[[ "$(ipc9 pipe ls)" == *shop* ]]'
	same "served" hello "$(echo hello | ipc9 pipe open //./pipe/shop)"
	expect_exit 1 ipc9 pipe serve --first shop
	explained "a second first" "already"
	expect_exit 5 as_other here ipc9 pipe serve --first shop
}

test_a_client_that_demands_its_server_sends_nothing_to_another() {
	local at
	squat_pipe bank
	for at in //. "//127.0.0.1:$port"; do
		expect_exit 5 eval "printf secret | ipc9 pipe open --server uid:65534 $at/pipe/bank"
		contains "$at" "uid 65533 serves it, and uid 65534 was demanded; nothing was sent" "$(<"$T/err")"
		same "$at: lines" 1 "$(wc -l <"$T/err")"
	done
	same "what the squatter got" "" "$(<"$T/stolen")"
	same "what it was told of it" "" "$(<"$T/squatter.err")" # EOF, and no client was lost
	expect_exit 0 eval 'printf hello | ipc9 pipe open --server uid:65533 //./pipe/bank'
	wait_until grep -q hello "$T/stolen"
}

test_a_demand_that_is_none_is_refused_before_anything_is_opened() {
	local text
	for text in '' 65533 uid: uid:x uid:-1 uid:4294967295 'uid:5 ' user:bob; do
		expect_exit 1 ipc9 pipe open --server "$text" //./pipe/not-there
		contains "$text" "uid:N" "$(<"$T/err")"
	done
	expect_exit 3 ipc9 pipe open --server uid:4294967294 //./pipe/not-there
}

# Listens at $T/FOLDER/ipc9d.sock as FINAL-UID; writes what it gets to $T/got.
listener() { # FOLDER FINAL-UID
	: >"$T/got"
	python3 - "$T/$1/ipc9d.sock" "$2" "$T/got" <<-'END' &
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		os.chmod(sys.argv[1], 0o666)
		got = open(sys.argv[3], "wb")
		os.setuid(int(sys.argv[2]))
		s.listen()
		while True:
		    c = s.accept()[0]
		    c.settimeout(5)
		    while data := c.recv(4096):
		        got.write(data)
		        got.flush()
	END
	wait_until python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$T/$1/ipc9d.sock"
}

test_a_socket_of_another_user_in_an_open_folder_is_not_used() {
	mkdir -m 1777 "$T/open"
	listener open 65533
	chown 65533 "$T/open/ipc9d.sock"
	expect_exit 5 env IPC9_SOCKET="$T/open/ipc9d.sock" ipc9 status --timeout 3000
	explained "a socket of somebody else" "$T/open/ipc9d.sock is not used"
	same "bytes that were sent" 0 "$(wc -c <"$T/got")"
}

test_nothing_is_sent_when_another_user_listens_whoever_made_the_socket() {
	mkdir -m 755 "$T/ours"
	listener ours 65533 # root's folder and file; the kernel tells who listens
	expect_exit 5 env IPC9_SOCKET="$T/ours/ipc9d.sock" ipc9 status --timeout 3000
	explained "who answers" "who answers there"
	same "bytes that were sent" 0 "$(wc -c <"$T/got")"
}

test_a_socket_that_a_killed_daemon_left_is_replaced() {
	end_daemon here KILL
	[ -S "$IPC9_SOCKET" ] || fail "the killed daemon's socket is gone"
	expect_exit 4 ipc9 status
	daemon here
	expect_exit 0 ipc9 status
}

# What the daemon would damage, were it to write through a link.
victim() {
	echo precious >"$T/victim"
}

unharmed() { # WHAT
	same "$1: the file at the end of the link" precious "$(<"$T/victim")"
	contains "$1: what it said" "$T/a" "$(<"$T/err")"
}

test_the_lock_is_not_written_through_a_link() {
	victim
	mkdir -p -m 700 "$T/a/state"
	ln -s "$T/victim" "$T/a/state/lock"
	expect_exit 1 another a
	unharmed "a symbolic link"
	ln -f "$T/victim" "$T/a/state/lock"
	expect_exit 1 another a
	unharmed "a hard link"
	rm "$T/a/state/lock"
	mkfifo "$T/a/state/lock"
	expect_exit 1 another a
	unharmed "a fifo"
	rm "$T/a/state/lock"
	install -m 600 -o 65533 /dev/null "$T/a/state/lock"
	expect_exit 1 another a
	unharmed "a file of somebody else"
	[ ! -e "$T/a/ipc9d.sock" ] || fail "it left its socket"
}

test_a_link_in_the_place_of_a_folder_or_of_the_socket_is_refused() {
	victim
	mkdir -p -m 755 "$T/a" "$T/elsewhere"
	ln -s "$T/victim" "$T/a/ipc9d.sock"
	expect_exit 1 another a
	unharmed "the socket"
	rm -r "$T/a"
	mkdir -m 755 "$T/a"
	ln -s "$T/elsewhere" "$T/a/state"
	expect_exit 1 another a
	unharmed "the state folder"
	rm -r "$T/a"
	ln -s "$T/elsewhere" "$T/a"
	expect_exit 1 another a --state-dir "$T/state"
	unharmed "the socket's folder"
	same "what is in the folder behind the links" "" "$(ls "$T/elsewhere")"
}

test_a_link_where_the_socket_is_made_is_replaced_and_not_followed() {
	victim
	mkdir -m 755 "$T/a"
	ln -s "$T/victim" "$T/a/ipc9d.sock.new"
	another a 2>/dev/null &
	wait_until env IPC9_SOCKET="$T/a/ipc9d.sock" ipc9 status
	same "the file at the end of the link" precious "$(<"$T/victim")"
	same "its mode" 644 "$(stat -c %a "$T/victim")"
	end_jobs
}

test_a_folder_of_another_user_is_refused_by_the_daemon() {
	mkdir -m 755 "$T/a"
	chown 65533 "$T/a"
	expect_exit 1 another a
	contains "what it said" "$T/a belongs to uid 65533" "$(<"$T/err")"
}

run_tests
