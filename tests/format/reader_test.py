#!/usr/bin/env python3
"""The second reader (reader.py) beside `kist dump`: reader_test.py PATH_OF_KIST

Databases are written by random commands of the tool under several options; after each few commands
both must say the same of every keyspace. Bytes flipped on the way must be seen. KIST_SEED repeats.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "support"))

import reader  # noqa: E402
from cases import Cases  # noqa: E402

OPTIONS = {
    "plain": "compression=none; wal_preallocate=false; block_size=1KiB",
    "snappy": "compression=snappy; wal_compression=snappy; block_size=1KiB; filter_bits=16",
    "small_tables": "compression=adaptive; target_file_size=64KiB; filter_bits=0; block_size=64KiB",
    "no_times": "wal_timestamps=false; block_size=4KiB",
}
ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", "0": b"\0", "\\": b"\\", "e": b""}


def unescape(text):
    out = b""
    for plain, code in re.findall(r"([^\\]+)|\\(x..|.)", text):
        hexadecimal = code[:1] == "x"
        out += plain.encode() or (bytes.fromhex(code[1:]) if hexadecimal else ESCAPES[code])
    return out


class Database:
    def __init__(self, tool, options, rng):
        self.tool, self.options, self.rng = tool, options, rng
        self.root = tempfile.mkdtemp(prefix="kist-reader-")
        self.path = os.path.join(self.root, "db")
        self.keyspaces = ["default"]

    def kist(self, command, *arguments, text=None):
        options = ["-q", "-o", self.options] if command != "dump" else []
        done = subprocess.run(
            [self.tool, command, *options, *arguments], input=text, text=True,
            encoding="utf-8", capture_output=True,
        )
        assert done.returncode == 0, f"kist {command} {arguments}: {done.stderr}"
        return done.stdout

    def dumped(self, keyspace):
        rows = self.kist("dump", "-k", keyspace, self.path).splitlines()
        return {unescape(k): unescape(v) for k, v in (row.split("\t") for row in rows if row)}

    def key(self):
        n = self.rng.randrange(400)
        return ("k%03d" % n) + "long" * (n % 7) + "\u00e9" * (n % 3 == 0)

    def load(self):
        rows = []
        for _ in range(self.rng.randrange(1, 600)):
            size = self.rng.choice((0, 3, 20, 200, 900))
            fill = "".join(self.rng.choices(self.rng.choice(("ab", "z")), k=size))
            rows.append(f"{self.key()}\t{fill}" + ("\\e" if size == 0 else ""))
        keyspace = self.rng.choice(self.keyspaces)
        ttl = self.rng.choice(([], [], ["--ttl", "1h"], ["--ttl", "40ms"]))
        if "wal_timestamps=false" in self.options:
            ttl = []
        self.kist("load", "-k", keyspace, *ttl, "--batch-size", "2KiB", self.path, "-",
                  text="\n".join(rows))

    def step(self):
        keyspace = self.rng.choice(self.keyspaces)
        what = self.rng.randrange(12)
        if what < 5:
            self.load()
        elif what < 7:
            self.kist("delete", "-k", keyspace, self.path, *(self.key() for _ in range(20)))
        elif what < 9:
            first, last = sorted((self.key(), self.key()))
            self.kist("delete", "-k", keyspace, "--from", first, "--to", last + "x", self.path)
        elif what == 9:
            self.kist("flush", self.path)
        elif what == 10:
            self.kist("compact", "-k", keyspace, self.path)
        elif len(self.keyspaces) < 4 or self.rng.random() < 0.5:
            name = f"ks{self.rng.randrange(1000)}"
            self.kist("keyspaces", self.path, "create", name)
            self.keyspaces.append(name)
        else:
            name = self.keyspaces.pop()
            self.kist("keyspaces", "--yes", self.path, "drop", name)

    def compare(self):
        time.sleep(0.05)  # what lives for 40 ms has expired for both
        read = reader.read(self.path)
        if sorted(read) != sorted(self.keyspaces):
            yield f"keyspaces {sorted(read)}, not {sorted(self.keyspaces)}"
            return
        for name in self.keyspaces:
            mine = {k: v for k, (v, _) in read[name].items()}
            theirs = self.dumped(name)
            if mine != theirs:
                odd = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
                yield f"{self.path}: {name}: {len(odd)} keys differ, the first is {odd[0]!r}"

    def kill_a_writer(self):
        """Leaves a log that nobody closed, with reserved blocks behind its records."""
        writer = subprocess.Popen(
            [self.tool, "load", "-q", "-o", self.options, "--batch-size", "100", self.path, "-"],
            stdin=subprocess.PIPE, text=True, encoding="utf-8",
        )
        for _ in range(300):
            writer.stdin.write(f"{self.key()}\t{self.rng.random()}\n")
        writer.stdin.flush()
        time.sleep(0.3)
        writer.send_signal(signal.SIGKILL)
        writer.wait()

    def close(self):
        shutil.rmtree(self.root)


def agrees(tool, options, seed):
    database = Database(tool, options, random.Random(seed))
    database.load()
    for round_ in range(6):
        for _ in range(4):
            database.step()
        if round_ == 3:
            database.kill_a_writer()
        yield from database.compare()
    database.close()


def flips(tool, seed):
    """One byte of each file after the other is another one: read raises, or says the same."""
    rng = random.Random(seed)
    database = Database(tool, OPTIONS["plain"], rng)
    for _ in range(2):
        database.load()
        database.kist("delete", "--from", "k1", "--to", "k2", database.path)
    database.kill_a_writer()
    now = int(time.time() * 1000) + 100
    good = reader.read(database.path, now)
    seen = 0
    for path in sorted(Path(database.path).iterdir()):
        original = path.read_bytes()
        for _ in range(12 if original else 0):
            at = rng.randrange(len(original))
            flipped = bytearray(original)
            flipped[at] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            try:
                read = reader.read(database.path, now)
                if read != good and path.suffix != ".log":  # the end of a log may be residue
                    yield f"{path.name}: byte {at} flipped: other entries"
            except (reader.Damage, IndexError, UnicodeDecodeError):
                seen += 1
        path.write_bytes(original)
    if seen < 30:
        yield f"only {seen} flips were seen"
    database.close()


def main():
    tool = os.path.abspath(sys.argv[1])
    seed = int(os.environ.get("KIST_SEED", time.time_ns() % 1000000007))
    print(f"reader: KIST_SEED={seed}")
    cases = Cases()
    for name, options in OPTIONS.items():
        cases.run(f"reader__agrees_with_dump_{name}", lambda o=options: agrees(tool, o, seed))
    cases.run("reader__sees_flipped_bytes", lambda: flips(tool, seed))
    cases.finish()


if __name__ == "__main__":
    main()
