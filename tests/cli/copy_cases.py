"""Copies: checkpoint, backup, restore, generations, prune."""
import json

from tool import need, same


def checkpoint__is_a_database_of_its_own(tool):
    tool.ok("put", tool.db, "a", "1", "b", "2")
    copy = str(tool.dir / "copy")
    tool.ok("checkpoint", tool.db, copy)
    tool.ok("put", tool.db, "a", "3")
    same(tool.ok("get", copy, "a"), b"1")
    tool.ok("put", copy, "b", "4")
    same(tool.ok("get", tool.db, "b"), b"2")
    tool.ok("verify", copy)


def checkpoint__wants_an_empty_directory(tool):
    tool.ok("put", tool.db, "a", "1")
    result = tool.fails(4, "checkpoint", tool.db, tool.db, says="KIST_E_EXISTS")
    need("not empty" in result.err, result.err)
    tool.fails(7, "checkpoint", tool.db, "no/such/dir")
    tool.fails(7, "checkpoint", "absent", "copy")


def backup__comes_back(tool):
    tool.ok("put", tool.db, "a", "1", "b", "2")
    tool.ok("backup", tool.db, "target")
    tool.ok("put", tool.db, "a", "3")
    tool.ok("backup", tool.db, "target")
    tool.ok("restore", "target", "copy")
    same(tool.ok("get", str(tool.dir / "copy"), "a"), b"3")
    tool.ok("verify", "copy")
    lines = [json.loads(line) for line in tool.ok("generations", "--json", "target").splitlines()]
    same([line["generation"] for line in lines], [1, 2])
    need(all(line["finished"] for line in lines), lines)
    tool.ok("restore", "--seq", lines[0]["last_seq"], "target", "then")
    same(tool.ok("get", "then", "a"), b"1")
    result = tool.fails(7, "restore", "--seq", 999999999, "target", "never", says="nearest before")
    need("KIST_E_MISSING" in result.err, result.err)
    need(not (tool.dir / "never").exists(), "a directory was left")
    tool.fails(4, "restore", "target", "copy", says="not empty")
    need(b"2 " in tool.ok("generations", "target"), "text")


def backup__restores_to_a_moment(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("backup", tool.db, "target")
    tool.ok("restore", "--ago", "0ms", "target", "now")
    tool.ok("restore", "--time", "2100-01-01T00:00:00Z", "target", "later")
    says = ("2001-09-09 01:46:40.000Z", "begins later")
    tool.fails(7, "restore", "--time", "@1000000000", "target", "before", says=says)
    for bad in ["yesterday", "2026-02-30 10:00", "2026-01-01", "@", "2026-01-01 24:00"]:
        tool.fails(2, "restore", "--time", bad, "target", "bad", says="wanted")
    tool.fails(2, "restore", "--time", "@1", "--seq", "1", "target", "bad", says="exclude")
    tool.fails(2, "restore", "--seq", "0", "target", "bad", says="the first commit is 1")
    tool.fails(7, "restore", "--time", "@0", "target", "bad", says="begins later")


def backup__keeps_out_of_databases(tool):
    tool.ok("put", tool.db, "a", "1")
    for target in (tool.db, tool.db + "/t", tool.db + "/t/", "file://" + tool.db):
        tool.fails(4, "backup", tool.db, target, says="directory of a database")
        tool.fails(4, "stream", tool.db, target, says="directory of a database")
    tool.ok("verify", tool.db)


def backup__prunes(tool):
    for i in range(4):
        tool.ok("put", tool.db, "a", str(i))
        tool.ok("backup", "--keep", "2", tool.db, "target")
    lines = tool.ok("generations", "--json", "target").splitlines()
    same(len([line for line in lines if b'"finished":true' in line]), 2)
    tool.ok("prune", "--keep", "1", "target")
    tool.ok("restore", "target", "copy")
    same(tool.ok("get", "copy", "a"), b"3")
    tool.fails(2, "prune", "target", says="say what to keep")
    tool.fails(7, "prune", "--keep", "1", "absent")


def backup__damage_is_named(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("backup", tool.db, "target")
    victim = next((tool.dir / "target" / "tables").glob("*.kst"))
    data = bytearray(victim.read_bytes())
    data[-3] ^= 1
    victim.write_bytes(data)
    tool.fails(5, "restore", "target", "copy", says=victim.name)
    need(not (tool.dir / "copy").exists(), "a directory was left")


def stream__goes_on_by_the_log(tool):
    for i in range(3):
        tool.ok("put", tool.db, "a", str(i))
        tool.ok("stream", "-o", "log_retention=64MiB", tool.db, "target")
    lines = [json.loads(line) for line in tool.ok("generations", "--json", "target").splitlines()]
    tool.ok("restore", "target", "copy")
    same(tool.ok("get", "copy", "a"), b"2")
    need(len(lines) >= 1 and lines[-1]["finished"], lines)
    tool.fails(7, "stream", tool.db, "no/such/dir")


def two_streams(tool, target):
    """Two programs, each with a copy of one database that goes its own way, stream to one target at
    once: whatever comes back is one of them, whole, and who streams last is who comes back."""
    options = ("-o", "log_retention=64MiB")
    tool.ok("put", tool.db, "who", "both")
    tool.ok("checkpoint", tool.db, "twin")
    for i in range(6):
        running = []
        for name, db in (("a", tool.db), ("b", "twin")):
            for key in range(3):
                tool.ok("put", *options, db, f"{name}-{i}-{key}", "x" * 100)
            running.append(tool.start("stream", *options, db, target))
        for process in running:
            error = process.communicate(timeout=300)[1]
            need(process.returncode == 0, error)
        tool.ok("restore", target, f"both{i}")
        _one_of_them(tool, f"both{i}", i)
    for name, db in (("a", tool.db), ("b", "twin")):
        tool.ok("put", *options, db, name, "last")
        tool.ok("stream", *options, db, target)
        tool.ok("restore", target, f"only-{name}")
        same(tool.ok("scan", f"only-{name}"), tool.ok("scan", db))


def _one_of_them(tool, copy, rounds):
    keys = [line.split(b"\t")[0].decode() for line in tool.ok("scan", copy).splitlines()]
    names = {key[0] for key in keys if key != "who"}
    need(len(names) == 1, keys)
    name = names.pop()
    wanted = [f"{name}-{i}-{key}" for i in range(rounds + 1) for key in range(3)]
    same(keys, wanted + ["who"])


def stream__two_programs_never_mix(tool):
    two_streams(tool, "target")
