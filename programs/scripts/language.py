"""CPython at work: the language, the object model and the C-coded parts of its library, one printed line per check."""

import array
import base64
import binascii
import collections
import contextlib
import csv
import datetime
import decimal
import fractions
import functools
import hashlib
import heapq
import io
import itertools
import json
import math
import os
import random
import re
import statistics
import string
import struct
import sys
import textwrap
import zlib
from dataclasses import dataclass, field


def show(name, *values):
    print(f"{name}:", *values)


# The language.
def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


show("generator", list(itertools.islice(fibonacci(), 20)))


def echo():
    received = []
    try:
        while True:
            received.append((yield len(received)))
    except GeneratorExit:
        show("generator closed", received)


coroutine = echo()
next(coroutine)
coroutine.send("a")
coroutine.send("b")
coroutine.close()


@dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list, compare=False)

    def __matmul__(self, other):
        return self.x * other.x + self.y * other.y


show("dataclass", sorted([Point(3, 1), Point(1, 2), Point(1, 1)]), Point(3, 4) @ Point(5, 6))


class Meta(type):
    registry = []

    def __new__(mcs, name, bases, namespace):
        cls = super().__new__(mcs, name, bases, namespace)
        mcs.registry.append(name)
        return cls


class Base(metaclass=Meta):
    def who(self):
        return ["Base"]


class Left(Base):
    def who(self):
        return ["Left", *super().who()]


class Right(Base):
    def who(self):
        return ["Right", *super().who()]


class Both(Left, Right):
    pass


show("classes", Meta.registry, Both().who(), [c.__name__ for c in Both.__mro__])


def classify(value):
    match value:
        case {"kind": "circle", "radius": r}:
            return f"circle {r}"
        case [first, *rest] if rest:
            return f"list {first} + {len(rest)}"
        case Point(x=0, y=y):
            return f"on axis {y}"
        case int() | float():
            return "number"
        case _:
            return "other"


show("match", [classify(v) for v in ({"kind": "circle", "radius": 2}, [1, 2, 3], Point(0, 7), 2.5, "text")])


@contextlib.contextmanager
def managed(log):
    log.append("enter")
    try:
        yield log
    except ZeroDivisionError as error:
        log.append(str(error))
    finally:
        log.append("leave")


log = []
with managed(log):
    1 // 0
show("context manager", log)

try:
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("outer") from error
except ValueError as error:
    show("exception chain", repr(error), repr(error.__cause__))

try:
    raise ExceptionGroup("several", [ValueError(1), TypeError(2), ValueError(3)])
except* ValueError as group:
    show("exception group", [e.args[0] for e in group.exceptions])
except* TypeError as group:
    show("exception group", [e.args[0] for e in group.exceptions])


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


show("recursion", depth(400))
try:
    depth(10**6)
except RecursionError:
    show("recursion limit", "RecursionError")

show("comprehension", {w: len(w) for w in "the quick brown fox".split()}, {x % 7 for x in range(50)})
show("slices", list(range(20))[2:18:5], "abcdef"[::-1], bytes(range(10))[-3:])
show("format", f"{math.pi:.6f} {255:#x} {-7:+d} {1234567.891:,.2f} {'mid':^9}|", "%5.1f%%" % 99.5)
show("unicode", "Grüße, 世界 🌍".encode().hex(), "ß".upper(), "İ".casefold(), len("🌍"))

# Numbers.
show("factorial", math.factorial(60))
show("power", pow(3, 10**5, 10**9 + 7), 2**200 - 1)
show("big division", divmod(10**60, 7**30), math.isqrt(2 * 10**60), math.gcd(2**90 - 1, 2**60 - 1))
big = functools.reduce(lambda a, b: a * b + 12345, range(1, 400), 1)
show("big number", big.bit_length(), hashlib.sha256(str(big).encode()).hexdigest())
show("floats", 0.1 + 0.2, 1e308 * 10, -1 / 3, 5e-324, float.fromhex("0x1.8p3"), round(2.5), math.fsum([0.1] * 10))
show("math", math.sin(1), math.exp(10), math.log(1234.5), math.hypot(3, 4), math.gamma(7.5), math.atan2(-1, -1))
show("complex", (1 + 2j) ** 3, abs(3 + 4j))
decimal.getcontext().prec = 40
show("decimal", decimal.Decimal(2).sqrt(), decimal.Decimal("1.10") + decimal.Decimal("2.20"))
show("fractions", sum((fractions.Fraction(1, n) for n in range(1, 30)), fractions.Fraction()))
show("statistics", statistics.mean([1, 2, 3, 4, 10]), statistics.pstdev([2, 4, 4, 4, 5, 5, 7, 9]))
random.seed(2024)
show("random", [random.randrange(1000) for _ in range(8)], round(random.gauss(0, 1), 12), random.sample("abcdefgh", 4))

# The library.
document = {"name": "vm", "list": [1, 2.5, None, True, {"nested": "é\n\"quoted\""}], "empty": {}}
text = json.dumps(document, sort_keys=True, indent=1)
show("json", json.loads(text) == document, len(text), json.dumps("\u2028€"))
try:
    json.loads('{"a": [1, 2,]}')
except json.JSONDecodeError as error:
    show("json error", error)

log_line = '127.0.0.1 - - [10/Oct/2024:13:55:36 +0000] "GET /index.html HTTP/1.1" 200 2326'
pattern = re.compile(r'(?P<host>\S+) .* \[(?P<when>[^]]+)\] "(?P<verb>[A-Z]+) (?P<path>\S+)[^"]*" (?P<code>\d{3}) (\d+)')
show("re", pattern.match(log_line).groupdict())
show("re.sub", re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world, good day"), re.findall(r"(?<=\$)\d+(?:\.\d\d)?", "$5 $12.50 7"))
show("re.split", re.split(r"[,;]\s*|\s+", "a, b;c d"), bool(re.fullmatch(r"(a+)+b", "a" * 18 + "b")))

payload = ("The quick brown fox jumps over the lazy dog. " * 50).encode()
for algorithm in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
    show(algorithm, hashlib.new(algorithm, payload).hexdigest()[:32])
packed = zlib.compress(payload, 9)
show("zlib", zlib.decompress(packed) == payload, len(packed) < 120, hex(zlib.crc32(payload)), hex(zlib.adler32(payload)))
show("base64", base64.b64encode(b"\x00\xff\x10 binary"), base64.b85encode(b"hello"), binascii.hexlify(b"xyz"))
show("struct", struct.pack("<IhBdf", 1, -2, 3, 4.5, 0.5).hex(), struct.unpack(">q", b"\xff" * 8))
show("array", array.array("d", [1.5, 2.5]).tobytes().hex(), memoryview(b"abcdef")[1:5:2].tolist())
show("collections", collections.Counter("mississippi").most_common(2), collections.deque(range(9), maxlen=3))
show("heapq", heapq.nsmallest(4, [9, 4, 7, 1, 8, 2]), list(heapq.merge([1, 4], [2, 3])))
show("itertools", ["".join(p) for p in itertools.permutations("abc")], list(itertools.accumulate([1, 2, 3, 4], max)))
show("functools", functools.lru_cache(lambda n: n * 2)(21), functools.partial(pow, 2)(10))
rows = list(csv.DictReader(io.StringIO('name,note\nann,"a, ""b"""\nbob,c\n')))
show("csv", rows)
show("datetime", datetime.datetime(2024, 2, 29, 12) + datetime.timedelta(days=366), datetime.date(2024, 12, 30).isocalendar())
show("textwrap", textwrap.fill("lorem ipsum dolor sit amet consectetur", 16).split("\n"))
show("template", string.Template("$who likes ${what}").substitute(who="Ann", what="wasm"))

# The system, as far as WASI gives it.
show("version", sys.version_info[:2], sys.platform, sys.byteorder, sys.maxsize)
show("arguments", sys.argv[1:], os.environ.get("GREETING"))
with open("/data/words.txt", encoding="utf-8") as words:
    show("file", sum(1 for _ in words), sorted(os.listdir("/data")))
try:
    open("/data/absent.txt")
except FileNotFoundError as error:
    show("missing file", error.strerror)
show("stdin", sys.stdin.read().split())

# A longer computation: the queens on a board of eight, and a small Mandelbrot set.
def queens(n, row=0, columns=0, up=0, down=0):
    if row == n:
        return 1
    return sum(
        queens(n, row + 1, columns | 1 << c, (up | 1 << c) << 1, (down | 1 << c) >> 1)
        for c in range(n)
        if not (columns | up | down) >> c & 1
    )


show("queens", queens(7))
for y in range(-5, 6):
    line = ""
    for x in range(-40, 20):
        z, c, n = 0, complex(x / 20, y / 5), 0
        while abs(z) < 2 and n < 30:
            z, n = z * z + c, n + 1
        line += " .:-=+*#%@"[n // 3 % 10]
    print(line)
sys.exit(7)
