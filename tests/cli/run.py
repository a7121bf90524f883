#!/usr/bin/env python3
"""Tests of the kist tool: tests/cli/run.py PATH_OF_KIST [NAME...]

To wire it up: kist_script(cli.tool ${python} ${here}/cli/run.py $<TARGET_FILE:kist_tool>). It
prints one line for each case as cmocka does ([     OK ] name, [  FAILED  ] name) and exits with 1
where one failed. NAMEs choose the cases whose names contain one of them. KIST_SEED repeats the
random ones.
"""
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "support"))

import bench_cases  # noqa: E402
import command_cases  # noqa: E402
import copy_cases  # noqa: E402
import format_cases  # noqa: E402
import load_cases  # noqa: E402
import s3_cases  # noqa: E402
import shell_cases  # noqa: E402
import terminal_cases  # noqa: E402
import word_cases  # noqa: E402
from cases import Cases  # noqa: E402
from tool import Tool  # noqa: E402

MODULES = [
    word_cases,
    command_cases,
    copy_cases,
    s3_cases,
    format_cases,
    load_cases,
    shell_cases,
    terminal_cases,
    bench_cases,
]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    cases = Cases()
    for module in MODULES:
        for name, function in list(vars(module).items()):
            if "__" not in name or name.startswith("_") or not callable(function):
                continue
            if wanted and not any(part in name for part in wanted):
                continue
            tool = Tool(binary)
            cases.run(name, lambda: function(tool), (function.__doc__ or "").strip())
            tool.close()
    cases.finish()


main()
