"""The rules of the house that can be read off the source.

Each rule is a function from a tree to complaints, with its reason. rules_test.py shows that it
catches what it forbids and lets its opposite pass. An exemption stands in a table here, with a
reason too.
"""
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable

from lexer import code_of, functions_of, opening_comment

# ARCHITECTURE: a file includes its own room or rooms of a lower rank, never sideways.
RANKS = {
    "util": 0,
    "vfs": 1,
    "key": 1,
    "iter": 1,
    "record": 2,
    "batch": 2,
    "memtable": 3,
    "table": 3,
    "version": 4,
    "compaction": 5,
    "db": 6,
    "backup": 7,
    "capi": 8,
    "cli": 9,
}
# Two rooms may stand closer than their ranks say ...
NEIGHBOURS = {("iter", "key"): "the internal iterator moves over internal keys"}
# ... and four keep apart although their ranks differ: version, compaction and db join them.
APART = {"record", "batch", "memtable", "table"}

FILE_LINES = 600
FILE_LINES_EVER = 700  # with a reason
TEST_FILE_LINES = 1000
FUNCTION_LINES = 70
COLUMNS = 100
OPENING_LINES = (3, 15)
LONG_FILES = {}  # path: reason; up to FILE_LINES_EVER
LONG_FUNCTIONS = {}  # (path, function): reason
LONG_OPENINGS = {  # path: reason
    "src/backup/objects.h": "draws the objects of a target",
    "src/record/segment.h": "draws the segment format",
    "src/table/block.h": "draws the block format",
    "src/table/format.h": "draws the table format",
}

# Platform #ifdefs and system headers stand in vfs/. Beside it: instruction sets behind functions
# that have a portable form, and what must touch the thread inside a wait or an epoch.
BESIDE_VFS = {
    "util/crc32c": "the CRC32C instructions",
    "util/hash": "wide multiplication",
    "util/futex": "the wait primitive under the mutex",
    "util/alloc": "chunks of whole pages, which are memory and no I/O",
    "util/epoch": "the thread's number and the pause of a reader",
    "table/hash_match": "sixteen hash bytes compared at once",
}
PLATFORM_FILES = re.compile("src/(vfs/|(" + "|".join(BESIDE_VFS) + r")\w*\.)")
STDIO_FILES = {"src/util/check.h": "a debug build says which invariant broke before it aborts"}


@dataclass
class File:
    path: str
    text: str

    @cached_property
    def code(self):
        return code_of(self.text)

    @property
    def room(self):
        parts = self.path.split("/")
        return parts[1] if parts[0] == "src" and len(parts) > 2 else None

    def find(self, pattern, text=None):
        """(place, match) of every match in the code, or in `text`."""
        text = self.code if text is None else text
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield f"{self.path}:{text.count(chr(10), 0, match.start()) + 1}", match

    def lines(self):
        return enumerate(self.text.split("\n"), 1)


# What others made, or a test keeps as bytes.
_NOT_OURS = re.compile(
    r"(^|/)(__pycache__|target|artifacts|bin|obj|corpus|golden)/|\.(lock|bin|kst|log)$"
)


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.files = []
        for top in ("src", "include", "tests", "fuzz", "bindings", "pkgconfig", ".ci", "."):
            for path in sorted((self.root / top).glob("*" if top == "." else "**/*")):
                relative = path.relative_to(self.root).as_posix()
                if not path.is_file() or _NOT_OURS.search(relative):
                    continue
                data = path.read_bytes()
                if b"\0" not in data[: 1 << 16]:
                    self.files.append(File(relative, data.decode("utf-8", "replace")))

    def sources(self, top=""):
        return [
            file
            for file in self.files
            if re.search(r"\.(c|cc|h)$", file.path) and file.path.startswith(top)
        ]

    def engine(self):
        return [file for file in self.sources("src/") if file.room != "cli"]


@dataclass
class Rule:
    name: str
    reason: str
    check: Callable


RULES = []


def rule(reason):
    def add(check):
        RULES.append(Rule(check.__name__, reason, check))
        return check

    return add


@rule("a room that knows only the rooms below it can be read, tested and replaced alone")
def include_ranks(tree):
    for file in tree.sources("src/"):
        if file.room not in RANKS:
            yield f"{file.path}: no such room; ARCHITECTURE knows {', '.join(RANKS)}"
            continue
        for place, match in file.find(r'^\s*#\s*include\s*"([^"/]+)/[^"]*"', file.text):
            other = match.group(1)
            if other == file.room or (file.room, other) in NEIGHBOURS or other == "kist":
                continue
            below = other in RANKS and RANKS[other] < RANKS[file.room]
            if not below or {file.room, other} <= APART:
                yield f"{place}: {file.room}/ may not include {other}/"


@rule("the interface is seen at the edge only; the tool and the tests of the interface see no more")
def interface_at_the_edge(tree):
    for file in tree.sources():
        by_interface = file.room == "cli" or file.path.startswith("tests/capi/")
        for place, match in file.find(r'^\s*#\s*include\s*[<"]([a-z]+)/[^">]*[">]', file.text):
            room = match.group(1)
            if room == "kist" and file.room and file.room not in ("capi", "cli"):
                yield f"{place}: only capi/ and cli/ include kist.h"
            if by_interface and room in RANKS and room != file.room:
                yield f"{place}: goes past kist.h"


@rule("a file that is longer holds two nouns; split it by phase or noun")
def file_length(tree):
    for file in tree.sources():
        limit = FILE_LINES_EVER if file.path in LONG_FILES else FILE_LINES
        limit = limit if file.path.startswith("src/") else TEST_FILE_LINES
        count = file.text.count("\n")
        if count > limit and not file.path.startswith("include/"):  # the manual is one file
            yield f"{file.path}: {count} lines, the limit is {limit}"


@rule("a function that fits no screen has branches that cannot be seen together")
def function_length(tree):
    for file in tree.sources("src/"):
        for name, first, last in functions_of(file.text):
            count = last - first + 1
            if count > FUNCTION_LINES and (file.path, name) not in LONG_FUNCTIONS:
                yield f"{file.path}:{first}: {name}, {count} lines, the limit is {FUNCTION_LINES}"


@rule("what is left open belongs in an issue; code in the tree is finished")
def banned_words(tree):
    words = ("TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK", "not impl" "emented", "unimpl" "emented")
    for file in tree.files:
        for place, match in file.find(rf"\b({'|'.join(words)})\b", file.text):
            yield f"{place}: {match.group(0)}"


@rule("two files fit beside each other on a screen")
def columns(tree):
    for file in tree.files:
        if not re.search(r"\.(c|cc|h|py)$", file.path):
            continue
        for number, line in file.lines():
            if len(line) > COLUMNS and "http" not in line:
                yield f"{file.path}:{number}: {len(line)} columns, the limit is {COLUMNS}"


@rule("ASCII is what every editor, terminal and compiler reads the same")
def plain_text(tree):
    for file in tree.files:
        for number, line in file.lines():
            if not line.isascii():
                yield f"{file.path}:{number}: not ASCII"
            if line != line.rstrip():
                yield f"{file.path}:{number}: white space at the end"
            if "\t" in line and re.search(r"\.(c|cc|h|py)$", file.path):
                yield f"{file.path}:{number}: a tab"
        if file.text and not file.text.endswith("\n"):
            yield f"{file.path}: no newline at the end"


@rule("the first lines tell what a file is, what holds in it, and who may call it")
def opening_comments(tree):
    for file in tree.sources():
        least, most = OPENING_LINES
        if not file.path.startswith("src/"):
            least = 1
        if file.path in LONG_OPENINGS or file.path.startswith("include/"):
            most = 100
        count = opening_comment(file.text)
        if not least <= count <= most:
            yield f"{file.path}: opens with {count} lines of comment; {least} to {most} are wanted"


_SYSTEM_HEADERS = (
    r"unistd|fcntl|dirent|pthread|sched|signal|time|poll|dlfcn|sys/\w+|linux/\w+"
    r"|fstream|filesystem|iostream|random"
)
_SYSTEM_CALLS = (
    r"(?<![\w>])::(?:open|pread|pwrite|fsync|fdatasync|mmap|rename|unlink|mkdir)\s*\("
    r"|\bstd::(?:getenv|system|rename|remove)\s*\(\s*[\w\"]+\s*\)"
    r"|\bstd::(?:thread|random_device)\b|_clock::now"
)


@rule("vfs/ is the one seam: what stands elsewhere escapes the crash and fault tests")
def system_calls_in_vfs(tree):
    for file in tree.engine():
        if PLATFORM_FILES.match(file.path):
            continue
        for place, match in file.find(rf"^\s*#\s*include\s*<({_SYSTEM_HEADERS})(\.h)?>"):
            yield f"{place}: {match.group(0).strip()}"
        for place, match in file.find(_SYSTEM_CALLS):
            yield f"{place}: {match.group(0)} outside vfs/"


@rule("a platform difference that is spread over rooms is found by nobody who ports the library")
def platform_in_vfs(tree):
    pattern = (
        r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(__linux__|__unix__|__APPLE__|_WIN32|__GLIBC__"
        r"|__x86_64__|__i386__|__aarch64__|__SSE\w*|__ARM\w*)"
    )
    for file in tree.engine():
        if not PLATFORM_FILES.match(file.path):
            for place, match in file.find(pattern):
                yield f"{place}: {match.group(1)} outside vfs/"


@rule("errors are Status values; the rooms are neutral to bad_alloc and to nothing else")
def no_throw(tree):
    for file in tree.sources("src/"):
        for place, match in file.find(r"\bthrow\s*[^;\s][^;]*;"):
            yield f"{place}: {match.group(0)}"


@rule("a library that prints, prints into its host's protocol; messages go to the logger")
def no_stdio(tree):
    pattern = (
        r"\b(?:std::)?(?:printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|fopen|fdopen"
        r"|fread|fwrite|fflush)\s*\(|\bstd::(?:cout|cerr|clog|ifstream|ofstream|fstream)\b"
    )
    for file in tree.engine():
        if file.path not in STDIO_FILES:
            for place, match in file.find(pattern):
                yield f"{place}: {match.group(0)}"


@rule("a test that reaches inside a class pins its shape; tests use what the header offers")
def no_test_doors(tree):
    for file in tree.sources("src/"):
        for place, match in file.find(r"\bfriend\b[^;]*\b\w*[Tt]est\w*|\bTEST_\w+"):
            yield f"{place}: {match.group(0)}"


@rule("a failing test names its file and the fact that no longer holds")
def test_names(tree):
    nouns = {Path(file.path).stem for file in tree.sources("src/")}
    for file in tree.sources("tests/"):
        stem = re.fullmatch(r"tests/.*?(\w+)_test\.cc?", file.path)
        if not stem:
            continue
        for place, match in file.find(r"^(?!#).*\bcmocka_unit_test(?:_\w+)?\(\s*(\w+)"):
            noun, _, fact = match[1].partition("__")
            if not fact or noun not in nouns | {stem[1]}:
                yield f"{place}: {match[1]}; wanted {stem[1]}__<fact>"


_FUNCTION = r"(?:/\*((?:[^*]|\*(?!/))*)\*/\n)?^KIST_API\b[^;(]*?\b(kist_\w+)\(([^;]*)\);"
_SECTIONS = ("Returns", "Threads", "Blocks", "Durable", "Since")


def parameters_of(text):
    """The names in a C parameter list, without err; of a function pointer, its own name."""
    flat = re.sub(r"\(\*(\w+)\)\([^)]*\)", r"\1", text)
    names = [re.search(r"(\w+)(?:\[\w*\])?\s*$", part).group(1) for part in flat.split(",")]
    return [name for name in names if name not in ("void", "err")]


@rule("kist.h is the manual: man pages and bindings are made from it")
def header_sections(tree):
    for file in tree.sources("include/"):
        for place, match in file.find(_FUNCTION, file.text):
            comment, name, parameters = match[1] or "", match[2], match[3]
            for section in _SECTIONS:
                if not re.search(rf"^ \*   {section}\b", comment, re.MULTILINE):
                    yield f"{place}: {name} does not say: {section}"
            table = "\n".join(re.findall(r"^ \*   (?! )(.*)$", comment, re.MULTILINE))
            for parameter in parameters_of(parameters):
                if not re.search(rf"\b{parameter}\b", table):
                    yield f"{place}: {name} does not explain {parameter}"


@rule("a packager reads what can be chosen, not the build script")
def build_options(tree):
    texts = {file.path: file.text for file in tree.files}
    pattern = r"^ *(?:option|find_\w+|set)\((KIST_\w+)\b([^)]*)"
    for match in re.finditer(pattern, texts.get("CMakeLists.txt", ""), re.MULTILINE):
        chosen = not match[0].lstrip().startswith("set(") or "CACHE" in match[2]
        if chosen and f"`{match[1]}`" not in texts.get("CONTRIBUTING.md", ""):
            yield f"CMakeLists.txt: {match[1]} is not explained in CONTRIBUTING.md"


@rule("the layout is given; a new name at the top needs its place in it")
def top_level(tree):
    known = (
        "CMakeLists.txt CMakePresets.json Makefile README.md LICENSE CHANGELOG.md CONTRIBUTING.md"
        " include src bindings tests fuzz pkgconfig build out compile_commands.json"
    ).split()
    for path in sorted(tree.root.iterdir()):
        if path.name not in known and not path.name.startswith((".", "build-")):
            yield f"{path.name}: not in the layout"
