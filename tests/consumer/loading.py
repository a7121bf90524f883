#!/usr/bin/env python3
"""Hosts that link libkist or load it, in each way and under sanitizers: loading.py BUILD_DIRECTORY.

host.c tells whose malloc it has at its end: what it had at its beginning.
"""
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from cases import Cases  # noqa: E402
from install import Installed, run  # noqa: E402

# ThreadSanitizer sees the host's memcpy that the library calls, but not the library's own locks: it
# must be told, as CONTRIBUTING.md says.
SUPPRESSIONS = "called_from_lib:libkist.so\n"
SANITIZERS = {
    "address": {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1"},
    "leak": {},
    "undefined": {"UBSAN_OPTIONS": "halt_on_error=1"},
    "thread": {"TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"},
}


def mimalloc():
    """The mimalloc that a program of this machine would be linked with."""
    for line in run("ldconfig", "-p").splitlines():
        match = re.search(r"libmimalloc\.so\S* .*=> (\S+)", line)
        if match:
            return Path(match[1]).resolve()
    return None


class Hosts:
    def __init__(self, tree):
        self.tree = tree
        self.library = tree.lib / "libkist.so.0"
        other = mimalloc()
        self.other = tree.work / "libmimalloc-other.so" if other else None
        if other:
            shutil.copy(other, self.other)

    def built(self, name, *flags, compiler="cc"):
        program = self.tree.work / name
        flags = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-ldl", "-pthread"]
        run(compiler, HERE / "host.c", "-o", program, *flags)
        return program

    def linked(self, *words, flags=(), **how):
        link = self.tree.flags("--cflags", "--libs", *words)
        return self.built("linked", "-DLINKED", *flags, *link, **how)

    def loading(self, flags=(), **how):
        return self.built("loading", *flags, *self.tree.flags("--cflags"), **how)

    def host(self, program, *words, allocator="libc.so", env=None):
        out = run(program, self.tree.work / "db", *words, env={**self.tree.env, **(env or {})})
        if allocator not in out:
            yield f"wanted {allocator}; {out}"

    def load(self, mode, *words, **how):
        return self.host(self.loading(), self.library, mode, *words, **how)

    def sanitized(self, compiler, sanitizer, loaded):
        flags = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
        flags += ["-DNO_THREADS_IN_CHILDREN"] if sanitizer in ("leak", "thread") else []
        env = dict(SANITIZERS[sanitizer])
        if sanitizer == "thread":
            file = self.tree.work / "suppressions"
            file.write_text(SUPPRESSIONS)
            env["TSAN_OPTIONS"] += f":suppressions={file}"
        if loaded:
            program, words = self.loading(flags, compiler=compiler), (self.library, "local")
        else:
            program, words = self.linked(flags=flags, compiler=compiler), ()
        own = {"address": "libasan", "leak": "liblsan", "thread": "libtsan"}
        wanted = own.get(sanitizer, "libc.so")
        if compiler == "clang" and sanitizer in own:  # which links it into the program
            wanted = str(program)
        return self.host(program, *words, allocator=wanted, env=env)


def compiles(compiler, sanitizer):
    if not shutil.which(compiler):
        return False
    command = [compiler, f"-fsanitize={sanitizer}", "-x", "c", "-", "-o", "/dev/null"]
    source = "int main(void) { return 0; }"
    done = subprocess.run(command, input=source, text=True, capture_output=True)
    return done.returncode == 0


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        hosts = Hosts(Installed(sys.argv[1], work))
        for kind, words in (("shared", []), ("static", ["--static"])):
            cases.run(f"loading__linked_{kind}", lambda: hosts.host(hosts.linked(*words)))
        for mode in ("local", "global", "deepbind"):
            cases.run(f"loading__dlopen_{mode}", lambda: hosts.load(mode))
        if hosts.other:
            beside = ("beside", hosts.other)
            cases.run(
                "loading__linked_beside_another_mimalloc",
                lambda: hosts.host(hosts.linked(), *beside),
            )
            cases.run(
                "loading__dlopen_beside_another_mimalloc", lambda: hosts.load("local", *beside)
            )
            mine = {"allocator": "libmimalloc", "env": {"LD_PRELOAD": str(hosts.other)}}
            cases.run(
                "loading__linked_in_a_host_of_mimalloc",
                lambda: hosts.host(hosts.linked(), **mine),
            )
            cases.run(
                "loading__dlopen_in_a_host_of_mimalloc", lambda: hosts.load("local", **mine)
            )
        for compiler, sanitizer in itertools.product(("gcc", "clang"), SANITIZERS):
            for name, loaded in (("linked", False), ("dlopen", True)):
                name = f"loading__{name}_in_a_host_of_{compiler}_under_{sanitizer}_sanitizer"
                if compiles(compiler, sanitizer):
                    cases.run(name, lambda: hosts.sanitized(compiler, sanitizer, loaded))
                else:
                    cases.skip(name, f"no {compiler} -fsanitize={sanitizer} here")
    cases.finish()


if __name__ == "__main__":
    main()
