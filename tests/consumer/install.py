#!/usr/bin/env python3
"""Programs built from an installed tree in each way that users have: install.py BUILD_DIRECTORY.

The build is installed into a temporary prefix, which is then moved, as a package may be.
"""
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402

NAMES = (
    "kist kist.h kist.pc kist-config.cmake kist-config-version.cmake kist-targets.cmake"
    " libkist.a libkist.so libkist.so.0"
).split()


def run(*command, env=None):
    words = [str(word) for word in command]
    done = subprocess.run(words, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    def __init__(self, build, work):
        self.work = Path(work)
        first, self.prefix = self.work / "first", self.work / "moved"
        run("cmake", "--install", build, "--prefix", first)
        first.rename(self.prefix)
        packages = next(self.prefix.glob("**/kist.pc")).parent
        self.lib = packages.parent
        self.env = {
            **os.environ,
            "PKG_CONFIG_PATH": str(packages),
            "LD_LIBRARY_PATH": str(self.lib),
        }

    def flags(self, *words):
        flags = run("pkg-config", *words, "kist", env=self.env).split()
        # Beside libkist.so the linker would not take libkist.a by its plain name.
        library = "-l:libkist.a" if "--static" in words else "-lkist"
        return [library if flag == "-lkist" else flag for flag in flags]

    def holds_all(self):
        names = {path.name for path in self.prefix.glob("**/*")}
        for name in NAMES:
            if name not in names:
                yield f"{name} was not installed"
        for path in [*self.prefix.glob("**/*.pc"), *self.prefix.glob("**/*.cmake")]:
            if str(self.work) in path.read_text():
                yield f"{path.name} holds the prefix that it was installed with"

    def by_pkg_config(self, compiler, language, *words):
        program = self.work / "program"
        source = ["-x", language, HERE / "use.c", "-x", "none"]
        flags = self.flags("--cflags", "--libs", *words)
        run(compiler, "-Wall", "-Werror", *source, "-o", program, *flags, "-ldl")
        run(program, self.work / "db", env=self.env)
        needed = run("readelf", "-d", program)
        if ("libkist" in needed) == ("--static" in words):
            yield f"linked with the wrong library:\n{needed}"

    def by_cmake(self, target):
        build = self.work / target.replace("::", "_")
        options = [f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DKIST_TARGET={target}"]
        run("cmake", "-S", HERE, "-B", build, *options)
        run("cmake", "--build", build)
        for program in ("use_c", "use_cc"):
            run(build / program, self.work / "db", env=self.env)


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        tree = Installed(sys.argv[1], work)
        cases.run("install__holds_all", tree.holds_all)
        for name, compiler, language in (("c", "cc", "c"), ("cpp", "c++", "c++")):
            for kind, words in (("shared", []), ("static", ["--static"])):
                cases.run(
                    f"install__pkg_config_{kind}_{name}",
                    lambda: tree.by_pkg_config(compiler, language, *words),
                )
        for target in ("kist", "kist_static"):
            cases.run(f"install__cmake_{target}", lambda: tree.by_cmake(f"kist::{target}"))
    cases.finish()


if __name__ == "__main__":
    main()
