#!/usr/bin/env python3
"""The Debian packages: what is in them, lintian's word on them, and a machine that installs, uses
and removes them: packages.py DIRECTORY_OF_PACKAGES [--build]. With --build they are made there
first, without optimization, for make test; make packages makes those of a release.

The machine is this one under an overlay, in a mount name space of its own, so that it stays as it
is; without the right to make one that case is skipped.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "tidy")]

from binary_rules import mapped  # noqa: E402
from cases import Cases  # noqa: E402

# What a package has, as patterns over its paths; LIB is the directory of the architecture.
CONTENTS = {
    "libkist0": ["LIB/libkist.so.0", r"LIB/libkist.so.\d+\.\d+\.\d+"],
    "libkist-dev": [
        "LIB/libkist.so",
        "LIB/libkist.a",
        "LIB/pkgconfig/kist.pc",
        r"LIB/cmake/kist/kist-\w+(-\w+)?.cmake",
        "usr/include/kist/kist.h",
        r"usr/share/man/man3/kist\w*.3.gz",
        r"usr/share/doc/libkist-dev/(README|NOTICES).md(.gz)?",
    ],
    "kist-tools": ["usr/bin/kist", "usr/share/man/man1/kist.1.gz"],
}
ALWAYS = r"usr/share/doc/PACKAGE/(copyright|changelog(.Debian)?.gz)"

INSIDE = r"""
set -eux
root=$1; packages=$2; tests=$3
mount -t tmpfs none "$root"
mkdir "$root/upper" "$root/work" "$root/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/all"
mount --bind /dev "$root/all/dev"
mount -t tmpfs none "$root/all/tmp"
cp "$packages"/*.deb "$tests/use.c" "$tests/CMakeLists.txt" "$root/all/tmp"
exec chroot "$root/all" /bin/sh -eux -c '
  cd /tmp
  export DEBIAN_FRONTEND=noninteractive
  rm -f /var/lib/man-db/auto-update  # indexing every page of the machine again takes minutes
  find /usr/local -depth \( -name "kist*" -o -name "libkist*" \) -exec rm -r {} +
  ldconfig  # a kist of make install would hide the packages, and outlive them
  dpkg -i kist-tools_*.deb libkist0_*.deb libkist-dev_*.deb
  dpkg --verify kist-tools libkist0 libkist-dev
  kist put db city Oslo
  [ "$(kist get db city)" = Oslo ]
  kist verify db
  cc use.c $(pkg-config --cflags --libs kist) -ldl -o shared
  ./shared db2
  cc use.c $(pkg-config --cflags --libs --static kist | sed s/-lkist/-l:libkist.a/) -ldl -o static
  ./static db3
  cmake -S . -B build -DKIST_TARGET=kist::kist >/dev/null
  cmake --build build >/dev/null
  build/use_c db4
  [ -z "$(command -v man)" ] || { man -w 1 kist; man -w 3 kist kist_open kist_err; }
  dpkg -r kist-tools libkist-dev
  ./shared db5
  dpkg -P kist-tools libkist-dev libkist0
  if ./shared db6; then exit 1; fi
  left=$(find /usr /etc /var/lib/dpkg/info -xdev -name "kist*" -o -xdev -name "libkist*")
  [ -z "$left" ] || { echo "left: $left"; exit 1; }
  ! ldconfig -p | grep libkist
'
"""


def run(*command, **how):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, **how)


def must(*command):
    done = run(*command)
    if done.returncode != 0:
        raise RuntimeError(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


class Packages:
    def __init__(self, place):
        self.place = Path(place)
        found = [path for path in self.place.glob("*.deb") if "-dbgsym_" not in path.name]
        self.files = {path.name.split("_")[0]: path for path in found}
        self.lib = "usr/lib/" + must("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()

    def hold_what_they_should(self):
        if set(self.files) != set(CONTENTS):
            yield f"found {sorted(self.files)}"
        for package, patterns in CONTENTS.items():
            listed = must("sh", "-c", f"dpkg-deb --fsys-tarfile {self.files[package]} | tar -t")
            paths = [path[2:] for path in listed.split() if not path.endswith("/")]
            wanted = [p.replace("LIB", self.lib) for p in patterns]
            for pattern in wanted:
                if not any(re.fullmatch(pattern, path) for path in paths):
                    yield f"{package} lacks {pattern}"
            wanted.append(ALWAYS.replace("PACKAGE", package))
            for path in paths:
                if not any(re.fullmatch(pattern, path) for pattern in wanted):
                    yield f"{package} has {path}"

    def field(self, package, name):
        return must("dpkg-deb", "-f", self.files[package], name).strip()

    def fields(self):
        header = (ROOT / "include/kist/kist.h").read_text()
        version = ".".join(re.findall(r"^#define KIST_VERSION_(?:M\w+|PATCH) (\d+)$", header, re.M))
        for package in CONTENTS:
            multi = "foreign" if package == "kist-tools" else "same"
            if self.field(package, "Multi-Arch") != multi:
                yield f"{package}: Multi-Arch {self.field(package, 'Multi-Arch')!r}"
            if not self.field(package, "Version").startswith(version + "-"):
                yield f"{package}: version {self.field(package, 'Version')}, kist.h has {version}"
        if "libkist0 (>= " not in self.field("kist-tools", "Depends"):
            yield f"kist-tools depends on {self.field('kist-tools', 'Depends')}"

    def symbols(self):
        text = must("dpkg-deb", "--info", self.files["libkist0"], "symbols")
        listed = dict(re.findall(r"^ (kist_\w+)@(\w[\w.]*) ", text, re.MULTILINE))
        promised = mapped((ROOT / "src/capi/kist.map").read_text())
        if listed != promised:
            alone = set(listed.items()) ^ set(promised.items())
            yield f"in symbols or kist.map alone: {sorted(alone)}"

    def lintian(self):
        changes = list(self.place.glob("*.changes"))
        done = run("lintian", "--allow-root", "--no-tag-display-limit", *changes)
        print(done.stdout)
        yield from re.findall(r"^E: .*", done.stdout, re.MULTILINE)
        if done.returncode not in (0, 2) or not changes:
            yield f"lintian: exit {done.returncode}, {done.stderr}"

    def installed_used_and_removed(self):
        with tempfile.TemporaryDirectory(prefix="kist-") as root:
            command = ["unshare", "-m", "sh", "-c", INSIDE, "sh", root, self.place, HERE]
            done = run(*command, timeout=1800)
        if done.returncode != 0:
            yield f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def may_mount():
    command = "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/a && mount -t overlay overlay"
    command += " -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/a"
    return os.geteuid() == 0 and run("unshare", "-m", "sh", "-c", command).returncode == 0


def built(place):
    """Makes the packages; the cases say why where that cannot be."""
    env = {**os.environ, "DEB_BUILD_OPTIONS": "noopt noautodbgsym", "JOBS": "2"}
    env.update(DEB_CFLAGS_STRIP="-g", DEB_CXXFLAGS_STRIP="-g")  # half of the time
    done = run(ROOT / "pkgconfig/packages", place, env=env)
    return [] if done.returncode == 0 else [done.stdout, done.stderr]


def main():
    place, cases = Path(sys.argv[1]).resolve(), Cases()
    if "--build" in sys.argv:
        lacking = [tool for tool in ("dpkg-buildpackage", "dh") if not shutil.which(tool)]
        if lacking:
            cases.skip("packages__built", f"no {' or '.join(lacking)} on this machine")
            cases.finish()
        needs = run("dpkg-checkbuilddeps", ROOT / "pkgconfig/debian/control")
        if needs.returncode != 0:
            cases.skip("packages__built", needs.stderr.strip().splitlines()[-1])
            cases.finish()
        cases.run("packages__built", lambda: built(place))
        if cases.failed:
            cases.finish()
    packages = Packages(place)
    cases.run("packages__hold_what_they_should", packages.hold_what_they_should)
    cases.run("packages__fields", packages.fields)
    cases.run("packages__symbols", packages.symbols)
    if shutil.which("lintian"):
        cases.run("packages__lintian", packages.lintian)
    else:
        cases.skip("packages__lintian", "lintian is not installed")
    if may_mount():
        cases.run("packages__installed_used_and_removed", packages.installed_used_and_removed)
    else:
        cases.skip("packages__installed_used_and_removed", "needs root and mount name spaces")
    cases.finish()


if __name__ == "__main__":
    main()
