#!/usr/bin/env python3
"""Runs the code of README.md against an installed tree: readme.py BUILD_DIRECTORY.

Blocks run in order, in one directory. A c block that begins with a file name in a comment is saved
under it; any other one is compiled inside the function that the text around it describes, and run.
An sh block is run. A console block is only shown.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402
from install import Installed  # noqa: E402

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


def blocks(text):
    """(language, line, code) of every fenced block."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match.group(1), text.count("\n", 0, match.start()) + 2, match.group(2)


def run_block(tree, language, line, code):
    place = tree.work / "readme"
    place.mkdir(exist_ok=True)
    script = code
    if language == "c":
        named = re.match(r"/\* (\S+\.c) \*/\n", code)
        (place / (named[1] if named else "block.c")).write_text(
            code if named else CONTEXT % (line, code)
        )
        script = "true" if named else COMPILE
    env = {**tree.env, "PATH": f"{tree.prefix}/bin:{tree.env['PATH']}"}
    command = ["sh", "-eu", "-c", script]
    done = subprocess.run(command, cwd=place, env=env, text=True, capture_output=True)
    print(done.stdout + done.stderr)
    return [] if done.returncode == 0 else [f"README.md:{line}: exit {done.returncode}"]


cases = Cases()
with tempfile.TemporaryDirectory(prefix="kist-") as work:
    tree = Installed(sys.argv[1], work)
    for language, line, code in blocks((ROOT / "README.md").read_text()):
        if language in ("c", "sh"):
            name = f"readme__{language}_block_at_line_{line}"
            cases.run(name, lambda: run_block(tree, language, line, code))
cases.finish()
