"""The rules that a built libkist.so keeps: what it exports, what it holds, what loading it does.

rules_test.py shows that each one catches what it forbids. readelf and strip (binutils) do the work.
"""
import os
import re
import subprocess
import tempfile

STRIPPED_BYTES = 1_500_000  # PERFORMANCE

# Writable data that may exist, and why. Constants that need relocation lie in .data.rel.ro, which
# is read-only once loaded, and are not meant.
MUTABLE = {
    r"completed\.\d+|__dso_handle|__TMC_END__|_edata|__bss_start|_end": "the start files",
    r"DW\.ref\..*": "the compiler's pointers to personality routine and caught types",
    r"__cpu_model|__cpu_features2": "libgcc's answer to __builtin_cpu_supports",
    r"(guard variable for )?kist::.*\bTheRegistry\(\)::registry": "who has which directory (G11)",
    r"(guard variable for )?kist::PosixVfs\(\)::vfs": "the operating system's Vfs, without state",
    r"(guard variable for )?kist::.*\bBareText\(.*\)::texts": "messages of codes, made once",
}
# Code that runs when the library is loaded.
CONSTRUCTORS = {
    "frame_dummy": "the start files",
    "__cpu_indicator_init": "libgcc asks the processor what it can, and stores the answer",
}


def readelf(path, *flags):
    command = ["readelf", "-W", *flags, path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported(library):
    """{name: version} of the symbols that a program can link with."""
    names = {}
    for line in readelf(library, "--dyn-syms").splitlines():
        field = line.split()
        if len(field) < 8 or field[6] in ("UND", "ABS", "Ndx"):
            continue
        if field[4] in ("GLOBAL", "WEAK", "UNIQUE"):
            name, _, version = field[7].partition("@")
            names[name] = version.lstrip("@")
    return names


def declared(header):
    """The functions that the header declares."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL)
    return set(re.findall(r"^KIST_API\b[^;{]*?\b(kist_\w+)\s*\(", text, flags=re.MULTILINE))


def mapped(script):
    """{name: version} of the version script."""
    names = {}
    script = re.sub(r"/\*.*?\*/|#[^\n]*", " ", script, flags=re.DOTALL)
    for version, body in re.findall(r"(\w[\w.]*)\s*\{(.*?)\}", script, flags=re.DOTALL):
        public = body.split("local:")[0].replace("global:", "")
        names.update({name.strip(): version for name in public.split(";") if name.strip()})
    return names


def exports_are_the_header(library, header, script):
    symbols, functions, versions = exported(library), declared(header), mapped(script)
    places = {"libkist.so": symbols, "kist.h": functions, "kist.map": versions}
    for name in sorted(symbols.keys() | functions | versions.keys()):
        where = [place for place, names in places.items() if name in names]
        if len(where) < len(places):
            yield f"{name}: only in {', '.join(where)}"
        elif symbols[name] != versions[name]:
            yield f"{name}: version {symbols[name]} in libkist.so, {versions[name]} in kist.map"


def sections(library):
    """{number: (name, size)}."""
    line = r"^\s*\[\s*(\d+)\] (\S+)\s+\S+\s+[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)"
    found = re.finditer(line, readelf(library, "-S"), re.MULTILINE)
    return {match[1]: (match[2], int(match[3], 16)) for match in found}


def no_mutable_globals(library):
    writable = {
        number: name
        for number, (name, _) in sections(library).items()
        if re.match(r"\.(t?data|t?bss)(\.(?!rel\.ro)|$)", name)
    }
    for line in readelf(library, "-s", "--demangle").splitlines():
        field = line.split(maxsplit=7)
        if len(field) < 8 or field[6] not in writable or field[3] == "SECTION":
            continue
        if not any(re.fullmatch(pattern, field[7]) for pattern in MUTABLE):
            yield f"{field[7]}: {field[2]} bytes in {writable[field[6]]}"


def no_static_constructors(library):
    symbols = readelf(library, "-s")
    size = next((size for name, size in sections(library).values() if name == ".init_array"), 0)
    known = sum(1 for name in CONSTRUCTORS if re.search(rf"FUNC .*\b{name}$", symbols, re.M))
    if size // 8 > known:
        yield f".init_array has {size // 8} entries; {known} are known"
    for name in sorted(set(re.findall(r"\b_GLOBAL__sub_I_\S+", symbols))):
        yield name


def loading(library):
    text = readelf(library, "-d", "-l")
    soname = re.search(r"SONAME\)\s+Library soname: \[(.*)\]", text)
    if not soname or soname[1] != "libkist.so.0":
        yield f"SONAME is {soname[1] if soname else 'missing'}, wanted libkist.so.0"
    for flag in ("NOW", "NODELETE"):
        if not re.search(rf"FLAGS(_1)?\).*\b{flag}\b", text):
            yield f"-z {flag.lower()} is missing"
    if "GNU_RELRO" not in text:
        yield "-z relro is missing"
    if re.search(r"GNU_STACK.*RWE", text) or "TEXTREL" in text:
        yield "an executable stack or relocated text"
    if re.search(r"\((RPATH|RUNPATH)\)", text):
        yield "a run path"
    libraries = re.findall(r"NEEDED\)\s+Shared library: \[(.*)\.so", text)
    if "libstdc++" not in libraries:
        yield "a libstdc++ of its own: two in one process share exceptions and locales badly"
    before = libraries[libraries.index("libmimalloc") :] if "libmimalloc" in libraries else []
    if "libc" in before or "libstdc++" in before:
        yield f"libmimalloc stands before libc or libstdc++ in {libraries}: the host would use it"


def size(library):
    with tempfile.TemporaryDirectory() as directory:
        stripped = os.path.join(directory, "stripped.so")
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped, library], check=True)
        count = os.path.getsize(stripped)
    print(f"stripped: {count} bytes")
    if count >= STRIPPED_BYTES:
        yield f"{count} bytes stripped, the limit is {STRIPPED_BYTES}"
