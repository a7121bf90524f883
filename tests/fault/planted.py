#!/usr/bin/env python3
"""Plants each bug of src/util/planted.h in turn and demands that a test catches it.

    planted.py [-b NUMBER] [-a] PROGRAM ...

The programs are tests that were built with the bugs in them. First what is to catch them must pass
without a bug. Then each bug is on in the case of planted.txt that is known to catch it, and where
that passes in one program after the other until one fails; what it said is shown. With -a
planted.txt is made anew. Ends with `N of M caught`, and fails where fewer than 95 % are.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "src" / "util" / "planted.h"
KNOWN = Path(__file__).resolve().parent / "planted.txt"  # number, name, program, case
SECONDS = 120
CASE = re.compile(r"^\[\s*(RUN|OK)\s*\] (\S+)$", re.MULTILINE)
SMALL = {
    "CMOCKA_TEST_ABORT": "1",
    "KIST_TEST_QUICK": "1",
    "KIST_CRASH_STATES": "150",
    "KIST_CRASH_DEPTH": "0",
    "KIST_SEED": "1",
}


def bugs():
    found = re.findall(r"^  k(\w+) = (\d+),\s*// (.*)$", HEADER.read_text(), re.MULTILINE)
    return [(int(number), name, history) for name, number, history in found]


def known():
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    rows = [line.split() for line in lines if line and line[0] != "#"]
    return {int(number): (program, case) for number, name, program, case in rows}


def run(program, number, case=None):
    """(case, what it said) where the program failed, or None."""
    env = {**os.environ, **SMALL, "KIST_PLANTED": str(number)}
    if case:
        env["KIST_TEST"] = case
    try:
        done = subprocess.run(
            [program], env=env, timeout=SECONDS, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return case or "*", "it hangs"
    if done.returncode == 0:
        return None
    began = [name for word, name in CASE.findall(done.stdout) if word == "RUN"]
    lines = [line for line in done.stdout.splitlines() if line.strip() and line[0] != "["]
    told = [line for line in lines if "ERROR" in line] or lines[-1:]
    return began[-1] if began else "*", told[0][:100] if told else f"code {done.returncode}"


def hunt(programs, number, catcher):
    """(program, case, what it said) of the first that catches the bug, or None."""
    by_name = {Path(program).name: program for program in programs}
    if catcher and catcher[0] in by_name:
        caught = run(by_name[catcher[0]], number, catcher[1])
        if caught:
            return catcher[0], *caught
    for name, program in by_name.items():
        caught = run(program, number)
        if caught:
            return name, *caught
    return None


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("-b", dest="only", type=int, help="this bug alone")
    parser.add_argument("-a", dest="anew", action="store_true", help="make planted.txt anew")
    parser.add_argument("programs", nargs="+")
    arguments = parser.parse_args()
    planted = [bug for bug in bugs() if arguments.only in (None, bug[0])]
    catchers = {} if arguments.anew else known()

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        by_name = {Path(program).name: program for program in arguments.programs}
        sound = sorted(set(catchers.values())) or [(name, None) for name in by_name]
        sound = [(name, case) for name, case in sound if name in by_name]
        runs = pool.map(lambda s: run(by_name[s[0]], 0, s[1]), sound)
        for (name, case), caught in zip(sound, runs):
            if caught:
                sys.exit(f"{name} fails without a bug: {caught[0]}: {caught[1]}")
        found = {}
        hunts = pool.map(lambda b: hunt(arguments.programs, b[0], catchers.get(b[0])), planted)
        for (number, name, history), caught in zip(planted, hunts):
            by, case, said = caught or ("", "NOBODY", "")
            if caught:
                found[number] = f"{number} {name} {by} {case}"
            print(f"{number:3} {name:24} {history:26} {by} {case}: {said}", flush=True)
    if arguments.anew:
        head = "# Who catches each bug of src/util/planted.h: number, name, program, case.\n"
        KNOWN.write_text(head + "".join(line + "\n" for line in found.values()))
    print(f"{len(found)} of {len(planted)} caught")
    sys.exit(len(found) < 0.95 * len(planted) or not planted)


if __name__ == "__main__":
    main()
