// QuickJS at work: the language and its library, one printed line per check.
const show = (name, ...values) => console.log(name + ":", values.map((v) => JSON.stringify(v, (_, x) => (typeof x === "bigint" ? `${x}n` : x instanceof Map || x instanceof Set ? [...x] : x))).join(" "));

function* fibonacci() {
  let [a, b] = [0, 1];
  for (;;) {
    yield a;
    [a, b] = [b, a + b];
  }
}
const take = (n, iterator) => Array.from({ length: n }, () => iterator.next().value);
show("generator", take(20, fibonacci()));

class Shape {
  #name;
  static count = 0;
  constructor(name) {
    this.#name = name;
    Shape.count++;
  }
  get name() {
    return this.#name;
  }
  toString() {
    return `${this.#name} of ${this.area().toFixed(2)}`;
  }
}
class Circle extends Shape {
  constructor(radius) {
    super("circle");
    this.radius = radius;
  }
  area() {
    return Math.PI * this.radius ** 2;
  }
}
class Square extends Shape {
  constructor(side) {
    super("square");
    Object.assign(this, { side });
  }
  area() {
    return this.side * this.side;
  }
}
show("classes", [new Circle(2), new Square(3)].map(String), Shape.count, new Circle(1) instanceof Shape);

const { a, ...rest } = { a: 1, b: 2, c: { d: [3, 4] } };
const [first, , third = "default", ...others] = [1, 2, undefined, 4, 5];
show("destructuring", a, rest, first, third, others);
show("optional", rest?.c?.d?.[1], rest.x?.y ?? "nothing");

const counter = (() => {
  let n = 0;
  return () => ++n;
})();
counter();
show("closure", counter(), counter());

show("tagged template", ((parts, ...values) => parts.raw.join("|") + values.join(","))`x${1}y\n${2}z`);
show("symbols", [...{ *[Symbol.iterator]() { yield* [1, 2, 3]; } }], Symbol("s").description);
const proxy = new Proxy({}, { get: (_, key) => `got ${String(key)}`, has: () => true });
show("proxy", proxy.anything, "x" in proxy, Reflect.ownKeys({ b: 1, a: 2, 1: 3 }));

try {
  null.property;
} catch (error) {
  show("type error", error instanceof TypeError);
}
try {
  throw new Error("outer", { cause: new RangeError("inner") });
} catch (error) {
  show("cause", error.message, error.cause.message);
}
const recurse = (n) => (n === 0 ? 0 : 1 + recurse(n - 1));
show("recursion", recurse(200));

show("bigint", 2n ** 200n, (10n ** 40n) / (7n ** 20n), BigInt.asIntN(8, 200n), 0xffffffffffffffffn * 3n);
let factorial = 1n;
for (let i = 1n; i <= 60n; i++) factorial *= i;
show("factorial", factorial);
show("numbers", 0.1 + 0.2, 1 / 3, 5e-324, 1e21, (255).toString(16), (0.000001234).toExponential(), parseFloat("3.14abc"), Number("0b101"));
show("math", Math.sin(1), Math.exp(10), Math.log(1234.5), Math.hypot(3, 4), Math.atan2(-1, -1), Math.fround(0.1), Math.imul(0x7fffffff, 3), Math.clz32(1));
show("integers", 7 >>> 1, -7 >> 1, -7 >>> 28, 1 << 31, 5 % -3, -5 % 3);

show("strings", "Grüße, 世界 🌍".length, [..."a🌍b"].length, "abc".padStart(5, "*"), "a-b-c".replaceAll("-", "+"), "ß".toUpperCase(), "\u0041\u0301".normalize("NFC").length);
show("split", "a,b;c d".split(/[,;\s]/), "x".repeat(5), "hello".at(-1), "  trim ".trim());
const log = '127.0.0.1 - - [10/Oct/2024:13:55:36] "GET /index.html HTTP/1.1" 200 2326';
show("regexp", log.match(/\[(?<when>[^\]]+)\] "(?<verb>[A-Z]+) (?<path>\S+)/).groups);
show("regexp all", [..."a1b22c333".matchAll(/([a-z])(\d+)/g)].map((m) => m[1] + m[2].length), "2024-02-29".replace(/(\d+)-(\d+)-(\d+)/, "$3.$2.$1"));
show("lookbehind", "$5 $12.50 7".match(/(?<=\$)\d+(\.\d\d)?/g), /\p{Script=Greek}/u.test("λ"));

show("arrays", [3, 1, 10, 2].sort(), [3, 1, 10, 2].sort((x, y) => x - y), [1, [2, [3, [4]]]].flat(Infinity), [1, 2, 3, 4].reduceRight((x, y) => x + y));
show("array methods", [1, 2, 3].includes(2), Array.from("abc", (c) => c + c), [5, 6, 7].findLast((x) => x < 7), [..."abc"].entries().next().value);
show("map and set", new Map([["k", 1], [NaN, 2]]).get(NaN), new Set([1, 1, 2, 3]), Object.fromEntries(new Map([["x", 1]])));
const bytes = new Uint8Array([1, 2, 3, 250]);
const view = new DataView(bytes.buffer);
show("typed arrays", view.getUint32(0), view.getInt16(2, true), [...new Float64Array([1.5, NaN])].map(String), [...Uint8ClampedArray.of(-5, 300)]);
show("json", JSON.parse('{"a":[1,2,{"b":null}],"c":"\\u20ac"}'), JSON.stringify({ d: new Date(0), u: undefined, n: NaN }), JSON.stringify([1, { a: 2 }], null, 1).length);
try {
  JSON.parse("[1, 2,");
} catch (error) {
  show("json error", error.name);
}
show("date", new Date(Date.UTC(2024, 1, 29, 12)).toISOString(), new Date("2024-12-31T23:59:59Z").getUTCDay());

let state = 12345;
const random = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);
const table = new Map();
for (let i = 0; i < 20000; i++) {
  const key = "k" + (random() % 997);
  table.set(key, (table.get(key) ?? 0) + 1);
}
show("table", table.size, [...table.values()].reduce((x, y) => x + y), Math.max(...table.values()) > 20);
const queens = (n, row = 0, columns = 0, up = 0, down = 0) => {
  if (row === n) return 1;
  let count = 0;
  for (let c = 0; c < n; c++) {
    const bit = 1 << c;
    if (!((columns | up | down) & bit)) count += queens(n, row + 1, columns | bit, (up | bit) << 1, (down | bit) >> 1);
  }
  return count;
};
show("queens", queens(8));
let prime = [];
for (let n = 2; prime.length < 1500; n++) if (!prime.some((p, i) => p * p <= n && n % p === 0)) prime.push(n);
show("primes", prime.length, prime.at(-1));

const order = [];
const wait = async (name) => {
  order.push(name + " starts");
  await null;
  order.push(name + " ends");
  return name;
};
(async () => {
  const names = await Promise.all([wait("a"), wait("b")]);
  const failed = await Promise.reject(new Error("refused")).catch((e) => e.message);
  const settled = await Promise.allSettled([1, Promise.reject(2)]);
  async function* numbers() {
    yield 1;
    yield 2;
  }
  let sum = 0;
  for await (const n of numbers()) sum += n;
  show("async", names, order, failed, settled, sum);
  console.log("end");
})();
