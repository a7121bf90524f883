#!/usr/bin/env python3
"""Every test that tests/bugs.txt names exists and is run by its program, and every line names one.

A program is a file of tests, its folders joined by dots: unit.record.chain is
tests/unit/record/chain_test.cc. A case is a function <file>__<case> that stands in it twice: where
it is written and where it is listed.
"""
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))
from cases import Cases  # noqa: E402


def source_of(program):
    base = TESTS / (program.replace(".", "/") + "_test")
    for suffix in (".cc", ".c"):
        if base.with_suffix(suffix).exists():
            return base.with_suffix(suffix)
    return None


def wrong_in(line):
    """What is wrong with one line, or None."""
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 3 or not all(fields):
        return "a line is: entries | what went wrong | tests"
    for test in fields[2].removeprefix("~").split(";"):
        program, _, case = (part.strip() for part in test.partition(":"))
        source = source_of(program)
        if source is None:
            return f"there is no program {program}"
        file = source.stem.removesuffix("_test")
        if not case or len(re.findall(rf"\b{file}__{case}\b", source.read_text())) < 2:
            return f"{program} runs no case {case or '(none named)'}"
    return None


def lines():
    text = (TESTS / "bugs.txt").read_text().splitlines()
    return [line for line in text if line and not line.startswith("#")]


def every_test_exists():
    return [f"{line[:40]}: {wrong_in(line)}" for line in lines() if wrong_in(line)]


def each_entry_stands_once():
    entries = [entry for line in lines() for entry in line.split("|")[0].split()]
    return sorted({entry for entry in entries if entries.count(entry) > 1})


def the_rule_bites():
    good = "a#1 | it broke | unit.record.chain: nothing_is_nothing"
    bad = (
        "a#1 | it broke",
        "a#1 | it broke | unit.record.chain",
        "a#1 | it broke | unit.record.none: nothing_is_nothing",
        "a#1 | it broke | unit.record.chain: nothing_is_something",
        "a#1 | it broke | unit.record.chain: nothing_is_nothing; fault.crash: none",
    )
    missed = [line for line in bad if wrong_in(line) is None]
    return missed + [good] * (wrong_in(good) is not None)


cases = Cases()
for check in (every_test_exists, each_entry_stands_once, the_rule_bites):
    cases.run("bugs__" + check.__name__, check)
cases.finish()
