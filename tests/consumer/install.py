#!/usr/bin/env python3
"""Programs built from an installed tree in each way that users have: install.py BUILD_DIRECTORY.

The build is installed into a temporary prefix, which is then moved, as a package may be.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402

ROOT = HERE.parent.parent
NAMES = (
    "kist kist.h kist.pc kist-config.cmake kist-config-version.cmake kist-targets.cmake"
    " libkist.a libkist.so libkist.so.0 LICENSE NOTICES.md CHANGELOG.md README.md"
).split()
PAGES = ("kist.1", "kist.3", "kist_open.3")  # where python3 made them


def run(*command, env=None):
    words = [str(word) for word in command]
    done = subprocess.run(words, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    def __init__(self, build, work):
        self.work, self.build = Path(work), build
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
        for name in (*NAMES, *PAGES):
            if name not in names:
                yield f"{name} was not installed"
        for path in [*self.prefix.glob("**/*.pc"), *self.prefix.glob("**/*.cmake")]:
            if str(self.work) in path.read_text():
                yield f"{path.name} holds the prefix that it was installed with"

    def notices_name_what_is_linked(self):
        notices = (ROOT / "src/NOTICES.md").read_text().lower()
        for file in (self.lib / "libkist.so", self.prefix / "bin/kist"):
            for name in re.findall(r"Shared library: \[lib([\w+-]+)", run("readelf", "-d", file)):
                if name not in ("c", "m", "kist", "gcc_s") and name not in notices:
                    yield f"{file.name} is linked with lib{name}, which NOTICES.md does not name"

    def make_installs_and_uninstalls(self):
        root, prefix = self.work / "root", "/opt/kist"
        words = ["-C", ROOT, "-o", "all", f"release={self.build}", f"DESTDIR={root}"]
        words += [f"PREFIX={prefix}", f"INSTALLED={self.work}/installed.txt"]
        own = root / prefix[1:] / "share/man"
        own.mkdir(parents=True)
        run("make", *words, "install")
        installed = {path.relative_to(root) for path in root.glob("**/*") if not path.is_dir()}
        moved = {path.relative_to(self.prefix) for path in self.prefix.glob("**/*")}
        for path in sorted(installed):
            if Path("/", path).relative_to(prefix) not in moved:
                yield f"{path} is in no other installation"
        run("make", *words, "install")
        foreign = root / prefix[1:] / "lib/libother.so"
        foreign.touch()
        run("make", *words, "uninstall")
        others = {own, foreign, *own.parents, *foreign.parents}
        for path in set(root.glob("**/*")) - others:
            yield f"{path} is left"
        if not (own.exists() and foreign.exists()):
            yield "a directory or file of somebody else is gone"
        if len(installed) < len(NAMES):
            yield f"only {sorted(installed)} were installed"

    def the_tool_finds_its_library(self):
        run(self.prefix / "bin/kist", "version", env={"PATH": os.environ["PATH"]})

    def version_is_matched(self):
        """find_package and pkg-config accept what is compatible, and nothing else."""
        version = run("pkg-config", "--modversion", "kist", env=self.env).strip()
        major, minor, patch = map(int, version.split("."))
        wanted = {
            f"{major}": True,
            f"{major}.{minor}": True,
            f"{major}.{minor}.{patch}": True,
            f"{major}.{minor}.{patch + 1}": False,
            f"{major}.{minor + 1}": False,
            f"{major + 1}.0": False,
        }
        place = self.work / "version"
        place.mkdir()
        for version, fits in wanted.items():
            script = "cmake_minimum_required(VERSION 3.16)\nproject(version C)\n"
            script += f"find_package(kist {version} QUIET)\n"
            script += "message(STATUS found=${kist_FOUND})\n"
            (place / "CMakeLists.txt").write_text(script)
            options = [f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=0"]
            found = "found=1" in run("cmake", "-S", place, "-B", place / version, *options)
            if found != fits:
                yield f"find_package(kist {version}): found {found}"

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

    def as_a_subdirectory(self):
        """Configured only: building it is building it all."""
        build = self.work / "subdirectory"
        options = [f"-DKIST_SOURCE={ROOT}", "-DKIST_TARGET=kist::kist_static"]
        run("cmake", "-S", HERE, "-B", build, *options)


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        tree = Installed(sys.argv[1], work)
        cases.run("install__holds_all", tree.holds_all)
        cases.run("install__make_installs_and_uninstalls", tree.make_installs_and_uninstalls)
        cases.run("install__notices_name_what_is_linked", tree.notices_name_what_is_linked)
        cases.run("install__the_tool_finds_its_library", tree.the_tool_finds_its_library)
        cases.run("install__version_is_matched", tree.version_is_matched)
        for name, compiler, language in (("c", "cc", "c"), ("cpp", "c++", "c++")):
            for kind, words in (("shared", []), ("static", ["--static"])):
                cases.run(
                    f"install__pkg_config_{kind}_{name}",
                    lambda: tree.by_pkg_config(compiler, language, *words),
                )
        for target in ("kist", "kist_static"):
            cases.run(f"install__cmake_{target}", lambda: tree.by_cmake(f"kist::{target}"))
        cases.run("install__cmake_subdirectory", tree.as_a_subdirectory)
    cases.finish()


if __name__ == "__main__":
    main()
