#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# clipboard.sh - copy on one host, paste on another: every byte, every format, nobody else's board.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

# A real PNG of 64 x 48 pixels.
make_png() { # FILE
	python3 -c '
import struct, sys, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
w, h = 64, 48
rows = b"".join(b"\0" + bytes(v for x in range(w) for v in (4 * x, 5 * y, x * y % 256)) for y in range(h))
sys.stdout.buffer.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))' >"$1"
}
make_png "$base/picture.png"

# The sequence number of a board, as HOST sees it.
seq_of() { # HOST BOARD
	on "$1" ipc9 clipboard types "$2" --json >"$T/types" || [ $? = 3 ]
	json 'd["version"]["seq"]' "$T/types"
}

test_a_png_comes_back_byte_for_byte_from_another_host() {
	on h1 ipc9 clipboard copy <"$base/picture.png"
	on h2 ipc9 clipboard paste //h1 >"$T/got"
	same_file "pasted on h2 from h1" "$base/picture.png" "$T/got"
	same "type found out" image/png "$(on h2 ipc9 clipboard types //h1)"

	on h1 ipc9 clipboard copy '//[fd77:1::2]' <"$base/picture.png"
	on h2 ipc9 clipboard paste >"$T/got"
	same_file "copied from h1 to h2 over IPv6" "$base/picture.png" "$T/got"
}

test_256_MiB_of_random_bytes_arrive_and_are_never_held_twice() {
	local sum data=$((256 << 10))
	# A user of another host alone has a little less than a quarter of it.
	daemon h2 "${ordinary[@]}" 'quota_bytes = 2147483648'
	head -c 256M /dev/urandom >"$T/big"
	sum=$(sha256sum <"$T/big")
	on h1 ipc9 clipboard copy //h2 <"$T/big"
	rm "$T/big"
	same "sha256 on the board's host" "$sum" "$(on h2 ipc9 clipboard paste | sha256sum)"
	same "sha256 on the other" "$sum" "$(on h1 ipc9 clipboard paste //h2 | sha256sum)"
	if sanitized; then
		echo "memory not looked at: this is a build with sanitizers"
	else
		at_most "KiB of h2's daemon, at its highest" $((data * 13 / 10)) "$(memory_of_daemon h2 VmHWM)"
	fi
	on h2 ipc9 clipboard clear
	sanitized || at_most "KiB of h2's daemon after clear" $((data / 2)) "$(memory_of_daemon h2 VmRSS)"
}

test_memory_after_256_MiB_is_at_most_1_3_times_the_data() {
	! sanitized || skip "a build with sanitizers has other memory"
	daemon h1
	head -c 256M /dev/zero | on h1 ipc9 clipboard copy
	at_most "KiB of h1's daemon" $(((256 << 10) * 13 / 10)) "$(memory_of_daemon h1 VmHWM)"
	at_least "KiB of h1's daemon (is this the right process?)" $((256 << 10)) "$(memory_of_daemon h1 VmRSS)"
}

test_all_formats_of_one_copy_are_there_in_its_order() {
	echo '<b>bold</b>' >"$T/a.html"
	echo 'bold' >"$T/a.txt"
	on h1 ipc9 clipboard copy //h2 -t image/png="$base/picture.png" -t text/html="$T/a.html" \
		-t 'text/plain;charset=utf-8' <"$T/a.txt"
	same "types" "image/png text/html text/plain;charset=utf-8" "$(on h2 ipc9 clipboard types | paste -sd ' ')"
	on h1 ipc9 clipboard paste //h2 -t image/png >"$T/got"
	same_file "image/png" "$base/picture.png" "$T/got"
	on h2 ipc9 clipboard paste -t TEXT/HTML >"$T/got"
	same_file "text/html, whatever its case" "$T/a.html" "$T/got"
	on h2 ipc9 clipboard paste >"$T/got"
	same_file "text, if no type is named" "$T/a.txt" "$T/got"
}

test_a_new_copy_replaces_all_formats_of_the_old_one() {
	on h1 ipc9 clipboard copy -t text/html="$base/picture.png" -t image/png="$base/picture.png"
	printf hello | on h1 ipc9 clipboard copy
	same "types" "text/plain;charset=utf-8" "$(on h1 ipc9 clipboard types)"
	same "text" hello "$(on h1 ipc9 clipboard paste)"
}

test_a_format_of_no_bytes_is_a_format() {
	on h1 ipc9 clipboard copy //h2 -t text/plain </dev/null
	same "types" text/plain "$(on h2 ipc9 clipboard types)"
	expect_exit 0 on h1 ipc9 clipboard paste //h2
	same "bytes" 0 "$(wc -c <"$T/out")"
}

test_an_absent_format_ends_with_3() {
	printf text | on h1 ipc9 clipboard copy
	expect_exit 3 on h1 ipc9 clipboard paste -t image/png
	explained "absent format" image/png
	expect_exit 3 on h2 ipc9 clipboard paste //h1 -t image/png
	explained "absent format on another host" image/png
}

test_an_empty_board_ends_with_3_and_clear_empties() {
	printf text | on h1 ipc9 clipboard copy
	on h2 ipc9 clipboard clear //h1
	expect_exit 3 on h1 ipc9 clipboard paste
	explained "empty board" ""
	expect_exit 3 on h1 ipc9 clipboard types
	expect_exit 0 on h1 ipc9 clipboard clear
	expect_exit 3 on h2 ipc9 clipboard paste //h1/clipboard/never-written
}

test_named_boards_are_apart() {
	printf own | on h1 ipc9 clipboard copy //h2
	printf team | on h1 ipc9 clipboard copy //h2/clipboard/team
	printf other | on h2 ipc9 clipboard copy //./clipboard/other/one
	same "own" own "$(on h2 ipc9 clipboard paste)"
	same "//./clipboard/team" team "$(on h2 ipc9 clipboard paste //./clipboard/team)"
	same "//h2/clip/TEAM" team "$(on h1 ipc9 clipboard paste //h2/clip/TEAM)"
	same "//h2/clipboard/other/one" other "$(on h1 ipc9 clipboard paste //h2/clipboard/other/one)"
	on h1 ipc9 clipboard clear //h2/clipboard/team
	expect_exit 3 on h2 ipc9 clipboard paste //./clipboard/team
	same "own, after another was cleared" own "$(on h2 ipc9 clipboard paste)"
}

test_own_boards_of_two_users_do_not_mix() {
	has_other_user || skip "needs root, to be two users"
	on h1 ipc9 clipboard clear
	printf theirs | as_other h1 ipc9 clipboard copy
	expect_exit 3 on h1 ipc9 clipboard paste
	printf mine | on h1 ipc9 clipboard copy
	same "the other user's" theirs "$(as_other h1 ipc9 clipboard paste)"
	same "ours" mine "$(on h1 ipc9 clipboard paste)"
	# The same from another host, whose claims h1 believes.
	same "the other user's from h2" theirs "$(as_other h2 ipc9 clipboard paste //h1)"
	same "ours from h2" mine "$(on h2 ipc9 clipboard paste //h1)"
	as_other h2 ipc9 clipboard clear //h1
	same "ours, after the other user cleared theirs" mine "$(on h1 ipc9 clipboard paste)"
}

test_copy_returns_at_once_and_holds_no_descriptor() {
	expect_exit 0 on h1 timeout 10 bash -c 'x=$(ipc9 clipboard copy 2>&1 <"$1"); echo "<$x>"' - "$base/picture.png"
	same "what the substitution gave" "<>" "$(<"$T/out")"
	on h1 ipc9 clipboard paste >"$T/got"
	same_file "pasted" "$base/picture.png" "$T/got"
}

test_a_copy_killed_half_way_leaves_the_old_content() {
	local before
	printf old | on h1 ipc9 clipboard copy //h2
	before=$(seq_of h2 //.)
	mkfifo "$T/half"
	exec 5<>"$T/half"
	background h1 ipc9 clipboard copy //h2 <"$T/half"
	head -c 8M /dev/urandom >&5 # taken, but for what the fifo holds
	to_job KILL "$job"
	ends_within 5 "$job"
	exec 5>&-
	same "exit of what was killed" 137 "$status"
	same "content" old "$(on h2 ipc9 clipboard paste)"
	same "sequence number" "$before" "$(seq_of h2 //.)"
}

test_the_sequence_number_grows_with_every_change_and_only_then() {
	local a b c d
	printf one | on h1 ipc9 clipboard copy //h2
	a=$(seq_of h1 //h2)
	on h2 ipc9 clipboard paste >/dev/null
	b=$(seq_of h2 //.)
	same "after a paste" "$a" "$b"
	printf one | on h1 ipc9 clipboard copy //h2
	c=$(seq_of h1 //h2)
	at_least "after a copy of the same" $((a + 1)) "$c"
	on h2 ipc9 clipboard clear
	d=$(seq_of h1 //h2)
	at_least "after a clear" $((c + 1)) "$d"
}

# What is pasted is one item or the other, or the paste says that it failed; never a bit of both.
test_a_paste_never_mixes_two_copies() {
	local i got status a b
	head -c 12M /dev/zero | tr '\0' a >"$T/a"
	head -c 9M /dev/zero | tr '\0' b >"$T/b"
	a=$(sha256sum <"$T/a") b=$(sha256sum <"$T/b")
	on h1 ipc9 clipboard copy //h2 -t text/plain <"$T/a"
	background h2 sh -c 'while :; do for f; do ipc9 clipboard copy -t text/plain <"$f" || exit; done; done' - "$T/b" "$T/a"
	for ((i = 0; i < 12; i++)); do
		status=0
		on h1 ipc9 clipboard paste //h2 >"$T/got" 2>"$T/err" || status=$?
		if [ $status != 0 ]; then
			same "exit of a paste that was overtaken" 1 $status
			continue
		fi
		got=$(sha256sum <"$T/got")
		[ "$got" = "$a" ] || [ "$got" = "$b" ] || fail "paste $i gave neither of the two: $got"
	done
	kill -0 "$job" || fail "the copying ended"
}

test_json_tells_types_sizes_author_and_exact_bytes() {
	on h1 ipc9 clipboard copy //h2 -t image/png="$base/picture.png" -t text/plain <<<'grüße'
	on h2 ipc9 clipboard types --json >"$T/out"
	same "types" '[["image/png", '"$(wc -c <"$base/picture.png")"'], ["text/plain", 8]]' \
		"$(json '[[f["type"], f["size_bytes"]] for f in d["formats"]]')"
	same "author" claimed "$(json 'd["author"]["how"]')"
	on h2 ipc9 clipboard paste --json >"$T/out"
	same "text" '"grüße\n"' "$(json 'json.dumps(d["data"], ensure_ascii=False)')"
	on h2 ipc9 clipboard paste -t image/png --json >"$T/out"
	json 'base64.b64decode(d["data_base64"])' >"$T/got"
	same_file "base64" "$base/picture.png" "$T/got"
}

run_tests
