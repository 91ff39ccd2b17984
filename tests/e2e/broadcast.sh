#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# broadcast.sh - one message to a slot of every host of the domain: once or not at all.
# shellcheck disable=SC2016 # what sh -c and eval run
. "${0%/*}/lib.sh"
lab h1 h2 h3

# Starts a reader of slot NAME on HOST with its output in $T/got.HOST.
hear() { # HOST NAME
	background "$1" ipc9 mailslot read "$2" --follow --json >>"$T/got.$1"
	wait_until on "$1" ipc9 mailslot info "//./mailslot/$2"
}

# What HOST has heard by now, as a list of sizes or texts.  A directed message comes behind all broadcasts that
# were sent before it, so when it is there a second copy of one would be there too.
heard() { # HOST NAME KEY
	on h1 ipc9 mailslot send "//$1/mailslot/$2" MARK
	wait_until grep -q '"data":"MARK"' "$T/got.$1"
	json_lines "[m['$3'] for m in d if m.get('data') != 'MARK']" "$T/got.$1"
	: >"$T/got.$1"
}

# Datagrams that HOST has sent, over both families.
datagrams_of() { # HOST
	on "$1" awk '$1 == "Udp:" { n = $5 } $1 == "Udp6OutDatagrams" { m = $2 } END { print n + m }' \
		/proc/net/snmp /proc/net/snmp6
}

test_400_bytes_arrive_exactly_once_on_each_of_three_hosts() {
	local h before
	for h in h1 h2 h3; do hear $h all; done
	head -c 400 /dev/urandom >"$T/400"
	before=$(datagrams_of h1)
	expect_exit 0 on h1 ipc9 mailslot send //@/mailslot/all <"$T/400"
	at_least "datagrams sent, over IPv4 and IPv6" $((before + 2)) "$(datagrams_of h1)"
	for h in h1 h2 h3; do
		wait_until has_lines 1 "$T/got.$h"
		json_lines 'base64.b64decode(d[0]["data_base64"])' "$T/got.$h" >"$T/bytes"
		same_file "bytes on $h" "$T/400" "$T/bytes"
		same "marked as broadcast on $h" true "$(json_lines 'd[0]["broadcast"]' "$T/got.$h")"
		same "messages on $h" '[400]' "$(heard $h all size_bytes)"
	done
}

test_many_broadcasts_of_all_hosts_arrive_exactly_once() {
	local h i expected
	for h in h1 h2 h3; do hear $h many; done
	for i in {1..8}; do
		for h in h1 h2 h3; do on $h ipc9 mailslot send //@/mailslot/many "$i of $h"; done
	done
	expected=$(python3 -c 'print(sorted("%d of h%d" % (i, h) for i in range(1, 9) for h in (1, 2, 3)))' | tr "'" '"')
	for h in h1 h2 h3; do
		wait_until has_lines 24 "$T/got.$h"
		same "on $h" "$expected" "$(heard $h many data | python3 -c 'import json; print(json.dumps(sorted(json.loads(input()))))')"
	done
}

test_the_same_text_sent_twice_arrives_twice() {
	hear h2 twice
	on h1 ipc9 mailslot send //@/mailslot/twice again
	on h1 ipc9 mailslot send //@/mailslot/twice again
	wait_until has_lines 2 "$T/got.h2"
	same "on h2" '["again", "again"]' "$(heard h2 twice data)"
}

test_401_bytes_are_refused_before_anything_is_sent() {
	local before h
	for h in h1 h2; do hear $h over; done
	head -c 401 /dev/zero >"$T/401"
	before=$(datagrams_of h1)
	expect_exit 1 on h1 ipc9 mailslot send //@/mailslot/over <"$T/401"
	explained "401 bytes" 400
	same "datagrams that h1 has sent" "$before" "$(datagrams_of h1)"
	for h in h1 h2; do same "messages on $h" '[]' "$(heard $h over size_bytes)"; done
}

test_no_bytes_are_a_broadcast_too() {
	hear h2 none
	expect_exit 0 on h1 ipc9 mailslot send //@/mailslot/none ''
	wait_until has_lines 1 "$T/got.h2"
	same "sizes" '[0]' "$(heard h2 none size_bytes)"
}

test_a_host_of_another_domain_does_not_hear() {
	daemon h3 "${ordinary[@]}" 'domain = other'
	hear h2 domain
	hear h3 domain
	on h1 ipc9 mailslot send //@/mailslot/domain ours
	wait_until has_lines 1 "$T/got.h2"
	same "heard by h2, of our domain" '["ours"]' "$(heard h2 domain data)"
	same "heard by h3, of the other" '[]' "$(heard h3 domain data)"
	on h1 ipc9 mailslot send //@other/mailslot/domain theirs
	wait_until has_lines 1 "$T/got.h3"
	same "heard by h3, when named" '["theirs"]' "$(heard h3 domain data)"
	same "heard by h2 then" '[]' "$(heard h2 domain data)"
	on h3 ipc9 mailslot send //@/mailslot/domain 'from the other'
	wait_until has_lines 1 "$T/got.h3"
	same "heard by h3 of itself" '["from the other"]' "$(heard h3 domain data)"
	same "heard by h2 of h3" '[]' "$(heard h2 domain data)"
}

test_a_host_without_the_slot_is_not_disturbed() {
	local before
	hear h2 some
	before=$(on h3 ipc9 mailslot ls --json)
	expect_exit 0 on h1 ipc9 mailslot send //@/mailslot/some text
	expect_exit 0 on h1 ipc9 mailslot send //@/mailslot/nobody-has-it text
	same "on h2" '["text"]' "$(heard h2 some data)"
	same "slots of h3" "$before" "$(on h3 ipc9 mailslot ls --json)"
	expect_exit 0 on h3 ipc9 status
}

say_until_heard() { # HOST
	count=$((count + 1))
	on h1 ipc9 mailslot send //@/mailslot/cut "try $count"
	grep -q '"data":"try ' "$T/got.$1"
}

test_a_link_that_was_cut_and_restored_hears_again() {
	local count=0
	for h in h2 h3; do hear $h cut; done
	"$LAB" cut h3
	on h1 ipc9 mailslot send //@/mailslot/cut 'not for h3'
	wait_until has_lines 1 "$T/got.h2"
	on h3 ipc9 mailslot send //@/mailslot/cut 'h3 to itself'
	wait_until has_lines 1 "$T/got.h3"
	same "heard by h3 while cut off" 'h3 to itself' "$(json_lines '"; ".join(m["data"] for m in d)' "$T/got.h3")"
	"$LAB" restore h3
	wait_until say_until_heard h3
	same "heard by h3 of what it missed" false "$(json_lines 'any(m["data"] == "not for h3" for m in d)' "$T/got.h3")"
}

test_a_new_address_and_one_family_alone_are_enough() {
	hear h2 family
	on h1 ip -4 addr flush dev eth0
	on h1 ipc9 mailslot send //@/mailslot/family 'IPv6 alone'
	on h1 ip addr add 10.77.1.1/24 brd + dev eth0
	on h1 ip -6 addr flush dev eth0
	wait_until eval 'on h1 ipc9 mailslot send //@/mailslot/family "IPv4 alone" && grep -q "IPv4 alone" "$T/got.h2"'
	on h1 ip addr add fd77:1::1/64 dev eth0 nodad
	on h1 ip addr add fe80::1/64 dev eth0 nodad
	same "with IPv6 alone" 1 "$(grep -c 'IPv6 alone' "$T/got.h2")"
	grep -o '"host":"[^"]*"' "$T/got.h2" | sort -u | tr '\n' ' ' >"$T/from"
	same "senders" '"host":"10.77.1.1" "host":"fe80::1%eth0" ' "$(<"$T/from")"
}

test_broadcasts_to_a_daemon_that_admits_nobody_are_dropped() {
	daemon h3 'listen = any'
	background h3 ipc9 mailslot read closed --follow >"$T/got.h3"
	wait_until on h3 ipc9 mailslot info //./mailslot/closed
	hear h2 closed
	on h1 ipc9 mailslot send //@/mailslot/closed stranger
	wait_until has_lines 1 "$T/got.h2"
	on h3 ipc9 mailslot send //./mailslot/closed local
	wait_until has_lines 1 "$T/got.h3"
	same "heard by h3" local "$(<"$T/got.h3")"
}

run_tests
