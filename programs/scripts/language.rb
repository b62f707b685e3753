Point = Struct.new(:x, :y) { def +(o) = Point.new(x + o.x, y + o.y) }
p Point.new(1, 2) + Point.new(3, 4)
puts 2**200, 100.downto(1).reduce(:*).to_s.length, 10.fdiv(3), 7.divmod(-3).inspect, Rational(3, 4) + 1, Complex(1, 2) * Complex(0, 1)
words = "the quick brown fox jumps over the lazy dog; the end".scan(/\w+/)
p words.tally.sort_by { |w, n| [-n, w] }.first(4), words.group_by(&:size).transform_values(&:uniq)
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
puts fib(20)
primes = Enumerator.new { |y| n = 2; loop { y << n if (2..Integer.sqrt(n)).none? { |d| n % d == 0 }; n += 1 } }
p primes.lazy.select(&:odd?).map { _1 * 2 }.first(8)
begin
  [1, nil].sum { |v| v + 1 }
rescue NoMethodError, TypeError => e
  puts "#{e.class}: #{e.message[0, 30]}"
ensure
  puts "ensured"
end
case { name: "x", at: [1, [2, 3]] }
in { name: String => n, at: [Integer => a, [*, b]] } then puts "#{n} #{a} #{b}"
end
puts catch(:done) { 10.times { |i| throw :done, i if i * i > 20 }; :never }
f = Fiber.new { |v| 3.times { v = Fiber.yield v * 2 }; :end }
p [f.resume(1), f.resume(5), f.resume(7)]
puts "héllo wörld".upcase, "%08.3f|%-6s|%+d|%x" % [3.14159, "ab", 5, 255], "abc".succ, [3, 1, 2].sort.inspect, "a-b_c".tr("-_", "  ").split.map(&:capitalize).join
puts [1.0 / 3, 1e100, -0.0, Float::NAN.nan?, 0.1 + 0.2].inspect, "abc".unpack("C*").pack("n*").bytes.inspect, "x".encoding
class Stack
  include Enumerable
  def initialize(*v) = @v = v
  def each(&) = @v.each(&)
  def method_missing(name, *args) = name.end_with?("!") ? "#{name} #{args}" : super
  def respond_to_missing?(n, p = false) = n.end_with?("!") || super
end
s = Stack.new(5, 3, 9)
p s.sort, s.max, s.each_slice(2).to_a, s.shout!(1), s.include?(3)
a = (1..3000).map { |i| i * 7919 % 3001 }
puts a.sort.each_cons(2).all? { |x, y| x <= y }, a.each_with_index.max.inspect, a.hash == a.dup.hash
p ObjectSpace.respond_to?(:garbage_collect), 300.times.map { |i| "s" * i }.sum(&:size), $stdout.sync.class
