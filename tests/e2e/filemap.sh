#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# filemap.sh - named memory, mapped files, and commands that wait for each other, on one host.
. "${0%/*}/lib.sh"
single_host

remove_all() {
	ipc9 filemap ls --json >"$T/ls"
	mapfile -t names < <(json_names)
	ipc9 filemap rm "${names[@]}"
}
json_names() { json '"\n".join(o["name"] for o in d["objects"])' "$T/ls" | sed '/^$/d'; }
info() { # FIELD NAME
	ipc9 filemap info "$2" --json >"$T/info" && json "d['$1']" "$T/info"
}
holders_are() { [ "$(info holders "$2")" = "$1" ]; }
is_free() { ! ipc9 filemap info "$1"; }

# --- Memory and files ------------------------------------------------------------------------------

test_what_is_put_is_got_whole_and_in_parts() {
	head -c 20000003 /dev/urandom >"$T/in"
	expect_exit 0 ipc9 filemap create frame --size 20000003
	ipc9 map put frame <"$T/in"
	ipc9 map get frame >"$T/all"
	same_file "all of it" "$T/in" "$T/all"
	printf xyz | ipc9 map put frame --offset 20000000
	same "the last bytes" xyz "$(ipc9 map get frame --offset 20000000)"
	same "a part" "$(head -c 10000005 "$T/in" | tail -c 5 | od -An -tx1)" \
		"$(ipc9 map get //./filemap/frame --offset 10000000 --count 5 | od -An -tx1)"
	same "nothing" "" "$(ipc9 map get frame --count 0)"
	remove_all
}

test_input_that_does_not_fit_is_refused() {
	ipc9 map create small --size 10
	expect_exit 1 ipc9 map put small <<<0123456789
	explained "11 bytes" "small"
	printf 0123456789 >"$T/ten"
	expect_exit 0 ipc9 map put small <"$T/ten"
	expect_exit 1 ipc9 map get small --offset 11
	explained "beyond the end" "offset 11"
	expect_exit 0 ipc9 map get small --offset 10
	remove_all
}

# Runs CMD where the host seems to have 1 MiB of memory left.
with_little_memory() { # CMD...
	printf '%s\n' 'MemTotal: 65536 kB' 'MemFree: 1024 kB' 'MemAvailable: 1024 kB' 'SwapFree: 0 kB' >"$T/meminfo"
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c 'mount --bind "$0" /proc/meminfo && exec "$@"' "$T/meminfo" "$@"
}

test_memory_that_there_is_not_is_refused_before_it_is_taken() {
	local option
	unshare -m true 2>"$T/why" || skip "no mount namespaces here"
	# That the daemon is the one to refuse it shows that it was asked first.
	expect_exit 1 with_little_memory "$BUILD/ipc9" map create huge --size 9223372036854775807
	explained "over the quota" --quota
	for option in '' --open; do
		# shellcheck disable=SC2086 # no word, or one
		expect_exit 1 with_little_memory "$BUILD/ipc9" map create large --size 4194304 $option
		explained "over what there is" "1048576 to spare"
		expect_exit 3 ipc9 map info large
	done
	expect_exit 0 with_little_memory "$BUILD/ipc9" map create large --size 1048576
	remove_all
}

test_memory_stays_until_it_is_removed() {
	expect_exit 3 ipc9 map get stays
	explained "nothing there" stays
	ipc9 map create stays --size 100
	expect_exit 1 ipc9 map create stays --size 100
	explained "the second" "stays: a mapping of that name is there; it belongs to uid"
	contains "what to do" "ipc9 filemap rm" "$(<"$T/err")"
	expect_exit 0 ipc9 map create stays --size 5 --open
	same "size" 100 "$(info size_bytes stays)"
	expect_exit 3 ipc9 map info Stays
	expect_exit 0 ipc9 map rm stays
	expect_exit 3 ipc9 map rm stays
	expect_exit 0 ipc9 map create stays --size 5
	same "its size now" 5 "$(ipc9 map get stays | wc -c)"
	remove_all
}

test_a_file_is_changed_by_put_and_grows_by_size() {
	printf 'hello, world' >"$T/file"
	ipc9 map create file --file "$T/file"
	printf HELLO | ipc9 map put file
	same "the file" 'HELLO, world' "$(<"$T/file")"
	same "kind" file "$(info kind file)"
	ipc9 map rm file
	ipc9 map create file --file "$T/file" --size 5000
	same "its length" 5000 "$(stat -c %s "$T/file")"
	ipc9 map rm file
	ipc9 map create file --file "$T/file" --read-only
	expect_exit 5 ipc9 map put file <<<x
	explained "read only" file
	same "still" 'HELLO, world' "$(ipc9 map get file --count 12)"
	: >"$T/empty"
	expect_exit 1 ipc9 map create empty --file "$T/empty"
	explained "an empty file" empty
	expect_exit 1 ipc9 map create none --file "$T/none"
	explained "no file" "$T/none"
	remove_all
}

test_a_file_that_is_cut_meanwhile_is_named() {
	head -c 1000000 /dev/zero >"$T/cut"
	ipc9 map create cut --file "$T/cut"
	mkfifo "$T/keys" "$T/bytes"
	exec 5<>"$T/keys"
	background here ipc9 map put cut <"$T/keys" 2>"$T/why"
	wait_until holders_are 1 cut
	: >"$T/cut"
	echo x >&5
	ends 1 "$job"
	contains "of put" "cut: its file was cut" "$(<"$T/why")"
	head -c 1000000 /dev/zero >"$T/cut"
	exec 6<>"$T/bytes"
	background here ipc9 map get cut >"$T/bytes" 2>"$T/why"
	head -c 1 <&6 >"$T/first"
	: >"$T/cut"
	background here cat <"$T/bytes" >"$T/rest"
	exec 5>&- 6>&-
	wait_until test -s "$T/why"
	contains "of get" "cut: its file was cut" "$(<"$T/why")"
	remove_all
}

test_names_of_other_hosts_are_refused() {
	local verb
	for verb in 'get //h2/filemap/x' 'info //h2/map/x' 'rm //127.0.0.1/filemap/x' 'create //h2/filemap/x --size 1'; do
		# shellcheck disable=SC2086 # words
		expect_exit 1 ipc9 map $verb
		explained "$verb" "local only"
	done
}

test_words_that_make_no_sense_are_usage_errors() {
	expect_exit 2 ipc9 map create x
	expect_exit 2 ipc9 map create x --size 0
	expect_exit 2 ipc9 map create x --size 5 --read-only
	expect_exit 2 ipc9 map sync lock x -- true
	expect_exit 2 ipc9 map sync mutex x
	expect_exit 2 ipc9 map sync mutex x set
	expect_exit 2 ipc9 map sync event x -- true
	expect_exit 2 ipc9 map sync event x release
	expect_exit 2 ipc9 map sync semaphore x set
	expect_exit 2 ipc9 map sync semaphore x wait -- true
	contains "what is missing" "wait or release" "$(<"$T/err")"
}

test_options_that_the_kind_or_verb_has_not_are_usage_errors() {
	expect_exit 2 ipc9 map sync mutex x --manual -- true
	explained "manual" "--manual is for an event"
	expect_exit 2 ipc9 map sync mutex x --count 3 -- true
	explained "count" "--count is for a semaphore"
	expect_exit 2 ipc9 map sync event x set --count 2
	expect_exit 2 ipc9 map sync event x set --wait 5
	explained "wait" "set waits for nothing"
	expect_exit 2 ipc9 map sync event x reset --wait 5
	expect_exit 2 ipc9 map sync semaphore x release --wait 5
	expect_exit 2 ipc9 map sync semaphore x --manual -- true
	expect_exit 3 ipc9 map info x
}

test_ls_tells_kinds_and_holders() {
	ipc9 map create memory --size 4096
	ipc9 map sync event event set
	ipc9 map sync event manual set --manual
	ipc9 map sync semaphore count release --count 7
	background here ipc9 map sync mutex mutex -- sleep 60
	wait_until holders_are 1 mutex
	ipc9 map ls --json >"$T/out"
	same "kinds" '["semaphore", "event", "manual-event", "memory", "mutex"]' "$(json '[o["kind"] for o in d["objects"]]')"
	same "kept" '[true, true, true, true, false]' "$(json '[o["kept"] for o in d["objects"]]')"
	same "maximum" 7 "$(info maximum count)"
	contains "the table" manual-event "$(ipc9 map ls)"
	to_job TERM "$job"
	ends_within 10 "$job"
	wait_until is_free mutex
	remove_all
}

test_a_long_transfer_tells_a_terminal_how_far_it_is() {
	ipc9 map create slow --size 100
	python3 - "$T/tty" <<'END'
import os, pty, select, subprocess, sys
master, slave = pty.openpty()
child = subprocess.Popen(["ipc9", "map", "put", "slow"], stdin=subprocess.PIPE, stderr=slave)
os.close(slave)
told = b""
for _ in range(90):
    child.stdin.write(b"x")
    child.stdin.flush()
    if select.select([master], [], [], 0.2)[0]:
        told = os.read(master, 1000)
        break
child.stdin.close()
child.wait()
open(sys.argv[1], "wb").write(told)
sys.exit(child.returncode)
END
	contains "what it told" "MiB" "$(tr -d '\r' <"$T/tty")"
	remove_all
}

# --- Others ----------------------------------------------------------------------------------------

test_another_user_gets_what_the_list_admits() {
	has_other_user || skip "needs root, to be two users"
	ipc9 map create mine --size 10
	ipc9 map create ours --size 10 --allow 'uid:65534 read'
	printf secret | ipc9 map put ours
	expect_exit 3 as_other here ipc9 map get mine
	explained "none that they may know of" mine
	expect_exit 0 as_other here ipc9 map get ours
	same "what they see" secret "$(tr -d '\0' <"$T/out")"
	expect_exit 5 as_other here ipc9 map put ours <<<x
	expect_exit 5 as_other here ipc9 map rm ours
	expect_exit 5 as_other here ipc9 map create mine --size 5 --open
	same "what they list" "ours" "$(as_other here ipc9 map ls | awk 'NR > 1 { print $NF }')"
	ipc9 acl set //./filemap/mine --allow 'uid:65534 read,write'
	expect_exit 0 as_other here ipc9 map put mine <<<x
	remove_all
}

# --- Commands under a mutex or semaphore -----------------------------------------------------------

# Writes how many run at the same time, at its beginning.
cat >"$base/count" <<'END'
#!/bin/sh
exec 9>>"$1.lock"
flock 9; echo 1 >>"$1.in"; echo $(($(wc -l <"$1.in") - $(cat "$1.out" 2>/dev/null | wc -l))) >>"$1.at_once"; flock -u 9
sleep 0.05
flock 9; echo 1 >>"$1.out"; flock -u 9
END
chmod +x "$base/count"

many_under() { # N WORDS...
	local n=$1 i jobs=()
	shift
	for ((i = 0; i < n; i++)); do
		background here ipc9 map sync "$@" -- "$base/count" "$T/n"
		jobs+=("$job")
	done
	for job in "${jobs[@]}"; do ends 0 "$job"; done
	same "how many ran" "$n" "$(wc -l <"$T/n.out")"
}

test_a_mutex_lets_one_command_run_at_a_time() {
	many_under 8 mutex one
	same "at once" 1 "$(sort -un "$T/n.at_once" | tail -n 1)"
	wait_until is_free one
}

test_a_semaphore_lets_so_many_commands_run_at_a_time() {
	many_under 10 semaphore three --count 3
	at_most "at once" 3 "$(sort -un "$T/n.at_once" | tail -n 1)"
	wait_until is_free three
}

test_the_commands_end_is_the_commands_status() {
	expect_exit 7 ipc9 map sync mutex m -- sh -c 'exit 7'
	expect_exit 137 ipc9 map sync mutex m -- sh -c 'kill -9 $$'
	expect_exit 127 ipc9 map sync mutex m -- no-such-command
	explained "no command" no-such-command
	expect_exit 126 ipc9 map sync mutex m -- "$T"
	expect_exit 0 ipc9 map sync mutex m -- sh -c 'cat; printenv IPC9_ABANDONED || echo whole' <<<input
	same "its input, output and environment" $'input\nwhole' "$(<"$T/out")"
}

test_who_does_not_want_to_wait_gets_3_and_nothing_runs() {
	background here ipc9 map sync mutex busy -- sh -c "touch '$T/runs'; sleep 60"
	wait_until test -e "$T/runs"
	expect_exit 3 ipc9 map sync mutex busy --wait 0 -- touch "$T/ran"
	explained "no time" busy
	expect_exit 3 ipc9 map sync mutex busy --wait 50 -- touch "$T/ran"
	explained "50 ms" "50 ms"
	[ ! -e "$T/ran" ] || fail "it ran"
	expect_exit 1 ipc9 map sync semaphore busy -- touch "$T/ran"
	explained "another kind" "is a mutex"
	to_job TERM "$job"
	ends_within 10 "$job"
	same "a signal is handed on to the command" 143 "$status"
	expect_exit 0 ipc9 map sync mutex busy --wait 10000 -- true
}

test_a_killed_owner_leaves_it_abandoned() {
	local holder
	background here ipc9 map sync mutex left -- sh -c "echo \$\$ >'$T/command'; exec sleep 60"
	holder=$job
	wait_until test -s "$T/command"
	# shellcheck disable=SC2016 # of the command
	background here ipc9 map sync mutex left -- sh -c 'echo "abandoned: $IPC9_ABANDONED"' >"$T/next" 2>"$T/warning"
	wait_until holders_are 2 left
	to_job KILL "$holder"
	ends 0 "$job"
	kill "$(<"$T/command")"
	same "what the next was told" "abandoned: 1" "$(<"$T/next")"
	contains "the warning" "half done" "$(<"$T/warning")"
}

test_who_waits_can_be_ended() {
	local holder
	background here ipc9 map sync semaphore s -- sleep 60
	holder=$job
	wait_until holders_are 1 s
	background here ipc9 map sync semaphore s -- touch "$T/ran"
	wait_until holders_are 2 s
	to_job INT "$job"
	ends_within 10 "$job"
	same "how it ended" 130 "$status"
	to_job TERM "$holder"
	ends_within 10 "$holder"
	[ ! -e "$T/ran" ] || fail "it ran"
}

test_what_is_held_goes_on_when_the_daemon_is_restarted() {
	mkfifo "$T/go"
	ipc9 map create before --size 10
	background here ipc9 map sync mutex held -- sh -c "touch '$T/runs'; read -r word <'$T/go'; exit 5"
	wait_until test -e "$T/runs"
	daemon here "${ordinary[@]}"
	expect_exit 3 ipc9 map info before
	expect_exit 0 ipc9 map create before --size 10
	echo go >"$T/go"
	ends 5 "$job"
	remove_all
}

# --- Events ----------------------------------------------------------------------------------------

test_an_event_lets_one_go() {
	expect_exit 3 ipc9 map sync event e wait --wait 20
	background here ipc9 map sync event e wait
	wait_until holders_are 1 e
	ipc9 map sync event e set
	ends 0 "$job"
	expect_exit 3 ipc9 map sync event e wait --wait 0
	ipc9 map sync event e set
	ipc9 map sync event e reset
	expect_exit 3 ipc9 map sync event e wait --wait 0
	remove_all
}

test_a_manual_event_stays_set() {
	local first
	background here ipc9 map sync event e wait --manual
	first=$job
	wait_until holders_are 1 e
	background here ipc9 map sync event e wait
	wait_until holders_are 2 e
	ipc9 map sync event e set
	ends 0 "$first"
	ends 0 "$job"
	expect_exit 0 ipc9 map sync event e wait --wait 0
	ipc9 map sync event e reset
	expect_exit 3 ipc9 map sync event e wait --wait 0
	remove_all
}

test_a_semaphore_counts_between_commands() {
	ipc9 map sync semaphore jobs release --count 2
	ipc9 map sync semaphore jobs release
	expect_exit 1 ipc9 map sync semaphore jobs release
	explained "over the maximum" "maximum, 2"
	expect_exit 0 ipc9 map sync semaphore jobs wait
	expect_exit 0 ipc9 map sync semaphore jobs wait
	expect_exit 3 ipc9 map sync semaphore jobs wait --wait 0
	remove_all
}

# --- A file system of a user's own -----------------------------------------------------------------

daemon_flushes() { # N : so many closes of its own have begun
	local word thread n=0
	while read -r word thread; do
		[ "$word" != flush ] || ! [ -d "/proc/$(<"$base/here/pid")/task/$thread" ] || n=$((n + 1))
	done <"$T/serve"
	[ $n -ge "$1" ]
}

test_files_whose_closing_is_never_answered_keep_nobody_waiting() {
	local server sender maker
	[ "$EUID" = 0 ] && [ -c /dev/fuse ] && unshare -m true 2>"$T/why" || skip "no file systems of our own here"
	mkdir "$T/fs"
	background here unshare -m python3 "$root/tests/e2e/stuck.py" serve "$T/fs" >"$T/serve" 2>"$T/why"
	server=$job
	wait_until ready_or_gone "$server"
	kill -0 "$server" 2>/dev/null || skip "$(<"$T/why")"
	background here nsenter -t "$server" -m python3 "$root/tests/e2e/stuck.py" send "$IPC9_SOCKET" "$T/fs/file" >"$T/send"
	sender=$job
	wait_until daemon_flushes 1
	expect_exit 0 ipc9 status
	wait_until has_lines 1 "$T/send"
	# What is mapped is handed out, and goes with its name; what is refused is closed, too.
	background here nsenter -t "$server" -m "$BUILD/ipc9" map create stuck --file "$T/fs/file" --read-only
	maker=$job
	wait_until ipc9 map info stuck
	expect_exit 0 ipc9 status
	expect_exit 0 ipc9 map rm stuck
	expect_exit 0 ipc9 status
	! has_other_user || expect_exit 0 as_other here ipc9 map ls
	kill "$server"
	for job in "$server" "$sender" "$maker"; do ends_within 10 "$job"; done
	expect_exit 0 ipc9 status
}
ready_or_gone() { has_lines 1 "$T/serve" || ! kill -0 "$1" 2>/dev/null; }

# --- The manual's examples -------------------------------------------------------------------------

# Builds the first program of a page's EXAMPLE against the library in BUILD.
example() { # PAGE PROGRAM
	sed -n '/^# EXAMPLE$/,$p' "$root/docs/man/$1.scd" | sed -n '/^```$/,/^```$/p' | sed '/^```$/d; s/\\\\/\\/g' >"$T/$2.c"
	cc -g -Wall -Wextra -Werror -I"$root/client" -o "$T/$2" "$T/$2.c" \
		-L"$BUILD" -lipc9 -Wl,-rpath,"$BUILD"
}

test_the_example_of_ipc9_filemap_works() {
	! sanitized || skip "the example is built without sanitizers"
	example ipc9_filemap.3 board
	expect_exit 1 "$T/board"
	contains "nobody wrote" board "$(<"$T/err")"
	mkfifo "$T/keys"
	exec 5<>"$T/keys"
	background here "$T/board" 'hello, all' <"$T/keys" >"$T/writer"
	wait_until has_lines 1 "$T/writer"
	same "the writer says" made "$(<"$T/writer")"
	same "the reader says" 'hello, all' "$("$T/board")"
	exec 5>&-
	ends 0 "$job"
	expect_exit 1 "$T/board"
}

test_the_example_of_ipc9_sync_works() {
	! sanitized || skip "the example is built without sanitizers"
	local i jobs=()
	example ipc9_sync.3 counter
	ipc9 map create count --size 4096
	for i in 1 2 3 4; do
		background here "$T/counter" 500 >"$T/counter.$i"
		jobs+=("$job")
	done
	for job in "${jobs[@]}"; do ends 0 "$job"; done
	same "the end" 2001 "$("$T/counter" 1)"
	remove_all
}

run_tests
