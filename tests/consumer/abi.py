#!/usr/bin/env python3
"""The interface beside what was promised: abi.py BUILD_DIRECTORY [--accept].

abi/<minor version>/ holds kist.h and kist.map as they were promised, and libabigail's description
of libkist.so on one kind of machine. Nothing of them may be missing or changed. --accept (`make
abi`) takes additions into the newest promise, and refuses everything else.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "tidy")]

from binary_rules import declared, mapped  # noqa: E402
from cases import Cases  # noqa: E402

HEADER = ROOT / "include/kist/kist.h"
MAP = ROOT / "src/capi/kist.map"
STORED = HERE / "abi"
DESCRIPTION = f"{platform.machine()}.abi"
SONAME = "libkist.so.0"


def run(*command, **how):
    words = [str(word) for word in command]
    return subprocess.run(words, text=True, capture_output=True, **how)


def must(*command, **how):
    done = run(*command, **how)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def uncommented(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def constants(header):
    """{name: value} of what a program has compiled in; an _INIT may follow its growing struct."""
    found = re.findall(r"^#define (KIST_\w+) (.+)$", uncommented(header), re.MULTILINE)
    passing = re.compile(r"KIST_(VERSION_\w+|\w+_INIT|API)$")
    return {name: " ".join(value.split()) for name, value in found if not passing.match(name)}


def changed(what, old, new):
    for name, value in sorted(old.items()):
        if name not in new:
            yield f"{what} {name} is gone"
        elif new[name] != value:
            yield f"{what} {name} was {value}, is {new[name]}"


def structs(header):
    """{name: [declaration of a field]}"""
    found = re.findall(r"^typedef struct (\w+) \{(.*?)^\}", uncommented(header), re.M | re.S)
    return {name: [" ".join(f.split()) for f in body.split(";")[:-1]] for name, body in found}


def grown(old, new):
    """The structs that begin with their size and have new fields after all that they had."""
    before, after = structs(old), structs(new)
    for name, fields in before.items():
        if fields[0] == "uint32_t size" and after.get(name, [])[: len(fields)] == fields:
            if len(after[name]) > len(fields):
                yield name


def differences(old, new, old_header, new_header):
    """What abidiff finds beyond new functions and new fields at the end of growing structs."""
    with tempfile.NamedTemporaryFile("w", suffix=".abignore") as allowed:
        for name in grown(old_header, new_header):
            # Without a growth this would hide changed fields too.
            allowed.write(f"[suppress_type]\ntype_kind = struct\nname = {name}\n")
            allowed.write("has_data_member_inserted_at = end\n")
        allowed.flush()
        flags = ["--no-added-syms", "--no-show-locs", "--suppressions", allowed.name]
        done = run("abidiff", *flags, old, new)
    return [] if done.returncode == 0 else [f"abidiff says {done.returncode}", done.stdout]


def describe(library):
    flags = "--no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed".split()
    flags += "--drop-undefined-syms --drop-private-types --exported-interfaces-only".split()
    flags += ["--type-id-style", "hash", "--headers-dir", HEADER.parent]
    return must("abidw", *flags, library)


def stub(place, header, script, *flags):
    """A libkist.so that has the functions of a header and a map, and does nothing."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "kist").mkdir(exist_ok=True)
    (place / "kist/kist.h").write_text(header)
    (place / "kist.map").write_text(script)
    body = uncommented(header)[uncommented(header).index("KIST_API uint32_t kist_version") :]
    functions = re.findall(r"^KIST_API\b[^;]*\)(?=;)", body, re.MULTILINE)
    text = "#include <kist/kist.h>\n" + "".join(f"{f} {{ __builtin_trap(); }}\n" for f in functions)
    (place / "stub.c").write_text(text)
    library = place / SONAME
    link = ["-shared", "-fPIC", f"-Wl,-soname,{SONAME}", f"-Wl,--version-script={place}/kist.map"]
    must("cc", "-g", *flags, f"-I{place}", place / "stub.c", "-o", library, *link)
    link = place / "libkist.so"
    if not link.exists():
        link.symlink_to(SONAME)
    return library


class Abi:
    def __init__(self, build, work):
        self.library = (Path(build) / "libkist.so").resolve()
        self.work = Path(work)
        self.env = {**os.environ, "LD_LIBRARY_PATH": str(self.library.parent)}

    def promises(self):
        return sorted(path for path in STORED.iterdir() if path.is_dir())

    def constants_stay(self, promise):
        old, new = (path.read_text() for path in (promise / "kist.h", HEADER))
        yield from changed("constant", constants(old), constants(new))

    def functions_stay(self, promise):
        old, new = (path.read_text() for path in (promise / "kist.map", MAP))
        yield from changed("function", mapped(old), mapped(new))

    def description_stays(self, promise):
        stored, header = promise / DESCRIPTION, (promise / "kist.h").read_text()
        if not stored.exists():
            return []
        # Description beside description: abidiff, given a library, takes stored types for private.
        present = self.work / "present.abi"
        present.write_text(describe(self.library))
        return differences(stored, present, header, HEADER.read_text())

    def description_would_fail(self, promise):
        """The same, from a stored description that has another type in one field."""
        text, header = (promise / DESCRIPTION).read_text(), (promise / "kist.h").read_text()
        begin = text.index("class-decl name='kist_write_options'")
        struct = text[begin : text.index("</class-decl>", begin)]
        types = dict(re.findall(r"var-decl name='(\w+)' type-id='(\w+)'", struct))
        other = struct.replace(
            f"'ttl_ms' type-id='{types['ttl_ms']}'", f"'ttl_ms' type-id='{types['size']}'"
        )
        stored, present = self.work / "stored.abi", self.work / "present.abi"
        stored.write_text(text.replace(struct, other))
        present.write_text(describe(self.library))
        if not list(differences(stored, present, header, HEADER.read_text())):
            yield "abidiff says nothing"

    def breaks(self, promise):
        for check in (self.constants_stay, self.functions_stay, self.description_stays):
            yield from check(promise)

    def old_client_runs(self, promise):
        """A program that was built with an old header and library, and needs all of it."""
        place = self.work / promise.name
        stub(place, (promise / "kist.h").read_text(), (promise / "kist.map").read_text())
        names = sorted(mapped((promise / "kist.map").read_text()))
        needs = "".join(f"  (void (*)(void)) {name},\n" for name in names)
        source = f"#include <kist/kist.h>\nvoid (*const all[])(void) = {{\n{needs}}};\n"
        (place / "all.c").write_text(source)
        program, files = place / "client", [HERE / "use.c", place / "all.c"]
        link = [f"-L{place}", "-lkist", "-ldl", "-Wl,-z,now"]
        must("cc", f"-I{place}", *files, "-o", program, *link)
        print(must(program, place / "db", env=self.env))
        needed = must("readelf", "-V", program)
        if f"KIST_{promise.name}" not in needed:
            yield f"the client needs no version node:\n{needed}"

    def packaging_agrees(self):
        """What packages say of version, soname and nodes is what header and map say."""
        debian = ROOT / "pkgconfig/debian"
        numbers = re.findall(r"#define KIST_VERSION_(?:M\w+|PATCH) (\d+)", HEADER.read_text())
        version = ".".join(numbers)
        if not (debian / "changelog").read_text().startswith(f"kist ({version}-"):
            yield f"debian/changelog does not begin with {version}"
        if not re.search(rf"^## {re.escape(version)} ", (ROOT / "CHANGELOG.md").read_text(), re.M):
            yield f"CHANGELOG.md has no {version}"
        symbols = (debian / "libkist0.symbols").read_text()
        nodes = re.findall(r"^(KIST_([\d.]+)) \{", MAP.read_text(), re.MULTILINE)
        for node, minor in nodes:
            if f" (symver){node} {minor}.0\n" not in symbols:
                yield f"libkist0.symbols has no {node}"
        if not symbols.startswith(f"{SONAME} libkist0 "):
            yield f"libkist0.symbols is not of {SONAME}"
        if nodes[-1][1] != ".".join(numbers[:2]):
            yield f"the last node of kist.map is {nodes[-1][0]}, the version {version}"

    def newer(self, name, *flags):
        """newer.c, built for a library that does not exist yet, with the one that does."""
        place = self.work / name
        header, script = HEADER.read_text(), MAP.read_text()
        node = re.findall(r"^(KIST_[\d.]+) \{", script, re.MULTILINE)[-1]
        header = header.replace(
            "/* ---- results", "KIST_API uint32_t kist_of_tomorrow(void);\n\n/* ---- results"
        )
        stub(place, header, f"{script}\nKIST_99.0 {{ global: kist_of_tomorrow; }} {node};\n")
        program = place / "newer"
        command = ["cc", "-Wall", "-Werror", *flags, f"-I{place}", HERE / "newer.c"]
        must(*command, "-o", program, f"-L{place}", "-lkist")
        return run(program, place / "db", env=self.env)

    def new_client_fails_cleanly(self):
        done = self.newer("tomorrow", "-DTOMORROW")
        if done.returncode == 0 or done.stdout or "KIST_99.0" not in done.stderr:
            yield f"exit {done.returncode}, {done.stdout!r}, {done.stderr!r}"

    def new_client_runs_on_what_is_old(self):
        done = self.newer("today")
        if done.returncode != 0:
            yield f"exit {done.returncode}, {done.stdout!r}, {done.stderr!r}"

    def accept(self):
        parts = re.findall(r"#define KIST_VERSION_M\w+ (\d+)", HEADER.read_text())
        newest = STORED / ".".join(parts)
        if newest.exists():
            broken = list(self.breaks(newest))
            if broken:
                print("\n".join(broken))
                sys.exit(f"{newest.relative_to(ROOT)} promises what is no longer so")
        newest.mkdir(exist_ok=True)
        code = re.sub(r"[ \t]+$", "", uncommented(HEADER.read_text()), flags=re.MULTILINE)
        code = re.sub(r"\n{3,}", "\n\n", code)
        opening = f"/* kist.h as version {newest.name} promised it; made by abi.py. */\n"
        (newest / "kist.h").write_text(opening + code.lstrip())
        shutil.copy(MAP, newest / "kist.map")
        (newest / DESCRIPTION).write_text(describe(self.library))
        print(f"{newest.relative_to(ROOT)} promises {len(mapped(MAP.read_text()))} functions")


# What a change to kist.h must come to. {a change: (a piece of kist.h, what it becomes)}
BREAKS = {
    "a removed function": ("KIST_API kist_rc kist_flush(kist_db *db, kist_err *err);", ""),
    "a parameter's type": ("wait_idle(kist_db *db, int64_t", "wait_idle(kist_db *db, int32_t"),
    "a new parameter": ("kist_sync(kist_db *db, ", "kist_sync(kist_db *db, int how, "),
    "a field inside": ("  uint32_t durability;", "  uint32_t level;\n  uint32_t durability;"),
    "a field's type": ("  int64_t ttl_ms; ", "  int32_t ttl_ms; "),
    "a removed field": ("  kist_progress_fn progress;", ""),
    "growth without a size": ("len;\n} kist_slice;", "len;\n  int k;\n} kist_slice;"),
    "a constant's value": ("#define KIST_E_IO (-4)", "#define KIST_E_IO (-40)"),
    "a removed constant": ("#define KIST_DONE 2", ""),
}
ADDITIONS = {
    "nothing": ("", ""),
    "growth at the end": ("*ctx;\n} kist_job;", "*ctx;\n  uint64_t n;\n} kist_job;"),
    "a new function": ("/* ---- results", "KIST_API int kist_new(void);\n/* ---- results"),
    "a new constant": ("#define KIST_OK 0", "#define KIST_OK 0\n#define KIST_NEW 1"),
}


def judges(work, before, piece, after, is_break):
    header, everything = HEADER.read_text(), "KIST_0 { global: kist_*; local: *; };"
    if piece not in header:
        yield f"kist.h has no {piece!r}"
        return
    changed_header = header.replace(piece, after, 1)
    new = stub(work / "changed", changed_header, everything)
    found = list(differences(before, new, header, changed_header))
    found += changed("constant", constants(header), constants(changed_header))
    if bool(found) != is_break:
        yield f"wanted {'a complaint' if is_break else 'none'}, got {found}"


def main():
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        abi = Abi(sys.argv[1], work)
        if "--accept" in sys.argv:
            abi.accept()
            return
        cases = Cases()
        for promise in abi.promises():
            version = promise.name.replace(".", "_")
            for check in ("constants_stay", "functions_stay", "old_client_runs"):
                cases.run(f"abi__{version}_{check}", lambda: getattr(abi, check)(promise))
            name = f"abi__{version}_description_stays"
            if not shutil.which("abidiff"):
                cases.skip(name, "abidiff (abigail-tools) is not installed")
            elif not (promise / DESCRIPTION).exists():
                cases.skip(name, f"no description of {platform.machine()} is stored")
            else:
                cases.run(name, lambda: abi.description_stays(promise))
                name = name.replace("stays", "would_fail")
                cases.run(name, lambda: abi.description_would_fail(promise))
        cases.run("abi__packaging_agrees", abi.packaging_agrees)
        cases.run("abi__new_client_fails_cleanly", abi.new_client_fails_cleanly)
        cases.run("abi__new_client_runs_on_what_is_old", abi.new_client_runs_on_what_is_old)
        if shutil.which("abidiff"):
            everything = "KIST_0 { global: kist_*; local: *; };"
            before = stub(Path(work) / "before", HEADER.read_text(), everything)
            for is_break, changes in ((True, BREAKS), (False, ADDITIONS)):
                verb = "refuses" if is_break else "allows"
                for name, change in changes.items():
                    name = f"abi__{verb}_" + re.sub(r"\W", "_", name)
                    cases.run(name, lambda: judges(Path(work), before, *change, is_break))
    cases.finish()


if __name__ == "__main__":
    main()
