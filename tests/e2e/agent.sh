#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# agent.sh - a user's session agent (ipc9d --user) beside the host's daemon.
. "${0%/*}/lib.sh"
lab h1
has_other_user || skip "needs root, to be several users"

# As uid 65534 with a session, or as 65533 without: the environment of a login and no IPC9_SOCKET.
user() { # CMD...
	as_other h1 env "XDG_RUNTIME_DIR=$T/session" "XDG_STATE_HOME=$T/session/state" "$@"
}
neighbour() { # CMD...
	on h1 setpriv --reuid 65533 --regid 65533 --clear-groups -- env "PATH=$base/other:$PATH" "$@"
}

# A session of uid 65534 with an agent in it.
session() {
	as_other h1 true # for the copy of the programs
	[ -x "$base/other/ipc9d" ] || cp "$BUILD/ipc9d" "$base/other"
	install -d -m 700 -o 65534 -g 65534 "$T/session"
	start_agent
}

start_agent() {
	background h1 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		"XDG_RUNTIME_DIR=$T/session" "XDG_STATE_HOME=$T/session/state" ipc9d --user 2>"$T/agent.log"
	agent=$job
	wait_until test -S "$T/session/ipc9/ipc9d.sock"
}

end_agent() { # SIGNAL
	local pid
	pid=$(pgrep -P "$agent" -x ipc9d) && kill "-$1" "$pid"
	ends_within 10 "$agent"
}

# The first address of the daemon that answers CMD's user.
answers() { # CMD...
	"$@" ipc9 status --json >"$T/out"
	json 'd["addresses"][0]'
}

test_the_users_agent_comes_before_the_hosts_daemon_which_serves_the_others() {
	session
	same "the user's" "local $T/session/ipc9/ipc9d.sock" "$(answers user)"
	same "how it knows them" "kernel 65534" "$(json 'd["you"]["how"] + " " + str(d["you"]["uid"])')"
	different "a neighbour's" "local $T/session/ipc9/ipc9d.sock" "$(answers neighbour)"
	different "the user's without the session" "local $T/session/ipc9/ipc9d.sock" "$(answers as_other h1)"
	same "a socket that is named" "$(answers neighbour)" "$(answers user env IPC9_SOCKET=/run/ipc9/ipc9d.sock)"
}

test_boards_and_slots_of_the_session_are_the_agents() {
	session
	printf private | user ipc9 clipboard copy
	printf shared | user ipc9 clipboard copy //./clipboard/team
	printf host | as_other h1 ipc9 clipboard copy
	same "own board" private "$(user ipc9 clipboard paste)"
	same "own board at the host's daemon" host "$(as_other h1 ipc9 clipboard paste)"
	expect_exit 3 neighbour ipc9 clipboard paste //./clipboard/team
	background h1 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		"XDG_RUNTIME_DIR=$T/session" ipc9 mailslot read inbox >"$T/got"
	local reader=$job
	wait_until user ipc9 mailslot info //./mailslot/inbox
	expect_exit 3 neighbour ipc9 mailslot send //./mailslot/inbox text
	user ipc9 mailslot send //./mailslot/inbox hello
	ends 0 "$reader"
	same "what it got" hello "$(<"$T/got")"
}

test_nobody_else_reaches_an_agent() {
	session
	chmod 755 "$T/session" # as careless as can be
	same "mode of the agent's folder" "700 65534" "$(stat -c '%a %u' "$T/session/ipc9")"
	expect_exit 5 neighbour env "IPC9_SOCKET=$T/session/ipc9/ipc9d.sock" ipc9 status
	expect_exit 5 neighbour env "XDG_RUNTIME_DIR=$T/session" ipc9 status
	explained "another's session" "$T/session/ipc9/ipc9d.sock"
}

test_an_agent_of_another_user_is_refused_and_nothing_else_is_tried() {
	session
	chmod 755 "$T/session" "$T/session/ipc9"
	expect_exit 5 neighbour env "XDG_RUNTIME_DIR=$T/session" ipc9 clipboard copy
	explained "another's agent" "$T/session/ipc9/ipc9d.sock is not used"
}

test_without_its_agent_a_session_is_served_by_the_host() {
	session
	end_agent TERM
	different "after its end" "local $T/session/ipc9/ipc9d.sock" "$(answers user)"
	start_agent
	same "and again" "local $T/session/ipc9/ipc9d.sock" "$(answers user)"
	end_agent KILL # the socket stays, and nobody answers on it
	different "after it was killed" "local $T/session/ipc9/ipc9d.sock" "$(answers user)"
	start_agent
	wait_until eval '[ "$(answers user)" = "local $T/session/ipc9/ipc9d.sock" ]'
}

test_an_agent_is_not_on_the_network() {
	session
	same "addresses" "[\"local $T/session/ipc9/ipc9d.sock\"]" "$(user ipc9 status --json >"$T/out" && json 'd["addresses"]')"
	same "sockets of the network" 0 "$(on h1 ss -Hlntup | grep -c "pid=$(pgrep -P "$agent" -x ipc9d)," || true)"
}

run_tests
