#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# access.sh - who is let in, and as whom: strangers get procedure 0 and nothing else.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2 h3

# Objects on h2 that there is something to refuse: slot, pipe, and what the own board and a shared one hold.
objects() {
	printf secret | on h2 ipc9 clipboard copy
	printf secret | on h2 ipc9 clipboard copy //./clipboard/team
	background h2 ipc9 mailslot read slot --follow >"$T/got"
	background h2 ipc9 pipe serve pipe -- sh -c 'echo secret; cat' 2>/dev/null
	wait_until on h2 ipc9 mailslot info //./mailslot/slot
	wait_until eval '[[ "$(on h2 ipc9 pipe ls)" == *pipe* ]]'
}

test_a_fresh_daemon_answers_strangers_null_and_nothing_else() {
	local verb
	daemon_with h2 '' --listen any
	objects
	for program in $((0x20490001)) $((0x20490003)) $((0x20490004)) $((0x2049000a)); do
		wait_until on h1 rpcinfo -T tcp h2 "$program" 1
		expect_exit 0 on h1 rpcinfo -T udp h2 "$program" 1
	done
	while read -r verb; do
		# shellcheck disable=SC2086 # words
		expect_exit 5 on h1 ipc9 $verb
		explained "$verb" h2
	done <<-END
		status //h2
		clipboard copy //h2
		clipboard copy //h2/clipboard/team
		clipboard paste //h2
		clipboard paste //h2/clipboard/team
		clipboard types //h2
		clipboard types //h2/clipboard/team
		clipboard clear //h2
		clipboard clear //h2/clipboard/team
		mailslot send //h2/mailslot/slot text
		mailslot send //h2/mailslot/not-there text
		mailslot info //h2/mailslot/slot
		mailslot ls //h2
		pipe open //h2/pipe/pipe
		pipe open //h2/pipe/not-there
		pipe ls //h2
		acl get //h2/pipe/pipe
		acl get //h2/pipe/not-there
		acl set //h2/pipe/pipe --none
		acl test //h2/pipe/pipe
	END
	same "what the slot got" "" "$(<"$T/got")"
	same "the board" secret "$(on h2 ipc9 clipboard paste)"
	same "the shared board" secret "$(on h2 ipc9 clipboard paste //./clipboard/team)"
	on h2 ipc9 status --json >"$T/out"
	at_least "refusals counted" 20 "$(json 'd["counters"]["access.refused"]')"
}

test_users_of_the_same_host_need_no_rule() {
	has_other_user || skip "needs root, to be two users"
	daemon_with h2 ''
	printf mine | as_other h2 ipc9 clipboard copy
	same "their board" mine "$(as_other h2 ipc9 clipboard paste)"
	expect_exit 0 as_other h2 ipc9 status --json
	same "known by" kernel "$(json 'd["you"]["how"]')"
	same "uid" 65534 "$(json 'd["you"]["uid"]')"
}

test_a_fresh_daemon_is_not_on_the_network() {
	daemon_with h2 ''
	expect_exit 4 on h1 ipc9 status //h2
	expect_exit 0 on h2 ipc9 status --json
	same "addresses outside" '[]' \
		"$(json '[a for a in d["addresses"] if not any(s in a for s in ("127.0.0.1", "[::1]", "::1", "local"))]')"
}

# Who h2 takes h1's user for: "how" or "how uid".
identity() { # COMMAND...
	"$@" ipc9 status //10.77.1.2 --json >"$T/out"
	json '" ".join(str(d["you"][k]) for k in ("how", "uid") if k in d["you"])'
}

test_claims_are_believed_from_trusted_addresses_only_and_shown_as_claimed() {
	same "trusted, root" "claimed 0" "$(identity on h1)"
	daemon h2 'listen = any' 'allow = anyone all' 'trust_root = yes' 'trust_sys = 10.77.1.3'
	same "from an address that is not trusted" "none" "$(identity on h1)"
	same "from the one that is" "claimed 0" "$(identity on h3)"
	daemon h2 'listen = any' 'allow = anyone all' 'trust_root = yes'
	same "with no trust_sys" "none" "$(identity on h3)"
	on h2 ipc9 status --json >"$T/out"
	same "on the same host" "kernel 0" "$(json 'd["you"]["how"] + " " + str(d["you"]["uid"])')"
}

test_a_claim_of_root_needs_trust_root() {
	daemon h2 'listen = any' 'allow = anyone all' 'trust_sys = 10.77.0.0/16'
	same "uid 0" "none" "$(identity on h1)"
	has_other_user || return 0
	same "uid 65534" "claimed 65534" "$(identity as_other h1)"
}

test_an_anonymous_caller_has_no_own_board_but_shared_ones() {
	daemon h2 'listen = any' 'allow = anyone all'
	expect_exit 5 on h1 ipc9 clipboard paste //h2
	explained "own board" h2
	printf shared | on h1 ipc9 clipboard copy //h2/clipboard/team
	same "shared board" shared "$(on h2 ipc9 clipboard paste //./clipboard/team)"
}

test_the_first_rule_that_matches_decides() {
	daemon h2 'listen = any' 'deny = host:10.77.1.3 all' 'allow = host:10.77.0.0/16 all'
	expect_exit 0 on h1 ipc9 status //10.77.1.2
	expect_exit 5 on h3 ipc9 status //10.77.1.2
	daemon h2 'listen = any' 'allow = host:10.77.0.0/16 all' 'deny = host:10.77.1.3 all'
	expect_exit 0 on h3 ipc9 status //10.77.1.2
	expect_exit 5 on h3 ipc9 status '//[fd77:1::2]' # the rules are about IPv4
	daemon h2 'listen = any' 'allow = host:fd77:1::3 all'
	expect_exit 0 on h3 ipc9 status '//[fd77:1::2]'
	expect_exit 5 on h1 ipc9 status '//[fd77:1::2]'
}

test_rights_are_given_one_by_one() {
	daemon h2 'listen = any' 'trust_sys = 10.77.0.0/16' 'allow = anyone read'
	objects
	expect_exit 0 on h1 ipc9 status //h2
	expect_exit 0 on h1 ipc9 clipboard paste //h2/clipboard/team
	same "shared board" secret "$(<"$T/out")"
	expect_exit 5 on h1 ipc9 clipboard copy //h2/clipboard/team
	expect_exit 5 on h1 ipc9 clipboard clear //h2/clipboard/team
	expect_exit 5 on h1 ipc9 mailslot send //h2/mailslot/slot text
	same "shared board afterwards" secret "$(on h2 ipc9 clipboard paste //./clipboard/team)"
}

test_rules_by_uid_see_what_was_claimed() {
	has_other_user || skip "needs root, to be two users"
	daemon h2 'listen = any' 'trust_sys = 10.77.0.0/16, fd77::/16' 'trust_root = yes' 'deny = uid:65534 all' 'allow = anyone all'
	expect_exit 0 on h1 ipc9 status //h2
	expect_exit 5 as_other h1 ipc9 status //h2
	expect_exit 5 as_other h2 ipc9 status
}

run_tests
