#!/usr/bin/env python3
"""The manual pages hold all of kist.h and all of the tool's help, and are clean: manual.py
BUILD_DIRECTORY."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "tidy")]

from binary_rules import declared  # noqa: E402
from cases import Cases  # noqa: E402
from rules import parameters_of  # noqa: E402

HEADER = (ROOT / "include/kist/kist.h").read_text()
CODE = re.sub(r"/\*.*?\*/", " ", HEADER, flags=re.DOTALL)
SECTIONS = "NAME SYNOPSIS DESCRIPTION PARAMETERS RETURN VALUE THREADS BLOCKING DURABILITY HISTORY"

RENAMED = {"Returns", "Threads", "Blocks", "Durable", "Since", "as", "above"}


def bare(roff):
    """The words of a page, without its mark-up."""
    text = re.sub(r"\\f[BR]", "", roff).replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")
    return " ".join(re.sub(r"^\.\S+ ?", "", text, flags=re.MULTILINE).split())


class Manual:
    def __init__(self, build):
        self.build = Path(build)
        self.pages = {
            f"{path.stem}({path.suffix[1:]})": path
            for path in sorted(self.build.glob("man/man*/*"))
        }
        self.texts = {name: path.read_text() for name, path in self.pages.items()}

    def every_function(self):
        for name in sorted(declared(HEADER)):
            page = self.texts.get(f"{name}(3)", "")
            if not page:
                yield f"{name} has no page"
                continue
            arguments = re.search(rf"\b{name}\((.*?)\);", CODE, re.DOTALL)[1]
            parameters = parameters_of(arguments)
            parameters += ["err"] if "kist_err *err" in arguments else []
            for parameter in parameters:
                if not re.search(rf"^\.TP\n\\fB{parameter}\\fR$", page, re.MULTILINE):
                    yield f"{name} does not explain {parameter}"
            for section in re.findall("RETURN VALUE|[A-Z]+", SECTIONS):
                if section == "PARAMETERS" and arguments == "void":
                    continue
                if not re.search(rf"^\.SH {section}\n(?!\.SH)", page, re.MULTILINE):
                    yield f"{name} has no section {section}"

    def every_type_and_constant(self):
        for name in re.findall(r"^typedef struct (\w+) \{", CODE, re.MULTILINE):
            if f"{name}(3)" not in self.texts:
                yield f"{name} has no page"
        everything = "\n".join(map(bare, self.texts.values()))
        constants = re.findall(r"^#define (KIST_(?!API)\w+) ", CODE, re.MULTILINE)
        types = re.findall(r"^typedef struct (\w+) \w+;", CODE, re.MULTILINE)
        for name in constants + types:
            if not re.search(rf"(#define|typedef struct) {name}\b", everything):
                yield f"{name} stands on no page"

    def every_word_of_comments(self):
        """The words of each function's comment, in their order, are on its page."""
        for comment, name in re.findall(
            r"/\*((?:[^*]|\*(?!/))*)\*/\nKIST_API\b[^;(]*?\b(kist_\w+)\(", HEADER
        ):
            page = iter(re.findall(r"\w+", bare(self.texts[f"{name}(3)"])))
            words = [word for word in re.findall(r"\w+", comment) if word not in RENAMED]
            lost = [word for word in words if word not in page]
            if lost:
                yield f"{name}: lost {lost[0]!r} and what follows it"

    def tool(self):
        def told(*words):
            command = [self.build / "kist", *words]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        page = bare(self.texts["kist(1)"])
        overview = told("--help").rsplit("\n\n", 1)[0]  # what follows names other pages
        commands = re.findall(r"^  (\w+) {3,}", overview.split("commands:\n")[1], re.MULTILINE)
        if len(commands) < 20:
            yield f"only {commands}"
        helps = [overview, *(told(c, "--help") for c in commands)]
        helps += [told("help", "formats"), told("help", "exit-codes")]
        for text in helps:
            for word in re.findall(r"[\w./-]+", text.replace("`", "")):
                if word not in page and word not in ("Formats", "usage", "examples"):
                    yield f"{word!r} of {text.splitlines()[0]!r} is not in kist(1)"
        for command in commands:
            if f"kist {command} [options]" not in page:
                yield f"no usage of {command}"

    def lint(self):
        done = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", *self.pages.values()],
            capture_output=True,
            text=True,
        )
        unreleased = "(unreleased)" in (ROOT / "CHANGELOG.md").read_text()
        for line in done.stdout.splitlines():
            if "missing date" not in line or not unreleased:
                yield line

    def man(self):
        for name in ("kist(1)", "kist(3)", "kist_open(3)", "kist_err(3)"):
            command = ["man", "--warnings=all", "-l", self.pages[name]]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0 or done.stderr or len(done.stdout) < 300:
                yield f"{name}: exit {done.returncode}, {len(done.stdout)} bytes, {done.stderr}"
        done = subprocess.run(
            ["groff", "-mandoc", "-ww", "-z", *self.pages.values()], capture_output=True, text=True
        )
        yield from done.stderr.splitlines()


def main():
    manual, cases = Manual(sys.argv[1]), Cases()
    cases.run("manual__has_every_function", manual.every_function)
    cases.run("manual__has_every_type_and_constant", manual.every_type_and_constant)
    cases.run("manual__has_every_word_of_comments", manual.every_word_of_comments)
    cases.run("manual__has_all_of_the_tool", manual.tool)
    for name, tool, check in (("mandoc", "mandoc", manual.lint), ("man", "man", manual.man)):
        if shutil.which(tool):
            cases.run(f"manual__is_clean_to_{name}", check)
        else:
            cases.skip(f"manual__is_clean_to_{name}", f"{tool} is not installed")
    cases.finish()


if __name__ == "__main__":
    main()
