#!/usr/bin/env python3
"""The manual pages hold all of kist.h and all of the tool's help, and are clean: manual.py
BUILD_DIRECTORY."""
import re
import shutil
import subprocess
import sys
import tempfile
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

# Of kist.h's opening: what is said of the file itself.
NOT_ON_A_PAGE = (
    "kist.h - the C interface of Kist, an",
    "This file is the manual.",
    "Conventions",
    "Each function's comment has the same parts:",
)
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

    def every_other_comment(self):
        """Each paragraph of the other comments stands on some page, word by word."""

        def words(text):
            text = re.sub(r"(?<=\w)\(3\)", "", text)
            return " ".join(["", *re.findall(r"\w+", text.lower()), ""])

        pages = [words(bare(text)) for text in self.texts.values()]
        found = re.findall(r"/\*((?:[^*]|\*(?!/))*)\*/(?!\nKIST_API)", HEADER)
        for comment in found:
            comment = re.sub(r"-{3,}|\boptions: name = .*", "", comment)
            for paragraph in re.split(r"\n \*\n", comment):
                for part in re.split(r"^ \*   (?=\w+ {2,})", paragraph, flags=re.MULTILINE):
                    part = re.sub(r"^ \*", "", part, flags=re.MULTILINE).strip()
                    if not any(words(part) in page for page in pages):
                        if not part.startswith(NOT_ON_A_PAGE):
                            yield f"on no page: {part[:200]!r}"
        if len(found) < 100:
            yield f"only {len(found)} comments"

    def nothing_is_lost_at_an_end(self):
        """A sentence that is appended to any paragraph is on the pages: the generator of them, on a
        kist.h with a sentence more in each place that a sentence can end."""
        ends = r"(?<=\w\.)(?=\n \*(?:\n|/)| \*/)"
        of_the_file = range(HEADER.index("Each function's"), HEADER.index("#ifndef KIST_KIST_H"))
        count = 0

        def one_more(match):
            nonlocal count
            if match.start() <= HEADER.index("\n *\n") or match.start() in of_the_file:
                return ""
            count += 1
            line = " " if match.start() < of_the_file.start else "\n * "
            return f"{line}Sentinel{count} is here."

        header = re.sub(ends, one_more, HEADER)
        with tempfile.TemporaryDirectory(prefix="kist-") as work:
            (Path(work) / "kist.h").write_text(header)
            command = [sys.executable, ROOT / "pkgconfig/manual.py", Path(work) / "kist.h"]
            subprocess.run([*command, ROOT / "CHANGELOG.md", work], check=True)
            text = "".join(path.read_text() for path in Path(work).glob("man3/*"))
        for number in range(1, count + 1):
            if not re.search(rf"Sentinel{number}\s+is\s+here\.", text):
                place = header[: header.index(f"Sentinel{number} ")][-120:]
                yield f"lost after {place!r}"
        if count < 100:
            yield f"only {count} places"

    def is_up_to_date(self):
        """The pages of the build are those of this kist.h."""
        with tempfile.TemporaryDirectory(prefix="kist-") as work:
            command = [sys.executable, ROOT / "pkgconfig/manual.py", ROOT / "include/kist/kist.h"]
            command += [ROOT / "CHANGELOG.md", work, self.build / "kist"]
            subprocess.run(command, check=True)
            fresh = {path.name: path.read_text() for path in Path(work).glob("man?/*")}
        if fresh != {path.name: path.read_text() for path in self.pages.values()}:
            yield "they are not: build the target manual"

    def tool(self):
        def told(*words):
            command = [self.build / "kist", *words]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        page = bare(self.texts["kist(1)"])
        overview = told("--help").rsplit("\n\n", 1)[0]  # what follows names other pages
        commands = re.findall(r"^  (\w+) ", overview.split("commands:\n")[1], re.MULTILINE)
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
            if not re.search(rf"^\.TP\n\\fB{command}\\fR$", self.texts["kist(1)"], re.MULTILINE):
                yield f"{command} is not listed"

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
    cases.run("manual__has_every_other_comment", manual.every_other_comment)
    cases.run("manual__loses_nothing_at_an_end", manual.nothing_is_lost_at_an_end)
    cases.run("manual__is_up_to_date", manual.is_up_to_date)
    cases.run("manual__has_all_of_the_tool", manual.tool)
    for name, tool, check in (("mandoc", "mandoc", manual.lint), ("man", "man", manual.man)):
        if shutil.which(tool):
            cases.run(f"manual__is_clean_to_{name}", check)
        else:
            cases.skip(f"manual__is_clean_to_{name}", f"{tool} is not installed")
    cases.finish()


if __name__ == "__main__":
    main()
