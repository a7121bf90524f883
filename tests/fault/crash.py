#!/usr/bin/env python3
"""Runs each workload of crash_test.cc in a process of its own, side by side, and adds up.

Ends with the number of distinct crash states that were judged, and fails on a violation. What the
program takes from the environment stands at the head of crash_test.cc.
"""
import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "crash_test.cc"
RESULT = re.compile(r"^.*: (\d+) states \(by crashes:([\d ]+)\), (\d+) violations$", re.MULTILINE)


def run(program, workload):
    env = {**os.environ, "CMOCKA_TEST_ABORT": "1", "KIST_TEST": workload}
    return subprocess.run(
        [program], env=env, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


def main():
    known = re.findall(r"cmocka_unit_test\((crash__\w+)\)", SOURCE.read_text())
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("program", type=Path, help="fault.crash of a build")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(known))
    arguments = parser.parse_args()
    program, workloads = arguments.program.resolve(), arguments.workloads or known
    if not os.access(program, os.X_OK):
        parser.error(f"{program}: no program")
    for name in workloads:
        if name not in known:
            parser.error(f"{name}: no workload")
    start = time.time()
    total, by_crashes, failed = 0, {}, []
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for workload, done in zip(workloads, pool.map(lambda w: run(program, w), workloads)):
            result = RESULT.search(done.stdout)
            if result:
                print(result.group(0), flush=True)
                total += int(result.group(1))
                for crashes, states in enumerate(result.group(2).split(), 1):
                    by_crashes[crashes] = by_crashes.get(crashes, 0) + int(states)
            if done.returncode != 0 or not result:
                failed.append(workload)
                print(f"--- {workload} failed\n{done.stdout[-4000:]}\n---", flush=True)
    crashes = ", ".join(f"{states} after {n}" for n, states in by_crashes.items())
    print(f"{total} distinct states of {len(workloads)} workloads in {time.time() - start:.0f} s "
          f"(crashes: {crashes}); {len(failed)} workloads failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
