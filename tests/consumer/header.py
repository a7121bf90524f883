#!/usr/bin/env python3
"""kist.h compiles alone, warnings as errors, in each C and C++ standard, by gcc and clang; and its
structs have the layout of layout.c wherever the compilers can go."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))

from cases import Cases  # noqa: E402

STRICT = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
STANDARDS = {"c": ["c89", "c99", "c11", "c17"], "c++": ["c++11", "c++14", "c++17", "c++20"]}
COMPILERS = {"gcc": {"c": "gcc", "c++": "g++"}, "clang": {"c": "clang", "c++": "clang++"}}

ALONE = "#include <kist/kist.h>\n"
# Freestanding, because the C library of another machine is seldom installed; kist.h needs none.
LAYOUT = ["-std=c11", "-ffreestanding", *STRICT, f"-I{ROOT}/include", "tests/consumer/layout.c"]
MACHINES = {
    "gcc_lp64": ["gcc"],
    "gcc_ilp32": ["gcc", "-m32"],
    "clang_x86_64": ["clang", "--target=x86_64-linux-gnu"],
    "clang_aarch64": ["clang", "--target=aarch64-linux-gnu"],
    "clang_riscv64": ["clang", "--target=riscv64-linux-gnu"],
    "clang_s390x": ["clang", "--target=s390x-linux-gnu"],
    "clang_i386": ["clang", "--target=i386-linux-gnu"],
    "clang_armv7": ["clang", "--target=armv7-linux-gnueabihf"],
    "clang_x32": ["clang", "--target=x86_64-linux-gnux32"],
}


def uncommented(name):
    text = (ROOT / name).read_text()
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def structs():
    """(name, [field]) of each public struct."""
    header = uncommented("include/kist/kist.h")
    for name, body in re.findall(r"^typedef struct (\w+) \{(.*?)^\}", header, re.M | re.S):
        yield name, re.findall(r"(\w+)(?:\[\w+\])?;", body)


def macros():
    """A use of each _INIT macro, those of output structs included."""
    lines = [ALONE]
    header = uncommented("include/kist/kist.h")
    for macro in re.findall(r"^#define (KIST_\w+_INIT)\b", header, re.M):
        name = macro[: -len("_INIT")].lower()
        lines.append(f"{name} a_{name} = {macro};\n")
    return "".join(lines)


def every_field_is_asserted():
    asserted = uncommented("tests/consumer/layout.c")
    found = list(structs())
    for name, fields in found:
        if f"STRUCT({name}," not in asserted:
            yield f"layout.c has no {name}"
        for field in fields:
            if f"FIELD({name}, {field}," not in asserted:
                yield f"layout.c has no {name}.{field}"
        if fields[0] == "size" and f"{name.upper()}_INIT" not in macros():
            yield f"{name} has no _INIT macro"
    if len(found) < 11:
        yield f"found {len(found)} structs in kist.h"


def layout_holds(command):
    words = [*command, *LAYOUT]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True)
    return [] if done.returncode == 0 else [" ".join(words), done.stderr]


def compiles(source, compiler, language, standard):
    command = [compiler, f"-std={standard}", "-x", language, *STRICT, f"-I{ROOT}/include", "-"]
    done = subprocess.run(command, input=source, text=True, capture_output=True)
    return [] if done.returncode == 0 else [" ".join(command), done.stderr]


cases = Cases()
for family, compilers in COMPILERS.items():
    for language, standards in STANDARDS.items():
        for standard in standards:
            name = f"header__alone_{family}_{standard.replace('+', 'p')}"
            compiler = compilers[language]
            if shutil.which(compiler):
                cases.run(name, lambda: compiles(ALONE, compiler, language, standard))
            else:
                cases.skip(name, f"{compiler} is not installed")
cases.run("header__twice", lambda: compiles(ALONE + ALONE, "cc", "c", "c11"))
cases.run("header__macros_initialize", lambda: compiles(macros(), "cc", "c", "c89"))
cases.run("header__macros_initialize_in_cpp", lambda: compiles(macros(), "c++", "c++", "c++11"))
cases.run("header__every_field_is_asserted", every_field_is_asserted)
for name, command in MACHINES.items():
    if shutil.which(command[0]):
        cases.run(f"header__layout_{name}", lambda: layout_holds(command))
    else:
        cases.skip(f"header__layout_{name}", f"{command[0]} is not installed")
cases.finish()
