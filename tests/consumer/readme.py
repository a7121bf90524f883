#!/usr/bin/env python3
"""Runs the code of README.md against an installed tree: readme.py BUILD_DIRECTORY [--write].

Blocks run in order, in one directory. A c block that begins with a file name in a comment is saved
under it; any other one is compiled inside the function that the text around it describes, and run.
An sh block is run. A console block is only shown, and text is no code. A comment before a block,
<!-- needs: HEADER.h COMMAND -->, lets it be skipped where a peer is not installed.

The table of options is made from what the library says; --write puts it into README.md. The blocks
of the bindings' READMEs are run by their own tests, which this one looks for.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
README = ROOT / "README.md"
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402
from install import Installed, run  # noqa: E402

RUN, SHOWN = {"c", "sh"}, {"console", "text", ""}
# Who runs the blocks of a README beside the first one, and in which languages.
RUNNERS = {
    "bindings/go": ("bindings/go/readme_test.go", {"go", "sh"}),
    "bindings/rust/kist": ("bindings/run", {"rust", "sh"}),
    "bindings/csharp": ("bindings/csharp/Kist.Tests/PackageTests.cs", {"csharp", "sh"}),
}

CONTEXT = """
#include <kist/kist.h>
#include <stdio.h>
static int block(kist_db *db, kist_keyspace *ks, kist_err err) {
  (void)db, (void)ks;
#line %d "README.md"
%s
  return 0;
}
int main(void) {
  kist_err err = KIST_ERR_INIT;
  kist_db *db;
  int rc;
  if (kist_open("context.db", NULL, &db, &err) != KIST_OK) return 2;
  if (kist_put(kist_default(db), NULL, "user/1", 6, "Ada", 3, &err) != KIST_OK) return 2;
  rc = block(db, kist_default(db), err);
  if (kist_close(db, KIST_CLOSE_STRICT, &err) != KIST_OK) return 3;
  return rc;
}
"""
COMPILE = "cc -Wall -Wextra -Werror block.c $(pkg-config --cflags --libs kist) -o block\n./block"

# What the migrations start from: (what it needs, how it is made).
LEVELDB = r"""
#include <leveldb/c.h>
int main(void) {
  char *error = NULL;
  leveldb_options_t *options = leveldb_options_create();
  leveldb_t *db;
  leveldb_options_set_create_if_missing(options, 1);
  db = leveldb_open(options, "old.leveldb", &error);
  leveldb_put(db, leveldb_writeoptions_create(), "city", 4, "Oslo\t\\\x80", 7, &error);
  leveldb_close(db);
  return error != NULL;
}
"""
LMDB = r"""
#include <lmdb.h>
int main(void) {
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  MDB_val key = {4, "city"}, val = {4, "Oslo"};
  return mdb_env_create(&env) || mdb_env_open(env, "old.lmdb", 0, 0644) ||
         mdb_txn_begin(env, 0, 0, &txn) || mdb_dbi_open(txn, 0, 0, &dbi) ||
         mdb_put(txn, dbi, &key, &val, 0) || mdb_txn_commit(txn);
}
"""
OLD = (
    ("leveldb/c.h", f"cat >old.c <<'END'\n{LEVELDB}\nEND\ncc old.c -lleveldb -o old && ./old"),
    (
        "rocksdb/c.h",
        f"cat >old.c <<'END'\n{LEVELDB.replace('leveldb', 'rocksdb')}\nEND\n"
        "cc old.c -lrocksdb -o old && ./old",
    ),
    ("lmdb.h", f"mkdir old.lmdb\ncat >old.c <<'END'\n{LMDB}\nEND\ncc old.c -llmdb -o old && ./old"),
    (
        "sqlite3",
        "sqlite3 old.sqlite \"CREATE TABLE cities(name TEXT PRIMARY KEY, place TEXT, n INT,"
        " flag BLOB); INSERT INTO cities VALUES('city', 'Oslo', 1, x'00ff0a')\"",
    ),
)


def present(need):
    if not need.endswith(".h"):
        return shutil.which(need) is not None
    source = f"#include <{need}>\n"
    command = ["cc", "-E", "-x", "c", "-", "-o", "/dev/null"]
    return subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0


def blocks(text):
    """(language, line, code, needs) of every fenced block."""
    pattern = r"^(?:<!-- needs: ([^\n]*) -->\n)?```([^\s`]*)\n(.*?)^```$"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start(3)) + 1
        yield match[2].split(",")[0], line, match[3], (match[1] or "").split()


class Readme:
    def __init__(self, tree):
        self.tree = tree
        self.place = tree.work / "readme"
        self.place.mkdir()
        self.env = {**tree.env, "PATH": f"{tree.prefix}/bin:{tree.env['PATH']}"}

    def shell(self, script):
        command = ["sh", "-eu", "-c", script]
        done = subprocess.run(
            command, cwd=self.place, env=self.env, text=True, capture_output=True, errors="replace"
        )
        print(done.stdout + done.stderr)
        return done.returncode

    def run_block(self, language, line, code):
        script = code
        if language == "c":
            named = re.match(r"/\* (\S+\.c) \*/\n", code)
            (self.place / (named[1] if named else "block.c")).write_text(
                code if named else CONTEXT % (line, code)
            )
            script = "true" if named else COMPILE
        code = self.shell(script)
        return [] if code == 0 else [f"README.md:{line}: exit {code}"]

    def options_table(self):
        """The table of options, as the library describes them."""
        rows = ["| option | standard | values | where | |", "|---|---|---|---|---|"]
        told = run(self.tree.prefix / "bin/kist", "options", "--json", env=self.env)
        for option in map(json.loads, told.splitlines()):
            values = option["bounds"].replace("|", " \\| ")
            text = option["text"].replace("|", "\\|")
            cells = [f"`{option['name']}`", option["standard"], values, option["scope"], text]
            rows.append("| " + " | ".join(cells) + " |")
        return "\n".join(rows) + "\n"

    def names_statistics(self, text):
        """What "Monitoring" tells to look at is there to be seen."""
        table = text.split("**Monitoring.**")[1].split("\n\n")[1]
        names = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()))
        self.shell("kist put monitored.db key value")
        tool, db = self.tree.prefix / "bin/kist", self.place / "monitored.db"
        told = run(tool, "stats", db, env=self.env)
        for name in names:
            if not re.search(rf"^{name} ", told, re.MULTILINE):
                yield f"kist stats has no {name}"
        if len(names) < 5:
            yield f"found only {names}"

    def with_options(self, text):
        begin = "<!-- options: made by tests/consumer/readme.py -->\n"
        end = "<!-- end of options -->"
        before, rest = text.split(begin)
        return before + begin + self.options_table() + end + rest.split(end, 1)[1]


def every_block_has_a_runner():
    for path in sorted(ROOT.glob("**/README.md")):
        name = path.relative_to(ROOT).as_posix()
        if re.search(r"(^|/)(build|out|target|node_modules|\.git)[-/]", name):
            continue
        for language, line, _, _ in blocks(path.read_text()):
            if language in SHOWN or (path == README and language in RUN):
                continue
            runner, languages = RUNNERS.get(name.removesuffix("/README.md"), ("nobody", {}))
            runner = ROOT / runner
            runs = runner.exists() and "README.md" in runner.read_text()
            if not runs or language not in languages:
                yield f"{name}:{line}: nobody runs this {language or 'unnamed'} block"


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        readme = Readme(Installed(sys.argv[1], work))
        text = README.read_text()
        if "--write" in sys.argv:
            README.write_text(readme.with_options(text))
            return
        for need, script in OLD:
            if present(need) and readme.shell(script) != 0:
                cases.run(f"readme__old_store_of_{need}", lambda: ["it could not be made"])
        for language, line, code, needs in blocks(text):
            if language not in RUN:
                continue
            name = f"readme__{language}_block_at_line_{line}"
            missing = [need for need in needs if not present(need)]
            if missing:
                cases.skip(name, f"{', '.join(missing)} is not installed")
            else:
                cases.run(name, lambda: readme.run_block(language, line, code))
        cases.run(
            "readme__has_every_option",
            lambda: [] if readme.with_options(text) == text else ["the table is out of date"],
            "run: python3 tests/consumer/readme.py build/release --write",
        )
        cases.run("readme__names_statistics", lambda: readme.names_statistics(text))
        cases.run("readme__every_block_has_a_runner", every_block_has_a_runner)
    cases.finish()


if __name__ == "__main__":
    main()
