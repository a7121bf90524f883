#!/usr/bin/env python3
"""Makes the manual pages from kist.h and from what the tool says about itself.

    manual.py HEADER CHANGELOG OUT_DIRECTORY [TOOL]

man3 has kist(3) for the conventions, a page for each function, and one for each public struct;
without TOOL there is no man1. The pages carry the date of the version in the change log, and the
same input gives the same bytes.
"""
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

SECTIONS = {  # of a function's comment, and their names on a page
    "Returns": "RETURN VALUE",
    "Threads": "THREADS",
    "Blocks": "BLOCKING",
    "Durable": "DURABILITY",
    "Since": "HISTORY",
}
FUNCTION = re.compile(r"^KIST_API\b[^;]*?\b(kist_\w+)\([^;]*\);$", re.DOTALL)
STRUCT = re.compile(r"^typedef struct (\w+) \{.*?^\} \1;$", re.DOTALL | re.MULTILINE)


@dataclass
class Item:
    """A page of man3: a function, or a struct with the constants that belong to it."""

    name: str
    code: str
    comment: str  # without its stars
    before: list = field(default_factory=list)  # blocks of constants and callbacks
    group: str = ""


# ---- reading kist.h ------------------------------------------------------------------------------
def plain(comment):
    """The text of a comment without its stars and slashes."""
    text = re.sub(r"^/\* ?|\s*\*/$", "", comment.strip())
    return re.sub(r"^ \*( |$)", "", text, flags=re.MULTILINE)


def parse(header):
    """(the opening comment, {group: its words}, handles, items)."""
    opening = plain(re.match(r"/\*.*?\*/", header, re.DOTALL).group(0))
    body = header[header.index("/* ---- version") : header.rindex("#ifdef __cplusplus")]
    groups, handles, items, group, comment, waiting = {}, [], [], "", "", []
    for block in re.split(r"\n\n(?! \*)(?=\S)", body.strip()):
        head = re.match(r"/\* ---- (.*?) -{3,}(.*?)\*/\s*", block, re.DOTALL)
        if head:
            group = head[1]
            groups[group] = plain("/* " + head[2].strip("\n ").removeprefix("* ") + " */").strip()
            block = block[head.end() :]
        lead = re.match(r"(/\*.*?\*/)\n(?=KIST_API|typedef (?:struct|\w+ \())", block, re.DOTALL)
        comment, code = (plain(lead[1]), block[lead.end() :]) if lead else ("", block)
        code = code.strip()
        if not code:
            continue
        function, struct = FUNCTION.match(code), STRUCT.search(code)
        if function or struct:
            name = (function or struct)[1]
            items.append(Item(name, code, comment, waiting, group))
            waiting = []
        elif re.match(r"typedef struct \w+ \w+;", code):
            handles.append(code)
        else:
            waiting.append(block.strip())
    if waiting:
        raise SystemExit(f"nothing follows: {waiting[0]}")
    return opening, groups, handles, items


def parts_of(comment):
    """(paragraphs, [(parameter, text)], {section: text}) of a function's comment."""
    paragraphs, parameters, sections, last = [], [], {}, None
    for block in comment.split("\n\n"):
        if not block.startswith("  "):
            paragraphs.append(block)
            continue
        for line in block.split("\n"):
            entry = re.match(r"  (?! )(\S+)\s+(.*)", line)
            if not entry:
                last[-1] += " " + line.strip()
                continue
            last = [entry[1], entry[2]]
            (sections.setdefault("", []) if entry[1] in SECTIONS else parameters).append(last)
    named = {name: text for name, text in sections.get("", [])}
    return paragraphs, parameters, named


# ---- writing roff --------------------------------------------------------------------------------
def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


class Page:
    def __init__(self, name, section, release, names):
        self.names = names  # that have pages of their own
        self.name = name
        version, date = release
        self.lines = [f'.TH {name} {section} "{date}" "Kist {version}" "Kist manual"']
        self.lines += [".nh", ".ad l"]  # names are neither cut nor pulled apart

    def head(self, title, level="SH"):
        self.lines.append(f".{level} {title}")

    def paragraph(self):
        if not self.lines[-1].startswith(".S"):
            self.lines.append(".PP")

    def prose(self, text):
        """One paragraph, with the names in it marked."""
        text = re.sub(r"(?<=[a-z])-(?=[a-z])", "\0", " ".join(text.split()))
        text = escape(text).replace("\0", "-")

        def mark(match):
            word = match[0]
            if word == self.name or word not in self.names:
                return rf"\fB{word}\fR"
            return rf"\fB{word}\fR(3)"

        pieces = text.split("`")  # every second one was quoted
        for at in range(0, len(pieces), 2):
            pieces[at] = re.sub(r"\bkist_\w+|\bKIST_\w+\*?", mark, pieces[at])
        text = "".join(rf"\fB{p}\fR" if at % 2 else p for at, p in enumerate(pieces))
        lines = textwrap.wrap(text, 96, break_long_words=False, break_on_hyphens=False)
        self.lines += [re.sub(r"^(?=[.'])", r"\\&", line) for line in lines]

    def prose_of_all(self, paragraphs):
        """Paragraphs; lines of them that are indented, or are a table, stay as they are."""
        for paragraph in paragraphs:
            if re.match(r"\S+ {2,}\S", paragraph):
                self.code(paragraph)
                continue
            for part in re.findall(r"(?:^ .*\n?)+|(?:^\S.*\n?)+", paragraph, re.MULTILINE):
                self.paragraph()
                self.code(part) if part.startswith(" ") else self.prose(part)

    def code(self, text):
        text = textwrap.dedent(text.strip("\n"))
        if self.lines[-1] != ".PP":
            self.paragraph()
        self.lines += [".in +4n", ".EX", *escape(text).split("\n"), ".EE", ".in"]

    def item(self, term, text):
        self.lines.append(".TP")
        self.lines.append(rf"\fB{escape(term)}\fR")
        self.prose(text)

    def see_also(self, names):
        self.head("SEE ALSO")
        refs = [rf".BR {name} ({section})" for name, section in names]
        self.lines += [f"{ref} ," for ref in refs[:-1]] + refs[-1:]

    def write(self, directory, section):
        place = directory / f"man{section}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{self.name}.{section}").write_text("\n".join(self.lines) + "\n")


def summary(text):
    """The first sentence, as a NAME section has it."""
    first = re.match(r"(.*?)(?:\.(?=\s|$)|:(?=\s)|$)", " ".join(text.split())).group(1)
    return first if re.match(r"[A-Z]{2}", first) else first[0].lower() + first[1:]


def name_of(item, paragraphs):
    """The line of a NAME section, which has no mark-up."""
    return f"{item.name} \\- {escape(summary(paragraphs[0]).replace('`', ''))}"


def function_page(item, items, release, names):
    page = Page(item.name, 3, release, names)
    paragraphs, parameters, sections = parts_of(item.comment)
    page.head("NAME")
    page.lines.append(name_of(item, paragraphs))
    page.head("SYNOPSIS")
    synopsis = item.code.replace("KIST_API ", "")
    page.lines += [".nf", r"\fB#include <kist/kist.h>\fR", ".PP"]
    page.lines += [rf"\fB{escape(line)}\fR" for line in aligned(synopsis).split("\n")] + [".fi"]
    page.head("DESCRIPTION")
    page.prose_of_all(paragraphs)
    for block in item.before:
        page.code(block)
    if parameters or "kist_err *err" in item.code:
        page.head("PARAMETERS")
        for name, text in parameters:
            page.item(name, text)
        if "kist_err *err" in item.code:
            page.item("err", "filled where the call returns an error; may be NULL; see kist_err")
    for section, title in SECTIONS.items():
        page.head(title)
        text = sections[section].replace(" as above", f": see {item.group.upper()} in kist(3)")
        page.prose(("Since version " if section == "Since" else "") + text)
    used = [name for name in re.findall(r"\bkist_\w+", item.code) if name in names]
    near = [other.name for other in items if other.group == item.group]
    at = near.index(item.name)
    near = near[max(0, at - 3) : at] + near[at + 1 : at + 4]
    related = dict.fromkeys([*used, *near])
    related.pop(item.name, None)
    page.see_also([("kist", 3), *((name, 3) for name in sorted(related))])
    return page


def aligned(declaration):
    """A declaration whose later lines stand under its parenthesis."""
    first, *rest = declaration.split("\n")
    return "\n".join([first, *(" " * (first.index("(") + 1) + line.strip() for line in rest)])


def struct_page(item, items, release, names):
    page = Page(item.name, 3, release, names)
    text = item.comment or re.sub(r"\s+", " ", item.name.replace("_", " "))
    paragraphs = text.split("\n\n")
    page.head("NAME")
    page.lines.append(name_of(item, paragraphs))
    page.head("SYNOPSIS")
    page.lines += [".nf", r"\fB#include <kist/kist.h>\fR", ".fi"]
    for block in [*item.before, item.code]:
        page.code(block)
    page.head("DESCRIPTION")
    page.prose_of_all(paragraphs)
    users = [other.name for other in items if re.search(rf"\b{item.name} ", other.code)]
    users = [name for name in users if name != item.name and item.name != "kist_err"]
    page.see_also([("kist", 3), *((name, 3) for name in sorted(users))])
    return page


def overview_page(opening, groups, handles, items, release, names):
    page = Page("kist", 3, release, names)
    first, rest = opening.split("\n\n", 1)
    page.head("NAME")
    page.lines.append("kist \\- an embedded, ordered, crash\\-safe key\\-value store")
    page.head("SYNOPSIS")
    page.lines += [".nf", r"\fB#include <kist/kist.h>\fR", ".PP"]
    page.lines += [r"\fBcc program.c $(pkg\-config \-\-cflags \-\-libs kist)\fR", ".fi"]
    page.head("DESCRIPTION")
    intro, conventions = rest.split("\nConventions\n", 1)
    rules, codes, last = re.split(r"\n\n(?=\S)", conventions.strip("\n"), maxsplit=2)
    intro = intro.strip("\n").replace("\n\n    ", "\n    ")
    page.prose_of_all(intro.removeprefix("This file is the manual. ").split("\n\n"))
    page.head("CONVENTIONS")
    for name, text in re.findall(r"^  (\w+) +(.*(?:\n {5,}.*)*)", rules, re.MULTILINE):
        page.item(name, text)
    page.head("RESULTS OF ANY CALL")
    lead, _, table = codes.partition("\n")
    page.prose(lead)
    for name, text in re.findall(r"^  (KIST_\w+) +(.*(?:\n {5,}.*)*)", table, re.MULTILINE):
        page.item(name, text)
    page.head("HANDLES")
    page.code("\n".join(handles))
    for group, words in groups.items():
        members = [item for item in items if item.group == group]
        if not members and not words:
            continue
        page.head(group.split(":")[0].upper())
        if words:
            page.prose_of_all(re.split(r"\n\s*\n", words))
        for item in members:
            page.item(f"{item.name}(3)", summary(item.comment or item.name))
    page.see_also([("kist", 1)])
    return page


# ---- the tool ------------------------------------------------------------------------------------
def told(tool, *words):
    done = subprocess.run([tool, *words], check=True, capture_output=True, text=True)
    return done.stdout


def tool_paragraphs(page, text):
    page.prose_of_all(text.strip("\n").split("\n\n"))


def tool_options(page, text):
    option = r"^ {2,6}(-\S.*?)(?: {2,}|\n {20,})(.*(?:\n {20,}.*)*)"
    for term, words in re.findall(option, text, re.MULTILINE):
        page.item(term, words)


def tool_page(tool, release):
    page = Page("kist", 1, release, set())
    overview = told(tool, "--help")
    lead, listed = overview.split("\ncommands:\n")
    title, usage, rest = lead.split("\n\n", 2)
    commands = [line.split(maxsplit=1) for line in listed.split("\n\n")[0].splitlines()]
    page.head("NAME")
    page.lines.append(escape(title))
    page.head("SYNOPSIS")
    page.lines += [r"\fBkist\fR " + escape(usage.removeprefix("usage: kist "))]
    page.lines += [".br", r"\fBkist\fR \-\-help | \-\-version"]
    page.head("DESCRIPTION")
    tool_paragraphs(page, rest)
    page.head("COMMANDS")
    for name, text in commands:
        page.item(name, text)
    for name, _ in commands:
        text = told(tool, name, "--help")
        about, options = text.split("\noptions:\n")
        options, _, examples = options.partition("\nexamples:\n")
        head, usage, about = about.split("\n\n", 2)
        page.head(f"kist {name}", "SS")
        page.lines += [rf"\fB{escape(usage.removeprefix('usage: ').strip())}\fR"]
        tool_paragraphs(page, about)
        tool_options(page, options)
        page.lines += [".PP", "Examples:"]
        page.code(examples)
    page.head("FORMATS")
    tool_paragraphs(page, told(tool, "help", "formats").split("\n\n", 1)[1])
    page.head("EXIT STATUS")
    tool_paragraphs(page, told(tool, "help", "exit-codes").split("\n\n", 1)[1])
    page.see_also([("kist", 3)])
    return page


def main():
    header, changes, out = Path(sys.argv[1]).read_text(), Path(sys.argv[2]), Path(sys.argv[3])
    numbers = re.findall(r"^#define KIST_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header, re.MULTILINE)
    version = ".".join(numbers)
    date = re.search(rf"^## {version} \((\d{{4}}-\d\d-\d\d)\)", changes.read_text(), re.MULTILINE)
    release = (version, date[1] if date else "")
    opening, groups, handles, items = parse(header)
    names = {item.name for item in items}
    for item in items:
        make = function_page if FUNCTION.match(item.code) else struct_page
        make(item, items, release, names).write(out, 3)
    overview_page(opening, groups, handles, items, release, names).write(out, 3)
    if len(sys.argv) > 4:
        tool_page(sys.argv[4], release).write(out, 1)


if __name__ == "__main__":
    main()
