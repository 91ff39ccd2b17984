#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# quota.sh - how much each user may take of a daemon, and how it is shown.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

# A number of what h2's daemon tells: of the whole host, or of a uid.
host_uses() { on h2 ipc9 status --quota --json >"$T/out" && json "d['host']['$1']['used']"; }
uid_uses() { # UID RESOURCE FIELD
	on h2 ipc9 status --quota --json >"$T/out" &&
		json "[u['$2']['$3'] for u in d['users'] if u['who'].get('uid') == $1] or [0]"
}

uses_objects() { [ "$(host_uses objects)" -gt 0 ]; }
is_used() { [ "$(host_uses "$1")" = "$2" ]; } # RESOURCE NUMBER

matches() { # WHAT PATTERN ACTUAL
	[[ $3 =~ $2 ]] || fail "$1:" "  pattern: $2" "  actual:  $3"
}

test_status_quota_tells_use_and_share_in_a_table_and_in_json() {
	daemon h2 'quota_objects = 100'
	background h2 ipc9 mailslot read slot --follow >"$T/got"
	wait_until is_used objects 1
	expect_exit 0 on h2 ipc9 status --quota
	matches "titles" '^ *OBJECTS +BYTES +WAITING +CONNECTIONS  WHO$' "$(sed -n 1p "$T/out")"
	# Half of 94, and the 6 that are kept back for root and the daemon's user.
	matches "the user" "^ *1/53 +0/570425344 +1/4352 +2/[0-9]+  uid $(id -u) from local\$" "$(sed -n 2p "$T/out")"
	matches "all" '^ *1/100 +0/1073741824 +1/8192 +2/[0-9]+  all, of the total$' "$(sed -n 3p "$T/out")"
	expect_exit 0 on h2 ipc9 status --quota --json
	same "share" 53 "$(json 'd["users"][0]["objects"]["share"]')"
	same "total" 100 "$(json 'd["host"]["objects"]["total"]')"
}

test_a_greedy_user_is_told_what_is_full_and_leaves_the_rest_to_others() {
	local i
	has_other_user || skip "needs root, to be two users"
	daemon h2 'quota_objects = 8'
	expect_exit 0 as_other h2 ipc9 status # their copy of the programs is there
	for i in 1 2 3 4; do
		background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- \
			env "PATH=$base/other:$PATH" ipc9 mailslot read "slot$i" --follow >"$T/got$i"
		wait_until is_used objects "$i"
	done
	expect_exit 1 as_other h2 ipc9 mailslot read slot5
	explained "the fifth slot" "objects: you use 4 of at most 4"
	explained "what to do" "ipc9 status --quota"
	same "of the greedy one" '[4]' "$(uid_uses 65534 objects used)"
	background h2 ipc9 mailslot read mine --follow >"$T/got"
	wait_until is_used objects 5
	# Somebody without the right admin sees themselves alone.
	expect_exit 0 as_other h2 ipc9 status --quota --json
	same "seen by others" '[65534]' "$(json '[u["who"]["uid"] for u in d["users"]]')"
}

test_a_server_without_room_for_its_next_client_says_so_once_and_serves_on() {
	local slot
	has_other_user || skip "needs root, to be two users"
	daemon h2 'quota_objects = 4'
	expect_exit 0 as_other h2 ipc9 status # their copy of the programs is there
	background h2 ipc9 pipe serve svc -- echo hello 2>"$T/said"
	wait_until is_used objects 2
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- \
		env "PATH=$base/other:$PATH" ipc9 mailslot read slot --follow >"$T/got"
	slot=$job
	wait_until is_used objects 3
	same "the first" hello "$(on h2 ipc9 pipe open svc)"
	# Of four objects, half of what the other leaves is less than a name and an instance.
	wait_until grep -q 'no room for the next client' "$T/said"
	to_job TERM "$slot"
	wait_until is_used objects 2
	same "the next" hello "$(on h2 ipc9 pipe open svc)"
	same "said" 1 "$(grep -c 'no room' "$T/said")"
}

test_what_clients_of_the_network_use_is_theirs_and_goes_with_them() {
	printf text | on h1 ipc9 clipboard copy //h2/clipboard/team
	same "bytes" 4 "$(host_uses bytes)"
	same "the board" 1 "$(host_uses objects)"
	on h1 ipc9 clipboard clear //h2/clipboard/team
	same "bytes" 0 "$(host_uses bytes)"
	same "the board, cleared" 0 "$(host_uses objects)"
	background h2 ipc9 pipe serve pipe -- cat
	wait_until uses_objects
	end_jobs
	wait_until is_used objects 0
	wait_until is_used waiting 0
	wait_until is_used connections 1
}

run_tests
