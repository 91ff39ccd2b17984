#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# examples.sh - docs/examples as somebody else builds them, against an ipc9 that was installed; each client with each
# server, ours and libtirpc's.
. "${0%/*}/lib.sh"
lab h1 h2

prefix=$base/prefix
E=$base/examples
program=$((0x20001234))

# The sanitizers that the programs in BUILD were built with, as the compiler wants to hear of them.
sanitizers() {
	ldd "$BUILD/ipc9d" | sed -n 's/.*libasan\.so.*/address/p; s/.*libubsan\.so.*/undefined/p; s/.*libtsan\.so.*/thread/p' |
		sort -u | paste -sd ,
}

# DESTDIR is said so that nothing is told to the machine's linker.
build_examples() {
	local san
	san=$(sanitizers)
	export MAKEFLAGS=''
	make -s -C "$root" BUILD="$BUILD" DESTDIR=/ prefix="$prefix" install &&
		mkdir "$E" && cp "$root"/docs/examples/{Makefile,*.x,*.c,*.h} "$E" &&
		PKG_CONFIG_PATH=$prefix/lib/pkgconfig make -s -C "$E" LDFLAGS="-Wl,-rpath,$prefix/lib" \
			CFLAGS="-g -Wall -Werror -Wno-unused-variable ${san:+-fsanitize=$san}"
}

rm -f "$base/build.log"
if ! build_examples >"$base/build.log" 2>&1; then
	echo "docs/examples cannot be built against what was installed:" >&2
	tail -n 30 "$base/build.log" >&2
	exit 1
fi
chmod -R a+rX "$prefix" "$E"

# --- One server, on h2 -------------------------------------------------------------------------------

serve() { # SERVER [ARGUMENT...]
	local name=$1
	shift
	background h2 "$E/$name" "$@" 2>"$T/server.err"
	server=$job
	wait_until is_registered
}

is_registered() { netids=$(netids_of_program) && [[ " $netids " == *" tcp "*"udp "* ]]; }

registered_are() { # NETIDS
	netids=$(netids_of_program)
	same "netids that rpcbind has" "$1" "$netids"
}

# Where rpcbind on h2 says that the program is.
netids_of_program() {
	on h1 ipc9 rpc ls h2 --json >"$T/ls" &&
		json "' '.join(sorted(r['netid'] for r in d['registrations'] if r['program'] == $program))" "$T/ls"
}

# In the lab a background job is nsenter, and the program its child.
end_server() { # [SIGNAL]
	kill "-${1:-TERM}" "$(pgrep -P "$server")"
	ends 0 "$server"
	same "what the server said" "" "$(<"$T/server.err")"
}

# Runs a client on h1, in the words of either.
client() { # CLIENT [-u] WHAT...
	local name=$1 target=h2 flag=()
	shift
	[ "$name" = stock_client ] || target=//h2
	[ "$1" != -u ] || {
		flag=(-u)
		shift
	}
	on h1 "$E/$name" "${flag[@]}" $target "$@"
}

# --- Each with each ----------------------------------------------------------------------------------

understand_each_other() { # SERVER CLIENT [-u]
	serve "$1"
	shift
	expect_exit 0 client "$@" history garden
	same "history of nothing" "" "$(<"$T/out")"
	expect_exit 0 client "$@" report garden 21.5
	same "first report" "reading 1" "$(<"$T/out")"
	expect_exit 0 client "$@" report cellar -3
	expect_exit 0 client "$@" report garden 22
	same "third report" "reading 3" "$(<"$T/out")"
	expect_exit 0 client "$@" history garden
	same "history" "garden T 22.0 garden T 21.5" "$(sed -E 's/ [0-9]{10,} / T /' "$T/out" | paste -sd ' ')"
	expect_exit 1 client "$@" report garden -300
	explained "a reading that cannot be" "report: nothing is as cold as that"
	expect_exit 1 client "$@" history "$(printf 'x%.0s' {1..64})"
	explained "a place over its bound" "history: RPC: Can't encode arguments"
	end_server
}

test_our_client_and_our_server_understand_each_other() {
	understand_each_other weather_server weather_client
}

test_our_client_and_a_stock_server_understand_each_other() {
	understand_each_other stock_server weather_client
}

test_a_stock_client_and_our_server_understand_each_other() {
	understand_each_other weather_server stock_client
}

test_a_stock_client_and_a_stock_server_understand_each_other() {
	understand_each_other stock_server stock_client
}

test_our_client_and_our_server_understand_each_other_over_udp() {
	understand_each_other weather_server weather_client -u
}

test_our_client_and_a_stock_server_understand_each_other_over_udp() {
	understand_each_other stock_server weather_client -u
}

test_a_stock_client_and_our_server_understand_each_other_over_udp() {
	understand_each_other weather_server stock_client -u
}

test_a_stock_client_and_a_stock_server_understand_each_other_over_udp() {
	understand_each_other stock_server stock_client -u
}

# --- What ours can do beside -------------------------------------------------------------------------

# That a call waits cannot be seen; so there are reports until it was answered.
reports_and_hears() { # PLACE LINES FILE
	client weather_client report "$1" 7.5 && has_lines "$2" "$3"
}

test_a_handler_of_ours_waits_and_keeps_nobody_waiting() {
	local waiting
	serve weather_server
	for name in weather_client stock_client; do
		background h1 "$E/$name" "$([ $name = stock_client ] || echo //)h2" next garden >"$T/$name"
		waiting=$job
		wait_until reports_and_hears garden 1 "$T/$name"
		ends 0 "$waiting"
		same "what $name heard" "garden T 7.5" "$(sed -E 's/ [0-9]{10,} / T /' "$T/$name")"
	done
	end_server
}

test_a_stock_server_refuses_to_wait() {
	serve stock_server
	expect_exit 1 client weather_client next garden
	explained next "next: this server cannot wait"
	end_server
}

test_asynchronous_calls_wait_together_and_end_in_any_order() {
	local waiting
	serve weather_server
	background h1 "$E/weather_async" //h2 garden cellar attic >"$T/heard"
	waiting=$job
	wait_until reports_and_hears cellar 1 "$T/heard"
	wait_until reports_and_hears attic 2 "$T/heard"
	wait_until reports_and_hears garden 3 "$T/heard"
	ends 0 "$waiting"
	same "what was heard" "cellar attic garden" "$(sed 's/ is at 7.5 degrees$//' "$T/heard" | paste -sd ' ')"
	end_server
}

test_our_server_ends_while_calls_wait() {
	local waiting
	serve weather_server
	background h1 "$E/weather_async" //h2 garden cellar >"$T/heard"
	waiting=$job
	wait_until reports_and_hears cellar 1 "$T/heard"
	end_server
	ends 0 "$waiting"
	contains "the call that waited" "garden: RPC: " "$(tail -n 1 "$T/heard")"
}

test_our_client_and_our_server_meet_on_a_local_socket() {
	serve weather_server /run/weather
	expect_exit 0 on h2 "$E/weather_client" /run/weather report garden 1
	expect_exit 0 on h2 "$E/weather_client" /run/weather history garden
	same "history" "garden T 1.0" "$(sed -E 's/ [0-9]{10,} / T /' "$T/out")"
	end_server
	on h2 test ! -e /run/weather
}

# What ipc9 status --rpc has of the server: EXPRESSION of its row r.
told() { # EXPRESSION
	on h2 ipc9 status --rpc --json >"$T/status" &&
		json "'; '.join($1 for r in d['rpc'] if r['program'] == $program)" "$T/status"
}

numbers='" ".join(str(r["shared"][k][w]) for k in ("connections", "calls") for w in ("shared", "socket"))'

answers() { [ "$(told "r['answer']")" = ok ]; }

told_are() { [ "$(told "$numbers")" = "$1" ]; }

test_status_shows_which_calls_come_by_shared_memory() {
	local waiting
	serve weather_server /run/weather
	same "before anybody came" "ok 0 0 0 0" "$(told "r['answer'] + ' ' + $numbers")"
	background h2 env IPC9_RPC_SHARED=1 "$E/weather_client" /run/weather next garden
	waiting=$job
	wait_until told_are "1 0 0 1" # the call left before the ring was there
	expect_exit 0 on h2 env IPC9_RPC_SHARED=0 "$E/weather_client" /run/weather report cellar 1
	wait_until told_are "1 0 0 2"
	expect_exit 0 on h2 ipc9 status --rpc
	same "titles" "PROGRAM VERSION OWNER SHARED SOCKET SHARED-CALLS SOCKET-CALLS REFUSED ANSWER ADDRESS" \
		"$(awk 'NR == 1 { $1 = $1; print }' "$T/out")"
	same "row" "$program 1 superuser 1 0 0 2 0 ok /run/weather" \
		"$(awk -v "p=$program" '$1 == p { $1 = $1; print }' "$T/out")"
	expect_exit 0 on h2 "$E/weather_client" /run/weather report garden 1
	ends 0 "$waiting"
	end_server
}

test_status_shows_why_calls_fall_back_to_the_socket() {
	local waiting
	export IPC9_RPC_SHARED=0
	serve weather_server /run/weather
	unset IPC9_RPC_SHARED
	background h2 env IPC9_RPC_SHARED=1 "$E/weather_client" /run/weather next garden
	waiting=$job
	wait_until told_are "0 1 0 1"
	same "refused" "0 0 1 0 0" \
		"$(told '" ".join(str(r["shared"]["refused"][k]) for k in ("limit", "share", "off", "memory", "wrong"))')"
	expect_exit 0 on h2 ipc9 status --rpc
	contains "why" " off:1 " "$(grep -F " /run/weather" "$T/out")"
	kill -STOP "$(pgrep -P "$server")"
	same "a server that has stopped" silent "$(told "r['answer']")"
	kill -CONT "$(pgrep -P "$server")"
	expect_exit 0 on h2 "$E/weather_client" /run/weather report garden 1
	ends 0 "$waiting"
	kill -KILL "$(pgrep -P "$server")"
	same "a server that was killed" gone "$(told "r['answer']")"
	serve weather_server /run/weather
	wait_until answers # rpcbind still had the other's entry
	end_server
}

test_our_server_is_known_to_rpcbind_while_it_runs() {
	registered_are ""
	serve weather_server
	registered_are "tcp udp"
	end_server
	registered_are ""
	serve weather_server
	end_server INT
	registered_are ""
}

test_a_client_of_ours_says_what_is_wrong() {
	expect_exit 1 client weather_client history garden
	explained "no server" "$program"
	expect_exit 1 on h1 "$E/weather_client" /nowhere history garden
	explained "no socket" /nowhere
}

# --- What stands in manual pages ---------------------------------------------------------------------

# Builds the program under "# EXAMPLE" of a manual page as somebody would who copied it from there.
build_from_manual() { # PAGE PROGRAM
	awk '/^# EXAMPLE$/ { example = 1; next } /^# / { example = 0 } /^```$/ { code = !code; next } example && code' \
		"$root/docs/man/$1.scd" | sed 's/\\\\/\\/g' >"$T/$2.c" # scdoc wants each backslash twice
	# shellcheck disable=SC2046 # words
	cc -g -Wall -Wextra -Werror ${SAN_OF_BUILD:+-fsanitize=$SAN_OF_BUILD} -o "$T/$2" "$T/$2.c" \
		$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs ipc9) -Wl,-rpath,"$prefix/lib"
	chmod a+rx "$T/$2"
}

pipe_is_there() { on h2 ipc9 pipe info "//./pipe/$1"; }

test_the_example_of_ipc9_pipe_is_a_program() {
	SAN_OF_BUILD=$(sanitizers) build_from_manual ipc9_pipe.3 turn
	background h2 "$T/turn" serve turned >"$T/served" 2>"$T/server.err"
	server=$job
	wait_until pipe_is_there turned
	same "one call" cba "$(on h1 "$T/turn" call //h2/pipe/turned abc)"
	same "from the same host" '!' "$(on h2 "$T/turn" call //./pipe/turned '!')"
	same "in place" 76543210 "$(on h1 "$T/turn" place //h2/pipe/turned 8)"
	same "in place, on the same host" 210 "$(on h2 "$T/turn" place //./pipe/turned 3)"
	same "several messages" "1: eno 2: owt 3: eerht" \
		"$(on h1 "$T/turn" talk //h2/pipe/turned one two three | paste -sd ' ')"
	expect_exit 1 on h2 "$T/turn" serve turned # it is there
	explained "a second server" turned
	same "the last" dne "$(on h1 "$T/turn" call //h2/pipe/turned end)"
	ends 0 "$server"
	same "clients" 6 "$(grep -c '^client: uid' "$T/served")"
	expect_exit 3 on h1 "$T/turn" call //h2/pipe/turned x
}

test_the_example_of_ipc9_spawn_is_a_program() {
	SAN_OF_BUILD=$(sanitizers) build_from_manual ipc9_spawn.3 sorted
	same "by sort" "apple fig pear" "$(on h1 "$T/sorted" streams $'pear\nfig\napple\n' | paste -sd ' ')"
	same "by a process of its own" "apple fig pear" \
		"$(on h1 "$T/sorted" pipe $'pear\nfig\napple\n' | paste -sd ' ')"
	for how in streams pipe; do
		same "5000 lines and empty ones, $how" "$({ echo && echo && seq 5000; } | LC_ALL=C sort | cksum)" \
			"$(on h1 env LC_ALL=C "$T/sorted" $how $'\n\n'"$(seq 5000)" | cksum)"
	done
	expect_exit 3 on h1 "$T/sorted" worker # nobody offers a pipe
	explained "a worker alone" IPC9_PIPE
}

run_tests
