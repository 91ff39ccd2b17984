#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# conduit.sh - the shared memory of two processes, where no daemon takes part: the model of sleeping and waking, and
# ends that are killed, or held up, between any two stores.
#
# E2E_LONG=1: each point of death 200 times; ten million random delays each way.
. "${0%/*}/lib.sh"

# Of the model with these definitions: how many errors spin finds, 0 or 1.
model() { # [-DNAME...]
	rm -rf "$T/model"
	mkdir "$T/model"
	cp tests/model/conduit.pml "$T/model/"
	(cd "$T/model" && spin -a "$@" conduit.pml && ${CC:-cc} -O1 -w -DSAFETY -o pan pan.c && ./pan -m100000) \
		>"$T/out" 2>&1 || fail "spin: $(tail -n 5 "$T/out")"
	! grep -q 'max search depth too small' "$T/out" || fail "spin did not search all"
	sed -nE 's/.*errors: ([0-9]+).*/\1/p' "$T/out"
}

need_spin() {
	command -v spin >/dev/null || skip "spin is not installed"
	command -v "${CC:-cc}" >/dev/null || skip "there is no ${CC:-cc}"
}

test_in_no_order_of_steps_a_sleeper_is_forgotten() {
	need_spin
	same "errors" 0 "$(model)"
	same "errors in an event loop" 0 "$(model -DBELLS)"
	[ -z "${E2E_LONG:-}" ] || same "errors with more items" 0 "$(model -DITEMS=12)"
}

test_the_model_finds_what_is_left_out_of_it() {
	local what
	need_spin
	for what in WAITER_WEAK OTHER_WEAK NO_SECOND_LOOK WAKE_BEFORE; do
		same "errors with $what" 1 "$(model -D$what)"
		same "errors with $what in an event loop" 1 "$(model -DBELLS -D$what)"
	done
}

test_wherever_an_end_is_killed_the_other_sees_whole_records_and_then_its_death() {
	local runs=3
	[ -z "${E2E_LONG:-}" ] || runs=200
	[ -x "$BUILD/tests/crash" ] || skip "$BUILD/tests/crash was not built"
	"$BUILD/tests/crash" $runs 1 >"$T/out" || fail "$(cat "$T/out")"
}

test_however_long_a_step_takes_no_sleeper_is_forgotten() {
	local iterations=60000
	[ -z "${E2E_LONG:-}" ] || iterations=10000000
	[ -x "$BUILD/tests/crash" ] || skip "$BUILD/tests/crash was not built"
	"$BUILD/tests/crash" 0 $iterations >"$T/out" || fail "$(cat "$T/out")"
}

run_tests
