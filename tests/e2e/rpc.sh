#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rpc.sh - what stock ONC RPC tools see: programs that answer, over every netid, and their registration.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

programs=($((0x20490001)) $((0x20490003)) $((0x20490004)) $((0x2049000a)) $((0x2049000b))) # clipboard mailslot pipe control bench

# Asks the rpcbind of h2, from h1, and then calls procedure 0.
answers() { # NETID PROGRAM
	on h1 rpcinfo -T "$1" h2 "$2" 1
}

registered() { # PROGRAM... : the netids on h2, of the first, if all have the same
	local program netids='' n
	for program; do
		n=$(on h2 rpcinfo | awk -v "p=$program" '$1 == p { print $3 }' | sort | paste -sd ' ')
		[ -z "$netids" ] || [ "$n" = "$netids" ] || return
		netids=$n
	done
	echo "$netids"
}

all_registered() { [ "$(registered "${programs[@]}")" = "local tcp tcp6 udp udp6" ]; }

test_every_program_answers_rpcinfo_over_every_netid() {
	local program netid
	wait_until all_registered
	for program in "${programs[@]}"; do
		for netid in tcp udp tcp6 udp6; do
			expect_exit 0 answers $netid "$program"
			contains "rpcinfo -T $netid h2 $program 1" "program $program version 1 ready and waiting" "$(<"$T/out")"
		done
	done
}

test_a_version_that_is_not_there_is_a_mismatch() {
	wait_until all_registered
	for netid in tcp udp; do
		expect_exit 1 on h1 rpcinfo -T $netid h2 "${programs[0]}" 7
		contains "version 7 over $netid" 'low version = 1, high version = 1' "$(cat "$T/out" "$T/err")"
	done
}

test_a_program_that_is_not_there_is_not_registered() {
	wait_until all_registered
	same "programs of ours" "$(printf '%s\n' "${programs[@]}" $((0x20490006)) | sort -u)" \
		"$(on h2 rpcinfo | awk '$1 >= 541655040 && $1 < 541655296 { print $1 }' | sort -u)"
	expect_exit 1 on h1 rpcinfo -T tcp h2 $((0x20490002)) 1
	same "where filemap is, which is of no use elsewhere" local "$(registered $((0x20490006)))"
}

test_the_registration_is_back_within_10_s_after_rpcbind_was_killed() {
	local start
	wait_until all_registered
	"$LAB" rpcbind h2 kill
	expect_exit 0 on h1 ipc9 status //h2 # by the fixed port
	"$LAB" rpcbind h2 start
	start=$(now_ms)
	same "registered with the new rpcbind" "" "$(registered "${programs[0]}")"
	wait_until all_registered
	wait_until answers tcp "${programs[0]}"
	at_most "ms until it was back" $((10000 * slow)) $(($(now_ms) - start))
}

test_a_daemon_starts_without_rpcbind_and_registers_later() {
	"$LAB" rpcbind h2 stop
	daemon h2
	expect_exit 0 on h1 ipc9 status //h2
	expect_exit 0 on h2 ipc9 status --json
	contains "status about rpcbind" "not" "$(json 'd["rpcbind"]')"
	"$LAB" rpcbind h2 start
	wait_until all_registered
}

test_sigterm_ends_the_daemon_and_leaves_nothing() {
	wait_until all_registered
	on h2 test -S /run/ipc9/ipc9d.sock
	end_daemon h2
	same "exit" 0 "$status"
	same "entries in rpcbind" "" "$(registered "${programs[0]}")"
	on h2 test ! -e /run/ipc9/ipc9d.sock
	same "processes" "" "$(on h2 pgrep -x ipc9d || true)"
	expect_exit 4 on h1 ipc9 status //h2
}

test_sigint_ends_the_daemon_too() {
	wait_until all_registered
	end_daemon h2 INT
	same "exit" 0 "$status"
	same "entries in rpcbind" "" "$(registered "${programs[0]}")"
}

test_a_daemon_that_was_killed_is_followed_by_a_new_one() {
	wait_until all_registered
	end_daemon h2 KILL
	same "exit" 137 "$status"
	daemon h2 # over the socket and the entries that the other left
	wait_until all_registered
	expect_exit 0 answers tcp "${programs[3]}"
}

test_another_port_is_found_by_rpcbind() {
	daemon h2 "${ordinary[@]}" 'port = 20777'
	wait_until all_registered
	expect_exit 0 answers tcp "${programs[0]}"
	printf found | on h2 ipc9 clipboard copy
	same "with the port said" found "$(on h1 ipc9 clipboard paste //h2:20777)"
	same "asking rpcbind" found "$(on h1 ipc9 clipboard paste //h2)"
}

test_a_second_daemon_of_the_same_user_leaves_the_entries_of_the_first() {
	wait_until all_registered
	on h2 mkdir -p /run/second
	background h2 ipc9d --port 20777 --listen any --socket /run/second/s --state-dir /run/second/state \
		2>"$T/second.err"
	wait_until grep -q 'taken by another' "$T/second.err"
	all_registered
	on h2 rpcinfo >"$T/rpcinfo"
	! grep -F '.81.41' "$T/rpcinfo" || fail "entries of port 20777"
	on h2 kill -TERM "$(sed -n 's/.*pid \([0-9]*\)$/\1/p' "$T/second.err")"
	ends 0 "$job"
	all_registered
}

# Another user of h2 who serves, and registers, our first program on port 20999.
hijack() {
	background h2 python3 - "${programs[0]}" <<-'END'
		import os, signal, socket, struct, sys
		def string(text):
		    return struct.pack(">I", len(text)) + text + b"\0" * (-len(text) % 4)
		os.setuid(65534)
		held = socket.create_server(("10.77.1.2", 20999))
		call = struct.pack(">10I", 7, 0, 2, 100000, 4, 1, 0, 0, 0, 0) + struct.pack(">2I", int(sys.argv[1]), 1)
		call += string(b"tcp") + string(b"10.77.1.2.82.7") + string(b"")
		s = socket.socket(socket.AF_UNIX)
		s.connect("/run/rpcbind.sock")
		s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
		assert s.recv(100)[-1] == 1, "rpcbind did not take it"
		signal.pause()
	END
	wait_until eval 'on h2 rpcinfo | grep -F " 10.77.1.2.82.7 "'
}

test_an_entry_that_another_user_made_first_is_told_and_the_port_serves_all_the_same() {
	has_other_user || skip "needs root, to be two users"
	wait_until all_registered
	end_daemon h2
	hijack
	daemon h2
	wait_until grep -q 'taken by another program' "$base/h2/log"
	on h2 ipc9 status --json >"$T/out"
	contains "status" "taken" "$(json 'd["rpcbind"]')"
	printf found | on h2 ipc9 clipboard copy
	same "by the fixed port, without asking" found "$(on h1 ipc9 clipboard paste //h2)"
	same "with the port said" found "$(on h1 ipc9 clipboard paste //h2:20490)"
	same "the other's entry" 1 "$(on h2 rpcinfo | grep -cF " 10.77.1.2.82.7 ")"
	"$LAB" rpcbind h2 kill # and with it the other's entry
	same "with no rpcbind at all" found "$(on h1 ipc9 clipboard paste //h2)"
	"$LAB" rpcbind h2 start
	wait_until all_registered
}

run_tests
