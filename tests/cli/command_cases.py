"""Commands on a database: what they do, print and return."""
import json
import subprocess

import prometheus
from tool import need, same


def put__get_returns_the_bytes(tool):
    value = bytes(range(256)) * 3
    tool.ok("put", tool.db, "k", stdin=value)
    same(tool.ok("get", tool.db, "k"), value)
    path = tool.file("value", value[::-1])
    tool.ok("put", tool.db, "k", "--file", path)
    same(tool.ok("get", tool.db, "k"), value[::-1])
    tool.ok("put", tool.db, "k", "")
    same(tool.ok("get", tool.db, "k"), b"")


def put__several_pairs(tool):
    tool.ok("put", tool.db, "a", "1", "b", "2", "a", "3")
    same(tool.entries(), {b"a": b"3", b"b": b"2"})
    tool.fails(2, "put", tool.db, "--file", "x", "a", "1", "b", says="--file takes one KEY")
    tool.fails(8, "put", tool.db, "--file", "absent", "a", says="absent: No such file")


def put__large_value(tool):
    value = bytes((i * i) & 255 for i in range(5_000_001))
    tool.ok("put", tool.db, "big", stdin=value)
    same(tool.ok("get", tool.db, "big"), value)
    same(tool.ok("scan", "--values-only", "--raw", tool.db), value + b"\n")


def put__too_long_a_key_is_refused(tool):
    result = tool.fails(4, "put", tool.db, "k" * 70000, "v", says="KIST_E_LIMIT")
    need(len(result.err) < 1000, "the whole key in the message")


def get__absent_is_1_and_silent(tool):
    tool.ok("put", tool.db, "a", "1")
    result = tool.fails(1, "get", tool.db, "b")
    same((result.out, result.err), (b"", ""))
    result = tool.fails(1, "get", tool.db, "a", "b")
    same(result.out, b"a\t1\n")


def get__formats(tool):
    tool.ok("put", tool.db, "a", 'x"y,\t')
    same(tool.ok("get", "-f", "tsv", tool.db, "a"), b'a\tx"y,\\t\n')
    same(tool.ok("get", "-f", "csv", tool.db, "a"), b'a,"x""y,\t"\n')
    same(json.loads(tool.ok("get", "-f", "jsonl", tool.db, "a")), {"key": "a", "value": 'x"y,\t'})


def exists__ttl__of_keys(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("put", "--ttl", "1h", tool.db, "b", "2")
    tool.ok("exists", tool.db, "a", "b")
    tool.fails(1, "exists", tool.db, "a", "c", says="'c' is not there")
    same(tool.run("exists", "-q", tool.db, "c").err, "")
    same(tool.ok("ttl", tool.db, "a"), b"never\n")
    left = int(tool.ok("ttl", tool.db, "b"))
    need(3_500_000 < left <= 3_600_000, left)
    tool.fails(1, "ttl", tool.db, "c")
    tool.ok("put", "--ttl", "never", tool.db, "b", "2")
    same(tool.ok("ttl", tool.db, "a", "b"), b"a\tnever\nb\tnever\n")


def ttl__expired_values_are_gone(tool):
    tool.ok("put", "--ttl", "1ms", tool.db, "b", "2")
    tool.fails(1, "get", tool.db, "b")
    same(tool.ok("scan", "--count", tool.db), b"0\n")


def delete__keys(tool):
    tool.ok("put", tool.db, *"a 1 b 2 c 3".split())
    tool.ok("delete", tool.db, "a", "nosuch")
    same(sorted(tool.entries()), [b"b", b"c"])
    tool.fails(1, "delete", "--must-exist", tool.db, "b", "nosuch", says="nothing was deleted")
    same(sorted(tool.entries()), [b"b", b"c"])


def delete__ranges(tool):
    names = [f"{a}{b}" for a in "abc" for b in "123"]
    tool.ok("put", tool.db, *[word for name in names for word in (name, "v")])
    tool.ok("delete", "--prefix", "b", tool.db)
    same(b"".join(sorted(tool.entries())), b"a1a2a3c1c2c3")
    tool.ok("delete", "--from", "a2", "--to", "c2", tool.db)
    same(b"".join(sorted(tool.entries())), b"a1c2c3")
    tool.ok("delete", "--prefix", "c", "--from", "c3", tool.db)
    same(b"".join(sorted(tool.entries())), b"a1c2")
    tool.fails(2, "delete", tool.db, says="give keys, or a range")
    tool.fails(2, "delete", "--all", tool.db, "a", says="give keys, or a range")
    tool.fails(2, "delete", "--from", "z", "--to", "a", tool.db, says="greater than --to")
    tool.ok("delete", "--all", tool.db)
    same(tool.entries(), {})


def delete__prefix_of_ff_bytes(tool):
    tool.ok("put", "-x", tool.db, *"fe 00 ff 01 ffff 02 ffff00 03".split())
    tool.ok("delete", "-x", "--prefix", "ffff", tool.db)
    same(tool.ok("scan", tool.db, "--keys-only"), b"\\xfe\n\\xff\n")


def scan__ranges_and_directions(tool):
    names = [f"{i:02}" for i in range(20)]
    tool.ok("put", tool.db, *[word for name in names for word in (name, "v" + name)])

    def keys(*words):
        return tool.ok("scan", "--keys-only", tool.db, *words).decode().split()

    same(keys(), names)
    same(keys("--reverse"), names[::-1])
    same(keys("--prefix", "1"), names[10:])
    same(keys("--prefix", "1", "-r", "-n", "3"), ["19", "18", "17"])
    same(keys("--from", "03", "--to", "06"), ["03", "04", "05"])
    same(keys("--from", "03", "--to", "06", "-r"), ["05", "04", "03"])
    same(keys("--from", "03", "--to", "03"), [])
    same(keys("--prefix", "1", "--from", "05", "--to", "12"), ["10", "11"])
    same(keys("--limit", "0"), [])
    same(tool.ok("scan", "--count", "--prefix", "0", tool.db), b"10\n")
    same(tool.ok("scan", "--count", "--limit", "7", tool.db), b"7\n")
    same(tool.ok("scan", "--values-only", "-n", "2", tool.db), b"v00\nv01\n")
    tool.fails(2, "scan", "--values-only", "--keys-only", tool.db, says="exclude each other")


def scan__many_entries(tool):
    data = "".join(f"key{i:07}\tvalue {i}\n" for i in range(20000))
    tool.ok("load", tool.db, "-", stdin=data)
    same(tool.ok("scan", tool.db), data.encode())
    backwards = b"".join(reversed(data.encode().splitlines(keepends=True)))
    same(tool.ok("scan", "-r", tool.db), backwards)
    same(tool.ok("scan", "-r", "-n", "257", tool.db), b"".join(backwards.splitlines(True)[:257]))


def scan__ends_quietly_when_its_reader_goes(tool):
    data = "".join(f"key{i:07}\t{'x' * 100}\n" for i in range(20000))
    tool.ok("load", tool.db, "-", stdin=data)
    scan = tool.start("scan", tool.db)
    same(scan.stdout.readline(), b"key0000000\t" + b"x" * 100 + b"\n")
    scan.stdout.close()
    same((scan.wait(30), scan.stderr.read()), (0, b""))


def scan__full_output_device_is_an_error(tool):
    tool.ok("put", tool.db, "a", "1")
    with open("/dev/full", "wb") as full:
        done = tool.start("scan", tool.db, stdout=full)
        err = done.communicate()[1]
    same(done.returncode, 8, err)
    need(b"standard output: No space left" in err, err)


def dump__cut_short_is_an_error(tool):
    data = "".join(f"key{i:07}\t{'x' * 100}\n" for i in range(20000))
    tool.ok("load", tool.db, "-", stdin=data)
    dump = tool.start("dump", tool.db)
    dump.stdout.readline()
    dump.stdout.close()
    same(dump.wait(30), 8)
    need(b"the dump is not complete" in dump.stderr.read(), "what happened")


def dump__names_other_keyspaces(tool):
    tool.ok("put", tool.db, "a", "1")
    need("keyspace" not in tool.run("dump", tool.db).err, "there is no other")
    tool.ok("put", "-k", "cache", tool.db, "b", "2")
    need("'cache'" in tool.run("dump", tool.db).err, "cache is not named")
    same(tool.ok("dump", "-k", "cache", tool.db), b"b\t2\n")


def keyspaces__are_independent(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("keyspaces", tool.db, "create", "cache")
    same(tool.ok("keyspaces", tool.db), b"cache\ndefault\n")
    tool.fails(4, "keyspaces", tool.db, "create", "cache", says="KIST_E_EXISTS")
    tool.ok("put", "-k", "cache", tool.db, "a", "2")
    same(tool.ok("get", tool.db, "a"), b"1")
    same(tool.ok("get", "-k", "cache", tool.db, "a"), b"2")
    tool.fails(7, "get", "-k", "nosuch", tool.db, "a", says=["'nosuch'", "KIST_E_MISSING"])
    tool.fails(7, "put", "-k", "n", "--no-create", tool.db, "a", "1", says="KIST_E_MISSING")
    tool.fails(2, "keyspaces", tool.db, "drop", "cache", says="say --yes")
    tool.ok("keyspaces", "--yes", tool.db, "drop", "cache")
    same(tool.ok("keyspaces", tool.db, "list"), b"default\n")
    tool.fails(4, "keyspaces", "--yes", tool.db, "drop", "default", says="KIST_E_INVALID")
    tool.fails(2, "keyspaces", tool.db, "creat", "x", says="did you mean create?")


def stats__in_three_formats(tool):
    tool.ok("put", tool.db, "a", "1")
    text = tool.ok("stats", tool.db).decode()
    need(text.endswith("\n") and "\0" not in text, text)
    numbers = json.loads(tool.ok("stats", "--json", tool.db))
    need(all(type(value) is int for value in numbers.values()), numbers)
    same([line.split()[0] for line in text.splitlines()], list(numbers))
    families = prometheus.read(tool.ok("stats", "--prometheus", tool.db).decode())
    for name in "kist_commits_total", "kist_latency_seconds", "kist_memory_used_bytes":
        need(name in families, name)
    same(families["kist_last_seq"], ("gauge", {("kist_last_seq", ()): 1.0}))
    tool.fails(2, "stats", tool.db, "no_such_statistic", says="no_such_statistic")
    tool.fails(2, "stats", "--json", "--prometheus", tool.db, says="exclude one another")


def stats__watch_repeats(tool):
    tool.ok("put", tool.db, "a", "1")
    watch = tool.start("stats", "--json", "--watch", "1", tool.db)
    lines = [watch.stdout.readline() for _ in range(2)]
    need(all(json.loads(line) for line in lines), lines)
    watch.send_signal(2)
    same(watch.wait(10), 130)


def verify__says_sound(tool):
    tool.ok("load", tool.db, "-", stdin="".join(f"{i}\t{i}\n" for i in range(5000)))
    need(tool.ok("verify", tool.db).startswith(b"sound: "), "verdict")
    same(tool.ok("verify", "--quiet", tool.db), b"")


def _flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def verify__names_the_damaged_file(tool):
    data = "".join(f"{i}\t{i * i}\n" for i in range(50000))
    tool.ok("load", tool.db, "-", stdin=data)
    tool.ok("flush", tool.db)
    table = max((tool.dir / "db").glob("*.kst"), key=lambda path: path.stat().st_size)
    _flip(table, 100_000)
    tool.fails(5, "verify", tool.db, says=["DAMAGED: ", table.name, "KIST_E_CORRUPT"])
    result = tool.fails(5, "dump", tool.db, says=[table.name, "the dump is not complete"])
    need(len(result.out.splitlines()) < 50000, "a whole dump of a damaged database")


def verify__a_damaged_log_does_not_open(tool):
    tool.ok("load", tool.db, "-", stdin="".join(f"{i}\t{i * i}\n" for i in range(50000)))
    log = max((tool.dir / "db").glob("*.log"), key=lambda path: path.stat().st_size)
    _flip(log, 100_000)
    for words in (["verify"], ["scan", "--count"], ["compact"]):
        tool.fails(5, *words, tool.db, says=[log.name, "KIST_E_CORRUPT"])


def repair__saves_what_is_left(tool):
    rows = {f"{i:05}".encode(): b"%d" % (i * i) for i in range(50000)}
    tool.ok("load", tool.db, "-", stdin=b"".join(b"%s\t%s\n" % row for row in rows.items()))
    tool.ok("flush", tool.db)
    tool.ok("put", tool.db, "late", "in the log")
    rows[b"late"] = b"in the log"
    tool.fails(2, "repair", tool.db, says=["nothing was done", "--yes"])
    report = tool.ok("repair", "--yes", tool.db)
    need(b"50001 entries" in report, report)
    same(tool.entries(), rows)
    table = max((tool.dir / "db").glob("*.kst"), key=lambda path: path.stat().st_size)
    _flip(table, 100_000)
    (tool.dir / "db" / "CURRENT").unlink()
    tool.fails(5, "scan", "--count", tool.db, says="KIST_E_CORRUPT")
    before = {path.name: path.read_bytes() for path in (tool.dir / "db").iterdir()}
    tool.fails(2, "repair", tool.db, says="nothing was done")
    same({path.name: path.read_bytes() for path in (tool.dir / "db").iterdir()}, before)
    report = tool.ok("repair", "--yes", tool.db)
    need(table.name.encode() in report, report)
    need(tool.ok("verify", tool.db).startswith(b"sound: "), "verdict")
    left = tool.entries()
    need(45000 < len(left) < len(rows), len(left))
    need(left.items() <= rows.items(), "a value that never was")


def repair__of_nothing(tool):
    tool.fails(7, "repair", "--yes", tool.db, says="KIST_E_MISSING")
    need(not (tool.dir / "db").exists(), "a directory was made")


def maintenance__keeps_the_entries(tool):
    data = "".join(f"{i:06}\t{i}\n" for i in range(5000)).encode()
    tool.ok("load", tool.db, "-", stdin=data)
    for words in (["flush"], ["sync"], ["compact"], ["compact", "--prefix", "00"]):
        tool.ok(*words, tool.db)
        same(tool.ok("scan", tool.db), data, words)
    need(int(tool.ok("size", tool.db)) >= 0, "size")
    need(tool.ok("size", "--human", tool.db).strip().endswith(b"B"), "human size")


def destroy__wants_yes(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.fails(2, "destroy", tool.db, says="nothing was removed")
    same(tool.ok("get", tool.db, "a"), b"1")
    tool.ok("destroy", "--yes", tool.db)
    tool.fails(7, "get", tool.db, "a")


def lock__writers_are_refused_and_readers_are_not(tool):
    tool.ok("put", tool.db, "a", "1")
    shell = tool.start("shell", tool.db)
    shell.stdin.write(b"put b 2\nsync\nget b\n")
    shell.stdin.flush()
    same(shell.stdout.read(1), b"2")
    tool.fails(6, "put", tool.db, "c", "3", says="KIST_E_LOCKED")
    tool.fails(6, "repair", "--yes", tool.db, says="KIST_E_LOCKED")
    same(tool.entries(), {b"a": b"1", b"b": b"2"})
    tool.ok("verify", tool.db)
    shell.stdin.close()
    same(shell.wait(10), 0)
    tool.ok("put", tool.db, "c", "3")


def read_only__leaves_the_directory_alone(tool):
    tool.ok("put", tool.db, "a", "1")

    def listing():
        return subprocess.check_output(["find", tool.db, "-printf", "%P %s %T@ %m\n"])

    before = listing()
    for words in ("get", "a"), ("scan",), ("dump",), ("stats",), ("verify",), ("keyspaces",):
        tool.ok(words[0], tool.db, *words[1:])
    same(listing(), before)
