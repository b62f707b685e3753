# MicroPython at work: the language and its small library, one printed line per check.
import json
import math
import re
import struct
import sys


def show(name, *values):
    print(name + ":", *values)


def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


source = fibonacci()
show("generator", [next(source) for _ in range(15)])


class Shape:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "%s %.2f" % (self.name, self.area())


class Circle(Shape):
    def __init__(self, radius):
        super().__init__("circle")
        self.radius = radius

    def area(self):
        return math.pi * self.radius**2


class Square(Shape):
    def __init__(self, side):
        super().__init__("square")
        self.side = side

    def area(self):
        return self.side * self.side


show("classes", sorted([Circle(2), Square(3), Circle(1)], key=lambda s: s.area()))
try:
    {}["missing"]
except KeyError as error:
    show("exception", repr(error))
finally:
    show("finally", True)

product = 1
for i in range(1, 61):
    product *= i
show("factorial", product)
show("power", pow(3, 100000, 10**9 + 7), 2**200 - 1, -7 // 2, -7 % 3)
show("floats", 0.1 + 0.2, 1 / 3, math.sqrt(2), math.sin(1))
show("json", json.loads(json.dumps({"list": [1, 2.5, None, True]})))
show("re", re.match(r"(\w+)@(\w+)\.com", "ann@example.com").group(2))
show("struct", struct.unpack("<hI", struct.pack("<hI", -2, 70000)))
show("slices", list(range(20))[2:18:5], "abcdef"[1:4], bytes(range(5)))
show("comprehension", {x % 7 for x in range(50)} == set(range(7)), {w: len(w) for w in ("one", "three")}["three"])
show("closure", (lambda f: f(f, 10))(lambda f, n: 1 if n < 2 else n * f(f, n - 1)))


def queens(n, row=0, columns=0, up=0, down=0):
    if row == n:
        return 1
    count = 0
    for c in range(n):
        bit = 1 << c
        if not (columns | up | down) & bit:
            count += queens(n, row + 1, columns | bit, (up | bit) << 1, (down | bit) >> 1)
    return count


show("queens", queens(7))
show("implementation", sys.implementation.name)
