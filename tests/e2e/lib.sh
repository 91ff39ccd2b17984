#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# lib.sh - what the tests in this folder share; sourced, not run.
#
# A test file names its machine ("lab h1 h2" for virtual hosts, or "single_host"), defines functions
# test_PROMISE, and ends with "run_tests".  Each function is one test and runs in a subshell: a command
# that fails where nobody looks at its result ends it, and what it started in the background is ended
# with it.  It may end or re-configure daemons; before the next test each host has an ordinary one again.
#
# Each test gives one line: "PASS name seconds", "SKIP name seconds: reason" or "FAIL name seconds", the
# last with what it printed below it, indented.  Exit 0: no FAIL; 77: nothing but SKIP; else 1.
#
# Environment: BUILD has ipc9 and ipc9d ("build"); E2E_ONLY runs the tests whose names contain it;
# E2E_LONG=1 runs the slow ones too.
set -u
shopt -s inherit_errexit

root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BUILD=$(cd "$root/${BUILD:-build}" 2>/dev/null || cd "${BUILD:-build}" && pwd) || exit
file=${0##*/} file=${file%.sh}
LAB=$root/scripts/lab
export LAB_NAME=${E2E_LAB:-e2e-$file-$$} PATH=$BUILD:$PATH:/usr/sbin:/sbin LC_ALL=C
unset IPC9_SOCKET IPC9_TIMEOUT IPC9_LISTEN IPC9_PORT IPC9_DOMAIN IPC9_TRUST_SYS IPC9_TRUST_ROOT XDG_RUNTIME_DIR
base=$(mktemp -d "${TMPDIR:-/tmp}/ipc9-e2e.XXXXXX") || exit # of this file
T=$base                                                     # of the test that runs, later
chmod 711 "$base"                                           # another user's programs are in it (as_other)
mkdir -m 1777 "$base/reports"
exec </dev/null

# A report of a sanitizer fails the test, whichever process made it and whether its exit is looked at.
for v in ASAN UBSAN TSAN LSAN; do
	n=${v}_OPTIONS
	export "$n=${!n:+${!n}:}exitcode=99:log_path=$base/reports/$v"
done
export UBSAN_OPTIONS=$UBSAN_OPTIONS:print_stacktrace=1
slow=1 # what deadlines are multiplied with
sanitized() { grep -qaE '__(asan|tsan|ubsan)_' "$BUILD/ipc9d"; }
! sanitized || slow=4

hosts=()
# Whoever has the lab's addresses may do everything but administer; what they claim to be is believed.
ordinary=(
	'listen = any'
	'trust_sys = 10.77.0.0/16, fd77::/16'
	'trust_root = yes'
	'allow = anyone read,write,create,delete'
)

# --- Saying what is wrong --------------------------------------------------------------------------

fail() { # TEXT... : ends the test
	trap - ERR
	printf '%s\n' "$@" >&2
	exit 1
}

skip() { # REASON : ends the test, or the file
	trap - ERR
	echo "$*" >&2
	exit 77
}

on_error() { # FILE LINE COMMAND EXIT
	echo "${1##*/}:$2: exit $4: $3" >&2
}

same() { # WHAT EXPECTED ACTUAL
	[ "$2" = "$3" ] || fail "$1:" "  expected: $2" "  actual:   $3"
}

different() { # WHAT NOT-THIS ACTUAL
	[ "$2" != "$3" ] || fail "$1:" "  not expected: $2" "  actual:       $3"
}

same_file() { # WHAT EXPECTED ACTUAL
	cmp -s "$2" "$3" ||
		fail "$1:" "  expected: $(stat -c '%s bytes' "$2"), sha256 $(sha256sum <"$2")" \
			"  actual:   $(stat -c '%s bytes' "$3"), sha256 $(sha256sum <"$3")" \
			"  $(cmp "$2" "$3" 2>&1)"
}

contains() { # WHAT EXPECTED-PART ACTUAL
	[[ "$3" == *"$2"* ]] || fail "$1:" "  expected to contain: $2" "  actual: $3"
}

at_most() { # WHAT LIMIT ACTUAL
	[ "$3" -le "$2" ] || fail "$1:" "  expected: at most $2" "  actual:   $3"
}

at_least() { # WHAT LIMIT ACTUAL
	[ "$3" -ge "$2" ] || fail "$1:" "  expected: at least $2" "  actual:   $3"
}

# Runs CMD with standard output in $T/out and standard error in $T/err.
expect_exit() { # CODE CMD...
	local expected=$1 status=0
	shift
	"$@" >"$T/out" 2>"$T/err" || status=$?
	[ "$status" = "$expected" ] ||
		fail "$*:" "  expected: exit $expected" "  actual:   exit $status" \
			"  stdout:   $(head -c 500 "$T/out" | tr -d '\0')" "  stderr:   $(head -c 2000 "$T/err")"
}

# That the other end of a pipe was lost, in whatever words.
says_lost() { # WHAT FILE
	grep -qE 'lost|vanished' "$2" || fail "$1:" "  expected: something about a lost peer" "  actual: $(<"$2")"
}

# The last expect_exit must have explained itself: one line, on standard error, that contains PART.
explained() { # WHAT PART
	contains "$1: standard error" "$2" "$(<"$T/err")"
	same "$1: lines on standard error" 1 "$(wc -l <"$T/err")"
	same "$1: bytes on standard output" 0 "$(wc -c <"$T/out")"
}

# --- Time ------------------------------------------------------------------------------------------

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# Polls CMD until it succeeds, at most 10 seconds (more with sanitizers).
wait_until() { # CMD...
	local end=$(($(now_ms) + 10000 * slow))
	until "$@" >/dev/null 2>"$T/until.err"; do
		[ "$(now_ms)" -lt $end ] || fail "waited $((10 * slow)) s for: $*" "$(tail -n 5 "$T/until.err")"
		sleep 0.02
	done
}

# Waits for a background job and sets $status; fails if it takes longer than SECONDS (times $slow).
ends_within() { # SECONDS JOB
	local end=$(($(now_ms) + $1 * 1000 * slow))
	while kill -0 "$2" 2>/dev/null; do
		[ "$(now_ms)" -lt $end ] || fail "still runs after $(($1 * slow)) s: $(tr '\0' ' ' <"/proc/$2/cmdline")"
		sleep 0.02
	done
	status=0
	wait "$2" || status=$?
}

ends() { # EXIT JOB
	ends_within 10 "$2"
	same "exit of job $2" "$1" "$status"
}

has_lines() { # N FILE
	[ "$(wc -l <"$2")" -ge "$1" ]
}

has_bytes() { # N FILE
	[ "$(stat -c %s "$2")" -ge "$1" ]
}

# --- Hosts -----------------------------------------------------------------------------------------

lab() { # HOST... : virtual hosts with rpcbind
	local status=0
	"$LAB" up "$@" || status=$?
	[ $status = 0 ] || exit $status
	hosts=("$@")
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

single_host() { # this machine alone: own socket, folders and a free loopback port, no rpcbind
	port=$(free_port)
	export IPC9_SOCKET=$base/run/ipc9d.sock
	hosts=(here)
	ordinary=("port = $port" 'allow = anyone read,write,create,delete')
}

on() { # HOST CMD... : runs CMD there, a minute at most
	local host=$1
	shift
	if [ "$host" = here ]; then
		timeout --foreground -k 5 $((60 * slow)) "$@"
	else
		timeout --foreground -k 5 $((60 * slow)) "$LAB" exec "$host" "$@"
	fi
}

# What stays must not hold the ends of fifos that a test has open.
close_others() {
	local fd
	for fd in /proc/"$BASHPID"/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
	done
}

# Starts CMD there in the background with the streams of this call; sets $job, for ends_within and to_job.
background() { # HOST CMD...
	local host=$1
	shift
	[ "$host" = here ] || set -- "$LAB" exec "$host" "$@"
	# A shell without job control ignores SIGINT on behalf of what it starts in the background.
	(close_others && exec env --default-signal=INT,QUIT "$@") <&0 &
	# shellcheck disable=SC2034 # for the caller
	job=$!
}

# The process of a background job: in the lab the job is nsenter, and ipc9 its child.
process_of() { # JOB
	local pid
	if [ "${hosts[0]}" = here ]; then
		echo "$1"
	else
		pid=$(pgrep -P "$1" -x ipc9) && echo "$pid"
	fi
}

to_job() { # SIGNAL JOB, which runs ipc9
	wait_until process_of "$2"
	kill "-$1" "$(process_of "$2")"
	[ "$1" != CONT ] || kill -CONT "$2" # nsenter stops itself when its child is stopped
}

# Another, unprivileged user; their copy of the programs is where they can read it.
as_other() { # HOST CMD...
	local host=$1
	shift
	if ! [ -d "$base/other" ]; then
		mkdir -m 755 "$base/other"
		cp "$BUILD"/ipc9 "$BUILD"/libipc9.so.* "$base/other"
	fi
	on "$host" setpriv --reuid 65534 --regid 65534 --clear-groups -- env "PATH=$base/other:$PATH" "$@"
}

has_other_user() {
	[ "$EUID" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null
}

# --- Daemons ---------------------------------------------------------------------------------------

# Runs a daemon and notes its PID, output and exit.
cat >"$base/launch" <<'END'
cd "$1" && shift || exit
"$@" >log 2>&1 </dev/null &
echo $! >pid.new && mv pid.new pid
wait $!
echo $? >rc.new && mv rc.new rc
END

# Starts ipc9d on HOST with LINES as its configuration (default: $ordinary), in the place of the one there.
daemon() { # HOST [LINE...]
	local host=$1
	shift
	[ $# -gt 0 ] || set -- "${ordinary[@]}"
	daemon_with "$host" "$(printf '%s\n' "$@")"
}

daemon_with() { # HOST CONFIGURATION [OPTION...]
	local dir=$base/$1 host=$1 config=$2
	shift 2
	[ ! -e "$dir/pid" ] || [ -e "$dir/rc" ] || end_daemon "$host"
	mkdir -p "$dir"
	rm -f "$dir"/{pid,rc,log,ended}
	printf '%s\n' "$config" >"$dir/config"
	set -- ipc9d --config "$dir/config" "$@"
	if [ "$host" = here ]; then
		(close_others && exec setsid sh "$base/launch" "$dir" "$@" --no-rpcbind --state-dir "$base/state" &)
	else
		"$LAB" spawn "$host" ipc9d sh "$base/launch" "$dir" "$@" >/dev/null
	fi
	wait_until daemon_started "$host"
	[ ! -e "$dir/rc" ] || : >"$dir/ended"
	[ ! -e "$dir/rc" ] || fail "the daemon on $host ended with $(<"$dir/rc"):" "$(<"$dir/log")"
}

# Its PID is noted a moment after it runs; without it the daemon could not be ended.
daemon_started() { [ -e "$base/$1/rc" ] || { [ -e "$base/$1/pid" ] && on "$1" ipc9 status; }; }

daemon_ended() { [ -e "$base/$1/rc" ]; }

# Ends HOST's daemon and sets $status to its exit.
end_daemon() { # HOST [SIGNAL]
	local pid
	pid=$(<"$base/$1/pid")
	: >"$base/$1/ended"
	on "$1" sh -c "kill -${2:-TERM} $pid"
	wait_until daemon_ended "$1"
	status=$(<"$base/$1/rc")
	[ "${2:-TERM}" != TERM ] || [ "$status" = 0 ] ||
		fail "the daemon on $1 ended with $status:" "$(tail -n 20 "$base/$1/log")"
}

# A field of the daemon's /proc/PID/status, in KiB: VmRSS, VmHWM.
memory_of_daemon() { # HOST FIELD
	# shellcheck disable=SC2016 # awk's
	on "$1" awk -v "field=$2:" '$1 == field { print $2 }' "/proc/$(<"$base/$1/pid")/status"
}

# Before each test: an ordinary daemon on every host.
ordinary_daemons() {
	local host
	for host in "${hosts[@]}"; do
		if [ ! -e "$base/$host/pid" ] || [ -e "$base/$host/rc" ] ||
			{ [ "$host" = here ] && [ ! -S "$IPC9_SOCKET" ]; } ||
			[ "$(<"$base/$host/config")" != "$(printf '%s\n' "${ordinary[@]}")" ]; then
			daemon "$host"
		fi
	done
}

# After each test: no daemon ended by itself, no sanitizer complained.
check_health() {
	local host report
	for host in "${hosts[@]}"; do
		if [ -e "$base/$host/rc" ] && [ ! -e "$base/$host/ended" ]; then
			: >"$base/$host/ended"
			echo "the daemon on $host ended with $(<"$base/$host/rc"):"
			tail -n 20 "$base/$host/log"
			return 1
		fi
	done
	for report in "$base"/reports/*; do
		[ -e "$report" ] || continue
		head -n 60 "$report"
		rm -f "$base"/reports/*
		return 1
	done
}

# --- Reading JSON ----------------------------------------------------------------------------------

# Prints what a Python expression makes of the JSON value in FILE ($T/out), which it calls d.
json() { # EXPRESSION [FILE]
	python3 -c '
import base64, json, sys
text = open(sys.argv[2], encoding="utf-8").read()
d = [json.loads(line) for line in text.splitlines()] if sys.argv[3] else json.loads(text)
value = eval(sys.argv[1])
if isinstance(value, bytes):
    sys.stdout.buffer.write(value)
else:
    print(json.dumps(value) if isinstance(value, (bool, dict, list, type(None))) else value)' \
		"$1" "${2:-$T/out}" "${3:-}"
}

# The same with d the list of the values that stand on FILE's lines.
json_lines() { json "$1" "${2:-$T/out}" lines; }

# --- Running ---------------------------------------------------------------------------------------

end_jobs() {
	local pids i
	mapfile -t pids < <(jobs -p)
	[ ${#pids[@]} -gt 0 ] || return 0
	# CONT first: behind a TERM it could undo the stop by which LeakSanitizer looks at a process that ends.
	kill -CONT "${pids[@]}" 2>/dev/null || true
	kill "${pids[@]}" 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		[ -n "$(jobs -rp)" ] || break
		sleep 0.02
	done
	kill -9 "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
}

one_test() { # FUNCTION : in a subshell
	trap 'on_error "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND" "$?"' ERR
	trap 'end_jobs' EXIT
	set -Ee -o pipefail
	ordinary_daemons
	"$1"
}

run_tests() {
	local names name start seconds status failed=0 passed=0 seen=0
	mapfile -t names < <(sed -n 's/^\(test_[A-Za-z0-9_]*\)().*/\1/p' "$0")
	for name in "${names[@]}"; do
		[[ $name == *"${E2E_ONLY:-}"* ]] || continue
		seen=1
		start=$(now_ms)
		T=$base/test
		mkdir -m 711 "$T" || exit
		(one_test "$name") >"$base/test.out" 2>"$base/test.err"
		status=$?
		check_health >>"$base/test.out" || status=1
		seconds=$(($(now_ms) - start))
		seconds=$((seconds / 1000)).$(printf %03d $((seconds % 1000)))
		name=${name#test_}
		case $status in
		0) echo "PASS $name ${seconds%??}"; passed=$((passed + 1)) ;;
		77) echo "SKIP $name ${seconds%??}: $(tail -n 1 "$base/test.err")" ;;
		*)
			failed=$((failed + 1))
			echo "FAIL $name ${seconds%??}"
			cat "$base/test.out" "$base/test.err" | sed 's/^/     /' ;;
		esac
		rm -rf "$T"
	done
	[ $seen = 1 ] || exit 77
	[ $failed = 0 ] || exit 1
	[ $passed -gt 0 ] || exit 77
}

clean_up() {
	local host i
	trap '' INT TERM HUP
	end_jobs
	for host in "${hosts[@]}"; do
		if [ ! -e "$base/$host/pid" ] || [ -e "$base/$host/rc" ]; then continue; fi
		on "$host" sh -c "kill $(<"$base/$host/pid")" 2>/dev/null
		for ((i = 0; i < 200; i++)); do
			[ ! -e "$base/$host/rc" ] || break
			sleep 0.02
		done
		[ -e "$base/$host/rc" ] || on "$host" sh -c "kill -9 $(<"$base/$host/pid")" 2>/dev/null
	done
	[ "${hosts[0]:-here}" = here ] || "$LAB" down
	rm -rf "$base"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
