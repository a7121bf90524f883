#!/usr/bin/env python3
"""Plants each bug of src/util/planted.h in turn and demands that a test catches it.

    planted.py [-b NUMBER] PROGRAM ...

The programs are tests that were built with the bugs in them. First all must pass without a bug.
Then each bug is on in one program after the other until one fails; what it said is shown. Ends with
`N of M caught`, and fails where N is not M.
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "src" / "util" / "planted.h"
SECONDS = 120
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


def run(program, number):
    """What the program said when it failed, or None."""
    env = {**os.environ, **SMALL, "KIST_PLANTED": str(number)}
    try:
        done = subprocess.run(
            [program], env=env, timeout=SECONDS, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.strip() and line[0] != "["]
    told = [line for line in lines if "ERROR" in line] or lines[-1:]
    return told[0][:100] if told else f"exit code {done.returncode}"


def hunt(programs, number):
    """(program, what it said) of the first that catches the bug, or None."""
    for program in programs:
        said = run(program, number)
        if said is not None:
            return Path(program).name, said
    return None


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("-b", dest="only", type=int, help="this bug alone")
    parser.add_argument("programs", nargs="+")
    arguments = parser.parse_args()
    planted = [bug for bug in bugs() if arguments.only in (None, bug[0])]

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for program, said in zip(
            arguments.programs, pool.map(lambda p: run(p, 0), arguments.programs)
        ):
            if said is not None:
                sys.exit(f"{program} fails without a bug: {said}")
        caught = 0
        hunts = pool.map(lambda bug: hunt(arguments.programs, bug[0]), planted)
        for (number, name, history), found in zip(planted, hunts):
            caught += found is not None
            by, said = found or ("NOBODY", "")
            print(f"{number:3} {name:24} {history:24} caught by {by}: {said}", flush=True)
    print(f"{caught} of {len(planted)} caught")
    sys.exit(caught != len(planted) or not planted)


if __name__ == "__main__":
    main()
