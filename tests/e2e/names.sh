#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# names.sh - names as people type and see them: what is none goes nowhere, and what is one steers no terminal.
. "${0%/*}/lib.sh"
single_host

long=$(printf 'x%.0s' {1..256})

test_a_name_that_is_none_is_refused_before_anybody_is_asked() {
	local name verb
	for name in '' "$long" $'a\nb' $'a\x1b[2Jb' $'\x7f' $'a\xc2\x9bb' $'\xff' $'a\xc3' $'\xc0\xaf' '~x' '@x'; do
		while read -r verb; do
			# shellcheck disable=SC2086 # words
			expect_exit 1 env "IPC9_SOCKET=$T/nobody/there.sock" ipc9 ${verb%%NAME*}"$name"${verb#*NAME}
			contains "$verb with $name" "not a valid name" "$(<"$T/err")"
			same "$verb: lines" 1 "$(wc -l <"$T/err")"
			if LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' "$T/err"; then fail "control characters came back"; fi
		done <<-'END'
			pipe serve //./pipe/NAME
			pipe open //./pipe/NAME
			mailslot read //./mailslot/NAME
			mailslot send //./mailslot/NAME text
			mailslot info //./mailslot/NAME
			clipboard copy //./clipboard/NAME
			clipboard paste //./clipboard/NAME
			clipboard clear //./clipboard/NAME
			acl get //./pipe/NAME
			acl get //./clipboard/NAME
		END
	done
}

test_a_name_is_text_and_never_a_path() {
	local before
	before=$(find "$base/run" "$base/state" | sort)
	background here ipc9 mailslot read ../../victim >"$T/got"
	background here ipc9 mailslot read "//./mailslot/$T/victim" >/dev/null
	wait_until ipc9 mailslot info //./mailslot/../../victim
	wait_until ipc9 mailslot info "//./mailslot/$T/victim"
	printf x | ipc9 clipboard copy //./clipboard/../lock
	same "what is in the daemon's folders" "$before" "$(find "$base/run" "$base/state" | sort)"
	[ ! -e "$T/victim" ] || fail "a name became a file"
	ipc9 mailslot send //./mailslot/../../victim hello
	wait_until grep -q hello "$T/got"
}

# What CMD writes on a terminal.
on_terminal() { # CMD...
	python3 -c 'import os, pty, sys
out = b""
pid, fd = pty.fork()
if pid == 0:
	os.execvp(sys.argv[1], sys.argv[1:])
while True:
	try:
		data = os.read(fd, 4096)
	except OSError:
		break
	if not data:
		break
	out += data
os.waitpid(pid, 0)
sys.stdout.buffer.write(out)' "$@"
}

test_listings_and_messages_escape_what_a_terminal_acts_on_and_json_does_not() {
	local c escaped name noun way
	for c in $'\xe2\x80\xae' $'\xe2\x80\x8f' $'\xd8\x9c' $'\xe2\x81\xa6' $'\xef\xbb\xbf' $'\xe2\x80\xa8'; do
		name=a${c}b-$(printf %s "$c" | xxd -p)
		escaped=a$(printf %s "$c" | xxd -p | sed 's/../\\x&/g')b
		background here ipc9 mailslot read "$name" >/dev/null
		background here ipc9 pipe serve "$name" >/dev/null
		wait_until ipc9 mailslot info "//./mailslot/$name"
		wait_until eval 'ipc9 pipe ls --json | grep -q "b-${name##*-}"'
		for noun in pipe mailslot; do
			for way in '' on_terminal; do
				$way ipc9 $noun ls >"$T/out"
				contains "$noun $way" "$escaped" "$(<"$T/out")"
				[[ "$(<"$T/out")" != *"$c"* ]] || fail "$noun ls shows it as it is"
			done
			ipc9 $noun ls --json >"$T/out"
			same "$noun as JSON" true "$(json "'$name' in [o['name'] for o in list(d.values())[0]]")"
		done
		expect_exit 3 ipc9 mailslot send "//./mailslot/$name-not-there" text
		contains "a message" "$escaped" "$(<"$T/err")"
	done
}

run_tests
