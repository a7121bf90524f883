#!/usr/bin/env python3
"""Tests of the enforcement: each rule complains about an offence planted here, and only then."""
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import binary_rules  # noqa: E402
import rules  # noqa: E402
from cases import Cases  # noqa: E402
from lexer import code_of, functions_of  # noqa: E402

OPENING = "// A file that\n// keeps every rule of\n// the house.\n"


MANUAL = """
/* Does it.
 *
 *   n        it
 *   log      where to say so
 *
 *   Returns  nothing
 *   Threads  any
 *   Blocks   never
 *   Durable  nothing is written
 *   Since    0.1.0
 */
KIST_API void kist_do(int n, void (*log)(void *ctx, int n),
                      kist_err *err);
"""


def function(lines):
    return "int F(int a) {\n" + "  a += 1;\n" * (lines - 2) + "}\n"


# rule: path, what offends, what is close to it and allowed
OFFENCES = {
    "include_ranks": (
        "src/table/a.cc",
        '#include "db/db.h"\n',
        '#include "util/slice.h"\n#include "table/b.h"\n',
    ),
    "interface_at_the_edge": (
        "src/cli/a.cc",
        '#include "util/slice.h"\n',
        '#include "kist/kist.h"\n#include "cli/args.h"\n',
    ),
    "file_length": ("src/util/a.cc", "int a;\n" * 600, "int a;\n" * 597),
    "function_length": ("src/util/a.cc", function(71), function(70)),
    "banned_words": ("src/util/a.cc", "// TO" + "DO: later\n", "// to do: now\n"),
    "columns": ("src/util/a.cc", "// " + "x" * 98 + "\n", "// " + "x" * 97 + "\n"),
    "plain_text": ("src/util/a.cc", "// caf\u00e9\n", "// cafe\n"),
    "opening_comments": ("src/util/a.cc", None, ""),
    "system_calls_in_vfs": (
        "src/record/a.cc",
        "void F() { ::fsync(1); }\n",
        "// fsync(fd) stands in vfs/\nvoid F() { file->rename(1); }\n",
    ),
    "platform_in_vfs": (
        "src/record/a.cc",
        "#ifdef __linux__\n#endif\n",
        "#ifdef NDEBUG\n#endif\n",
    ),
    "no_throw": (
        "src/record/a.cc",
        "void F() { throw 1; }\n",
        '// would throw 1;\nconst char* kText = "throw 1;";\n',
    ),
    "no_stdio": (
        "src/record/a.cc",
        'void F() { printf("x"); }\n',
        'void F(char* p) { snprintf(p, 1, "x"); }\n',
    ),
    "no_test_doors": (
        "src/record/a.h",
        "class A {\n  friend class ATest;\n};\n",
        "class A {\n  friend class B;\n};\n",
    ),
    "test_names": (
        "tests/unit/util/a_test.cc",
        "cmocka_unit_test(works)",
        "cmocka_unit_test(a__works)",
    ),
    "header_sections": (
        "include/kist/kist.h",
        MANUAL.replace("   Blocks   never\n *", "").replace("   n        it", "   m        it"),
        MANUAL,
    ),
    "build_options": ("CMakeLists.txt", 'option(KIST_FAST "x" ON)', "set(KIST_ROOMS a)"),
    "top_level": ("notes.md", "x\n", None),
}


def complaints(rule, path, text):
    with tempfile.TemporaryDirectory() as root:
        if text is not None:
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return list(rule.check(rules.Tree(root)))


def catches(rule):
    path, bad, good = OFFENCES[rule.name]
    if not complaints(rule, path, "int a;\n" if bad is None else OPENING + bad):
        yield "silent about its offence"
    for complaint in complaints(rule, path, None if good is None else OPENING + good):
        yield f"complains without a reason: {complaint}"


def lexer_finds_functions():
    text = """
namespace a {
class C : public B<int> {
 public:
  C() : x_{1}, y_(2) {
    Do([] { return 1; });
  }
  int x() const { return x_; }
  bool operator==(const C& o) const {
    return '{' == "}"[0];
  }
 private:
  int x_ = {3};
};
template <class T, typename U>
auto D::F(T t) -> std::vector<T> {
  // }
  if (t) {
    return {};
  }
}
#define M(x) { \\
  x
static const int kTable[] = {1, 2};
}  // namespace a
extern "C" {
int G(void) {
}
}
"""
    found = [(name, last - first + 1) for name, first, last in functions_of(text)]
    wanted = [("C", 3), ("x", 1), ("operator==", 3), ("D::F", 7), ("G", 2)]
    return [] if found == wanted else [f"found {found}", f"wanted {wanted}"]


def lexer_keeps_places():
    text = "a = \"x//y\"; // c\nb = 1'000; /* d\n e */ f = '\"';\n"
    code = code_of(text)
    lengths = [len(line) for line in code.split("\n")]
    if lengths != [len(line) for line in text.split("\n")] or "c" in code or "e" in code:
        yield repr(code)


def library_of(source, directory, *flags):
    file, library = Path(directory) / "a.cc", str(Path(directory) / "libkist.so")
    file.write_text(source)
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", library, str(file), *flags]
    subprocess.run(command, check=True)
    return library


BAD_LIBRARY = """
#include <string>
int kist_count = 0;
static std::string name(100, 'x');
extern "C" int kist_a(void) { return kist_count += name.size(); }
extern "C" int kist_extra(void) { return 1; }
"""
GOOD_LIBRARY = """
extern "C" int kist_a(void) { return 1; }
extern const char* const kist_names[] = {"a"};
"""
MAP = "KIST_0 { global: kist_a; local: *; };"


def lacking(found, *texts):
    found = list(found)
    for text in texts:
        if not any(text in line for line in found):
            yield f"no word about {text} in {found}"


def binary_rules_catch():
    header = "KIST_API int kist_a(void);\nKIST_API int kist_b(void);"
    with tempfile.TemporaryDirectory() as directory:
        library = library_of(BAD_LIBRARY, directory)
        exports = binary_rules.exports_are_the_header(library, header, MAP)
        yield from lacking(exports, "kist_extra: only in libkist.so", "kist_b: only in kist.h")
        yield from lacking(binary_rules.no_mutable_globals(library), "kist_count", "name")
        yield from lacking(binary_rules.no_static_constructors(library), ".init_array", "_GLOBAL_")
        yield from lacking(binary_rules.loading(library), "SONAME", "-z now", "-z nodelete")


def binary_rules_let_pass():
    header = "KIST_API int\nkist_a(void);"
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "kist.map"
        script.write_text(MAP)
        flags = ["-Wl,-soname,libkist.so.0", "-Wl,-z,now,-z,relro,-z,nodelete"]
        flags += ["-Wl,--no-as-needed", "-lstdc++"]
        library = library_of(GOOD_LIBRARY, directory, *flags, f"-Wl,--version-script={script}")
        yield from binary_rules.exports_are_the_header(library, header, MAP)
        yield from binary_rules.no_mutable_globals(library)
        yield from binary_rules.no_static_constructors(library)
        yield from binary_rules.loading(library)
        yield from binary_rules.size(library)


cases = Cases()
for rule in rules.RULES:
    cases.run(f"rules__catch_{rule.name}", lambda: catches(rule), "an unenforced rule is a wish")
cases.run("rules__lexer_finds_functions", lexer_finds_functions)
cases.run("rules__lexer_keeps_places", lexer_keeps_places)
cases.run("rules__binary_rules_catch", binary_rules_catch)
cases.run("rules__binary_rules_let_pass", binary_rules_let_pass)
cases.finish()
