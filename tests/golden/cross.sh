#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# cross.sh [ARCH...] - ipc9 on other architectures: built, run under qemu, and talking to the native ipc9.
#
# s390x is big-endian with 64 bits, armhf little-endian with 32.  For each: all golden files hold; a client of
# that architecture works with the native daemon over TCP, and a native client with its daemon; and so do the two
# ends of a program with every type of XDR (peer/), over TCP and UDP, also with libtirpc on one end.  An
# architecture whose compiler, qemu or sysroot is not there is skipped; scripts/setup --cross gets all of them.
# BUILD: the folder of the native programs ("build").  Everything made stands in build-cross/.  One line per
# test, then "cross: N passed, N failed, N skipped".  Exit 1 if a test failed.
set -u

cd "${0%/*}/../.." || exit
native=${BUILD:-build}
case $native in /*) ;; *) native=$PWD/$native ;; esac
cross=$PWD/build-cross
limit=60
work=$(mktemp -d "${TMPDIR:-/tmp}/ipc9-cross.XXXXXX") || exit
passed=0 failed=0 skipped=0
pids=() # of everything that runs in the background and was not waited for

# shellcheck disable=SC2317 # called by trap
clean_up() {
	trap '' INT TERM HUP
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# NAME COMMAND...: a test; what it says is shown when it fails.
try() {
	local name=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "PASS $arch $name"
		passed=$((passed + 1))
	else
		echo "FAIL $arch $name"
		sed 's/^/     /' "$work/said" | tail -n 20
		failed=$((failed + 1))
		return 1
	fi
}

skip() {
	echo "SKIP $arch: $*"
	skipped=$((skipped + 1))
}

# Calls COMMAND... again and again until it succeeds, for 20 s at most.
until_true() {
	local end=$((SECONDS + 20))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# --- Architectures ----------------------------------------------------------------------------------

# Sets triple, qemu and root.
know() {
	case $1 in
	s390x) triple=s390x-linux-gnu qemu=qemu-s390x ;;
	armhf) triple=arm-linux-gnueabihf qemu=qemu-arm ;;
	*)
		echo "cross.sh: $1 is none of s390x, armhf" >&2
		exit 2
		;;
	esac
	root=$cross/sysroot-$1
}

# What is missing for the architecture, in words; nothing when all is there.
missing() {
	command -v "$triple-gcc" >/dev/null || echo "no $triple-gcc"
	command -v "$qemu" >/dev/null || echo "no $qemu"
	[ -e "$root/.packages" ] || echo "no sysroot ${root#"$PWD"/}"
}

build() {
	PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/$triple/pkgconfig \
		MAKEFLAGS='' make -s -j"$(nproc)" BUILD="$cross/$arch" SAN='' \
		CC="$triple-gcc --sysroot=$root" LD="$triple-ld" AR="$triple-ar" \
		CFLAGS='-O2 -g' \
		"$cross/$arch/ipc9d" "$cross/$arch/ipc9" "$cross/$arch/tests/golden" "$cross/$arch/tests/peer"
}

is_foreign() {
	local header
	header=$(od -An -tx1 -j4 -N2 "$cross/$arch/ipc9d")
	case $arch in
	s390x) [ "$header" = " 02 02" ] ;; # 64 bits, big-endian
	armhf) [ "$header" = " 01 01" ] ;;
	esac
}

# SIDE PROGRAM ARGUMENT...: becomes a program of ours, of the native side or the foreign one.
serve_on() {
	local side=$1 program=$2
	shift 2
	case $side in
	native) exec "$native/$program" "$@" ;;
	foreign) exec "$qemu" -L "$root" "$cross/$arch/$program" "$@" ;;
	esac
}

# The same for a minute at most.  Not for what is ended by a signal: timeout sends a CONT behind it, which could undo
# the stop by which LeakSanitizer looks at a process that ends.
on() {
	local side=$1 program=$2
	shift 2
	case $side in
	native) exec timeout "$limit" "$native/$program" "$@" ;;
	foreign) exec timeout "$limit" "$qemu" -L "$root" "$cross/$arch/$program" "$@" ;;
	esac
}

has_ended() { ! kill -0 "$1"; }

# Ends a server, which must agree.
end() { # PID
	kill "$1"
	until_true has_ended "$1" || kill -9 "$1"
	wait "$1"
	local status=$?
	pids=()
	cat "$work/log"
	echo "exit $status"
	[ $status = 0 ]
}

# --- One daemon, one client -------------------------------------------------------------------------

# The daemon's commands go over its local socket, the client's over TCP.
here() { (IPC9_SOCKET=$work/run/ipc9d.sock on "$daemon_side" ipc9 "$@"); }
there() { (IPC9_SOCKET=/nowhere on "$client_side" ipc9 "$@"); }

start_daemon() {
	cat >"$work/config" <<-END
		domain = golden.test
		trust_sys = 127.0.0.0/8
		trust_root = yes
		allow = host:127.0.0.0/8 read,write,create
	END
	for attempt in 1 2 3 4 5; do
		port=$((20500 + (RANDOM + attempt) % 10000))
		(serve_on "$daemon_side" ipc9d --socket "$work/run/ipc9d.sock" --state-dir "$work/state" \
			--port $port --config "$work/config" --no-rpcbind) 2>"$work/log" &
		daemon=$!
		pids+=($daemon)
		until_true is_up_or_gone
		kill -0 $daemon 2>/dev/null && here status && return 0
	done
	cat "$work/log"
	return 1
}

is_up_or_gone() {
	! kill -0 "$daemon" 2>/dev/null || here status
}

clipboard() {
	local board=//127.0.0.1:$port/clipboard/cross
	there clipboard copy "$board" -t application/octet-stream="$work/large" -t text/plain="$work/small" &&
		there clipboard paste "$board" -t application/octet-stream >"$work/back" &&
		cmp "$work/large" "$work/back" &&
		here clipboard paste //./clipboard/cross -t text/plain >"$work/back" &&
		cmp "$work/small" "$work/back" &&
		here clipboard copy <"$work/large" &&
		there clipboard paste "//127.0.0.1:$port" >"$work/back" &&
		cmp "$work/large" "$work/back" &&
		there clipboard types "$board" --json
}

mailslot() {
	local reader
	(here mailslot read cross --timeout 20000 >"$work/back") &
	reader=$!
	pids+=($reader)
	until_true there mailslot info "//127.0.0.1:$port/mailslot/cross" &&
		there mailslot send "//127.0.0.1:$port/mailslot/cross" <"$work/small" &&
		wait $reader && cmp "$work/small" "$work/back"
}

lists_pipe() { there pipe ls "//127.0.0.1:$port" | grep -q cross; }

pipe() {
	local server
	(here pipe serve cross <"$work/large" >"$work/at-server") &
	server=$!
	pids+=($server)
	until_true lists_pipe &&
		there pipe open "//127.0.0.1:$port/pipe/cross" <"$work/other" >"$work/at-client" &&
		wait $server && cmp "$work/large" "$work/at-client" && cmp "$work/other" "$work/at-server"
}

message_pipe() {
	local server
	(printf 'one\n\nthree\n' | here pipe serve cross --message >"$work/at-server") &
	server=$!
	pids+=($server)
	until_true lists_pipe &&
		printf '\nb\n' | there pipe open "//127.0.0.1:$port/pipe/cross" >"$work/at-client" &&
		wait $server && [ "$(od -c "$work/at-server")" = "$(printf '\nb\n' | od -c)" ] &&
		[ "$(cat "$work/at-client")" = "$(printf 'one\n\nthree')" ]
}

pair() { # DAEMON_SIDE CLIENT_SIDE
	daemon_side=$1 client_side=$2
	local what="$client_side client, $daemon_side daemon"
	rm -rf "$work/run" "$work/state"
	try "$what: start" start_daemon || return
	try "$what: every golden call" golden_to
	try "$what: clipboard, binary" clipboard
	try "$what: mailslot" mailslot
	try "$what: pipe, both ways" pipe
	try "$what: message pipe, both ways" message_pipe
	try "$what: end" end "$daemon"
}

# --- One application ----------------------------------------------------------------------------------

has_ports() { [ "$(wc -w <"$work/ports")" = 2 ]; }

start_peer() { # SIDE ENGINE
	: >"$work/ports"
	(serve_on "$1" tests/peer serve "$2") >"$work/ports" 2>"$work/log" &
	peer=$!
	pids+=($peer)
	until_true has_ports || {
		cat "$work/log"
		return 1
	}
	read -r tcp_port udp_port <"$work/ports"
}

call_peer() { # SIDE ENGINE tcp|udp PORT
	local side=$1
	shift
	(on "$side" tests/peer call "$@")
}

peers() { # SERVER_SIDE ENGINE CLIENT_SIDE ENGINE
	local what="every type, $3 client ($4), $1 server ($2)"
	try "$what: start" start_peer "$1" "$2" || return
	try "$what: TCP" call_peer "$3" "$4" tcp "$tcp_port"
	try "$what: UDP" call_peer "$3" "$4" udp "$udp_port"
	try "$what: end" end "$peer"
}

both_ways() { # SERVER_ENGINE CLIENT_ENGINE
	peers native "$1" foreign "$2"
	peers foreign "$1" native "$2"
}

golden_here() { (on foreign tests/golden); }
golden_to() { (on "$client_side" tests/golden --to 127.0.0.1 "$port"); }

# --- All --------------------------------------------------------------------------------------------

[ $# -gt 0 ] || set -- s390x armhf
for program in ipc9 ipc9d tests/golden tests/peer; do
	[ -x "$native/$program" ] || {
		echo "cross.sh: there is no $native/$program: say make check-cross" >&2
		exit 2
	}
done
head -c 3000007 /dev/urandom >"$work/large"
head -c 1500001 /dev/urandom >"$work/other"
head -c 65537 /dev/urandom >"$work/small"
for arch in "$@"; do
	know "$arch"
	lacks=$(missing | paste -sd, | sed 's/,/, /g')
	if [ "$lacks" ]; then
		skip "$lacks; scripts/setup --cross gets it"
		continue
	fi
	try "build" build || continue
	try "is what it should be" is_foreign
	try "golden files" golden_here
	pair native foreign
	pair foreign native
	both_ways ours ours
	both_ways ours stock
	both_ways stock ours
done
echo "cross: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
