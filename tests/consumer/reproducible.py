#!/usr/bin/env python3
"""Two builds in different directories, environments and orders give the same bytes in every
installed file: reproducible.py [JOBS]. With --quick: the objects of one room."""
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))

from cases import Cases  # noqa: E402

TOPS = ("CMakeLists.txt", "LICENSE", "README.md", "CHANGELOG.md", "include", "src", "pkgconfig")
ENVIRONMENTS = (
    {"TZ": "UTC", "LC_ALL": "C", "HOME": "/nonexistent"},
    {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "USER": "other"},
)
QUICK = "--quick" in sys.argv
NUMBERS = [word for word in sys.argv[1:] if word.isdigit()]
JOBS = NUMBERS[0] if NUMBERS else str(os.cpu_count() or 2)


def copy(source):
    source.mkdir(parents=True)
    for top in TOPS:
        if (ROOT / top).is_dir():
            shutil.copytree(ROOT / top, source / top)
        else:
            shutil.copy(ROOT / top, source / top)


def build(source, root, environment):
    """The files that one build installs, in a directory of their own."""
    out = source / "build/out"
    env = {**os.environ, **environment, "CCACHE_DISABLE": "1", "DESTDIR": str(root)}
    commands = [["cmake", "-S", source, "-B", out, "-DCMAKE_INSTALL_PREFIX=/usr"]]
    if QUICK:
        commands.append(["cmake", "--build", out, "-j", JOBS, "--target", "kist_util"])
    else:
        commands += [["cmake", "--build", out, "-j", JOBS], ["cmake", "--install", out]]
    for command in commands:
        done = subprocess.run(list(map(str, command)), env=env, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-4000:] + done.stderr[-4000:])
    return next(out.glob("**/kist_util.dir")) if QUICK else root


def same_bytes():
    with tempfile.TemporaryDirectory(prefix="kist-") as work:
        places = (Path(work, "a"), Path(work, "another/and/deeper/place"))
        for place in places:
            copy(place)
        first, second = (
            build(place, Path(work, f"root-{number}"), environment)
            for number, (place, environment) in enumerate(zip(places, ENVIRONMENTS))
        )
        shown = "**/*.o" if QUICK else "**/*"
        files = [path.relative_to(first) for path in first.glob(shown) if path.is_file()]
        print(f"{len(files)} files")
        others = {path.relative_to(second) for path in second.glob(shown) if path.is_file()}
        for path in sorted(others.symmetric_difference(files)):
            yield f"{path}: in one build only"
        for path in sorted(others.intersection(files)):
            if not filecmp.cmp(first / path, second / path, shallow=False):
                yield f"{path} differs"
            if work.encode() in (first / path).read_bytes():
                yield f"{path} names the directory that it was built in"
        if len(files) < (5 if QUICK else 90):
            yield f"only {len(files)} files"


cases = Cases()
cases.run("reproducible__same_bytes", same_bytes, "who rebuilds a release must compare it")
cases.finish()
