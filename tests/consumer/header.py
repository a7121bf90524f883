#!/usr/bin/env python3
"""kist.h compiles alone, warnings as errors, in each C and C++ standard, by gcc and clang."""
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
MACROS = ALONE + """
kist_err err = KIST_ERR_INIT;
kist_read_options read_options = KIST_READ_OPTIONS_INIT;
kist_iter_options iter_options = KIST_ITER_OPTIONS_INIT;
kist_write_options write_options = KIST_WRITE_OPTIONS_INIT;
kist_job job = KIST_JOB_INIT;
kist_restore_options restore_options = KIST_RESTORE_OPTIONS_INIT;
"""


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
cases.run("header__macros_initialize", lambda: compiles(MACROS, "cc", "c", "c89"))
cases.finish()
