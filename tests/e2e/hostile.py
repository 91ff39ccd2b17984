#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# hostile.py - peers that mean no good, against a daemon of this host, beside a client that means well.
#
# usage: hostile.py ROW (see the table at the end), with the daemon in the environment: PORT, IPC9_SOCKET,
# DAEMON_PID; SECONDS and COUNT say how long and how many; TIMED=1 checks times too, MEMORY=1 memory.
#
# Prints what was not as it must be, one line each; exit 1 if there was anything. Numbers of the daemon
# (memory, descriptors, processor time) come from /proc.

import glob
import multiprocessing
import os
import random
import resource
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/fuzz"))
import idl  # noqa: E402

PORT, SOCKET, PID = int(os.environ["PORT"]), os.environ["IPC9_SOCKET"], int(os.environ["DAEMON_PID"])
SECONDS, COUNT = float(os.environ.get("SECONDS", 5)), int(os.environ.get("COUNT", 100))
TIMED, MEMORY = os.environ.get("TIMED") == "1", os.environ.get("MEMORY") == "1"
CONTROL, MAILSLOT = 0x2049000A, 0x20490003
wrong = 0


def complain(what):
    global wrong
    wrong += 1
    if wrong <= 20:
        print(what, flush=True)


def words(*values):
    return b"".join(struct.pack(">I", v & 0xFFFFFFFF) for v in values)


def opaque(data):
    return words(len(data)) + data + bytes(-len(data) % 4)


def call(xid, program, procedure, args=b""):
    return words(xid, 0, 2, program, 1, procedure, 0, 0, 0, 0) + args


def record(message):
    return words(0x80000000 | len(message)) + message


# --- Connections ----------------------------------------------------------------------------------


def local():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(SOCKET)
    return s


def tcp(n=0, blocking=True):
    """A connection from 127.0.0.1 + n."""
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are shared by destination
    s.bind((f"127.0.{(n + 1) >> 8}.{(n + 1) & 255}", 0))
    if blocking:
        s.settimeout(10)
        s.connect(("127.0.0.1", PORT))
    else:
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", PORT))
    return s


def receive(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            return None
        data += part
    return data


def reply(s):
    """One record, or None when the other side closed."""
    try:
        mark = receive(s, 4)
        return mark and receive(s, struct.unpack(">I", mark)[0] & 0x7FFFFFFF)
    except ConnectionError:
        return None


def null_answers(s, xid):
    try:
        s.sendall(record(call(xid, CONTROL, 0)))
        return reply(s) == words(xid, 1, 0, 0, 0, 0)
    except OSError:
        return False


def is_closed(s):
    """Whether the other side has closed by now; takes what there is to read."""
    s.setblocking(False)
    try:
        while True:
            if not s.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


# --- The daemon, from outside ---------------------------------------------------------------------


def memory(field):
    with open(f"/proc/{PID}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":"))


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))


def cpu_seconds():
    with open(f"/proc/{PID}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counters():
    """The numbers of STATUS."""
    with local() as s:
        s.sendall(record(call(1, CONTROL, 1)))
        r = reply(s)
    numbers, at = {}, 0
    while True:  # the names are what there is to look for
        at = r.find(b"rpc.", at)
        if at < 0:
            return numbers
        n = struct.unpack(">I", r[at - 4:at])[0]
        end = at + n + (-n % 4)
        numbers[r[at:at + n].decode()] = struct.unpack(">Q", r[end:end + 8])[0]
        at = end


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


class Idle:
    """The daemon before the fault; what it takes meanwhile, and whether it is as before in the end."""

    def __init__(self):
        # Whatever the first calls set aside is there.
        with tcp() as a, local() as b:
            null_answers(a, 1)
            null_answers(b, 1)
        wait_until(self.is_quiet, 30)
        self.rss, self.fds = memory("VmRSS"), descriptors()

    def is_quiet(self):
        return counters()["rpc.connections"] == 1

    def is_as_before(self):
        return self.is_quiet() and descriptors() <= self.fds and (
            not MEMORY or memory("VmRSS") <= self.rss + 4096
        )

    def check_bounded(self, budget_kib):
        used = memory("VmRSS") - self.rss
        if MEMORY and used > budget_kib + 16384:
            complain(f"memory grew by {used} KiB; the budgets are {budget_kib} KiB")

    def check_clean(self):
        """Back to where it was: connections, descriptors, and in a build without sanitizers memory."""
        wait_until(self.is_as_before, 30)
        if descriptors() > self.fds:
            complain(f"{descriptors()} descriptors, not {self.fds}")
        if MEMORY and memory("VmRSS") > self.rss + 4096:
            complain(f"{memory('VmRSS')} KiB of memory, not {self.rss} and 4096 more")


class Quiet:
    """That the daemon takes no more than a fifth of a processor meanwhile."""

    def __enter__(self):
        self.cpu, self.start = cpu_seconds(), time.monotonic()

    def __exit__(self, *_):
        share = (cpu_seconds() - self.cpu) / (time.monotonic() - self.start)
        if share > 0.2:
            complain(f"the daemon takes {share:.0%} of a processor for peers that do nothing")


# --- The victim -----------------------------------------------------------------------------------


class Victim:
    """One who means well, in a process of its own: a NULL call and a message of 1 KiB every 50 ms.

    Connected before the fault begins. All calls must be answered, each within a second, and with TIMED=1
    99 of 100 within 100 ms.
    """

    def __enter__(self):
        self.told, tell = multiprocessing.Pipe()
        self.stop = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.run, args=(tell,), daemon=True)
        self.process.start()
        if self.told.recv() != "ready":
            complain("the victim does not get in")
        return self

    def run(self, tell):
        random.seed()
        took, failed, slot = [], "", local()
        slot.sendall(record(call(1, MAILSLOT, 1, opaque(b"victim") + words(0, 0, 0))))
        handle = reply(slot)[-8:]
        s = tcp(200)
        tell.send("ready" if null_answers(s, 1) else "not")
        sender, xid = random.randbytes(16), 1
        while True:
            xid += 1
            try:
                start = time.monotonic()
                s.sendall(record(call(xid, CONTROL, 0)))
                s.sendall(record(call(xid, MAILSLOT, 5,
                    opaque(b"victim") + sender + struct.pack(">Q", xid) + words(0) + opaque(bytes(1024)))))
                first, second = reply(s), reply(s)
                took.append(time.monotonic() - start)
                if not first or not second or first[24:] or second[20:28] != words(0, 0):
                    failed = f"call {xid} is answered with {first!r} and {second!r}"
                    break
                slot.sendall(record(call(xid, MAILSLOT, 2, handle + words(4096, 0))))
                if len(reply(slot) or b"") < 1024:
                    failed = "its message is not there"
                    break
            except OSError as e:
                failed = f"call {xid}: {e}"
                break
            if self.stop.wait(0.05):
                break
        tell.send((took, failed))

    def __exit__(self, kind, *_):
        self.stop.set()
        took, failed = self.told.recv()
        self.process.join()
        took.sort()
        if failed or not took:
            complain(f"the victim: {failed or 'made no call'}")
        elif took[-1] > (1 if TIMED else 5):
            complain(f"the victim waited {took[-1] * 1000:.0f} ms")
        elif TIMED and took[len(took) * 99 // 100] > 0.1:
            complain(f"99 of 100 of the victim's calls took up to {took[len(took) * 99 // 100] * 1000:.0f} ms")


# --- T1 to T4: peers that hold up ------------------------------------------------------------------


def hold_up(peers, limit_s, begin, step=None, step_s=1.0):
    """Keeps that many peers at it for SECONDS; each that is closed is followed by another."""
    alive, lived, end = {}, [], time.monotonic() + SECONDS
    ends_s = limit_s * 2 + 5
    with Victim(), Quiet():
        last_step = time.monotonic()
        while time.monotonic() < end:
            while len(alive) < peers:
                s = tcp(len(lived) % 100)
                s.sendall(begin)
                alive[s] = time.monotonic()
            if step and time.monotonic() - last_step > step_s:
                last_step = time.monotonic()
                for s in alive:
                    try:
                        s.setblocking(True)
                        s.sendall(step)
                    except OSError:
                        pass
            time.sleep(0.1)
            for s in [s for s in alive if is_closed(s)]:
                lived.append(time.monotonic() - alive.pop(s))
                s.close()
        late = [s for s, since in alive.items() if time.monotonic() - since > ends_s]
    if late:
        complain(f"{len(late)} of {peers} are open after {ends_s} s")
    if not lived:
        complain("no peer was closed")
    elif TIMED and max(lived) > limit_s + 1.5:
        complain(f"a peer lived for {max(lived):.1f} s; the limit is {limit_s:.1f} s")
    for s in alive:
        s.close()
    return len(lived)


def row_partial():
    idle, before = Idle(), counters()["rpc.closed.slow"]
    limit_s = float(os.environ["RECORD_MS"]) / 1000 + 256 / 32768
    begin = words(0x80000100) + bytes(8)
    n = hold_up(1, limit_s, begin) if TIMED else 0
    n += hold_up(COUNT, limit_s, begin)
    idle.check_bounded(COUNT * 16)
    if counters()["rpc.closed.slow"] < before + n:
        complain(f"{n} were closed, and {counters()['rpc.closed.slow'] - before} counted")
    idle.check_clean()


def row_trickle():
    idle = Idle()
    limit_s = float(os.environ["RECORD_MS"]) / 1000 + 60000 / 32768
    hold_up(COUNT, limit_s, words(0x80000000 | 60000), b"x", 5.0 if TIMED else 0.3)
    idle.check_bounded(COUNT * 64)
    idle.check_clean()


def row_slow_reader():
    """Sends calls for as long as they are taken, and reads nothing."""
    idle, before = Idle(), counters()["rpc.closed.unread"]
    limit_s, batch = float(os.environ["UNREAD_MS"]) / 1000, record(call(7, CONTROL, 1)) * 500
    with Victim():
        s, sent, at = local(), 0, 0
        s.setblocking(False)
        end = time.monotonic() + max(SECONDS, 2 * limit_s + 10)
        while time.monotonic() < end and counters()["rpc.closed.unread"] == before:
            try:
                n = s.send(batch[at:])
                sent, at = sent + n, (at + n) % len(batch)
            except BlockingIOError:
                time.sleep(0.05)
                idle.check_bounded(8192)
            except OSError:
                break
    if counters()["rpc.closed.unread"] != before + 1:
        complain(f"{sent} bytes of calls, no reply read, and it is not closed")
    s.close()
    idle.check_clean()


def row_greedy():
    """Sends calls and reads the replies, as fast as it can."""
    idle, batch = Idle(), record(call(7, CONTROL, 0)) * 2000

    def pipeline():
        s = tcp(1)
        while True:
            s.sendall(batch)
            if not receive(s, 28 * 2000):
                return

    with Victim():
        peers = [multiprocessing.Process(target=pipeline, daemon=True) for _ in range(2)]
        for p in peers:
            p.start()
        time.sleep(SECONDS)
        if not all(p.is_alive() for p in peers):
            complain("who is greedy, and no more, was closed")
        for p in peers:
            p.kill()
            p.join()
    idle.check_clean()


# --- T6 to T8: what is said ------------------------------------------------------------------------

spec = idl.Idl(sorted(glob.glob(os.path.join(ROOT, "idl/*.x"))))
GARBAGE = words(1, 0, 0, 0, 4)
UNAVAILABLE = words(1, 0, 0, 0, 3)


def claims_of(name, claim):
    """The arguments of each way to put that claim: (where, bytes up to and with the claim)."""
    if name in idl.WORDS or name == "void":
        return
    kind, what = spec.types[name]
    if kind == "typedef":
        yield from claims_in(what, claim)
    elif kind == "struct":
        before = b""
        for f in what:
            yield from ((f"{f.name} {at}", before + made) for at, made in claims_in(f, claim))
            before += spec.encode_field(f, False)
    else:
        for value, f in what[1]:
            tag = struct.pack(">i", max(v for v, _ in what[1] if v is not None) + 1 if value is None else value)
            if f:
                yield from ((f"{f.name} {at}", tag + made) for at, made in claims_in(f, claim))


def claims_in(f, claim):
    if f.kind and not f.fixed and f.bound != 1:  # what is optional has a bool there, which claims nothing
        yield f"<{f.bound}>", words(claim if claim is not None else f.bound + 1)
    if f.kind == "array":
        count = b"" if f.fixed else words(1)
        yield from ((f"[0] {at}", count + made) for at, made in claims_of(f.base, claim))
    elif not f.kind:
        yield from claims_of(f.base, claim)


def programs():
    """(program, number, name, argument) of each procedure of the interfaces."""
    for path in sorted(glob.glob(os.path.join(ROOT, "idl/*.x"))):
        mechanism = os.path.basename(path)[:-2]
        if mechanism in ("common", "rpcring"):  # no daemon serves that
            continue
        one = idl.Idl([path for path in (os.path.join(ROOT, "idl/common.x"), path)])
        for name, number, args, _ in one.procedures:
            yield spec.constants[f"IPC9_PROG_{mechanism.upper()}"], int(number, 0), name, args[0]


def row_claims():
    """Each variable-length field of each procedure says that it is huge, in a call of 60 bytes or so."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(10)
    udp.connect(("127.0.0.1", PORT))
    Idle()
    before, n = memory("VmPeak"), 0
    for program, number, name, argument in programs():
        for claim in (0x7FFFFFF0, 0xFFFFFFFF, 0x80000000, 0xFFFFFFFC, None):
            for where, made in claims_of(argument, claim):
                args = made + bytes(max(4, 20 - len(made)))
                n += 1
                answers = []
                for connect in (local, tcp):
                    with connect() as s:
                        s.sendall(record(call(n, program, number, args)))
                        answers.append((reply(s) or words(n) + GARBAGE)[4:])
                # One of the streams has the procedure, but for broadcasts.
                if set(answers) - {GARBAGE, UNAVAILABLE} or (
                    GARBAGE not in answers and not name.endswith("_BROADCAST")
                ):
                    complain(f"{name} {where}: {[a.hex() for a in answers]}")
                udp.send(call(n, program, number, args))
                # Whatever comes before the answer of a NULL call must not be a success.
                udp.send(call(0x40000000 | n, CONTROL, 0))
                while True:
                    r = udp.recv(65536)
                    if r[:4] == words(0x40000000 | n):
                        break
                    if r not in (words(n) + GARBAGE, words(n) + UNAVAILABLE):
                        complain(f"{name} {where} over udp: {r.hex()}")
    if n < 100:
        complain(f"only {n} claims were made")
    grown = memory("VmPeak") - before
    if MEMORY and grown > 1024:
        complain(f"claims made the daemon's memory grow by {grown} KiB")
    print(f"{n} claims over each of 3 transports", file=sys.stderr)


def golden(path):
    with open(path) as f:
        return b"".join(bytes.fromhex(line[:8]) for line in f if line[0] != "#")


HEADER = 40  # of a call with AUTH_NONE


def mutated(message):
    """A message like that one, and whether it was cut or extended."""
    m, kind = bytearray(message), random.randrange(10)
    if kind == 0:
        del m[random.randrange(len(m)):]
    elif kind == 1:
        del m[random.randrange(min(HEADER, len(m) - 1), len(m)):]
    elif kind == 2:
        m += random.randbytes(random.randrange(1, 65))
    else:
        first = HEADER if kind > 4 and len(m) > HEADER else 0
        for _ in range(random.randrange(1, 9)):
            m[random.randrange(first, len(m))] ^= 1 << random.randrange(8)
    return bytes(m), kind < 3


SUCCESS = words(1, 0, 0, 0, 0)


def check_mutation(name, m, other_size, answers):
    """What a message may be answered with, before the connection's next call or its close."""
    if len(answers) > 1:
        complain(f"{name}: {len(answers)} answers to {m.hex()}")
        return
    if other_size and answers and answers[0][4:24] == SUCCESS:
        complain(f"{name}: cut or extended, and a success: {m.hex()}")
    if answers and answers[0][:4] != m[:4]:
        complain(f"{name}: an answer to another call than {m.hex()}")


def never_answered(m):
    """A reply, a broadcast, and what may wait."""
    if len(m) < 24:
        return False
    _, kind, _, program, _, number = struct.unpack(">6I", m[:24])
    waits = (program, number) in WAITING
    return kind == 1 or waits


WAITING = set()


def row_mutations():
    """COUNT mutations of each call of tests/golden, half of them over TCP, half over the local socket."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    random.seed(seed)
    print(f"SEED={seed} makes the same ones", file=sys.stderr)
    idle, total = Idle(), 0
    for program, number, name, argument in programs():
        kind, what = spec.types.get(argument, ("", []))
        if kind == "struct" and any(f.name == "wait_ms" for f in what) or name.endswith("_BROADCAST"):
            WAITING.add((program, number))
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/golden/*-call.hex"))):
        message, name, s = golden(path), os.path.basename(path), None
        for i in range(COUNT):
            m, other_size = mutated(message)
            if s is None:
                s = local() if i % 2 else tcp(i % 200)
            xid = struct.pack(">I", 0xFACE0000 | i & 0xFFFF)
            answers, closed = [], False
            try:
                s.sendall(record(m) + record(xid + call(0, CONTROL, 0)[4:]))
                while True:
                    r = reply(s)
                    closed = r is None
                    if closed or r[:4] == xid:
                        break
                    answers.append(r)
            except TimeoutError:
                complain(f"{name}: no answer, and no close: {m.hex()}")
                closed = True
            except ConnectionError:
                closed = True
            check_mutation(name, m, other_size, answers)
            if not closed and not answers and not never_answered(m):
                complain(f"{name}: neither answer nor close: {m.hex()}")
            total += 1
            # What waits would be answered among later ones.
            if closed or not answers or i % 100 == 99:
                s.close()
                s = None
        if s:
            s.close()
    print(f"{total} mutations", file=sys.stderr)
    idle.check_clean()


def row_answers():
    """The exact answers of RFC 5531 to what a server does not have."""
    good = call(0x49504339, CONTROL, 0)

    def patch(message, word, *values):
        return message[:4 * word] + words(*values) + message[4 * (word + len(values)):]

    sys_17_gids = words(0) + opaque(b"") + words(0, 0, 17) + bytes(68)
    cases = [
        ("RPC version 3", patch(good, 2, 3), "rpc_mismatch"),
        ("RPC version 1", patch(good, 2, 1), "rpc_mismatch"),
        ("an unknown program", patch(good, 3, 0x20000001), "prog_unavail"),
        ("version 0", patch(good, 4, 0), "prog_mismatch"),
        ("version 2", patch(good, 4, 2), "prog_mismatch"),
        ("an unknown procedure", patch(good, 5, 99), "proc_unavail"),
        ("an unknown flavor", patch(good, 6, 99), "auth_rejectedcred"),
        ("AUTH_NONE with a body", good[:28] + words(4, 0) + good[32:], "auth_badcred"),
        ("AUTH_SYS with 17 groups", good[:24] + words(1) + opaque(sys_17_gids) + words(0, 0), "auth_badcred"),
        ("AUTH_SYS cut off", good[:24] + words(1, 4, 0, 0, 0), "auth_badcred"),
        ("arguments too many", good + words(1), "garbage_args"),
    ]
    for transport, connect in (("local", local), ("tcp", tcp)):
        for what, message, expected in cases:
            with connect() as s:
                s.sendall(record(message))
                r, want = reply(s), golden(os.path.join(ROOT, f"tests/golden/rpc-refusal-{expected}.hex"))
                if r != want:
                    complain(f"{what} over {transport}: {r and r.hex()}, not {want.hex()}")
                if not null_answers(s, 2):
                    complain(f"{what} over {transport}: the connection is of no use any more")
        with connect() as s:  # who sends a reply gets none
            s.sendall(record(words(1, 1, 0, 0, 0, 0)))
            if not null_answers(s, 3):
                complain(f"a reply over {transport} is answered")


# --- T9 and T10: floods ----------------------------------------------------------------------------


def open_many(n, first):
    """Begins n connections from 50 hosts."""
    return [tcp((first + i) % 50, blocking=False) for i in range(n)]


def row_flood():
    """COUNT connections that do nothing for SECONDS, then as many again; the daemon has 1024 descriptors."""
    idle, before = Idle(), counters()
    held = []
    with Victim():
        for part in (0, 1):
            held += open_many(COUNT, part * COUNT)
            time.sleep(0.5)
            with Quiet():
                time.sleep(SECONDS)
            for _ in range(20):  # who comes over the local socket gets in
                with local() as s:
                    if not null_answers(s, 1):
                        complain("a local client does not get in")
            if descriptors() > 1024:
                complain(f"{descriptors()} descriptors")
            idle.check_bounded(16384)
        end = time.monotonic()
        for s in held:
            s.close()
        with socket.create_connection(("127.0.0.1", PORT), 60) as s:
            if not null_answers(s, 1):
                complain("nobody gets in after the flood")
        took = time.monotonic() - end
        if took > (5 if TIMED else 60):
            complain(f"it took {took:.1f} s until somebody got in again")
    idle.check_clean()
    print(f"refused: {counters()['rpc.refused.host'] - before['rpc.refused.host']}, accepted: "
        f"{counters()['rpc.accepted'] - before['rpc.accepted']}, back after {took:.2f} s", file=sys.stderr)


def row_share():
    """COUNT connections from one host: it gets half; another one gets in at once."""
    idle, before, half = Idle(), counters(), int(os.environ["HALF"])
    held = []
    with Victim():
        for _ in range(COUNT):
            held.append(tcp(0, blocking=False))
        wait_until(lambda: counters()["rpc.refused.host"] - before["rpc.refused.host"] >= COUNT - half, 30)
        refused = counters()["rpc.refused.host"] - before["rpc.refused.host"]
        if refused != COUNT - half:
            complain(f"{refused} connections were refused, not {COUNT - half}")
        with tcp(1) as s:
            if not null_answers(s, 1):
                complain("another host does not get in")
    for s in held:
        s.close()
    idle.check_clean()


def row_storm():
    """COUNT connections that come and go, half of them by a reset."""
    idle, reset = Idle(), struct.pack("ii", 1, 0)
    with Victim():
        start = time.monotonic()
        for i in range(COUNT):
            s = tcp(i % 50)
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            if i % 3 == 0:
                s.send(record(call(i, CONTROL, 0)))
            s.close()
            if i % 1000 == 0:
                idle.check_bounded(16384)
        took = time.monotonic() - start
        if TIMED and took > 30:
            complain(f"{COUNT} connections took {took:.1f} s")
    idle.check_clean()


ROWS = {
    "partial": row_partial,  # T1
    "trickle": row_trickle,  # T2
    "slow-reader": row_slow_reader,  # T3
    "greedy": row_greedy,  # T4
    "claims": row_claims,  # T6
    "mutations": row_mutations,  # T7
    "answers": row_answers,  # T8
    "flood": row_flood,  # T9
    "share": row_share,
    "storm": row_storm,  # T10
}

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
ROWS[sys.argv[1]]()
sys.exit(1 if wrong else 0)
