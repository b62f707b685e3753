<?php
declare(strict_types=1);
interface Shape { public function area(): float; }
final class Circle implements Shape { public function __construct(private readonly float $r) {} public function area(): float { return M_PI * $this->r ** 2; } }
final class Box implements Shape { public function __construct(private float $a, private float $b) {} public function area(): float { return $this->a * $this->b; } }
enum Suit: string { case Hearts = 'H'; case Spades = 'S'; public function label(): string { return ucfirst(strtolower($this->name)); } }
function primes(int $n): Generator { for ($i = 2; $i <= $n; $i++) { for ($d = 2; $d * $d <= $i; $d++) if ($i % $d === 0) continue 2; yield $i; } }
foreach ([new Circle(2), new Box(3, 4.5)] as $s) printf("%s %.6f\n", $s::class, $s->area());
echo implode(',', array_map(fn(Suit $s) => $s->label() . $s->value, Suit::cases())), "\n";
echo implode(' ', iterator_to_array(primes(60), false)), "\n";
$words = preg_split('/\W+/', "the quick brown fox jumps over the lazy dog; the end", -1, PREG_SPLIT_NO_EMPTY);
$counts = array_count_values($words); arsort($counts); ksort($counts); echo json_encode($counts), "\n";
echo preg_replace_callback('/(\d+)-(\d+)/', fn($m) => $m[2] * $m[1], 'a 6-7 b 12-12'), "\n";
try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo get_class($e), ': ', $e->getMessage(), "\n"; } finally { echo "finally\n"; }
echo match (true) { PHP_INT_SIZE === 4 => 'small', default => 'large' }, ' ', PHP_INT_MAX, ' ', PHP_INT_MAX + 1, ' ', 0.1 + 0.2, ' ', 7 <=> 3, "\n";
function fib(int $n): int { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
echo fib(22), ' ', md5('abc'), ' ', crc32('abc'), ' ', hash('sha256', 'abc'), "\n";
echo serialize(['a' => [1, 2.5, null, true], 'b' => 'é']), ' ', strrev('abc'), ' ', str_pad('x', 5, '*', STR_PAD_BOTH), ' ', number_format(1234567.891, 2), "\n";
$a = range(1, 2000); mt_srand(7); shuffle($a); sort($a); echo array_sum($a), ' ', mt_rand(), ' ', count(array_filter($a, fn($x) => $x % 7 == 0)), "\n";
[$x, [, $y]] = [1, [2, 3]]; echo "$x$y ", sprintf('%05d|%-6s|%x|%e|%b', 42, 'ab', 255, 12345.678, 5), "\n";
$f = function () { static $n = 0; return ++$n; }; $f(); $f(); echo $f(), ' ', date('Y-m-d', 86400 * 365), "\n";
