#!/usr/bin/env python3
"""Writes Kist/Native.cs, the raw layer, from kist.h: declare.py [--write] [HEADER]; else prints it.

What kist.h declares comes from bindings/conformance/facts.py; the first paragraph of a function's
comment becomes its documentation. HeaderTests compares the committed file with the same facts.
"""
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FACTS = ROOT / "bindings/conformance/facts.py"

HEAD = """\
// Written by declare.py from kist.h; not to be changed by hand.
#pragma warning disable CS1591 // what the fields and constants mean stands in kist.h
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kist.Raw;
"""
PLAIN = {
    "void": "void",
    "char": "byte",
    "size_t": "nuint",
    "kist_rc": "int",
    "int32_t": "int",
    "uint32_t": "uint",
    "uint64_t": "ulong",
    "int64_t": "long",
}
KEYWORDS = {"lock", "out", "in", "ref", "params", "object", "string", "event", "base", "default"}


def csharp(kind, callbacks):
    """The C# type of a C type as facts.py writes it."""
    pointer = re.fullmatch(r"(\w+) \(\*\)\((.*)\)", kind)
    if pointer:
        return callback([pointer[1], *pointer[2].split(", ")], callbacks)
    if kind in callbacks:
        return callback(callbacks[kind], callbacks)
    word = kind.rstrip("*").strip()
    stars = len(kind) - len(kind.rstrip("*"))
    word = word[6:] if word.startswith("const ") else word
    return PLAIN.get(word, word) + "*" * stars


def callback(types, callbacks):
    result, *parameters = [csharp(kind, callbacks) for kind in types]
    return f"delegate* unmanaged[Cdecl]<{', '.join([*parameters, result])}>"


def documentation(text):
    """function: the first paragraph of its comment, and the names of its parameters."""
    function = r"^/\* ((?:[^*]|\*(?!/))*?)\*/\nKIST_API\b[^;(]*?\b(kist_\w+)\(([^;]*)\);"
    for match in re.finditer(function, text, re.MULTILINE):
        first = re.split(r"\n \*\n", match[1])[0]
        words = re.sub(r"\s*\n \* *", " ", first).strip()
        flat = re.sub(r"\(\*(\w+)\)\([^)]*\)", r"\1", match[3])
        names = [re.search(r"(\w+)\s*$", part) for part in flat.split(",")]
        yield match[2], (words, [name[1] for name in names if name and name[1] != "void"])


def struct(name, fields, callbacks):
    yield f"/// <summary>{name}.</summary>"
    yield "[StructLayout(LayoutKind.Sequential)]"
    yield f"public unsafe struct {name}"
    yield "{"
    for field, kind in fields:
        array = re.fullmatch(r"char\[(\d+)\]", kind)
        if array:
            yield f"    public fixed byte {field}[{array[1]}];"
        else:
            yield f"    public {csharp(kind, callbacks)} {field};"
    yield "}"
    yield ""


def declare(header):
    facts = subprocess.run(
        [sys.executable, FACTS, header], text=True, capture_output=True, check=True
    ).stdout
    lines = [line.split("\t") for line in facts.splitlines()]
    callbacks = {line[1]: line[2:] for line in lines if line[0] == "callback"}
    about = dict(documentation(Path(header).read_text()))
    yield HEAD
    for line in lines:
        if line[0] == "handle":
            yield f"/// <summary>An opaque {line[1]}.</summary>"
            yield f"public struct {line[1]} {{ }}"
            yield ""
    for line in lines:
        if line[0] == "struct":
            fields = [(f[2], f[5]) for f in lines if f[0] == "field" and f[1] == line[1]]
            yield from struct(line[1], fields, callbacks)
    yield "/// <summary>The functions and constants of kist.h, as they are.</summary>"
    yield "public static unsafe partial class Native"
    yield "{"
    for line in lines:
        if line[0] == "constant":
            kind = {"int": "int", "uint": "uint", "i64": "long"}[line[3]]
            yield f"    public const {kind} {line[1]} = {line[2]};"
    for line in lines:
        if line[0] != "function":
            continue
        name, result, *kinds = line[1:]
        words, names = about[name]
        words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        names = ["@" + word if word in KEYWORDS else word for word in names]
        parameters = ", ".join(
            f"{csharp(kind, callbacks)} {word}" for kind, word in zip(kinds, names, strict=True)
        )
        yield ""
        yield f"    /// <summary>{words}</summary>"
        yield "    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]"
        yield f"    public static partial {csharp(result, callbacks)} {name}({parameters});"
    yield "}"


def main():
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    header = arguments[0] if arguments else ROOT / "include/kist/kist.h"
    text = "\n".join(declare(header)) + "\n"
    if "--write" in sys.argv:
        (HERE / "Kist/Native.cs").write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
