#!/usr/bin/env python3
"""Prints what kist.h declares, for the tests that compare a binding's declarations with it.

    facts.py [--cc CC] [HEADER]

One fact a line, fields separated by tabs; README.md beside this file lists the kinds. Values, sizes
and offsets come from a C program that this script writes, compiles and runs.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
#include <stdio.h>
#include "%s"
#define KIND(x) _Generic((x), int: "int", unsigned: "uint", long: "i64", long long: "i64")
#define CONSTANT(x) printf("constant\\t" #x "\\t%%lld\\t%%s\\n", (long long)(x), KIND(x))
#define STRUCT(s) printf("struct\\t" #s "\\t%%zu\\t%%zu\\n", sizeof(s), _Alignof(s))
#define FIELD(s, f, t) \\
  printf("field\\t" #s "\\t" #f "\\t%%zu\\t%%zu\\t" t "\\n", offsetof(s, f), sizeof(((s*)0)->f))
int main(void) {
%s
  return 0;
}
"""


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).replace("\\\n", " ")


def type_and_name(text):
    """('const void *', 'data') of a C declaration; a parameter always has a name in kist.h."""
    flat = " ".join(text.split())
    pointer = re.fullmatch(r"(.*?)\(\*(\w+)\)(\(.*\))", flat)
    if pointer:
        return f"{pointer[1].strip()} (*)({', '.join(types(pointer[3][1:-1]))})", pointer[2]
    kind, name, array = re.fullmatch(r"(.*?)(\w+)(\[\w+\])?", flat).groups()
    kind = re.sub(r"\s*(\*+)\s*$", r" \1", kind.strip())
    return kind + (array or ""), name


def types(parameters):
    """The types of a parameter list; a comma inside a function pointer's list is not one of it."""
    parts = re.split(r",(?![^(]*\)(?!$))", parameters)
    return [] if parameters.strip() == "void" else [type_and_name(part)[0] for part in parts]


def facts(header, cc):
    text = without_comments(header.read_text())
    lines = []
    for name, value in re.findall(r"^#define (KIST_\w+) +(\S.*)$", text, re.MULTILINE):
        if "{" not in value and "__attribute__" not in value:
            lines.append(f"CONSTANT({name});")
    plain = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", plain, re.DOTALL):
        lines.append(f"STRUCT({name});")
        for field in filter(str.strip, body.split(";")):
            kind, field_name = type_and_name(field)
            lines.append(f'FIELD({name}, {field_name}, "{kind}");')
    with tempfile.TemporaryDirectory(prefix="kist-facts-") as work:
        source, program = Path(work, "facts.c"), Path(work, "facts")
        source.write_text(PROGRAM % (header, "\n".join("  " + line for line in lines)))
        subprocess.run([cc, "-std=c11", str(source), "-o", str(program)], check=True)
        done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    yield from done.stdout.splitlines()
    for name in re.findall(r"typedef struct \w+ (\w+);", plain):
        yield f"handle\t{name}"
    callback = r"typedef (\w+(?: \*)?) ?\(\*(\w+)\)\(([^)]*)\);"
    for result, name, parameters in re.findall(callback, plain):
        yield "\t".join(["callback", name, result, *types(parameters)])
    function = r"^KIST_API ([^;(]*?)\b(kist_\w+)\(([^;]*)\);"
    found = re.findall(function, plain, re.MULTILINE)
    assert len(found) == len(re.findall(r"^KIST_API", plain, re.MULTILINE)), "a function was missed"
    for result, name, parameters in found:
        result = re.sub(r"\s*\*$", " *", result.strip())
        yield "\t".join(["function", name, result, *types(parameters)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cc", default="cc")
    parser.add_argument("header", nargs="?", default=ROOT / "include/kist/kist.h", type=Path)
    arguments = parser.parse_args()
    for line in facts(arguments.header.resolve(), arguments.cc):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
