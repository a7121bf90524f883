#!/usr/bin/env python3
"""Every test that tests/bugs.txt and tests/guarantees.txt name exists and is run by its program.

Every line names one, and every promise has its line; every function of the interface is called in a
fork child. A program is a file of tests, its folders joined by dots: unit.record.chain is
tests/unit/record/chain_test.cc, consumer.abi is tests/consumer/abi.py. A case is a function
<file>__<case>, in a script <case>, that stands in it twice: where it is written and where it is
listed.
"""
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))
from cases import Cases  # noqa: E402

LISTS = ("bugs.txt", "guarantees.txt")
PROMISES = [f"G{number}" for number in range(1, 25)]


def source_of(program):
    base = str(TESTS / program.replace(".", "/"))
    for ending in ("_test.cc", "_test.c", ".py"):
        if Path(base + ending).exists():
            return Path(base + ending)
    return None


def wrong_in(line):
    """What is wrong with one line, or None."""
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 3 or not all(fields):
        return "a line is: entries | what | tests"
    for test in fields[2].removeprefix("~").split(";"):
        program, _, case = (part.strip() for part in test.partition(":"))
        source = source_of(program)
        if source is None:
            return f"there is no program {program}"
        file = "" if source.suffix == ".py" else source.stem.removesuffix("_test") + "__"
        if not case or len(re.findall(rf"\b{file}{case}\b", source.read_text())) < 2:
            return f"{program} runs no case {case or '(none named)'}"
    return None


def lines(name):
    text = (TESTS / name).read_text().splitlines()
    return [line for line in text if line and not line.startswith("#")]


def every_test_exists():
    everything = [line for name in LISTS for line in lines(name)]
    return [f"{line[:40]}: {wrong_in(line)}" for line in everything if wrong_in(line)]


def each_entry_stands_once():
    for name in LISTS:
        entries = [entry for line in lines(name) for entry in line.split("|")[0].split()]
        yield from sorted({entry for entry in entries if entries.count(entry) > 1})


def every_promise_has_tests():
    listed = [line.split("|")[0].strip() for line in lines("guarantees.txt")]
    return [f"wanted {PROMISES}, got {listed}"] if listed != PROMISES else []


def each_function_meets_a_fork():
    """Those of the interface that tests/capi/fork_test.c does not call."""
    exported = (TESTS.parent / "src" / "capi" / "kist.map").read_text()
    functions = re.findall(r"^    (kist_\w+);", exported, re.MULTILINE)
    calls = (TESTS / "capi/fork_test.c").read_text()
    yield from (name for name in functions if not re.search(rf"\b{name}\(", calls))


def the_rule_bites():
    good = (
        "a#1 | it broke | unit.record.chain: nothing_is_nothing",
        "a#1 | it broke | ~ consumer.abi: constants_stay; unit.record.chain: nothing_is_nothing",
    )
    bad = (
        "a#1 | it broke",
        "a#1 | it broke | unit.record.chain",
        "a#1 | it broke | unit.record.none: nothing_is_nothing",
        "a#1 | it broke | unit.record.chain: nothing_is_something",
        "a#1 | it broke | unit.record.chain: nothing_is_nothing; fault.crash: none",
        "a#1 | it broke | consumer.abi: constants_go",
    )
    missed = [line for line in bad if wrong_in(line) is None]
    return missed + [line for line in good if wrong_in(line) is not None]


cases = Cases()
for check in (
    every_test_exists, each_entry_stands_once, every_promise_has_tests,
    each_function_meets_a_fork, the_rule_bites,
):
    cases.run("lists__" + check.__name__, check)
cases.finish()
