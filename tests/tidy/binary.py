#!/usr/bin/env python3
"""The rules of the house over a built library: tests/tidy/binary.py path/to/libkist.so."""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))

import binary_rules as rules  # noqa: E402
from cases import Cases  # noqa: E402

library = sys.argv[1]
header = (ROOT / "include/kist/kist.h").read_text()
script = (ROOT / "src/capi/kist.map").read_text()
cases = Cases()
cases.run(
    "binary__exports_are_the_header",
    lambda: rules.exports_are_the_header(library, header, script),
    "what is exported is promised for ever, and what is declared must be there",
)
cases.run(
    "binary__no_mutable_globals",
    lambda: rules.no_mutable_globals(library),
    "two databases in one process share nothing; state belongs to a handle",
)
cases.run(
    "binary__no_static_constructors",
    lambda: rules.no_static_constructors(library),
    "loading a library must do nothing to its host",
)
cases.run(
    "binary__loading",
    lambda: rules.loading(library),
    "hosts of every kind load it, and close it again, safely",
)
cases.run("binary__size", lambda: rules.size(library), "small enough to ship inside anything")
cases.finish()
