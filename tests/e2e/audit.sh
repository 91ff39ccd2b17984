#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# audit.sh - what an administrator finds in the log: one line for each refusal and each change, and never payload.
#
# The objects are as in acl.sh: on h2, of uid 65534; h2 believes what h1 claims and takes h3 for anonymous.  No test makes
# more lines than are written in a second.
. "${0%/*}/lib.sh"
lab h1 h2 h3
has_other_user || skip "needs root, to be several users"

trusting=(
	'listen = any'
	'trust_sys = 10.77.1.1'
	'deny = uid:4343 all'
	'allow = host:10.77.0.0/16 read,write'
)

as_uid() { # UID HOST CMD...
	local uid=$1 host=$2
	shift 2
	[ -d "$base/other" ] || as_other "$host" true
	on "$host" setpriv --reuid "$uid" --regid "$uid" --clear-groups -- env "PATH=$base/other:$PATH" "$@"
}

slot() { # OPTION...
	as_uid 65534 h2 true
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 mailslot read s --follow "$@" >"$T/got"
	wait_until as_uid 65534 h2 ipc9 mailslot info //./mailslot/s
}

audit() { grep -o 'audit: .*' "$base/h2/log" || true; }

# Runs CMD, which must exit with CODE and leave exactly one line more in the audit: LINE.
leaves() { # LINE CODE CMD...
	local line=$1 before
	shift
	before=$(audit | wc -l)
	expect_exit "$@"
	same "$*: new lines of the audit" "$line" "$(audit | tail -n "+$((before + 1))")"
}

test_each_refusal_is_one_line_that_says_who_from_where_what_and_why() {
	daemon h2 "${trusting[@]}" 'reserve = mailslot:kept uid:0'
	slot --deny 'uid:65533 all' --allow 'local write'
	leaves "audit: refused caller=uid:4343 known=claim from=10.77.1.1 service=mailslot procedure=5 right=write by=\"deny uid:4343 all (configuration)\"" \
		5 as_uid 4343 h1 ipc9 mailslot send //10.77.1.2/mailslot/s s3cr3t
	leaves "audit: refused caller=uid:65533 known=kernel from=local service=mailslot procedure=5 right=write mechanism=mailslot object=\"s\" by=\"deny uid:65533 all (list of the object)\"" \
		3 as_uid 65533 h2 ipc9 mailslot send //./mailslot/s s3cr3t
	leaves "audit: refused caller=anonymous known=no from=10.77.1.3 service=mailslot procedure=5 right=write mechanism=mailslot object=\"s\" by=\"no line of the object's list allows it\"" \
		3 as_uid 4242 h3 ipc9 mailslot send //10.77.1.2/mailslot/s s3cr3t
	leaves "audit: refused caller=uid:65533 known=kernel from=local service=control procedure=2 right=admin mechanism=mailslot object=\"s\" by=\"only its owner and administrators see and change its list\"" \
		3 as_uid 65533 h2 ipc9 acl get //./mailslot/s
	leaves "audit: refused caller=uid:65533 known=kernel from=local service=mailslot procedure=1 right=create by=\"reserve = mailslot:kept uid:0 (configuration)\"" \
		5 as_uid 65533 h2 ipc9 mailslot read kept --timeout 0
	leaves "audit: refused caller=anonymous known=no from=10.77.1.3 service=clipboard procedure=8 right=write by=\"anonymous callers have no board of their own\"" \
		5 as_uid 4242 h3 ipc9 clipboard clear //10.77.1.2
}

test_a_name_mimics_no_other_value_of_its_line() {
	local name='x" by="the owner may everything'
	daemon h2 "${trusting[@]}"
	as_uid 65534 h2 true
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 mailslot read "$name" --follow --deny 'anyone all' >"$T/got"
	wait_until as_uid 65534 h2 ipc9 mailslot info "//./mailslot/$name"
	leaves 'audit: refused caller=uid:65533 known=kernel from=local service=mailslot procedure=5 right=write mechanism=mailslot object="x\" by=\"the owner may everything" by="deny anyone all (list of the object)"' \
		3 as_uid 65533 h2 ipc9 mailslot send "//./mailslot/$name" text
}

test_each_refusal_to_make_something_is_one_line() {
	daemon h2 "${trusting[@]}"
	as_uid 65534 h2 true
	background h2 setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" \
		ipc9 pipe serve p -- cat 2>/dev/null
	wait_until eval '[[ "$(as_uid 65534 h2 ipc9 pipe ls)" == *p* ]]'
	leaves "audit: refused caller=uid:65533 known=kernel from=local service=pipe procedure=1 right=create mechanism=pipe object=\"p\" by=\"only its owner adds instances\"" \
		5 as_uid 65533 h2 ipc9 pipe serve p
	leaves "audit: refused caller=anonymous known=no from=10.77.1.3 service=clipboard procedure=1 right=create by=\"no line of the configuration allows it\"" \
		5 as_uid 4242 h3 ipc9 clipboard copy //10.77.1.2/clipboard/new
}

# Sends one call of control's STATUS with a credential of that flavor and body (hex); prints the answer's words.
call_with() { # HOST FLAVOR BODY
	on "$1" python3 - "$2" "$3" <<-'END'
		import socket, struct, sys
		body = bytes.fromhex(sys.argv[2])
		call = struct.pack(">6I", 7, 0, 2, 0x2049000a, 1, 1)
		call += struct.pack(">2I", int(sys.argv[1]), len(body)) + body + struct.pack(">2I", 0, 0)
		s = socket.create_connection(("10.77.1.2", 20490))
		s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
		got = s.recv(4096)
		print(*struct.unpack(">%dI" % (len(got) // 4), got)[1:])
	END
}

# The parts of an AUTH_SYS body: stamp, name, uid, gid, groups.
word() { printf %08x "$@"; }

test_a_credential_that_is_none_is_refused_with_one_line_and_bounded() {
	local body
	daemon h2 "${trusting[@]}"
	# Denied (1), AUTH_ERROR (1): AUTH_BADCRED (1).
	body=$(word 0 0 0 0 17 $(seq 17))
	leaves "audit: refused caller=anonymous known=no from=10.77.1.1 service=control procedure=1 right=read by=\"a malformed credential\"" \
		0 call_with h1 1 "$body"
	same "17 groups" "7 1 1 1 1" "$(<"$T/out")"
	for body in "$(word 0 4294967295 0 0 0)" "$(word 0 256)" "$(word 0 0 0 0 4294967295)" "$(word 0 0 0 0 2 1)" \
		"$(word 0 0 0 0 0 0)" ""; do
		expect_exit 0 call_with h1 1 "$body"
		same "AUTH_SYS with $body" "7 1 1 1 1" "$(<"$T/out")"
	done
	leaves "audit: refused caller=anonymous known=no from=10.77.1.1 service=control procedure=1 right=read by=\"a flavor that is not served\"" \
		0 call_with h1 6 ""
	same "RPCSEC_GSS" "7 1 1 1 2" "$(<"$T/out")"
	expect_exit 0 call_with h1 1 "$(word 0 0 4242 4242 16 $(seq 16))"
	same "16 groups" "7 1 0" "$(cut -d' ' -f1-3 "$T/out")"
}

test_each_change_is_one_line_whoever_made_it() {
	daemon h2 "${trusting[@]}"
	slot
	leaves "audit: changed caller=uid:65534 known=kernel from=local service=control procedure=3 mechanism=mailslot object=\"s\" what=\"access list, 1 lines\"" \
		0 as_uid 65534 h2 ipc9 acl set //./mailslot/s --allow 'uid:4242 write'
	leaves "audit: changed caller=uid:0 known=kernel from=local service=control procedure=3 mechanism=mailslot object=\"s\" what=\"access list, 0 lines\"" \
		0 on h2 ipc9 acl set //./mailslot/s --none
	leaves "audit: changed caller=uid:65534 known=claim from=10.77.1.1 service=control procedure=3 mechanism=mailslot object=\"s\" what=\"access list, 2 lines\"" \
		0 as_uid 65534 h1 ipc9 acl set //10.77.1.2/mailslot/s --allow 'uid:1 write' --deny 'anyone all'
	leaves "" 1 as_uid 65534 h2 ipc9 acl set //./mailslot/s --allow nonsense
	leaves "" 0 as_uid 65534 h2 ipc9 acl get //./mailslot/s
}

test_payload_is_never_in_the_log() {
	daemon h2 "${trusting[@]}"
	slot --deny 'uid:65533 all' --allow 'local write'
	expect_exit 3 as_uid 65533 h2 ipc9 mailslot send //./mailslot/s s3cr3t
	expect_exit 0 as_uid 4242 h2 ipc9 mailslot send //./mailslot/s s3cr3t
	printf s3cr3t | as_uid 65534 h2 ipc9 clipboard copy //./clipboard/b --deny 'uid:65533 all'
	expect_exit 3 as_uid 65533 h2 ipc9 clipboard paste //./clipboard/b
	expect_exit 5 eval 'printf s3cr3t | as_uid 65533 h2 ipc9 clipboard copy //./clipboard/b'
	wait_until grep -q s3cr3t "$T/got"
	end_daemon h2
	same "lines with payload" "" "$(grep s3cr3t "$base/h2/log" || true)"
}

test_a_flood_of_refusals_is_ten_lines_a_second_and_their_number() {
	local n=${E2E_LONG:+100000} start seconds
	n=${n:-10000}
	daemon h2 'listen = any'
	start=$SECONDS
	on h1 python3 - "$n" <<-'END'
		import socket, struct, sys
		n = int(sys.argv[1])
		s = socket.create_connection(("10.77.1.2", 20490))
		left = n
		while left:
		    batch = min(left, 50)
		    s.sendall(b"".join(struct.pack(">11I", 0x80000028, i, 0, 2, 0x2049000a, 1, 1, 0, 0, 0, 0) for i in range(batch)))
		    want = batch * 24 # a record mark and AUTH_ERROR, AUTH_TOOWEAK
		    while want:
		        want -= len(s.recv(want))
		    left -= batch
	END
	on h2 ipc9 status --json >"$T/out"
	same "refusals counted" "$n" "$(json 'd["counters"]["access.refused"]')"
	end_daemon h2 # which tells what was held back
	seconds=$((SECONDS - start + 2))
	at_most "lines" $((10 * seconds)) "$(audit | grep -c 'refused caller=anonymous')"
	same "lines and those not written" "$n" \
		"$(audit | awk -F= '/ held_back=/ { n += $2; next } { n++ } END { print n }')"
}

run_tests
