#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rpccall.sh - ipc9 rpc: what a host has registered, how fast it answers, and calls by .x files, of programs
# that are not ours too.
# shellcheck disable=SC2016 # what sh -c runs
. "${0%/*}/lib.sh"
lab h1 h2

rpcb=/usr/include/tirpc/rpc/rpcb_prot.x
idl=$root/idl
control=$((0x2049000a))

registered() { # that the daemon of h2 is, on all netids
	[ "$(on h1 ipc9 rpc ls //h2 | awk -v p=$control '$1 == p' | wc -l)" = 5 ]
}

needs_rpcb() { [ -f $rpcb ] || skip "there is no $rpcb"; }

# --- ls --------------------------------------------------------------------------------------------

test_ls_shows_what_rpcinfo_shows() {
	wait_until registered
	on h1 ipc9 rpc ls //h2 | awk 'NR > 1 { print $1, $2, $3, $4 }' | sort >"$T/ours"
	on h2 rpcinfo | awk 'NR > 1 { print $1, $2, $3, $4 }' | sort >"$T/theirs"
	diff "$T/theirs" "$T/ours"
}

test_ls_has_titles_and_names() {
	wait_until registered
	expect_exit 0 on h1 ipc9 rpc ls h2
	same "titles" "PROGRAM VERSION NETID ADDRESS OWNER NAME" "$(awk 'NR == 1 { $1 = $1; print }' "$T/out")"
	contains "names" "rpcbind" "$(<"$T/out")"
	contains "names" "ipc9.control" "$(<"$T/out")"
}

test_ls_without_a_host_is_about_this_one() {
	expect_exit 0 on h2 ipc9 rpc ls --json
	same "the same as said" "$(<"$T/out")" "$(on h2 ipc9 rpc ls //. --json)"
	same "and by path" "$(<"$T/out")" "$(on h2 ipc9 rpc ls /run/rpcbind.sock --json)"
	expect_exit 0 on h2 ipc9 rpc ls 127.0.0.1:111
}

test_ls_json_has_each_registration() {
	wait_until registered
	expect_exit 0 on h1 ipc9 rpc ls //h2 --json
	same "rpcbind over UDP" "100000 4 udp 0.0.0.0.0.111 superuser rpcbind" \
		"$(json '" ".join(str(v) for r in d["registrations"] if (r["program"], r["version"], r["netid"]) == (100000, 4, "udp") for v in r.values())')"
}

# A server for one connection: says its port, then for each call the version and the arguments; answers version
# VERS with RESULTS, in hex, and others with PROG_MISMATCH.
server='
import socket, struct, sys
vers, results = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
def take(n):
    data = b""
    while len(data) < n:
        more = c.recv(n - len(data))
        if not more: sys.exit(0)
        data += more
    return data
while True:
    call = take(struct.unpack(">I", take(4))[0] & 0x7fffffff)
    xid, _, _, _, version, _ = struct.unpack(">6I", call[:24])
    print(version, call[40:].hex(), flush=True) # AUTH_NONE
    head = struct.pack(">5I", xid, 1, 0, 0, 0)
    reply = head + (struct.pack(">I", 0) + results if version == vers else struct.pack(">3I", 2, vers, vers))
    c.sendall(struct.pack(">I", 0x80000000 | len(reply)) + reply)
'

serve() { # VERS RESULTS : sets $at to where, and $job
	background h1 python3 -c "$server" "$1" "$2" >"$T/served"
	wait_until has_lines 1 "$T/served"
	at=127.0.0.1:$(head -n 1 "$T/served")
}

served() { # the calls
	sed 1d "$T/served" | paste -sd ,
}

test_ls_falls_back_to_version_2_of_a_port_mapper() {
	serve 2 00000001000493e000000007000000060000123400000000
	expect_exit 0 on h1 ipc9 rpc ls "$at" --json
	same "the entry" "300000 7 tcp 0.0.0.0.18.52  None" \
		"$(json '" ".join(str(v) for r in d["registrations"] for v in r.values())')"
	ends 0 "$job"
	same "asked" "4 ,3 ,2 " "$(served)"
}

test_ls_of_a_host_without_rpcbind_ends_with_4() {
	"$LAB" rpcbind h2 stop
	expect_exit 4 on h1 ipc9 rpc ls //h2
	explained "no rpcbind" h2
	expect_exit 4 on h2 ipc9 rpc ls
	explained "no rpcbind here" 127.0.0.1
	"$LAB" rpcbind h2 start
	expect_exit 4 on h1 ipc9 rpc ls //no-such-host
	explained "no host" no-such-host
	expect_exit 1 on h1 ipc9 rpc ls //@
	explained "a domain" "every host"
}

# --- status --rpc ----------------------------------------------------------------------------------

# Another user of h2, who registers servers with netid local: one that never answers, one that answers what it likes, and
# addresses that are no paths.
mischief() {
	background h2 python3 - "$1" <<-'END'
		import os, signal, socket, struct, sys, threading
		def string(text):
		    return struct.pack(">I", len(text)) + text + b"\0" * (-len(text) % 4)
		folder = sys.argv[1].encode()
		os.setuid(65534)
		silent, wrong = (socket.socket(socket.AF_UNIX) for _ in range(2))
		silent.bind(folder + b"/silent"), silent.listen()
		wrong.bind(folder + b"/wrong"), wrong.listen()
		addresses = [folder + b"/silent", folder + b"/wrong", b"//10.77.1.1/rpc/9", b"relative", b"/\x1b[2J\n", b"/" + b"x" * 3000]
		s = socket.socket(socket.AF_UNIX)
		s.connect("/run/rpcbind.sock")
		for i, address in enumerate(addresses):
		    call = struct.pack(">10I", i, 0, 2, 100000, 4, 1, 0, 0, 0, 0) + struct.pack(">2I", 0x20005000 + i, 1)
		    call += string(b"local") + string(address) + string(b"")
		    s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
		    assert s.recv(100)[-1] == 1, "rpcbind did not take it"
		def serve():
		    while True:
		        c, _ = wrong.accept()
		        xid = c.recv(100)[4:8]
		        reply = xid + struct.pack(">5I", 1, 0, 0, 0, 0) + b"\xff" * 1000
		        c.sendall(struct.pack(">I", 0x80000000 | len(reply)) + reply)
		threading.Thread(target=serve, daemon=True).start()
		print("ready", flush=True)
		signal.pause()
	END
}

test_status_asks_servers_of_others_and_believes_none() {
	local folder start
	has_other_user || skip "needs root, to be two users"
	wait_until registered
	folder=$(mktemp -d "$T/socket.XXXXXX")
	chmod 777 "$folder"
	mischief "$folder" >"$T/mischief"
	wait_until grep -q ready "$T/mischief"
	start=$(now_ms)
	expect_exit 0 on h2 ipc9 status --rpc --json
	at_most "ms" $((5000 * slow)) $(($(now_ms) - start))
	same "answers" "silent unclear gone not-asked gone gone" \
		"$(json '" ".join(r["answer"] for r in d["rpc"] if 0x20005000 <= r["program"] < 0x20005010)')"
	same "whose they are" "65534" "$(json '" ".join({r["owner"] for r in d["rpc"] if 0x20005000 <= r["program"] < 0x20005010})')"
	same "the daemon" other "$(json '" ".join(r["answer"] for r in d["rpc"] if r["program"] == '$control')')"
	expect_exit 0 on h2 ipc9 status --rpc
	same "lines that a terminal acts on" 0 "$(grep -c $'\e' "$T/out" || true)"
	same "rows" 6 "$(awk '$1 >= 536891392 && $1 < 536891408' "$T/out" | wc -l)"
	at_most "bytes in a row" 400 "$(wc -L <"$T/out")"
	expect_exit 2 on h2 ipc9 status --rpc //h1
	"$LAB" rpcbind h2 kill # and with it these entries
	expect_exit 4 on h2 ipc9 status --rpc
	explained "without rpcbind" 127.0.0.1:111
	"$LAB" rpcbind h2 start
	wait_until registered
}

# --- ping ------------------------------------------------------------------------------------------

test_ping_counts_answers_over_every_path() {
	local target
	wait_until registered
	for target in '//h2 rpcbind' '//h2 100000 4' '//h2 ipc9.control' 'h2:111 100000 2' "//h2 $control 1 --udp" \
		'//h2 100000 3 --udp'; do
		# shellcheck disable=SC2086 # words
		expect_exit 0 on h1 ipc9 rpc ping $target --count 3 --interval 0 --json
		same "$target" "3 3 0" "$(json '" ".join(str(d[k]) for k in ("sent", "answered", "lost"))')"
		same "$target: ordered" true "$(json '0 < d["min_us"] <= d["p50_us"] <= d["p90_us"] <= d["p99_us"] <= d["max_us"]')"
	done
	expect_exit 0 on h2 ipc9 rpc ping /run/rpcbind.sock 100000 4 --count 2 --interval 0
	contains "text" "program 100000 (rpcbind) version 4: 2 sent, 2 answered, 0 lost" "$(<"$T/out")"
	expect_exit 0 on h2 ipc9 rpc ping //. 0x186a0 --count 1
}

test_ping_takes_the_lowest_version_registered() {
	expect_exit 0 on h1 ipc9 rpc ping //h2 rpcbind --count 1 --json
	same "version" 2 "$(json 'd["version"]')"
	expect_exit 0 on h1 ipc9 rpc ping h2:20490 ipc9.control --count 1 --json
	same "version of what is not looked up" 1 "$(json 'd["version"]')"
}

test_ping_of_what_is_not_there_says_so() {
	wait_until registered
	expect_exit 6 on h1 ipc9 rpc ping h2:20490 $control 7
	explained "a version" "versions 1 to 1"
	expect_exit 6 on h1 ipc9 rpc ping h2:20490 100003 3
	explained "a program" "does not have this program"
	expect_exit 3 on h1 ipc9 rpc ping //h2 300000
	explained "an unregistered program" 300000
	expect_exit 4 on h1 ipc9 rpc ping h2:7 100000
	explained "a port" h2
	expect_exit 4 on h1 ipc9 rpc ping //no-such-host 100000
	expect_exit 2 on h1 ipc9 rpc ping //h2 no-such-program
	explained "a name" no-such-program
	expect_exit 2 on h1 ipc9 rpc ping //h2 rpcbind four
	explained "a version" four
	expect_exit 4 on h1 ipc9 rpc ping h2:7 100000 2 --udp --timeout 300 --count 2
}

test_a_silent_host_ends_with_4_within_the_timeout() {
	local start words
	"$LAB" cut h2
	start=$(now_ms)
	for words in 'ls //h2' 'ping //h2 rpcbind 4' 'ping h2:111 rpcbind 4' "call h2:111 --idl $idl/control.x NULL" \
		'ping h2:111 rpcbind 4 --udp --count 1'; do
		# shellcheck disable=SC2086 # words
		expect_exit 4 on h1 ipc9 rpc $words --timeout 400
		explained "$words" h2
	done
	"$LAB" restore h2
	at_least "ms for all of them" 1900 $(($(now_ms) - start))
	at_most "ms for all of them" $((8000 * slow)) $(($(now_ms) - start))
}

# --- call ------------------------------------------------------------------------------------------

test_call_lists_what_a_file_has() {
	expect_exit 0 ipc9 rpc call --idl "$idl/control.x" --list
	contains "list" "    ipc9_status_res IPC9_CONTROLPROC_STATUS(void) = 1" "$(<"$T/out")"
	expect_exit 0 ipc9 rpc call --idl "$idl/control.x" --list --json
	same "json" "IPC9_CONTROL $control" "$(json '"%s %d" % (d["programs"][0]["name"], d["programs"][0]["number"])')"
}

test_call_of_rpcbind_by_its_own_file() {
	local argument='{"r_prog": 541655050, "r_vers": 1, "r_netid": "tcp", "r_addr": "", "r_owner": ""}'
	needs_rpcb
	wait_until registered
	expect_exit 0 on h1 ipc9 rpc call //h2 --idl $rpcb --vers 4 GETADDR "$argument"
	same "address" "80.10" "$(json '".".join(d.split(".")[-2:])')"
	echo "$argument" >"$T/argument"
	mv "$T/out" "$T/address"
	same "from a file" "$(<"$T/address")" "$(on h1 ipc9 rpc call //h2 --idl $rpcb --vers RPCBVERS4 3 "@$T/argument")"
	same "from standard input" "$(<"$T/address")" \
		"$(on h1 ipc9 rpc call h2:111 --idl $rpcb --vers 4 rpcbproc_getaddr - <"$T/argument")"
	expect_exit 0 on h1 ipc9 rpc call //h2 --udp --idl $rpcb --vers 4 GETADDR "@$T/argument"
	same "over UDP" "80.10" "$(json '".".join(d.split(".")[-2:])')"
	expect_exit 0 on h1 ipc9 rpc call //h2 --idl $rpcb --vers 4 DUMP --json
	same "as many as ls has" "$(on h1 ipc9 rpc ls //h2 | awk 'END { print NR - 1 }')" "$(json 'len(d)')"
	same "lines" 1 "$(wc -l <"$T/out")"
	same "the form" "rpcb_map r_prog r_vers r_netid r_addr r_owner" \
		"$(json '" ".join([*d[0], *d[0]["rpcb_map"]])')"
	expect_exit 0 on h2 ipc9 rpc call 127.0.0.1:111 --idl $rpcb --vers 3 UADDR2TADDR '"127.0.0.1.0.111"'
	contains "netbuf" "006f7f000001" "$(json 'd["buf"]["hex"]')"
	expect_exit 0 on h1 ipc9 rpc call //h2 --idl $rpcb GETSTAT
	same "statistics of three versions, lists in each" "3 list" \
		"$(json '"%d %s" % (len(d), type(d[2]["addrinfo"]).__name__)')"
}

test_call_of_our_own_daemon() {
	wait_until registered
	expect_exit 0 on h1 ipc9 rpc call //h2 --idl "$idl/control.x" STATUS
	same "host" h2 "$(json 'd["ok"]["host"]')"
	same "who calls" "2 $EUID" "$(json '"%d %d" % (d["ok"]["you"]["how"], d["ok"]["you"]["uid"])')"
	expect_exit 0 on h1 ipc9 rpc call //h2 --idl "$idl/control.x" STATUS --auth none
	same "anonymous" 0 "$(json 'd["ok"]["you"]["how"]')"
	expect_exit 0 on h2 ipc9 rpc call /run/ipc9/ipc9d.sock --idl "$idl/control.x" STATUS
	same "by the local socket" 1 "$(json 'd["ok"]["you"]["how"]')"
	expect_exit 0 on h2 ipc9 rpc call //./rpc/$control --idl "$idl/control.x" NULL
	same "void" null "$(<"$T/out")"
	expect_exit 0 on h1 ipc9 rpc call h2:20490 --idl "$idl/mailslot.x" LIST '{"after": ""}'
	same "a listing" "0" "$(json 'd["status"]')"
}

test_call_of_a_mount_daemon_gives_its_lists_as_arrays() {
	local mount=/usr/include/rpcsvc/mount.x
	[ -f $mount ] || skip "there is no $mount"
	# /a to g and h; /b to everybody
	serve 1 '00000001 00000002 2f610000 00000001 00000001 67000000 00000001 00000001 68000000 00000000
		00000001 00000002 2f620000 00000000 00000000'
	expect_exit 0 on h1 ipc9 rpc call "$at" --auth none --idl $mount EXPORT --json
	same "exports" '[{"ex_dir":"/a","ex_groups":[{"gr_name":"g"},{"gr_name":"h"}]},{"ex_dir":"/b","ex_groups":[]}]' \
		"$(<"$T/out")"
	ends 0 "$job"
}

test_several_arguments_go_one_after_the_other() {
	printf 'program P { version V { hyper F(int, string name, bool) = 1; } = 3; } = 300000;' >"$T/p.x"
	serve 3 ffffffffffffffff
	expect_exit 0 on h1 ipc9 rpc call "$at" --auth none --idl "$T/p.x" F '[-2, "abc", true]'
	same "result" -1 "$(<"$T/out")"
	ends 0 "$job"
	same "call" "3 fffffffe000000036162630000000001" "$(served)"
}

test_an_answer_that_ends_too_early_is_told() {
	printf 'program P { version V { hyper F(void) = 1; } = 3; } = 300000;' >"$T/p.x"
	serve 3 ffffffff
	expect_exit 1 on h1 ipc9 rpc call "$at" --idl "$T/p.x" F
	explained "half an answer" '$: the answer ends here'
	ends 0 "$job"
}

test_a_server_that_closes_instead_of_answering_ends_with_4() {
	printf 'program P { version V { hyper F(void) = 1; } = 3; } = 300000;' >"$T/p.x"
	background h1 python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
c.recv(1)' >"$T/served"
	wait_until has_lines 1 "$T/served"
	expect_exit 4 on h1 ipc9 rpc call "127.0.0.1:$(<"$T/served")" --idl "$T/p.x" F
	explained "closed" "the connection is lost"
}

test_wrong_values_are_told_by_their_path_and_nothing_is_sent() {
	needs_rpcb
	expect_exit 2 on h1 ipc9 rpc call //no-such-host --idl $rpcb --vers 4 GETADDR '{"r_prog": "x"}'
	explained "a number" '$.r_prog: a text; expected a whole number'
	expect_exit 2 on h1 ipc9 rpc call //no-such-host --idl $rpcb --vers 4 GETADDR '{"r_prog": 1'
	explained "no JSON" 'the argument:1:'
	expect_exit 2 on h1 ipc9 rpc call //no-such-host --idl $rpcb --vers 4 GETADDR
	explained "no argument" 'expected an object'
	expect_exit 2 on h1 ipc9 rpc call //no-such-host --idl $rpcb --vers 4 DUMP 7
	explained "an argument too much" 'the procedure has no argument'
	expect_exit 1 on h1 ipc9 rpc call //h2 --idl $rpcb --vers 4 GETADDR "@$T/none"
	explained "no file" "$T/none"
}

test_wrong_procedures_are_told_with_those_there_are() {
	needs_rpcb
	expect_exit 2 on h1 ipc9 rpc call //h2 --idl $rpcb NOTHERE
	explained "no procedure" 'has no procedure "NOTHERE"'
	expect_exit 2 on h1 ipc9 rpc call //h2 --idl $rpcb DUMP
	explained "two procedures" "RPCBPROC_DUMP of RPCBPROG version 3, RPCBPROC_DUMP of RPCBPROG version 4"
	expect_exit 2 on h1 ipc9 rpc call //h2/rpc/5 --idl $rpcb --vers 4 DUMP
	explained "another program" "in the program and version asked for"
	expect_exit 2 on h1 ipc9 rpc call //h2 --idl $rpcb
	explained "no procedure" "something is missing"
	expect_exit 2 on h1 ipc9 rpc call //h2 DUMP
	explained "no file" "--idl"
	expect_exit 2 on h1 ipc9 rpc call //h2 --idl $rpcb --vers 4 DUMP --auth gss
	explained "a flavor" gss
}

test_a_broken_file_is_told_with_line_and_column() {
	printf 'struct s {\n\tint a;\n\tstring b;\n};\n' >"$T/s.x"
	expect_exit 1 ipc9 rpc call //h2 --idl "$T/s.x" P
	explained "file" "$T/s.x:3:10: unexpected \";\""
	expect_exit 1 ipc9 rpc call //h2 --idl "$T/none.x" P
	explained "no file" "$T/none.x"
}

test_what_the_server_does_not_have_ends_with_6() {
	wait_until registered
	printf 'program P { version V { void N(void) = 0; int F(void) = 99; } = 1; version W { void N2(void) = 0; } = 9; } = %d;' \
		$control >"$T/p.x"
	expect_exit 6 on h1 ipc9 rpc call h2:20490 --idl "$T/p.x" F
	explained "a procedure" "does not have this procedure"
	expect_exit 6 on h1 ipc9 rpc call h2:20490 --idl "$T/p.x" N2
	explained "a version" "versions 1 to 1"
	printf 'program P { version V { void N(void) = 0; } = 1; } = 300000;' >"$T/p.x"
	expect_exit 6 on h1 ipc9 rpc call h2:20490 --idl "$T/p.x" N
	expect_exit 3 on h1 ipc9 rpc call //h2 --idl "$T/p.x" N
	explained "not registered" 300000
	expect_exit 4 on h1 ipc9 rpc call //no-such-host --idl "$T/p.x" N
	explained "no host" no-such-host
	expect_exit 4 on h1 ipc9 rpc call h2:7 --idl "$T/p.x" N
	explained "no server" h2
}

test_a_caller_who_is_not_let_in_ends_with_5() {
	daemon h2 'listen = any'
	wait_until registered
	expect_exit 5 on h1 ipc9 rpc call h2:20490 --idl "$idl/control.x" STATUS
	explained "a stranger" "credential"
}

test_an_answer_that_is_not_what_the_file_says_is_told_by_its_path() {
	wait_until registered
	sed 's/^typedef string ipc9_text<IPC9_TEXT_MAX>/typedef string ipc9_text<1>/' "$idl/control.x" >"$T/control.x"
	cp "$idl/common.x" "$T"
	expect_exit 1 on h1 ipc9 rpc call h2:20490 --idl "$T/control.x" STATUS
	explained "a bound" '$.ok.release: '
}

run_tests
