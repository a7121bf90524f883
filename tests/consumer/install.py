#!/usr/bin/env python3
"""Installs a build into a temporary prefix, moves the prefix elsewhere, and builds and runs programs from there in each way
that users have: install.py BUILD_DIRECTORY."""
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402


class Installed:
    """A tree as `cmake --install` makes it, after a move."""

    def __init__(self, build, work):
        self.work = Path(work)
        first, self.prefix = self.work / "first", self.work / "moved"
        self.run("cmake", "--install", build, "--prefix", first)
        first.rename(self.prefix)
        pc = next(self.prefix.glob("**/kist.pc"))
        self.lib = pc.parent.parent
        self.env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "LD_LIBRARY_PATH": str(self.lib)}

    def run(self, *command, env=None):
        done = subprocess.run([str(word) for word in command], env=env, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(str(word) for word in command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, program, *arguments):
        self.run(program, self.work / "db", *arguments, env=self.env)

    def flags(self, *words):
        # Beside libkist.so the linker would not take libkist.a by its plain name.
        flags = self.run("pkg-config", *words, "kist", env=self.env).split()
        return ["-l:libkist.a" if flag == "-lkist" and "--static" in words else flag for flag in flags]

    def by_pkg_config(self, compiler, language, *words):
        program = self.work / "program"
        self.run(compiler, "-Wall", "-Werror", "-x", language, HERE / "use.c", "-x", "none", "-o", program,
                 *self.flags("--cflags", "--libs", *words), "-ldl")
        self.start(program)
        linked = self.run("readelf", "-d", program)
        if ("libkist" in linked) == ("--static" in words):
            yield f"linked with the wrong library:\n{linked}"

    def by_cmake(self, target):
        build = self.work / target.replace("::", "_")
        self.run("cmake", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DKIST_TARGET={target}")
        self.run("cmake", "--build", build)
        for program in ("use_c", "use_cc"):
            self.start(build / program)

    def by_dlopen(self, mode):
        program = self.work / "load"
        self.run("cc", "-Wall", HERE / "load.c", "-o", program, *self.flags("--cflags"), "-ldl")
        self.run(program, self.lib / "libkist.so.0", self.work / "db", mode, env=self.env)

    def holds_all(self):
        # The first version of every name that packages and programs rely on.
        names = {path.relative_to(self.prefix).name for path in self.prefix.glob("**/*") if not path.is_dir()}
        for name in ("kist.h", "libkist.so", "libkist.so.0", "libkist.a", "kist.pc", "kist-config.cmake",
                     "kist-config-version.cmake", "kist-targets.cmake", "kist"):
            if name not in names:
                yield f"{name} was not installed"
        for path in self.prefix.glob("**/*.pc"), self.prefix.glob("**/*.cmake"):
            for file in path:
                if "first" in file.read_text():
                    yield f"{file.name} holds the prefix it was installed with"


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        tree = Installed(sys.argv[1], work)
        cases.run("install__holds_all", tree.holds_all)
        for language, compiler in (("c", "cc"), ("c++", "c++")):
            name = language.replace("+", "p")
            cases.run(f"install__pkg_config_shared_{name}", lambda: tree.by_pkg_config(compiler, language))
            cases.run(f"install__pkg_config_static_{name}", lambda: tree.by_pkg_config(compiler, language, "--static"))
        for target in ("kist::kist", "kist::kist_static"):
            cases.run(f"install__cmake_{target.split('::')[1]}", lambda: tree.by_cmake(target))
        for mode in ("local", "global", "deepbind"):
            cases.run(f"install__dlopen_{mode}", lambda: tree.by_dlopen(mode))
    cases.finish()


if __name__ == "__main__":
    main()
