#!/usr/bin/env python3
"""The rules of the house over this source tree: tests/tidy/source.py [root]."""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402
from rules import RULES, Tree  # noqa: E402

tree = Tree(sys.argv[1] if len(sys.argv) > 1 else HERE.parent.parent)
cases = Cases()
for rule in RULES:
    cases.run("source__" + rule.name, lambda: rule.check(tree), rule.reason)
cases.finish()
