#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# daemon.sh - ipc9d on one machine: its configuration, its folders, its socket, one port more or less.
. "${0%/*}/lib.sh"
single_host

# An ipc9d beside the ordinary one; its folders are $T/NAME.
another() { # NAME [OPTION...]
	local name=$1
	shift
	timeout --foreground 20 ipc9d --config "$base/empty" --no-rpcbind --socket "$T/$name/ipc9d.sock" \
		--state-dir "$T/$name/state" "$@"
}
: >"$base/empty"

test_errors_in_the_configuration_say_file_and_line_and_end_with_2() {
	local line part
	while IFS='|' read -r line part; do
		printf '# a comment\nport = 20490\n%s\n' "$line" >"$T/bad.conf"
		status=0
		ipc9d --check-config --config "$T/bad.conf" >"$T/out" 2>"$T/err" || status=$?
		same "exit for $line" 2 $status
		contains "$line" "$T/bad.conf:3: " "$(<"$T/err")"
		contains "$line" "$part" "$(<"$T/err")"
		same "$line: standard output" "" "$(<"$T/out")"
		expect_exit 2 on here ipc9d --config "$T/bad.conf" # nor does it start
	done <<-'END'
		colour = red|colour
		just words|
		port = 0|port
		port = 65536|port
		port = ssh|port
		listen = everywhere|everywhere
		listen =|listen
		domain = a/b|a/b
		trust_sys = 10.0.0.0/33|10.0.0.0/33
		trust_sys = 10.77.1.3/16|10.77.1.3/16
		trust_root = perhaps|perhaps
		allow = somebody all|somebody
		allow = anyone everything|everything
		allow = anyone|
		deny = uid:me all|uid
		deny = host:h1 all|h1
		record_bytes = 1056769|4096 to 1056768
		calls_per_connection = 0|calls_per_connection
		vanished_ms = 25 s|25 s
	END
}

test_sections_are_refused() {
	printf '[section]\nport = 20490\n' >"$T/bad.conf"
	expect_exit 2 on here ipc9d --check-config --config "$T/bad.conf"
	contains "what it said" section "$(<"$T/err")"
}

test_a_good_configuration_is_checked_and_nothing_started() {
	cat >"$T/good.conf" <<-'END'
		# all keys
		listen = 127.0.0.1, ::1
		port = 1
		domain = example.org
		trust_sys = 10.0.0.0/8, fd77::/16, 192.0.2.7
		trust_root = no
		deny = host:10.1.2.3 all
		allow = uid:1000 read,write
		allow = gid:100 read, write ,create
		allow = user:alice@EXAMPLE.ORG all
		allow = anyone read
		record_bytes = 65536
		record_ms = 5000
		calls_per_connection = 16
		held_bytes = 1048576
		unread_bytes = 1048576
		unread_ms = 10000
		connections = 500
		connections_per_host = 50
		local_connections = 100
		vanished_ms = 10000
	END
	expect_exit 0 on here ipc9d --check-config --config "$T/good.conf"
	same "standard error" "" "$(<"$T/err")"
	printf 'allow = anyone all\n' >"$T/wide.conf"
	expect_exit 0 on here ipc9d --check-config --config "$T/wide.conf"
	same "warnings of a wide one" 'ipc9d: warning: "allow anyone all" makes everybody whom it concerns an administrator of all objects; to let them in and no more, write read,write,create,delete' "$(<"$T/err")"
}

test_the_configuration_in_the_README_is_fine() {
	sed -n '/^listen /,/^```/{ /^```/d; p }' "$root/README.md" >"$T/readme.conf"
	at_least "its lines" 4 "$(wc -l <"$T/readme.conf")"
	expect_exit 0 ipc9d --config "$T/readme.conf" --check-config --socket "$T/s" --state-dir "$T/d"
}

test_a_file_that_is_not_there_ends_with_2() {
	expect_exit 2 on here ipc9d --check-config --config "$T/not-there.conf"
	contains "what it said" "$T/not-there.conf" "$(<"$T/err")"
}

test_the_environment_counts_and_the_command_line_more() {
	expect_exit 2 on here env IPC9_PORT=none ipc9d --check-config --config "$base/empty"
	contains "what it said" IPC9_PORT "$(<"$T/err")"
	expect_exit 0 on here env IPC9_PORT=20777 ipc9d --check-config --config "$base/empty"
	expect_exit 2 on here ipc9d --check-config --config "$base/empty" --port none
	expect_exit 2 on here ipc9d --check-config --config "$base/empty" --no-such-option
	expect_exit 2 on here ipc9d --check-config --config "$base/empty" word
}

test_a_second_daemon_on_a_state_folder_refuses_and_names_the_first() {
	expect_exit 1 on here ipc9d --config "$base/empty" --no-rpcbind --port "$(free_port)" \
		--socket "$T/second.sock" --state-dir "$base/state"
	contains "what it said" "$(<"$base/here/pid")" "$(<"$T/err")"
	contains "what it said" "$base/state" "$(<"$T/err")"
	expect_exit 0 on here ipc9 status
}

test_a_second_daemon_on_a_socket_refuses() {
	expect_exit 1 on here ipc9d --config "$base/empty" --no-rpcbind --port "$(free_port)" \
		--socket "$IPC9_SOCKET" --state-dir "$T/state2"
	contains "what it said" "$IPC9_SOCKET" "$(<"$T/err")"
	expect_exit 0 on here ipc9 status
}

test_a_second_daemon_on_a_port_refuses() {
	expect_exit 1 another b --port "$port"
	contains "what it said" "$port" "$(<"$T/err")"
	[ ! -e "$T/b/ipc9d.sock" ] || fail "it left its socket"
	expect_exit 0 on here ipc9 status
}

test_a_folder_that_others_can_write_is_refused() {
	mkdir -m 777 "$T/open"
	expect_exit 1 another open --port "$(free_port)"
	contains "what it said" "$T/open" "$(<"$T/err")"
}

test_a_folder_of_somebody_else_is_refused_by_the_client() {
	has_other_user || skip "needs root, to be two users"
	mkdir -m 755 "$T/theirs"
	chown 65533 "$T/theirs"
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(30)' "$T/theirs/ipc9d.sock" &
	wait_until test -S "$T/theirs/ipc9d.sock"
	expect_exit 5 on here env IPC9_SOCKET="$T/theirs/ipc9d.sock" ipc9 status --timeout 3000
	contains "what it said" "$T/theirs" "$(<"$T/err")"
}

test_what_it_makes_is_private() {
	same "mode of the state folder" 700 "$(stat -c %a "$base/state")"
	same "mode of the lock" 600 "$(stat -c %a "$base/state/lock")"
}

test_two_daemons_of_one_machine_talk_over_loopback() {
	local other
	other=$(free_port)
	printf 'port = %d\nallow = anyone all\n' "$other" >"$T/two.conf"
	ipc9d --config "$T/two.conf" --no-rpcbind --socket "$T/two/ipc9d.sock" --state-dir "$T/two/state" 2>/dev/null &
	wait_until env IPC9_SOCKET="$T/two/ipc9d.sock" ipc9 status
	IPC9_SOCKET=$T/two/ipc9d.sock ipc9 clipboard copy //./clipboard/shared <"$0"
	ipc9 clipboard paste "//127.0.0.1:$other/clipboard/shared" >"$T/got"
	same_file "pasted from the other" "$0" "$T/got"
	ipc9 clipboard paste "//[::1]:$other/clipboard/shared" >"$T/got"
	same_file "pasted over IPv6" "$0" "$T/got"
	expect_exit 3 ipc9 clipboard paste //./clipboard/shared
	end_jobs
	wait_until test ! -e "$T/two/ipc9d.sock"
}

test_the_session_agent_has_no_network() {
	local run=$T/agent
	mkdir -m 700 "$run"
	env -u IPC9_SOCKET XDG_RUNTIME_DIR="$run" XDG_STATE_HOME="$run/state" \
		ipc9d --config "$base/empty" --user 2>/dev/null &
	wait_until test -S "$run/ipc9/ipc9d.sock"
	expect_exit 0 env -u IPC9_SOCKET XDG_RUNTIME_DIR="$run" ipc9 status --json
	same "addresses" "[\"local $run/ipc9/ipc9d.sock\"]" "$(json 'd["addresses"]')"
	end_jobs
}

run_tests
