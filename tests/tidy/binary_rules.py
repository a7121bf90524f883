"""The rules that the built libkist.so keeps: what it exports, what runs when it is loaded, what it holds. rules_test.py shows
that each one catches what it forbids. readelf (binutils) reads the file."""
import os
import re
import subprocess
import tempfile

STRIPPED_BYTES = 1_500_000  # PERFORMANCE

# Writable data that may exist: path of the symbol: reason. Constants of C++ that need relocation are not among them,
# they lie in .data.rel.ro and are read-only once loaded.
MUTABLE = {
    r"completed\.\d+|__dso_handle|__TMC_END__|_GLOBAL_OFFSET_TABLE_|_edata|__bss_start|_end": "the compiler's start files",
}


def readelf(path, *flags):
    return subprocess.run(["readelf", "-W", *flags, path], check=True, capture_output=True, text=True).stdout


def exported(library):
    """{name: version} of the symbols that a program can link with."""
    names = {}
    for line in readelf(library, "--dyn-syms").splitlines():
        field = line.split()
        if len(field) < 8 or field[6] in ("UND", "ABS", "Ndx") or field[4] not in ("GLOBAL", "WEAK", "UNIQUE"):
            continue
        name, _, version = field[7].partition("@")
        names[name] = version.lstrip("@")
    return names


def declared(header):
    """The functions that the header declares with KIST_API."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL)
    return set(re.findall(r"^KIST_API\b[^;{]*?\b(kist_\w+)\s*\(", text, flags=re.MULTILINE))


def mapped(script):
    """{name: version} of the version script; '*' is refused, because it would export by accident."""
    names = {}
    script = re.sub(r"/\*.*?\*/|#[^\n]*", " ", script, flags=re.DOTALL)
    for version, body in re.findall(r"(\w[\w.]*)\s*\{(.*?)\}", script, flags=re.DOTALL):
        public = body.split("local:")[0].replace("global:", "")
        names.update({name.strip(): version for name in public.split(";") if name.strip()})
    return names


def exports_are_the_header(library, header, script):
    symbols, functions, versions = exported(library), declared(header), mapped(script)
    for name in sorted(symbols.keys() | functions | versions.keys()):
        where = [place for place, names in (("libkist.so", symbols), ("kist.h", functions), ("kist.map", versions)) if name in names]
        if len(where) < 3:
            yield f"{name}: only in {', '.join(where)}"
        elif symbols[name] != versions[name]:
            yield f"{name}: version {symbols[name] or 'none'} in libkist.so, {versions[name]} in kist.map"


def sections(library):
    """{number: (name, size)}."""
    found = {}
    for match in re.finditer(r"^\s*\[\s*(\d+)\] (\S+)\s+\S+\s+[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)", readelf(library, "-S"), re.MULTILINE):
        found[match.group(1)] = (match.group(2), int(match.group(3), 16))
    return found


def no_mutable_globals(library):
    writable = {number: name for number, (name, _) in sections(library).items() if re.match(r"\.(t?data|t?bss)(\.(?!rel\.ro)|$)", name)}
    for line in readelf(library, "-s", "--demangle").splitlines():
        field = line.split(maxsplit=7)
        if len(field) < 8 or field[6] not in writable or field[3] not in ("OBJECT", "TLS", "NOTYPE"):
            continue
        if not any(re.fullmatch(pattern, field[7]) for pattern in MUTABLE):
            yield f"{field[7]}: {field[2]} bytes in {writable[field[6]]}"


def no_static_constructors(library):
    size = next((size for name, size in sections(library).values() if name == ".init_array"), 0)
    if size > 8:  # the compiler's own frame_dummy
        yield f".init_array has {size // 8} entries, 1 is the compiler's own"
    for name in sorted(set(re.findall(r"\b_GLOBAL__sub_I_\S+", readelf(library, "-s")))):
        yield name


def loading(library):
    text = readelf(library, "-d", "-l")
    soname = re.search(r"SONAME\)\s+Library soname: \[(.*)\]", text)
    if not soname or soname.group(1) != "libkist.so.0":
        yield f"SONAME is {soname.group(1) if soname else 'missing'}, wanted libkist.so.0"
    for flag in ("NOW", "NODELETE"):
        if not re.search(rf"FLAGS(_1)?\).*\b{flag}\b", text):
            yield f"-z {flag.lower()} is missing"
    if "GNU_RELRO" not in text:
        yield "-z relro is missing"
    if re.search(r"GNU_STACK.*RWE", text) or "TEXTREL" in text:
        yield "an executable stack or relocated text"
    if re.search(r"\((RPATH|RUNPATH)\)", text):
        yield "a run path"
    needed = [name.split(".so")[0] for name in re.findall(r"NEEDED\)\s+Shared library: \[(.*)\]", text)]
    if "libmimalloc" in needed and needed.index("libmimalloc") < max(needed.index("libc"), needed.index("libstdc++")):
        yield f"libmimalloc comes before libc or libstdc++ in {needed}: it could become the host's allocator"


def size(library):
    with tempfile.TemporaryDirectory() as directory:
        stripped = os.path.join(directory, "stripped.so")
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped, library], check=True)
        count = os.path.getsize(stripped)
    print(f"stripped: {count} bytes")
    if count >= STRIPPED_BYTES:
        yield f"{count} bytes stripped, the limit is {STRIPPED_BYTES}"
