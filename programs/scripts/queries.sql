.headers on
CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE book(id INTEGER PRIMARY KEY, author REFERENCES author, title TEXT, year INT, price REAL CHECK(price > 0));
INSERT INTO author(name) VALUES ('Ada'), ('Brook'), ('Chen');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO book(author, title, year, price) SELECT i % 3 + 1, printf('book %04d', i * 7919 % 1000), 1900 + i % 120, i * 1.25 FROM n;
CREATE INDEX by_year ON book(year, price);
SELECT name, count(*), round(avg(price), 3) AS mean, min(title), max(year) FROM book JOIN author ON author.id = book.author GROUP BY name HAVING count(*) > 10 ORDER BY mean DESC;
SELECT title, price, rank() OVER (PARTITION BY author ORDER BY price DESC) AS place FROM book ORDER BY place, title LIMIT 6;
EXPLAIN QUERY PLAN SELECT * FROM book WHERE year = 1950 AND price > 3;
BEGIN; DELETE FROM book WHERE id > 10; SELECT count(*) FROM book; ROLLBACK;
SELECT count(*) FROM book;
CREATE TRIGGER t AFTER UPDATE ON book BEGIN INSERT INTO author(name) VALUES (new.title || ' was ' || old.title); END;
UPDATE book SET title = upper(title) WHERE id IN (1, 2);
SELECT * FROM author ORDER BY id DESC LIMIT 2;
WITH RECURSIVE
  x(v) AS (VALUES(-2.0) UNION ALL SELECT v + 0.1 FROM x WHERE v < 1.0),
  y(v) AS (VALUES(-1.0) UNION ALL SELECT v + 0.2 FROM y WHERE v < 1.0),
  m(iter, cx, cy, a, b) AS (SELECT 0, x.v, y.v, 0.0, 0.0 FROM x, y UNION ALL
    SELECT iter + 1, cx, cy, a * a - b * b + cx, 2.0 * a * b + cy FROM m WHERE a * a + b * b < 4.0 AND iter < 20)
SELECT group_concat(c, '') AS line FROM (SELECT cy, substr(' .+*#', 1 + min(max(iter) / 5, 4), 1) AS c FROM m GROUP BY cy, cx) GROUP BY cy;
SELECT hex(zeroblob(4)), quote(1e100), 7 / 2, -7 % 3, 1 << 40, abs(-9223372036854775807), substr('héllo', 2, 3), date('2000-02-28', '+2 days'), typeof(1.0);
SELECT '12' + 3, 'abc' LIKE 'A%', 'abc' GLOB 'a*c', coalesce(NULL, 5), nullif(1, 1) IS NULL, instr('hello', 'l'), replace('aXbX', 'X', '-');
INSERT INTO book(price) VALUES (-1);
PRAGMA integrity_check;
