#!/usr/bin/env python3
"""The build, as whoever builds a package meets it: build.py BUILD_DIRECTORY.

Its options are those of the table in CONTRIBUTING.md, each does what the table says, and the
library is linked so that a symbol that nobody defines is an error (-z defs leaves no trace in the
library; tests/tidy/binary.py looks at the flags that do).
"""
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402

# What the table calls a standard: the values that a fresh configuration may have.
STANDARDS = {
    "on where found": "ON|OFF",
    "off": "OFF",
    "empty": "",
    "`AUTO`": "AUTO",
    "found": ".*",  # a path, or NOTFOUND
}


def documented():
    """{option: standard} of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (`KIST_.*?) \| (.*?) \| .*\|$", text, re.MULTILINE)
    return {name: standard for names, standard in rows for name in re.findall(r"`(\w+)`", names)}


class Builds:
    def __init__(self, build, work):
        self.link_command = Path(build) / "CMakeFiles/kist.dir/link.txt"
        self.build, self.work = Path(build), Path(work)

    def configured(self, *options):
        """(the directory of a configuration of its own, what cmake said)."""
        out = Path(tempfile.mkdtemp(dir=self.work))
        # Makefiles, which have the command that links in a file.
        command = ["cmake", "-G", "Unix Makefiles", "-S", ROOT, "-B", out, *options]
        return out, subprocess.run(command, text=True, capture_output=True)

    def options_are_documented(self):
        out, done = self.configured()
        print(done.stderr)
        cache = (out / "CMakeCache.txt").read_text()
        options = re.findall(r"^(KIST_\w+):(?!INTERNAL)\w+=(.*)$", cache, re.MULTILINE)
        real, told = dict(options), documented()
        for name in sorted(real.keys() ^ told.keys()):
            yield f"{name}: only in {'CMakeLists.txt' if name in real else 'CONTRIBUTING.md'}"
        for name in sorted(real.keys() & told.keys()):
            if not re.fullmatch(STANDARDS[told[name]], real[name]):
                yield f"{name} is {real[name]!r}, CONTRIBUTING.md says {told[name]}"
        if len(real) < 15:
            yield f"found only {real}"

    def a_bad_value_is_refused(self):
        for options in (
            ["-DKIST_SANITIZE=memory"],
            ["-DKIST_S3=ON", "-DKIST_CURL_INCLUDE="],
            ["-DKIST_MIMALLOC=ON", "-DKIST_MIMALLOC_INCLUDE="],
            ["-DKIST_MIMALLOC=ON", "-DKIST_SANITIZE=thread"],
        ):
            _, done = self.configured(*options)
            name = options[0].removeprefix("-D")
            if done.returncode == 0 or name.split("=")[0] not in done.stderr:
                yield f"{options}: exit {done.returncode}, {done.stderr!r}"

    def libraries_elsewhere_are_found(self):
        """Configured only: the places stand in the commands that compile and link."""
        options, places = [], {}
        for name in ("snappy", "mimalloc"):
            place = places[name] = self.work / name
            place.mkdir()
            (place / f"lib{name}.so").touch()
            options += [f"-DKIST_{name.upper()}_LIBRARY={place}/lib{name}.so"]
            options += [f"-DKIST_{name.upper()}_INCLUDE={place}"]
        out, done = self.configured(*options)
        print(done.stderr)
        link = (out / "CMakeFiles/kist.dir/link.txt").read_text()
        package = (out / "kist.pc").read_text()
        compile_flags = (out / "CMakeFiles/kist_util.dir/flags.make").read_text()
        compile_flags += (out / "CMakeFiles/kist_table.dir/flags.make").read_text()
        for name, place in places.items():
            if link.find(f" -L{place} ") not in range(link.find(f" -l{name}")):
                yield f"{name} is looked for elsewhere: {link}"
            if not re.search(rf"-(I|isystem ?){re.escape(str(place))}\b", compile_flags):
                yield f"{name}.h is looked for elsewhere: {compile_flags}"
            if f"-L{place}" not in package:
                yield f"kist.pc does not tell the place of {name}"

    def an_undefined_symbol_does_not_link(self):
        """The command that linked libkist.so, with one object more."""
        object_file = self.work / "more.o"
        source = "int kist_nobody_defines_this(void);\n"
        source += "int (*more)(void) = kist_nobody_defines_this;"
        command = ["cc", "-fPIC", "-c", "-x", "c", "-", "-o", object_file]
        subprocess.run(command, input=source, text=True, check=True)
        words = shlex.split(self.link_command.read_text())
        words[words.index("-o") + 1] = str(self.work / "libkist.so.0")
        for more, links in (([], True), ([str(object_file)], False)):
            command = words + more
            done = subprocess.run(command, cwd=self.build, text=True, capture_output=True)
            if (done.returncode == 0) != links:
                yield f"exit {done.returncode} with {more}: {done.stderr[-2000:]}"
        if "kist_nobody_defines_this" not in done.stderr:
            yield f"another error: {done.stderr[-2000:]}"


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        builds = Builds(sys.argv[1], work)
        cases.run("build__options_are_documented", builds.options_are_documented)
        cases.run("build__a_bad_value_is_refused", builds.a_bad_value_is_refused)
        cases.run("build__libraries_elsewhere_are_found", builds.libraries_elsewhere_are_found)
        name = "build__an_undefined_symbol_does_not_link"
        if builds.link_command.exists():
            cases.run(name, builds.an_undefined_symbol_does_not_link)
        else:
            cases.skip(name, "this build has no Makefiles to take the command from")
    cases.finish()


if __name__ == "__main__":
    main()
