"""Loads that go wrong: what is in the database afterwards, and what is said about it."""
import os
import signal
import time

from tool import need, same


def _rows(count, begin=0):
    return "".join(f"key{i:08}\tvalue of {i}\n" for i in range(begin, begin + count))


def load__stops_at_a_bad_line_and_says_what_is_in(tool):
    path = tool.file("in.tsv", _rows(10000) + "broken\n" + _rows(10, 20000))
    tool.fails(3, "load", tool.db, path, says=[
        f"kist: load: stopped at {path}:10001: one column",
        "10,000 entries of lines 1..10000 are in the database"])
    same(tool.ok("scan", tool.db).decode(), _rows(10000))
    new = str(tool.dir / "new")
    tool.fails(3, "load", new, tool.file("b", "broken\n"), says="nothing was loaded")


def load__skips_bad_lines_when_told_to(tool):
    path = tool.file("in.tsv", "a\t1\nbad\nb\t2\nbad\n")
    result = tool.run("load", "--on-error", "skip", tool.db, path)
    same(result.code, 0)
    said = [f"skipped {path}:2: ", f"skipped {path}:4: ", "2 entries loaded", "2 records skipped"]
    need(all(text in result.err for text in said), result)
    same(tool.entries(), {b"a": b"1", b"b": b"2"})
    result = tool.run("load", "--on-error", "skip", tool.db, "-", stdin="bad\n" * 500)
    need(result.err.count("\n") < 30 and "500 records skipped" in result.err, result)


def load__several_files(tool):
    a = tool.file("a.tsv", _rows(3))
    b = tool.file("b.csv", 'x,"1,2"\n')
    c = tool.file("c.jsonl", '{"key":"y","value":"3"}\n')
    tool.ok("load", tool.db, a, b, c)
    same(tool.ok("get", tool.db, "x"), b"1,2")
    same(tool.ok("get", tool.db, "y"), b"3")
    bad = tool.file("d.tsv", "z\t1\nbroken\n")
    tool.fails(3, "load", tool.db, a, bad, c, says=[
        f"4 entries (all of {a}, lines 1..1 of {bad}) are in the database"])
    absent = str(tool.dir / "absent.tsv")
    tool.fails(8, "load", tool.db, a, absent, says=[
        "absent.tsv: No such file", f"3 entries (all of {a}) are in the database"])
    tool.fails(8, "load", tool.db, str(tool.dir), says="is a directory")


def load__atomic_is_all_or_nothing(tool):
    tool.fails(3, "load", "--atomic", tool.db, "-", stdin=_rows(9000) + "broken\n",
               says=":9001: one column")
    same(tool.ok("scan", "--count", tool.db), b"0\n")
    tool.ok("load", "--atomic", tool.db, tool.file("a", _rows(9000)), tool.file("b", "x\t1\n"))
    same(tool.ok("scan", "--count", tool.db), b"9001\n")


def load__dry_run_checks_and_stores_nothing(tool):
    result = tool.run("load", "--dry-run", tool.db, "-", stdin=_rows(10))
    need(result.code == 0 and "10 entries checked" in result.err, result)
    need(not (tool.dir / "db").exists(), "a database was made")
    bad = "a\t1\nbad\n"
    tool.fails(3, "load", "--dry-run", tool.db, "-", stdin=bad, says="1 entry of lines 1..1")


def load__the_last_of_equal_keys_wins(tool):
    tool.ok("load", tool.db, "-", stdin="a\t1\nb\t1\na\t2\n")
    same(tool.entries(), {b"a": b"2", b"b": b"1"})
    tool.ok("load", "--batch-size", "1", tool.db, "-", stdin="a\t3\nb\t1\na\t4\n")
    same(tool.entries(), {b"a": b"4", b"b": b"1"})


def load__too_long_a_key_is_bad_input(tool):
    path = tool.file("in.tsv", "a\t1\n" + "k" * 70000 + "\t2\nb\t3\n")
    tool.fails(3, "load", tool.db, path, says=[f"{path}:2: ", "70000", "65535"])
    tool.ok("load", "--on-error", "skip", tool.db, path)
    same(tool.entries(), {b"a": b"1", b"b": b"3"})
    tool.fails(3, "load", "-o", "max_value_size=10", "-k", "short", tool.db, "-",
               stdin="a\t1\nb\t" + "v" * 11 + "\n", says=[":2: ", "11 bytes"])


def load__ttl_of_the_option(tool):
    tool.ok("load", "--ttl", "1h", tool.db, "-", stdin="a\t1\n")
    need(3_500_000 < int(tool.ok("ttl", tool.db, "a")) <= 3_600_000, "ttl")


def load__long_lines(tool):
    value = b"x" * 3_000_000
    tool.ok("load", tool.db, "-", stdin=b"a\t" + value + b"\nb\t1")
    same(tool.ok("get", tool.db, "a"), value)
    same(tool.ok("get", tool.db, "b"), b"1")


def _feed(load, text):
    load.stdin.write(text.encode())
    load.stdin.flush()


def _wait_until(condition, what, seconds=20):
    end = time.time() + seconds
    while not condition():
        need(time.time() < end, f"waited in vain: {what}")
        time.sleep(0.05)


def load__a_pause_of_the_input_shows_what_came(tool):
    """`tail -f log | kist load` must not sit on what it has read."""
    load = tool.start("load", tool.db, "--sync", "every_write", "-")
    _feed(load, _rows(5))
    _wait_until(lambda: tool.run("scan", "--count", tool.db).out == b"5\n", "five entries")
    _feed(load, _rows(2, 5))
    load.stdin.close()
    same(load.wait(20), 0, load.stderr.read())
    same(tool.ok("scan", "--count", tool.db), b"7\n")


def load__a_slow_stream_shows_up_too(tool):
    """Rows that never stop for long, but come slowly, must not wait for a full batch."""
    load = tool.start("load", tool.db, "-")
    end = time.time() + 20
    row = 0
    while tool.run("scan", "--count", tool.db).out in (b"", b"0\n"):
        need(time.time() < end, "nothing showed up")
        for _ in range(5):
            _feed(load, _rows(1, row))
            row += 1
            time.sleep(0.05)
    load.stdin.close()
    same(load.wait(20), 0, load.stderr.read())
    same(tool.ok("scan", "--count", tool.db), b"%d\n" % row)


def _interrupted(tool, signal_number):
    load = tool.start("load", tool.db, "-")
    _feed(load, _rows(6000) + "half a li")
    _wait_until(lambda: tool.run("scan", "--count", tool.db).out == b"6000\n", "6000 entries")
    load.send_signal(signal_number)
    same(load.wait(20), 128 + signal_number)
    err = load.stderr.read().decode()
    need("interrupted at (standard input):6000" in err, err)
    need("6,000 entries of lines 1..6000 are in the database" in err, err)
    same(tool.ok("scan", tool.db).decode(), _rows(6000))


def load__interrupted_says_how_far_it_came(tool):
    _interrupted(tool, signal.SIGINT)


def load__terminated_says_how_far_it_came(tool):
    _interrupted(tool, signal.SIGTERM)


def load__killed_leaves_a_prefix(tool):
    path = tool.file("in.tsv", _rows(400_000))
    expected = _rows(400_000).encode()
    partial = 0
    for delay in (0.02, 0.05, 0.1, 0.2, 0.3):
        load = tool.start("load", "-q", tool.db, path)
        time.sleep(delay)
        load.kill()
        load.wait()
        result = tool.run("scan", tool.db)
        if result.code == 7 and delay < 0.1:  # killed before the database was there
            continue
        same(result.code, 0, result)
        need(expected.startswith(result.out), f"after {delay} s: not a prefix")
        partial += 0 < len(result.out) < len(expected)
        tool.ok("verify", tool.db)
        tool.ok("destroy", "--yes", tool.db)
    print(f"{partial} of 5 kills met the load in the middle")


def load__pipes_a_dump_into_another_database(tool):
    tool.ok("load", tool.db, "-", stdin=_rows(3000))
    copy = str(tool.dir / "copy")
    code = os.system(f"'{tool.binary}' dump -q '{tool.db}' | '{tool.binary}' load -q '{copy}' -")
    same(code, 0)
    same(tool.ok("dump", copy), tool.ok("dump", tool.db))
