"""The rules of the house that can be read off the source. Each is a function from a tree to complaints, with its reason;
rules_test.py shows that each one catches what it forbids and lets its opposite pass."""
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable

from lexer import code_of, functions_of, opening_comment

# ARCHITECTURE: a file includes its own room or rooms of a lower rank, never sideways.
RANKS = {"util": 0, "vfs": 1, "key": 1, "iter": 1, "record": 2, "batch": 2, "memtable": 3, "table": 3, "version": 4,
         "compaction": 5, "db": 6, "backup": 7, "capi": 8, "cli": 9}
# Two rooms may stand closer than their ranks say ...
NEIGHBOURS = {("iter", "key"): "the internal iterator moves over internal keys"}
# ... and four keep apart although their ranks differ: only version, compaction and db join them.
APART = {"record", "batch", "memtable", "table"}

FILE_LINES, FILE_LINES_EVER, FUNCTION_LINES, COLUMNS = 600, 700, 70, 100
LONG_FILES = {}  # path: reason, up to FILE_LINES_EVER
LONG_FUNCTIONS = {}  # (path, function): reason
LONG_OPENINGS = {"src/record/segment.h": "draws the segment format"}

# Platform #ifdefs and system headers stand in vfs/. Beside it: instruction sets behind a function with a portable form, and
# what the operating system must do inside a wait or an epoch.
BESIDE_VFS = {
    "util/crc32c": "the CRC32C instructions",
    "util/hash": "wide multiplication",
    "util/futex": "the wait primitive under the mutex",
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
        """(line number, match) of every match in the code, or in `text`."""
        text = self.code if text is None else text
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield text.count("\n", 0, match.start()) + 1, match


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.files = []
        for top in ("src", "include", "tests", "fuzz", "bindings", "pkgconfig", ".ci", "."):
            paths = (self.root / top).glob("*" if top == "." else "**/*")
            for path in sorted(path for path in paths if path.is_file()):
                relative = path.relative_to(self.root).as_posix()
                if _SKIP.search(relative) or path.stat().st_size > 1 << 20:
                    continue
                data = path.read_bytes()
                if b"\0" not in data:
                    self.files.append(File(relative, data.decode("utf-8", "replace")))

    def sources(self, *tops):
        return [file for file in self.files if re.search(r"\.(c|cc|h)$", file.path)
                and (not tops or file.path.split("/")[0] in tops)]

    def engine(self):
        return [file for file in self.sources("src") if file.room != "cli"]


_SKIP = re.compile(r"(^|/)(__pycache__|target|bin|obj|node_modules|corpus|golden)/|\.(lock|bin|kst|log)$")


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
    for file in tree.sources("src"):
        if file.room not in RANKS:
            yield f"{file.path}: no such room; ARCHITECTURE knows {', '.join(RANKS)}"
            continue
        for line, match in file.find(r'^\s*#\s*include\s*"([^"/]+)/[^"]*"', file.text):
            other = match.group(1)
            if other == file.room or (file.room, other) in NEIGHBOURS:
                continue
            if other not in RANKS or RANKS[other] >= RANKS[file.room] or {file.room, other} <= APART:
                yield f"{file.path}:{line}: {file.room}/ may not include {other}/"


@rule("the tool and the C interface are the only ones that see the interface; the tool sees nothing else")
def interface_at_the_edge(tree):
    for file in tree.sources("src"):
        for line, match in file.find(r'^\s*#\s*include\s*[<"](kist/kist\.h|[a-z]+/[^">]*)[">]', file.text):
            public = match.group(1) == "kist/kist.h"
            if public and file.room not in ("capi", "cli"):
                yield f"{file.path}:{line}: only capi/ and cli/ include kist.h"
            if not public and file.room == "cli" and match.group(1).split("/")[0] in RANKS.keys() - {"cli"}:
                yield f"{file.path}:{line}: cli/ includes kist.h only"
    for file in tree.sources("tests"):
        if file.path.startswith("tests/capi/"):
            for line, match in file.find(r'^\s*#\s*include\s*"([a-z]+)/', file.text):
                if match.group(1) in RANKS:
                    yield f"{file.path}:{line}: tests of the interface go through kist.h"


@rule("a file that is longer holds two nouns; split it by phase or noun")
def file_length(tree):
    for file in tree.sources():
        count = file.text.count("\n")
        limit = FILE_LINES if file.path.startswith("src/") and file.path not in LONG_FILES else FILE_LINES_EVER
        if count > limit and not file.path.startswith("include/"):
            yield f"{file.path}: {count} lines, the limit is {limit}"


@rule("a function that fits no screen has branches that cannot be seen together")
def function_length(tree):
    for file in tree.sources("src"):
        for name, first, last in functions_of(file.text):
            if last - first + 1 > FUNCTION_LINES and (file.path, name) not in LONG_FUNCTIONS:
                yield f"{file.path}:{first}: {name} has {last - first + 1} lines, the limit is {FUNCTION_LINES}"


@rule("what is left open belongs in an issue; code in the tree is finished")
def banned_words(tree):
    words = ["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK", "not impl" "emented", "unimpl" "emented"]
    pattern = r"\b(" + "|".join(words) + r")\b"
    for file in tree.files:
        for line, match in file.find(pattern, file.text):
            yield f"{file.path}:{line}: {match.group(0)}"


@rule("two files fit beside each other on a screen")
def columns(tree):
    for file in tree.sources():
        for number, line in enumerate(file.text.splitlines(), 1):
            if len(line) > COLUMNS and "http" not in line:
                yield f"{file.path}:{number}: {len(line)} columns, the limit is {COLUMNS}"


@rule("ASCII is what every editor, terminal and compiler reads the same; a line ends with a newline and no space")
def ascii_and_white_space(tree):
    for file in tree.files:
        for number, line in enumerate(file.text.split("\n"), 1):
            if not line.isascii():
                yield f"{file.path}:{number}: not ASCII"
            if line != line.rstrip() and not file.path.endswith(".md"):
                yield f"{file.path}:{number}: white space at the end"
            if "\t" in line and re.search(r"\.(c|cc|h|py)$", file.path):
                yield f"{file.path}:{number}: a tab"
        if file.text and not file.text.endswith("\n"):
            yield f"{file.path}: no newline at the end"


@rule("a reader learns from the first lines what a file is, what holds in it, and who may call it")
def opening_comments(tree):
    for file in tree.sources():
        count = opening_comment(file.text)
        least = 3 if file.path.startswith("src/") else 1
        most = 15 if file.path.startswith("src/") and file.path not in LONG_OPENINGS else 60
        if not least <= count <= most:
            yield f"{file.path}: opens with {count} lines of comment, {least} to {most} are wanted"


@rule("vfs/ is the one seam to the outside: what stands elsewhere escapes the crash and fault tests")
def system_calls_in_vfs(tree):
    headers = r"(unistd|fcntl|dirent|pthread|sched|signal|time|poll|termios|dlfcn|sys/\w+|linux/\w+|fstream|filesystem|iostream|random)"
    calls = (r"(?<![\w.>:])(?:::)?(open|openat|pread|pwrite|fsync|fdatasync|mmap|munmap|madvise|rename|unlink|mkdir|usleep|nanosleep|"
             r"clock_gettime|gettimeofday|getenv|getpid|fork|system)\s*\(|\bstd::thread\b|_clock::now|std::random_device")
    for file in tree.engine():
        if PLATFORM_FILES.match(file.path):
            continue
        for line, match in file.find(rf"^\s*#\s*include\s*<{headers}(\.h)?>"):
            yield f"{file.path}:{line}: {match.group(0).strip()}"
        for line, match in file.find(calls):
            if not re.search(r"\b(Status|Result|virtual|void|bool)\b[^;=(]*$", file.code[:match.start()].rpartition("\n")[2]):
                yield f"{file.path}:{line}: {match.group(0)} outside vfs/"


@rule("a platform difference that is spread over rooms is found by nobody who ports the library")
def platform_in_vfs(tree):
    pattern = r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(__linux__|__unix__|__APPLE__|_WIN32|__GLIBC__|__x86_64__|__i386__|__aarch64__|__SSE\w*|__ARM\w*)"
    for file in tree.engine():
        if not PLATFORM_FILES.match(file.path):
            for line, match in file.find(pattern):
                yield f"{file.path}:{line}: {match.group(1)} outside vfs/"


@rule("errors are Status values; an exception of ours would cross rooms that are only neutral to bad_alloc")
def no_throw(tree):
    for file in tree.sources("src"):
        for line, _ in file.find(r"\bthrow\b"):
            yield f"{file.path}:{line}: throw"


@rule("a library that prints, prints into its host's protocol; messages go to the logger")
def no_stdio(tree):
    pattern = (r"\b(?:std::)?(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|fopen|fdopen|fread|fwrite|fflush)\s*\("
               r"|\bstd::(cout|cerr|clog|ifstream|ofstream|fstream)\b")
    for file in tree.engine():
        for line, match in file.find(pattern) if file.path not in STDIO_FILES else ():
            yield f"{file.path}:{line}: {match.group(0)}"


@rule("a test that reaches inside a class pins its shape; tests go through what the header offers")
def no_test_doors(tree):
    for file in tree.sources("src"):
        for line, match in file.find(r"\bfriend\b[^;]*\b\w*[Tt]est\w*|\bTEST_\w+"):
            yield f"{file.path}:{line}: {match.group(0)}"


@rule("a failing test names its file and the fact that no longer holds")
def test_names(tree):
    for file in tree.sources("tests"):
        stem = re.fullmatch(r"tests/.*?(\w+)_test\.cc?", file.path)
        if not stem:
            continue
        for line, match in file.find(r"\bcmocka_unit_test(?:_setup_teardown|_setup|_teardown|_prestate\w*)?\(\s*(\w+)"):
            if not match.group(1).startswith(stem.group(1) + "__"):
                yield f"{file.path}:{line}: {match.group(1)}, wanted {stem.group(1)}__<fact>"


@rule("the layout is given; a new top-level name needs its place in it")
def top_level(tree):
    known = {"CMakeLists.txt", "CMakePresets.json", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
             "include", "src", "bindings", "tests", "fuzz", "pkgconfig", "build", "out", "compile_commands.json"}
    for path in sorted(tree.root.iterdir()):
        if path.name not in known and not path.name.startswith((".", "build-")):
            yield f"{path.name}: not in the layout"
