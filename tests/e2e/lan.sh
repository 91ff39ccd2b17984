#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# lan.sh - what only a network does to a daemon: hosts vanish without a word, addresses mean one link only.
# shellcheck disable=SC2016 # what sh -c and eval run
. "${0%/*}/lib.sh"
lab h1 h2

# One of the daemon's numbers.
counter() { # HOST NAME
	on "$1" ipc9 status --json >"$T/status"
	json "d['counters']['$2']" "$T/status"
}

# --- Hosts that vanish -----------------------------------------------------------------------------

# N connections from h1 to h2, each after a call, that then are silent; the name of what waits for them is in $job.
silent() { # N
	background h1 python3 -c '
import socket, struct, sys, time
call = struct.pack(">11I", 0x80000028, 1, 0, 2, 0x2049000a, 1, 0, 0, 0, 0, 0)
held = [socket.create_connection((sys.argv[1], 20490)) for _ in range(int(sys.argv[2]))]
for s in held:
    s.sendall(call)
    assert len(s.recv(28, socket.MSG_WAITALL)) == 28
print("ready", flush=True)
time.sleep(600)' "$("$LAB" addr h2)" "$1" >"$T/silent"
	wait_until has_lines 1 "$T/silent"
}

# A pipe server on h2 that h1 is connected to; $job, and $T/err.NAME.
served() { # NAME FIFO : what comes from FIFO goes to h1
	background h2 ipc9 pipe serve "$1" <"$2" >"$T/out.$1" 2>"$T/err.$1"
	server=$job
	wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *'"$1"'* ]]'
	background h1 ipc9 pipe open "//h2/pipe/$1" <"$T/quiet" >"$T/got.$1"
	echo hello >&6
	wait_until has_lines 1 "$T/got.$1"
	job=$server
}

test_hosts_that_vanish_are_reaped_and_their_pipes_lost() {
	local limit=3000 lines=("${ordinary[@]}") start quiet busy before
	[ "${E2E_LONG:-}" != 1 ] || limit=25000
	[ $limit = 25000 ] || lines+=("vanished_ms = $limit")
	daemon h2 "${lines[@]}"
	before=$(counter h2 rpc.connections)
	mkfifo "$T/quiet" "$T/a" "$T/b"
	exec 5<>"$T/quiet" 6<>"$T/a"
	served quiet "$T/a"
	quiet=$job
	exec 7<>"$T/b" 6>"$T/b"
	served busy "$T/b"
	busy=$job
	silent 100
	# The two servers'; what the pipes carry does not go by the daemon.
	at_least "connections" $((before + 102)) "$(counter h2 rpc.connections)"

	"$LAB" cut h1
	start=$(now_ms)
	echo 'under way' >&6
	until [ "$(counter h2 rpc.connections)" -le $((before + 2)) ]; do
		at_most "ms, and there are connections left" $((limit * 2 + 10000 * slow)) $(($(now_ms) - start))
		sleep 0.1
	done
	[ $limit = 3000 ] || at_most "ms until all were gone" 30000 $(($(now_ms) - start))
	at_least "ms" $((limit / 2)) $(($(now_ms) - start))
	ends 1 "$quiet"
	says_lost "the quiet pipe" "$T/err.quiet"
	ends 1 "$busy"
	says_lost "the busy pipe" "$T/err.busy"
	"$LAB" restore h1
	wait_until eval '[ "$(counter h2 rpc.connections)" = '"$before"' ]'
	expect_exit 0 on h1 ipc9 status //h2
}

# --- Addresses of one link -------------------------------------------------------------------------

h2='//[fe80::2%eth0]'

# h2 listens on its link-local address alone; h1 has a second link with addresses of the same prefix.
link_local() { # PORT
	daemon h2 'listen = fe80::2%eth0' "port = $1" 'allow = anyone read,write,create,delete'
	on h1 ip link show other >/dev/null 2>&1 || on h1 sh -c 'ip link add other type veth peer name others &&
		ip link set others up && ip link set other up && ip addr add fe80::1:1/64 dev other nodad'
}

# Whoever is called there is first looked for there.
looked_for_elsewhere() { on h1 ip -6 neigh show to fe80::2 dev other; }
no_call_went_elsewhere() { same "h2 on the other link" "" "$(looked_for_elsewhere)"; }

test_a_link_local_address_is_called_on_its_link() {
	link_local 20490
	expect_exit 0 on h1 ipc9 status "$h2" --json
	same "address of h2" '["tcp+udp [fe80::2%eth0]:20490", "local /run/ipc9/ipc9d.sock"]' "$(json 'd["addresses"]')"
	same "h1, as h2 sees it" fe80::1%eth0 "$(json 'd["you"]["host"]')"
	background h2 ipc9 mailslot read here --follow --json >"$T/got"
	wait_until on h2 ipc9 mailslot info //./mailslot/here
	expect_exit 0 on h1 ipc9 mailslot ls "$h2"
	contains "slots" here "$(<"$T/out")"
	expect_exit 0 on h1 ipc9 mailslot send "$h2/mailslot/here" text
	wait_until has_lines 1 "$T/got"
	same "sender" fe80::1%eth0 "$(json_lines 'd[0]["sender"]["host"]' "$T/got")"
	no_call_went_elsewhere
	# The same address on another link is another host, which is not there.
	expect_exit 4 on h1 ipc9 status '//[fe80::2%other]' --timeout 2000
	different "h2 on the other link" "" "$(looked_for_elsewhere)"
	on h1 ip link del other
}

test_a_link_local_address_is_registered_and_found_with_its_link() {
	link_local 20777
	wait_until eval 'on h2 rpcinfo | grep -q "tcp6.*fe80::2%eth0\.81\.41"'
	expect_exit 0 on h1 ipc9 status "$h2" # which asks the rpcbind there for the port
	no_call_went_elsewhere
	end_daemon h2 KILL
	expect_exit 4 on h1 ipc9 status "$h2" --timeout 5000
	link_local 20777
	expect_exit 0 on h1 ipc9 status "$h2"
	no_call_went_elsewhere
	on h1 ip link del other
}

test_a_broadcast_comes_from_the_link_local_address_with_its_link() {
	link_local 20490
	background h2 ipc9 mailslot read all --follow --json >"$T/got"
	wait_until on h2 ipc9 mailslot info //./mailslot/all
	# h1 has just got a link, and tells its daemon so.
	wait_until eval 'on h1 ipc9 mailslot send //@/mailslot/all text && [ -s "$T/got" ]'
	same "senders" '["fe80::1%eth0"]' "$(json_lines 'sorted({m["sender"]["host"] for m in d})' "$T/got")"
	same "told as broadcast" true "$(json_lines 'all(m["broadcast"] for m in d)' "$T/got")"
	on h1 ip link del other
}

run_tests
