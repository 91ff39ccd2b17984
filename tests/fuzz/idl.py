# SPDX-License-Identifier: BSD-3-Clause
"""idl - what the fuzz targets need to know of idl/*.x: constants, types, and what procedures take and give.

Reads the portable subset that scripts/check-shape holds the files to, and fails on anything else rather
than passing over it. encode() makes the wire form (RFC 4506) of a value, for seeds.
"""

import re
import struct
import sys

CONSTANT = r"const\s+(\w+)\s*=\s*(\w+)\s*;"
TOKEN = re.compile(r"/\*.*?\*/", re.S)
WORDS = {"int": "i", "unsigned int": "I", "bool": "I", "hyper": "q", "unsigned hyper": "Q", "enum": "i"}


class Field:
    """kind: one of None (plain), "string", "opaque", "array"; bound: of a <>, size: of a []."""

    def __init__(self, base, name, kind=None, bound=None, fixed=False):
        self.base, self.name, self.kind, self.bound, self.fixed = base, name, kind, bound, fixed


class Idl:
    def __init__(self, paths):
        self.constants, self.types, self.procedures = {"TRUE": 1, "FALSE": 0}, {}, []
        texts = {}
        for path in paths:
            with open(path, encoding="utf-8") as f:
                texts[path] = re.sub(r"^[ \t]*[%#].*", "", TOKEN.sub(" ", f.read()), flags=re.M)
        # One file uses the constants of another, and the order of paths means nothing.
        for text in texts.values():
            for m in re.finditer(CONSTANT, text):
                self.take_constant(m)
        for path, text in texts.items():
            self.read(path, text)

    def fail(self, what):
        sys.exit(f"{sys.argv[0]}: {what}")

    def number(self, text):
        return self.constants[text] if text in self.constants else int(text, 0)

    def field(self, text):
        """'unsigned int x', 'string s<N>', 'opaque d[N]', 'ipc9_name n', 'void'."""
        text = " ".join(text.split())
        if text == "void":
            return None
        optional = re.fullmatch(r"(\w+) ?\* ?(\w+)", text)
        if optional:
            return Field(optional[1], optional[2], "array", 1)  # RFC 4506, 4.19: a list of at most one
        m = re.fullmatch(r"((?:unsigned |struct )?\w+) (\w+) ?(?:<(\w+)>|\[(\w+)\])?", text)
        if not m:
            self.fail(f"cannot read the declaration '{text}'")
        base, name, bound, size = m[1].replace("struct ", ""), m[2], m[3], m[4]
        if base in ("string", "opaque"):
            return Field(base, name, base, self.number(bound or size), bool(size))
        if bound or size:
            return Field(base, name, "array", self.number(bound or size), bool(size))
        return Field(base, name)

    def read(self, path, text):
        while text.strip():
            text = text.lstrip()
            for pattern, take in (
                (CONSTANT, self.take_constant),
                (r"typedef\s+([^;]+);", self.take_typedef),
                (r"enum\s+(\w+)\s*\{([^}]*)\}\s*;", self.take_enum),
                (r"struct\s+(\w+)\s*\{([^}]*)\}\s*;", self.take_struct),
                (r"union\s+(\w+)\s+switch\s*\(\s*([^)]+)\)\s*\{([^}]*)\}\s*;", self.take_union),
                (r"program\s+(\w+)\s*\{\s*version\s+(\w+)\s*\{([^}]*)\}\s*=\s*(\w+)\s*;\s*\}\s*=\s*(\w+)\s*;",
                    self.take_program),
            ):
                m = re.match(pattern, text)
                if m:
                    take(m)
                    text = text[m.end():]
                    break
            else:
                self.fail(f"{path}: cannot read '{text.split(chr(10))[0]}'")

    def take_constant(self, m):
        self.constants[m[1]] = int(m[2], 0)

    def take_typedef(self, m):
        field = self.field(m[1])
        self.types[field.name] = ("typedef", field)

    def take_enum(self, m):
        for name, value in re.findall(r"(\w+)\s*=\s*(\w+)", m[2]):
            self.constants[name] = int(value, 0)
        self.types[m[1]] = ("typedef", Field("int", m[1]))

    def take_struct(self, m):
        self.types[m[1]] = ("struct", [self.field(f) for f in m[2].split(";") if f.strip()])

    def take_union(self, m):
        """arms: [(value, or None for default; Field or None for void)]."""
        arms, values = [], []
        for line in re.findall(r"case\s+\w+\s*:|default\s*:|[^;:]+;", m[3]):
            line = line.strip()
            if line.startswith("case"):
                values.append(self.number(re.match(r"case\s+(\w+)", line)[1]))
            elif line.startswith("default"):
                values.append(None)
            else:
                arms += [(value, self.field(line[:-1])) for value in values]
                values = []
        self.types[m[1]] = ("union", (self.field(m[2].strip()), arms))

    def take_program(self, m):
        for result, name, args, number in re.findall(
            r"([\w ]+?)\s+(\w+)\s*\(\s*([^)]*?)\s*\)\s*=\s*(\w+)\s*;", m[3]
        ):
            self.procedures.append((name, number, [" ".join(a.split()) for a in args.split(",")],
                " ".join(result.split())))
        if len(re.findall(r";", m[3])) != len(re.findall(r"=", m[3])):
            self.fail(f"program {m[1]}: cannot read its procedures")

    def is_message(self, name):
        """Whether a procedure takes or gives it; others are only parts of such."""
        return any(name in (*args, result) for _, _, args, result in self.procedures)

    # --- Values -----------------------------------------------------------------------------------

    def encode(self, name, largest):
        """The smallest value of a type, or a large one: text and lists at their bounds, as far as seeds may."""
        if name in WORDS:
            code = WORDS[name]
            value = 0
            if largest:
                value = 1 if name == "bool" else (1 << (8 * struct.calcsize(">" + code) - code.islower())) - 1
            return struct.pack(">" + code, value)
        kind, what = self.types[name]
        if kind == "typedef":
            return self.encode_field(what, largest)
        if kind == "struct":
            return b"".join(self.encode_field(f, largest) for f in what)
        return self.encode_arm(what, largest)

    def encode_arm(self, union, largest, wanted="any"):
        """The default arm as the smallest, the largest arm as the largest; or that of a value."""
        switch, arms = union
        known = [value for value, _ in arms if value is not None]
        other = max(known) + 1
        made = []
        for value, field in arms:
            if wanted != "any" and value != wanted:
                continue
            tag = struct.pack(">i", other if value is None else value)
            made.append(tag + (self.encode_field(field, largest) if field else b""))
        return max(made, key=len) if largest else min(made, key=len)

    def encode_field(self, f, largest):
        if f.kind in ("string", "opaque"):
            n = f.bound if f.fixed else min(f.bound, SEED_BYTES) if largest else 0
            data = (b"n" if f.kind == "string" else b"\xa5") * n
            return (b"" if f.fixed else struct.pack(">I", n)) + data + bytes(-n % 4)
        if f.kind == "array":
            n = f.bound if f.fixed else min(f.bound, SEED_ITEMS) if largest else 0
            return (b"" if f.fixed else struct.pack(">I", n)) + self.encode(f.base, largest) * n
        return self.encode(f.base, largest)


# Where bounds are higher, seeds stop here: just over BLOB_REFER_MIN, and enough items to be several.
SEED_BYTES = 2049
SEED_ITEMS = 2


def type_id(name):
    """The two bytes that choose a type in an input: of its name, so that a new type moves no other's."""
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return (h >> 16) ^ (h & 0xFFFF)
