#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench.sh - ipc9 bench: what it tells, of this host and of another, and what it does where a way is not there.
# How fast anything is, is no test.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

quick='--time 0.1'

bench() { # HOST OPTION...
	local host=$1
	shift
	# shellcheck disable=SC2086 # words
	on "$host" ipc9 bench $quick "$@"
}

raw_in_use() { # HOST : how many raw connections its daemon has
	on "$1" ipc9 status --json >"$T/status" && json 'd["counters"]["bench.raw"]' "$T/status"
}

raw_in_use_are() { [ "$(raw_in_use "$1")" = "$2" ]; }

threads() { on "$1" sh -c "ls /proc/$(<"$base/$1/pid")/task | wc -l"; }

threads_are() { [ "$(threads "$1")" = "$2" ]; }

# That each path of $T/out has all that a complete one must have, and numbers that can be.
all_complete() {
	same "what is wrong" '[]' "$(json '[(p["way"], p["host"], kind, key)
		for p in d["paths"] for kind in ("calls", "stream")
		for key in ("size_bytes", "rounds", "ratio", "ratio_min", "ratio_max", "cpu_seconds_per_gb",
			"raw_cpu_seconds_per_gb") + (("calls_per_second", "raw_calls_per_second", "min_ns", "p50_ns",
			"p90_ns", "p99_ns", "p999_ns", "max_ns", "raw_p50_ns", "raw_p99_ns", "p50_ratio")
			if kind == "calls" else ("bytes_per_second", "raw_bytes_per_second"))
		if not p[kind] or not p[kind][key] > 0
		or not p[kind]["ratio_min"] <= p[kind]["ratio"] <= p[kind]["ratio_max"]]' | tr -d '\n')"
	same "rounds" '[5]' "$(json 'sorted({p[k]["rounds"] for p in d["paths"] for k in ("calls", "stream")})')"
	same "schema" ipc9.bench/1 "$(json 'd["schema"]')"
	same "complete" true "$(json 'd["complete"]')"
}

test_the_table_has_a_line_for_each_way_and_work() {
	expect_exit 0 bench h1 --to h2
	same "lines of the local socket" 2 "$(grep -c '^ unix  local ' "$T/out")"
	same "lines of TCP on this host" 2 "$(grep -c '^ tcp   local ' "$T/out")"
	same "lines of the other" 2 "$(grep -c '^ tcp   h2 ' "$T/out")"
	contains "the columns" "x raw [min..max]" "$(<"$T/out")"
	contains "the unit" "MB = 10^6 bytes" "$(<"$T/out")"
	grep -qE '^local is [0-9.]+ x remote in calls \[[0-9.]+\.\.[0-9.]+\], [0-9.]+ x remote in the stream' "$T/out"
	same "standard error" "" "$(<"$T/err")"
}

test_json_has_every_figure_of_every_way() {
	expect_exit 0 bench h1 --to h2 --json
	same "lines" 1 "$(wc -l <"$T/out")"
	same "ways" '["unix local False", "tcp local False", "tcp h2 True"]' \
		"$(json '[" ".join([p["way"], p["host"], str(p["remote"])]) for p in d["paths"]]' | tr "'" '"')"
	all_complete
	same "local against remote" true "$(json 'all(d["local_to_remote"][k]["ratio"] > 0 for k in ("calls", "stream"))')"
	expect_exit 0 bench h1 --json
	all_complete
	same "without a remote one" '{"calls": null, "stream": null}' "$(json 'd["local_to_remote"]')"
}

test_a_host_may_be_said_in_every_form() {
	local form
	for form in //h2 h2:20490 //h2:20490; do
		expect_exit 0 bench h1 --json --to "$form"
		same "$form" "${form#//}" "$(json 'd["paths"][2]["host"]')"
		all_complete
	done
	expect_exit 0 bench h1 --json --to h1
	same "the own host" unix "$(json 'd["paths"][2]["way"]')"
}

test_a_host_that_is_not_reached_is_named_and_the_rest_is_told() {
	expect_exit 4 bench h1 --to no-such-host
	contains "the error" no-such-host "$(<"$T/err")"
	same "lines of the local socket" 2 "$(grep -c '^ unix  local ' "$T/out")"
	end_daemon h2
	expect_exit 4 bench h1 --to h2 --json
	contains "the error" h2 "$(<"$T/err")"
	same "measured here" true "$(json 'd["paths"][0]["stream"]["ratio"] > 0')"
	same "of h2" 'null null' "$(json 'd["paths"][2]["calls"]') $(json 'd["paths"][2]["stream"]')"
	contains "the error in JSON" h2 "$(json 'd["paths"][2]["error"]')"
}

test_a_host_is_measured_without_a_daemon_on_this_one() {
	end_daemon h1
	expect_exit 4 bench h1 --to h2
	same "lines on standard error" 1 "$(wc -l <"$T/err")"
	same "lines of the other" 2 "$(grep -c '^ tcp   h2 ' "$T/out")"
	expect_exit 4 bench h1
	explained "no daemon at all" ipc9d
}

test_a_caller_who_is_not_let_in_is_told() {
	daemon h2 'listen = any'
	expect_exit 5 bench h1 --to h2
	contains "the error" h2 "$(<"$T/err")"
	# On the own host that is how a fresh daemon is: no failure.
	expect_exit 0 bench h2 --json
	contains "why TCP is not measured" "lets nobody in" "$(json 'd["paths"][1]["skipped"]')"
	contains "said too" "lets nobody in" "$(<"$T/err")"
	expect_exit 0 bench h2 -q
	same "standard error with -q" "" "$(<"$T/err")"
}

test_a_time_that_is_none_is_wrong_usage() {
	local time
	for time in 0 0.01 -1 x 1s 601 nan ''; do
		expect_exit 2 on h1 ipc9 bench "--time=$time"
		explained "--time=$time" --time
	done
}

test_nothing_is_left_in_the_daemon() {
	local before
	wait_until raw_in_use_are h2 0
	before=$(threads h2)
	expect_exit 0 bench h1 --to h2
	wait_until raw_in_use_are h2 0
	wait_until threads_are h2 "$before"
}

test_an_interrupt_prints_what_is_there() {
	wait_until raw_in_use_are h1 0
	background h1 ipc9 bench --time 20 --json >"$T/out"
	# With it the first run of ours is done; and what runs is counted.
	wait_until raw_in_use_are h1 1
	to_job INT "$job"
	ends 130 "$job"
	same "complete" false "$(json 'd["complete"]')"
	same "calls were measured" true "$(json 'd["paths"][0]["calls"]["ratio"] > 0')"
	same "the stream was not" null "$(json 'd["paths"][0]["stream"]')"
	wait_until raw_in_use_are h1 0
}

# Some connection of the host's waits for the first word from the other side.
is_connecting() { on "$1" awk '$4 == "02" { found = 1 } END { exit !found }' /proc/net/tcp /proc/net/tcp6; }

test_an_interrupt_does_not_wait_for_a_silent_host() {
	"$LAB" cut h2
	# shellcheck disable=SC2086 # words
	background h1 ipc9 bench $quick --to h2 --timeout 0 >"$T/out"
	wait_until is_connecting h1
	to_job INT "$job"
	ends_within 4 "$job"
	"$LAB" restore h2
	same "exit" 130 "$status"
	contains "what was measured" "unix  local" "$(<"$T/out")"
}

test_a_third_who_measures_goes_without_the_reference() {
	local first second
	wait_until raw_in_use_are h1 0
	background h1 ipc9 bench --time 60 >"$T/first"
	first=$job
	background h1 ipc9 bench --time 60 >"$T/second"
	second=$job
	wait_until raw_in_use_are h1 2
	expect_exit 0 bench h1 --json
	contains "said" "measured without it" "$(<"$T/err")"
	same "ratio" null "$(json 'd["paths"][0]["calls"]["ratio"]')"
	contains "why" "in use" "$(json 'd["paths"][0]["calls"]["raw_error"]')"
	same "ours" true "$(json 'd["paths"][0]["calls"]["calls_per_second"] > 0')"
	expect_exit 0 bench h1
	grep -qE '^ unix  local +[0-9]+ #+ +- +- ' "$T/out"
	to_job INT "$first"
	to_job INT "$second"
	ends 130 "$first"
	ends 130 "$second"
}

run_tests
