#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# acl.sh - access lists of objects: four identities, every operation, local and from other hosts; and ipc9 acl.
#
# The objects are on h2 and belong to uid 65534, who is no administrator. "other" is a user of the same host, "remote"
# one of h1, whose claims h2 trusts, "anonymous" one of h3, whose claims it does not.
. "${0%/*}/lib.sh"
lab h1 h2 h3
has_other_user || skip "needs root, to be several users"

trusting=(
	'listen = any'
	'trust_sys = 10.77.1.1'
	'allow = host:10.77.0.0/16 read,write,create,delete'
)
identities=(owner other remote anonymous)

as_uid() { # UID HOST CMD...
	local uid=$1 host=$2
	shift 2
	[ -d "$base/other" ] || as_other "$host" true
	on "$host" setpriv --reuid "$uid" --regid "$uid" --clear-groups -- env "PATH=$base/other:$PATH" "$@"
}

as() { # IDENTITY CMD... ; @ in CMD is what the host of the objects is called there
	local identity=$1 uid host at
	shift
	case $identity in
	owner) uid=65534 host=h2 at=//. ;;
	other) uid=65533 host=h2 at=//. ;;
	remote) uid=4242 host=h1 at=//10.77.1.2 ;;
	anonymous) uid=4242 host=h3 at=//10.77.1.2 ;;
	esac
	as_uid "$uid" "$host" "${@//@/$at}"
}

# Makes //./pipe/p, //./mailslot/s and //./clipboard/b, with a list if one is given; of "read" the slot's has nothing.
objects() { # [--allow|--deny RULE]...
	local slot=() i
	for ((i = 1; i <= $#; i += 2)); do
		[[ "${*:i+1:1}" == *' read' ]] || slot+=("${*:i:1}" "$(sed 's/ read, *write$/ write/' <<<"${*:i+1:1}")")
	done
	[ $# = 0 ] || [ ${#slot[@]} -gt 0 ] || slot=(--deny 'anyone all')
	as owner true # for the copy of the programs
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 pipe serve p "$@" -- cat 2>/dev/null
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 mailslot read s --follow "${slot[@]}" >"$T/got"
	printf secret | as owner ipc9 clipboard copy //./clipboard/b "$@"
	wait_until as owner ipc9 mailslot info //./mailslot/s
	wait_until eval '[[ "$(as owner ipc9 pipe ls)" == *p* ]]'
}

# Whether a listing has a name: 0, or 5 if it was hidden.
lists() { # IDENTITY NOUN NAME
	as "$1" ipc9 "$2" ls @ --json >"$T/listing" || return
	[ "$(json "any(o['name'] == '$3' for o in list(d.values())[0])" "$T/listing")" = true ] || return 5
}

# Empties a board, which its owner has filled before.
clears() { # IDENTITY NAME
	[ "$1" != owner ] || set -- owner "$2-owner" # which goes with that, and its list
	printf secret | as owner ipc9 clipboard copy "//./clipboard/$2" || return
	as "$1" ipc9 clipboard clear "@/clipboard/$2"
}

# Each line: the exits of the four identities, then what they do.
expect_table() { # 8<TABLE
	local exits operation i words
	while read -r exits <&8; do
		operation=${exits#* * * * } exits=${exits%"$operation"}
		read -ra exits <<<"$exits"
		read -ra words <<<"$operation"
		for i in "${!identities[@]}"; do
			if [ "${words[0]}" = lists ] || [ "${words[0]}" = clears ]; then
				expect_exit "${exits[i]}" "${words[0]}" "${identities[i]}" "${words[@]:1}"
			else
				expect_exit "${exits[i]}" as "${identities[i]}" ipc9 "${words[@]}"
			fi
		done
	done
}

test_without_a_list_each_mechanism_has_its_default() {
	daemon h2 "${trusting[@]}"
	objects
	expect_table 8<<-END
		0 3 3 3 pipe open @/pipe/p
		0 5 5 5 lists pipe p
		0 0 0 0 mailslot send @/mailslot/s text
		0 0 0 0 mailslot info @/mailslot/s
		0 0 0 0 lists mailslot s
		0 0 0 0 clipboard paste @/clipboard/b
		0 0 0 0 clipboard types @/clipboard/b
		0 0 0 0 clipboard copy @/clipboard/b
		0 3 3 3 acl get @/pipe/p
		0 5 5 5 acl get @/mailslot/s
		0 5 5 5 acl get @/clipboard/b
		0 0 0 0 clears b
		0 3 3 3 acl test @/pipe/p uid:65534 --right read
		3 3 3 3 acl set @/pipe/q --none
	END
}

test_a_list_lets_in_those_it_names_and_nobody_else() {
	daemon h2 "${trusting[@]}"
	objects --deny 'uid:65533 all' --allow 'uid:4242 read,write'
	expect_table 8<<-END
		0 3 0 3 pipe open @/pipe/p
		0 5 0 5 lists pipe p
		0 3 0 3 mailslot send @/mailslot/s text
		0 3 0 3 mailslot info @/mailslot/s
		0 5 0 5 lists mailslot s
		0 3 0 3 clipboard paste @/clipboard/b
		0 3 0 3 clipboard types @/clipboard/b
		0 5 0 5 clipboard copy @/clipboard/b
		0 0 0 0 clears b
		0 3 5 3 acl get @/pipe/p
	END
	expect_exit 0 clears other b # where there is nothing for them, as anywhere else
	same "what somebody without a right has cleared" secret "$(as owner ipc9 clipboard paste //./clipboard/b)"
	expect_table 8<<-END
		0 3 3 3 acl set @/clipboard/b --none
	END
	same "what the slot got" texttext "$(<"$T/got" tr -d '\n')"
}

test_rights_of_a_list_are_given_one_by_one() {
	daemon h2 "${trusting[@]}"
	objects --allow 'uid:4242 read' --allow 'host:10.77.1.3 write'
	expect_table 8<<-END
		0 3 0 5 pipe open @/pipe/p
		0 5 0 5 lists pipe p
		0 3 3 0 mailslot send @/mailslot/s text
		0 3 3 0 mailslot info @/mailslot/s
		0 5 5 0 lists mailslot s
		0 3 0 5 clipboard paste @/clipboard/b
		0 5 5 0 clipboard copy @/clipboard/b
		0 0 5 0 clears b
	END
}

test_who_may_make_a_name_is_told_that_it_is_taken_and_by_whom_only_if_they_see_it() {
	daemon h2 "${trusting[@]}" 'reserve = pipe:p uid:65534'
	objects --deny 'anyone all'
	expect_exit 5 as other ipc9 pipe serve p
	explained "reserved, there or not" "reserved for uid:65534"
	expect_exit 1 as other ipc9 mailslot read s --timeout 0
	explained "a hidden slot" "somebody else has a mailslot of that name"
	expect_exit 5 as other ipc9 clipboard copy //./clipboard/b
	explained "a hidden board" "somebody else has a clipboard of that name"
	as owner ipc9 acl set //./mailslot/s --allow 'local write'
	as owner ipc9 acl set //./pipe/p --allow 'local read'
	expect_exit 1 as other ipc9 mailslot read s --timeout 0
	explained "a slot that they may write to" "it belongs to uid 65534"
	expect_exit 5 as other ipc9 pipe serve p
	explained "a pipe that they may open" "it belongs to uid 65534"
}

test_everybody_of_the_host_may_create_and_names_stay_their_owners() {
	daemon h2 "${trusting[@]}"
	objects
	# A slot that was made and got no message in time: 3.  From another host: not a name to be made.
	expect_table 8<<-END
		3 3 1 1 mailslot read @/mailslot/new --timeout 0
		1 1 1 1 mailslot read @/mailslot/s --timeout 0
		0 0 0 0 clipboard copy @/clipboard/new
	END
	expect_exit 5 as other ipc9 pipe serve p # which is hidden from them, and so whose it is
	explained "another's pipe" "somebody else has a pipe of that name"
	expect_exit 1 as remote ipc9 pipe serve @/pipe/p
	same "the slot goes on" 0 "$(as other ipc9 mailslot send //./mailslot/s x && echo 0)"
}

test_the_owner_from_another_host_is_the_owner() {
	daemon h2 "${trusting[@]}"
	objects
	expect_exit 0 as_uid 65534 h1 ipc9 acl set //10.77.1.2/pipe/p --allow 'uid:4242 read,write'
	expect_exit 0 as remote ipc9 pipe open @/pipe/p
	expect_exit 3 as_uid 65534 h3 ipc9 acl get //10.77.1.2/pipe/p
	explained "an anonymous caller with the owner's number" 10.77.1.2
	expect_exit 0 on h2 ipc9 acl set //./pipe/p --none # local root administers
	expect_exit 3 as remote ipc9 pipe open @/pipe/p
}

test_a_changed_list_counts_for_new_opens_and_leaves_open_ones() {
	daemon h2 "${trusting[@]}"
	objects --allow 'uid:65533 read,write'
	mkfifo "$T/in"
	exec 7<>"$T/in"
	background h2 setpriv --reuid 65533 --regid 65533 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 pipe open //./pipe/p <"$T/in" >"$T/echoed"
	echo before >&7
	wait_until has_lines 1 "$T/echoed"
	expect_exit 0 as owner ipc9 acl set //./pipe/p --deny 'anyone all'
	expect_exit 3 as other ipc9 pipe open //./pipe/p
	echo behind >&7
	wait_until has_lines 2 "$T/echoed"
	exec 7>&-
	ends 0 "$job"
	same "echoed" "before behind" "$(tr '\n' ' ' <"$T/echoed" | sed 's/ $//')"
}

test_a_served_pipe_goes_on_with_the_list_that_it_was_given_later() {
	local i
	daemon h2 "${trusting[@]}"
	objects --allow 'uid:65533 read,write'
	expect_exit 0 as owner ipc9 acl set //./pipe/p --deny 'uid:1 all' --allow 'uid:65533 read,write'
	for i in {1..20}; do # more than the instances that listen ahead
		same "client $i" "$i" "$(echo "$i" | as other ipc9 pipe open //./pipe/p)"
	done
	same "the list" "deny uid:1 all allow uid:65533 read,write" \
		"$(as owner ipc9 acl get //./pipe/p | grep -v '^#' | paste -sd' ')"
	expect_exit 1 as owner ipc9 pipe serve p --instances 255 --allow 'anyone all' -- cat
	explained "another list" "ipc9 acl set"
}

test_what_get_writes_set_reads() {
	daemon h2 "${trusting[@]}"
	objects --deny 'uid:7 all' --allow 'host:10.77.1.0/24 read, write' --allow 'gid:5 all'
	as owner ipc9 acl get //./pipe/p >"$T/list"
	same "list" "# owner: uid:65534
deny uid:7 all
allow host:10.77.1.0/24 read,write
allow gid:5 all" "$(<"$T/list")"
	as owner ipc9 acl set //./mailslot/s --none
	same "an empty list" "# owner: uid:65534" "$(as owner ipc9 acl get //./mailslot/s)"
	expect_exit 1 as owner ipc9 acl set //./mailslot/s - <"$T/list"
	explained "a right that a slot does not have" 'line 2 ("allow host:10.77.1.0/24 read,write"): read means nothing for a mailslot'
	same "the list stays" "# owner: uid:65534" "$(as owner ipc9 acl get //./mailslot/s)"
	sed 's/read,//' "$T/list" >"$T/slot"
	as owner ipc9 acl set //./mailslot/s - <"$T/slot"
	same "the other's" "$(<"$T/slot")" "$(as owner ipc9 acl get //./mailslot/s)"
	chmod 644 "$T/list"
	as owner ipc9 acl set //./clipboard/b --file "$T/list"
	same "the third's" "$(<"$T/list")" "$(as owner ipc9 acl get //./clipboard/b)"
	expect_exit 0 as owner ipc9 acl get //./pipe/p --json
	same "as JSON" '[65534, true, "deny uid:7 all"]' "$(json '[d["owner_uid"], d["given"], d["rules"][0]]')"
	printf '\n# nothing\n  deny anyone all \r\n' | as owner ipc9 acl set //./pipe/p - --json >"$T/out"
	same "set as JSON" '["deny anyone all"]' "$(json 'd["rules"]')"
}

test_acl_test_says_by_which_line() {
	daemon h2 "${trusting[@]}"
	objects --deny 'uid:65533 write' --allow 'local read,write'
	expect_exit 0 as owner ipc9 acl test //./pipe/p uid:65533 --right read
	same "read" "yes: allow local read,write (list of the object)" "$(<"$T/out")"
	expect_exit 5 as owner ipc9 acl test //./pipe/p uid:65533 --right write
	same "write" "no: deny uid:65533 write (list of the object)" "$(<"$T/out")"
	expect_exit 5 as owner ipc9 acl test //./pipe/p nobody
	contains "a user by name is the owner" "the owner may everything" "$(<"$T/out")"
	same "lines of the table" 6 "$(wc -l <"$T/out")"
	expect_exit 5 as owner ipc9 acl test //./pipe/p uid:65533 --json
	same "rights" '["read", "write", "create", "delete", "admin"]' "$(json '[r["right"] for r in d["rights"]]')"
	same "allowed" '[true, false, false, false, false]' "$(json '[r["allowed"] for r in d["rights"]]')"
	expect_exit 5 as owner ipc9 acl test //./pipe/p uid:4242,from:10.77.1.1 --right read
	contains "from another host" "no line of the object's list" "$(<"$T/out")"
	expect_exit 5 as owner ipc9 acl test //./pipe/p uid:65534,from:10.77.1.3 --right read
	contains "who is not believed" "trust_sys" "$(<"$T/out")"
}

test_mistakes_are_explained_and_change_nothing() {
	daemon h2 "${trusting[@]}"
	objects --allow 'local read'
	local before
	before=$(as owner ipc9 acl get //./pipe/p)
	expect_exit 1 as owner ipc9 acl set //./pipe/p --allow 'local read' --deny 'me all'
	explained "a bad line" 'line 2 ("deny me all"): WHO is one of'
	expect_exit 2 as owner ipc9 acl set //./pipe/p
	explained "no list" "--none"
	expect_exit 2 as owner ipc9 acl set //./pipe/p --none --allow 'local read'
	expect_exit 2 as owner ipc9 acl set //./pipe/p 'allow local read'
	expect_exit 2 as owner ipc9 acl test //./pipe/p no-such-user
	explained "no such user" no-such-user
	expect_exit 1 as owner ipc9 acl test //./pipe/p uid:5 --right fly
	explained "no such right" "read, write, create, delete, admin"
	expect_exit 1 as owner ipc9 acl get p
	explained "no mechanism" "//./pipe/NAME"
	expect_exit 3 as owner ipc9 acl get //./pipe/nothing
	expect_exit 1 as owner ipc9 pipe serve q --allow 'nonsense' -- true
	explained "a bad line at creation" nonsense
	expect_exit 3 as owner ipc9 acl get //./pipe/q
	expect_exit 2 as owner ipc9 clipboard copy --allow 'local read'
	explained "one's own clipboard" "shared clipboards"
	same "the list" "$before" "$(as owner ipc9 acl get //./pipe/p)"
}

test_a_copy_to_a_board_of_another_user_with_a_list_copies_nothing() {
	daemon h2 "${trusting[@]}"
	objects
	expect_exit 5 as other ipc9 clipboard copy //./clipboard/b --allow 'anyone all'
	same "the board" secret "$(as owner ipc9 clipboard paste //./clipboard/b)"
	printf mine | as other ipc9 clipboard copy //./clipboard/mine --allow 'uid:4242 read'
	same "the list of a new one" "allow uid:4242 read" "$(as other ipc9 acl get //./clipboard/mine | grep -v '^#')"
	same "read by whom it names" mine "$(as remote ipc9 clipboard paste @/clipboard/mine)"
	expect_exit 3 as owner ipc9 clipboard paste //./clipboard/mine
}

test_reserved_names_are_kept_for_their_service() {
	daemon h2 "${trusting[@]}" 'reserve = pipe:printer uid:65534' 'reserve = mailslot:Jobs uid:65534' \
		'reserve = clipboard:board uid:4242'
	expect_exit 5 as other ipc9 pipe serve Printer
	explained "the pipe" "reserved for uid:65534"
	expect_exit 5 on h2 ipc9 pipe serve printer # root is somebody else too
	expect_exit 5 as other ipc9 mailslot read jobs --timeout 0
	expect_exit 3 as owner ipc9 mailslot read jobs --timeout 0
	expect_exit 3 as other ipc9 mailslot read printer --timeout 0
	expect_exit 5 as owner ipc9 clipboard copy //./clipboard/Board
	expect_exit 0 as remote ipc9 clipboard copy @/clipboard/board
	contains "audit" "audit: refused caller=uid:65533 known=kernel from=local service=pipe procedure=1 right=create by=\"reserve = pipe:Printer uid:65534 (configuration)\"" \
		"$(<"$base/h2/log")"
}

test_a_reservation_that_is_none_is_an_error_with_file_and_line() {
	local line
	while read -r line; do
		printf '# one\nport = 20490\nreserve = %s\n' "$line" >"$T/bad.conf"
		expect_exit 2 ipc9d --config "$T/bad.conf" --check-config
		contains "$line" "$T/bad.conf:3: reserve: " "$(<"$T/err")"
	done <<-'END'
		pipe:printer
		printer uid:7
		fan:printer uid:7
		pipe:~printer uid:7
		pipe: uid:7
		pipe:printer nobody
		pipe:printer uid:x
	END
	printf 'reserve = pipe:printer uid:7\nreserve = mailslot:a b anyone\n' >"$T/good.conf"
	expect_exit 0 ipc9d --config "$T/good.conf" --check-config
}

test_a_list_of_a_slot_counts_for_broadcasts_of_other_hosts() {
	daemon h2 "${trusting[@]}" 'allow = host:fd77::/16 read,write' 'allow = host:fe80::/10 read,write'
	objects --allow 'local write' --allow 'host:10.77.1.1 write'
	on h3 ipc9 mailslot send //@/mailslot/s refused
	wait_until grep -q 'audit: refused caller=anonymous known=no from=.* service=mailslot procedure=9 right=write mechanism=mailslot object="s" by="no line of the object' "$base/h2/log"
	on h1 ipc9 mailslot send //@/mailslot/s taken
	wait_until grep -q taken "$T/got"
	same "what the slot got" taken "$(<"$T/got")"
}

test_refusals_and_changes_are_in_the_audit() {
	daemon h2 "${trusting[@]}"
	objects
	expect_exit 3 as other ipc9 pipe open //./pipe/p
	expect_exit 0 as owner ipc9 acl set //./pipe/p --deny 'uid:65533 all'
	expect_exit 3 as other ipc9 pipe open //./pipe/p
	expect_exit 3 as anonymous ipc9 acl get @/pipe/p
	cp "$base/h2/log" "$T/log"
	contains "by default" "audit: refused caller=uid:65533 known=kernel from=local service=pipe procedure=3 right=read mechanism=pipe object=\"p\" by=" "$(<"$T/log")"
	contains "change" "audit: changed caller=uid:65534 known=kernel from=local service=control procedure=3 mechanism=pipe object=\"p\" what=\"access list, 1 lines\"" "$(<"$T/log")"
	contains "by a line" "deny uid:65533 all (list of the object)" "$(<"$T/log")"
	contains "list" "audit: refused caller=anonymous known=no from=10.77.1.3 service=control procedure=2 right=admin mechanism=pipe object=\"p\"" "$(<"$T/log")"
}

run_tests
