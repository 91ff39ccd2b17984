#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# cli.sh - the command line itself, where no daemon is needed: help, misspellings, names.
. "${0%/*}/lib.sh"
single_host

nouns='clipboard mailslot pipe status bench'
verbs='clipboard copy
clipboard paste
clipboard types
clipboard clear
mailslot read
mailslot send
mailslot info
mailslot ls
pipe serve
pipe open
pipe call
pipe wait
pipe info
pipe ls
status
bench'

without_daemon() { IPC9_SOCKET=$T/nothing.sock on here ipc9 "$@"; }

test_help_needs_no_daemon_and_goes_to_standard_output() {
	local words option
	while read -r words; do
		for option in -h --help; do
			# shellcheck disable=SC2086 # words
			expect_exit 0 without_daemon $words $option
			contains "$words $option" "ipc9 $words" "$(<"$T/out")"
			same "standard error of $words $option" "" "$(<"$T/err")"
		done
	done < <(printf '%s\n' '' "$verbs" && tr ' ' '\n' <<<"$nouns")
}

test_version_needs_no_daemon_and_goes_to_standard_output() {
	expect_exit 0 without_daemon --version
	contains "version" "ipc9 " "$(<"$T/out")"
	same "lines" 1 "$(wc -l <"$T/out")"
	same "standard error" "" "$(<"$T/err")"
	expect_exit 0 ipc9d --version
	same "the daemon's" "ipc9d $(without_daemon --version | cut -d' ' -f2)" "$(<"$T/out")"
	expect_exit 0 ipc9d --help
	contains "the daemon's help" --state-dir "$(<"$T/out")"
}

test_no_word_at_all_is_wrong_usage() {
	expect_exit 2 without_daemon
	same "standard output" "" "$(<"$T/out")"
	expect_exit 2 without_daemon clipboard
	expect_exit 2 without_daemon mailslot send
}

test_misspellings_are_named_with_the_nearest_right_word() {
	local words bad right
	while IFS='|' read -r words bad right; do
		# shellcheck disable=SC2086 # words
		expect_exit 2 without_daemon $words
		contains "ipc9 $words: the bad word" "$bad" "$(<"$T/err")"
		contains "ipc9 $words: the right one" "$right" "$(<"$T/err")"
		same "ipc9 $words: standard output" "" "$(<"$T/out")"
	done <<-'END'
		clipbord copy|clipbord|"clipboard"
		mailslots ls|mailslots|"mailslot"
		pip ls|pip|"pipe"
		statsu|statsu|"status"
		clipboard cpoy|cpoy|"copy"
		clip past|past|"paste"
		clipboard type|type|"types"
		mailslot raed x|raed|"read"
		mailslot sned //h/mailslot/x|sned|"send"
		pipe server x|server|"serve"
		pipe oepn //h/pipe/x|oepn|"open"
		clipboard copy --tpye text/plain|tpye|--type
		mailslot read x --cuont 3|cuont|--count
		mailslot read x --max-mesage 3|max-mesage|--max-message
		mailslot read x --folow|folow|--follow
		pipe serve x --instance 3|instance|--instances
		pipe serve x --mesage|mesage|--message
		pipe serve x --local-onyl|local-onyl|--local-only
		pipe cal //h/pipe/x|cal|"call"
		pipe wiat //h/pipe/x|wiat|"wait"
		pipe inof //h/pipe/x|inof|"info"
		status --jsn|jsn|--json
	END
}

test_nothing_may_be_abbreviated() {
	expect_exit 2 without_daemon clipb copy
	expect_exit 2 without_daemon mailslot r x
	expect_exit 2 without_daemon mailslot read x --cou 3
}

test_values_and_operands_that_are_wrong_are_named() {
	local words part
	while IFS='|' read -r words part; do
		# shellcheck disable=SC2086 # words
		expect_exit 2 without_daemon $words
		contains "ipc9 $words" "$part" "$(<"$T/err")"
	done <<-'END'
		mailslot read x --count 0|--count
		mailslot read x --count many|many
		mailslot read x --count|--count
		mailslot read x --timeout -1|--timeout
		mailslot read x --max-message 1048577|1048576
		mailslot read x --count 2 --follow|--follow
		mailslot read x y|"y"
		pipe serve x --instances 256|255
		pipe serve x cat|"cat"
		pipe call //h/pipe/x y z|"z"
		pipe wait //h/pipe/x --timeout soon|soon
		pipe serve x --|--
		clipboard copy -t png|"png"
		clipboard copy -t text/plain -t text/html|input
		clipboard copy --json|--json
		clipboard copy -z|-z
	END
}

# Every verb refuses a bad name by itself, before it looks for a daemon; what is said names it.
test_bad_names_are_refused_by_name() {
	local name shown long
	long=$(head -c 256 /dev/zero | tr '\0' x)
	while IFS= read -r name; do
		name=$(printf '%b.' "$name") name=${name%.}
		shown=${name%%[![:print:]]*} shown=${shown:0:40}
		for words in 'mailslot send' 'mailslot info' 'pipe open' 'pipe call' 'pipe wait' 'pipe info'; do
			status=0
			# shellcheck disable=SC2086 # words
			without_daemon $words "$name" </dev/null >"$T/out" 2>"$T/err" || status=$?
			[ $status = 1 ] || [ $status = 2 ] ||
				fail "$words '$name':" "  expected: exit 1 or 2" "  actual:   exit $status" "  $(<"$T/err")"
			contains "$words '$name'" "$shown" "$(<"$T/err")"
			same "$words '$name': lines" 1 "$(wc -l <"$T/err")"
		done
	done <<-END
		//h1
		//h1/
		//h1/mechanism/x
		//h1/datacopy/x
		//h1/mailslot
		//h1/mailslot/
		//h1/pipe/
		///mailslot/x
		//:20490/pipe/x
		//h1:0/mailslot/x
		//h1:65536/mailslot/x
		//h1:port/pipe/x
		//.:20490/mailslot/x
		//[fd77:1::2/mailslot/x
		//[fd77:1::2]x/mailslot/x
		//h 1/mailslot/x
		//./mailslot/$long
		//./pipe/$long
		//./mailslot/a\\nb
		//./pipe/a\\033b
		//./mailslot/\\0377
		//./mailslot/~x
		//./pipe/@x
		$long
	END
}

test_names_of_the_longest_kind_are_names() {
	local name
	name=$(head -c 255 /dev/zero | tr '\0' x)
	expect_exit 3 on here ipc9 mailslot info "//./mailslot/$name"
	expect_exit 3 on here ipc9 pipe open "//./pipe/$name" </dev/null
	expect_exit 3 on here ipc9 mailslot info '\\.\mailslot\a/b'
	expect_exit 3 on here ipc9 mailslot info '//./slot/../..'
	expect_exit 1 on here ipc9 mailslot read '~own' --timeout 1
	expect_exit 1 on here ipc9 pipe serve '@all' </dev/null
}

# A server on $other that answers each connection with BYTES (hex; the call's xid at XID) or, without, not at all.
impostor() { # BYTES
	other=$(free_port)
	python3 -c '
import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    c, _ = s.accept()
    kept.append(c)
    call = c.recv(4096)
    if sys.argv[2]:
        c.sendall(bytes.fromhex(sys.argv[2].replace("XID", call[4:8].hex())))' "$other" "$1" &
	wait_until python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$other"
}

test_another_version_of_the_protocol_ends_with_6() {
	local other
	# One fragment of 32 bytes: xid, REPLY, MSG_ACCEPTED, no verifier, PROG_MISMATCH, versions 2 to 3.
	impostor 80000020XID00000001000000000000000000000000000000020000000200000003
	expect_exit 6 on here ipc9 clipboard types "//127.0.0.1:$other/clipboard/x"
	explained "PROG_MISMATCH" 127.0.0.1
	expect_exit 6 on here ipc9 status "//127.0.0.1:$other"
}

test_what_is_no_daemon_is_an_error_and_soon() {
	local other start
	impostor "$(printf 'HTTP/1.1 400 Bad Request\r\n\r\n' | od -An -tx1 | tr -d ' \n')"
	expect_exit 6 on here ipc9 status "//127.0.0.1:$other" --timeout 3000
	explained "HTTP" 127.0.0.1
	impostor ''
	start=$(now_ms)
	expect_exit 4 on here ipc9 status "//127.0.0.1:$other" --timeout 500
	explained "no answer" 127.0.0.1
	at_most "ms" $((2000 * slow)) $(($(now_ms) - start))
}

test_a_message_never_steers_the_terminal() {
	expect_exit 2 without_daemon $'\e[31mred'
	same "escape characters on standard error" 0 "$(tr -dc '\033' <"$T/err" | wc -c)"
}

test_a_reader_of_our_output_that_ends_is_no_mystery() {
	head -c 8M /dev/zero | on here ipc9 clipboard copy
	status=0
	{ ipc9 clipboard paste 2>"$T/err" || echo $? >"$T/status"; } | head -c 10 >/dev/null || true
	same "exit" 141 "$(<"$T/status")"
	same "standard error" "" "$(<"$T/err")"
}

test_a_full_disk_is_an_error() {
	[ -c /dev/full ] || skip "there is no /dev/full"
	printf text | on here ipc9 clipboard copy
	status=0
	ipc9 clipboard paste >/dev/full 2>"$T/err" || status=$?
	same "exit" 1 $status
	contains "standard error" "No space" "$(<"$T/err")"
	status=0
	ipc9 status --json >/dev/full 2>"$T/err" || status=$?
	same "exit of status" 1 $status
}

run_tests
