#!/usr/bin/env python3
"""Writes src/declarations.rs from kist.h: declare.py [--write] [HEADER], else to the output.

What kist.h declares comes from bindings/conformance/facts.py; the first paragraph of a function's
comment becomes its documentation. Each struct gets a test of its size and of every offset.
"""
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FACTS = ROOT / "bindings/conformance/facts.py"

HEAD = """\
// Written by declare.py from kist.h; not to be changed by hand.
use std::marker::{PhantomData, PhantomPinned};
use std::mem::size_of;
use std::os::raw::{c_char, c_void};

/// A result: 0 is success, > 0 an expected outcome, < 0 an error.
pub type kist_rc = i32;
"""
PLAIN = {
    "void": "c_void",
    "char": "c_char",
    "size_t": "usize",
    "int32_t": "i32",
    "uint32_t": "u32",
    "uint64_t": "u64",
    "int64_t": "i64",
}
ZERO = {"u32": "0", "i32": "0", "u64": "0", "i64": "0", "usize": "0"}


def rust(kind):
    """The Rust type of a C type as facts.py writes it."""
    array = re.fullmatch(r"(.*)\[(\d+)\]", kind)
    if array:
        return f"[{rust(array[1])}; {array[2]}]"
    pointer = re.fullmatch(r"(\w+) \(\*\)\((.*)\)", kind)
    if pointer:
        return callback(pointer[1], pointer[2].split(", "))
    word = kind
    stars = len(kind) - len(kind.rstrip("*"))
    word = kind[: len(kind) - stars].strip()
    constant = word.startswith("const ")
    word = word[6:] if constant else word
    out = PLAIN.get(word, word)
    for depth in range(stars):  # const belongs to the innermost
        out = f"*{'const' if constant and depth == 0 else 'mut'} {out}"
    return out


def callback(result, parameters):
    gives = "" if result == "void" else f" -> {rust(result)}"
    return f"Option<unsafe extern \"C\" fn({', '.join(map(rust, parameters))}){gives}>"


def zero(kind):
    if kind.startswith("*const"):
        return "std::ptr::null()"
    if kind.startswith("*mut"):
        return "std::ptr::null_mut()"
    if kind.startswith("["):
        return "[0; " + kind.split("; ")[1]
    if kind == "kist_slice":
        return "kist_slice { data: std::ptr::null(), len: 0 }"
    return ZERO.get(kind, "None")


def documentation(text):
    """{name: (first paragraph, parameter names)} of functions; {name: text} of other things."""
    functions, others = {}, {}
    pattern = r"/\*((?:[^*]|\*(?!/))*)\*/\n^KIST_API\b[^;(]*?\b(kist_\w+)\(([^;]*)\);"
    for comment, name, parameters in re.findall(pattern, text, re.MULTILINE):
        lines = [line.strip(" *") for line in comment.strip().split("\n")]
        flat = re.sub(r"\(\*(\w+)\)\([^)]*\)", r"\1", parameters)
        names = [re.search(r"(\w+)\s*$", part) for part in flat.split(",")]
        functions[name] = (
            " ".join(lines[: lines.index("")]),
            [found[1] for found in names if found[1] != "void"],
        )
    tail = r"^#define (KIST_\w+) [^/\n]*/\*((?:[^*]|\*(?!/))*)\*/"
    for name, comment in re.findall(tail, text, re.MULTILINE):
        others[name] = comment
    for comment, name in re.findall(
        r"/\*((?:[^*]|\*(?!/))*)\*/\ntypedef struct (kist_\w+) \{", text
    ):
        others[name] = comment
    for name, comment in re.findall(
        r"^typedef struct \w+ (kist_\w+); +/\*((?:[^*]|\*(?!/))*)\*/", text, re.MULTILINE
    ):
        others[name] = comment
    for body, struct in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", text, re.DOTALL):
        for name, comment in re.findall(r"(\w+)(?:\[\d+\])?;\s*/\*((?:[^*]|\*(?!/))*)\*/", body):
            others[f"{struct}.{name}"] = comment
    return functions, others


def doc(text, fallback, indent=""):
    words = re.sub(r"\s*\n[ *]*", " ", text or fallback).strip()
    return f"{indent}/// " + re.sub(r"([\[\]*<>])", r"\\\1", words)


def sentences(name):
    return f"`{name}` of kist.h."


def declarations(header):
    facts = subprocess.run(
        [sys.executable, FACTS, header], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split("\t") for line in facts.splitlines()]
    functions, others = documentation(header.read_text())
    yield HEAD
    for _, name, value, kind in (row for row in rows if row[0] == "constant"):
        result = re.match(r"KIST_(OK|NOT_FOUND|DONE|TRUNCATED|E_)", name)
        version = name.startswith("KIST_VERSION")
        type_ = {"uint": "u32", "int": "i32"}.get(kind, kind)
        type_ = "kist_rc" if result else "u32" if version else type_
        yield doc(others.get(name), sentences(name))
        yield f"pub const {name}: {type_} = {value};"
    for _, name in (row for row in rows if row[0] == "handle"):
        yield "\n" + doc(others.get(name), sentences(name))
        yield "#[repr(C)]"
        yield f"pub struct {name} {{\n    _private: [u8; 0],"
        yield "    _marker: PhantomData<(*mut u8, PhantomPinned)>,\n}"
    for _, name, result, *parameters in (row for row in rows if row[0] == "callback"):
        yield "\n" + doc(others.get(name), sentences(name))
        yield f"pub type {name} = {callback(result, parameters)};"
    structs = [(row[1], row[2], row[3]) for row in rows if row[0] == "struct"]
    fields = {name: [] for name, _, _ in structs}
    for _, struct, name, offset, _, kind in (row for row in rows if row[0] == "field"):
        fields[struct].append(("r#type" if name == "type" else name, offset, kind))
    for name, _, _ in structs:
        yield "\n" + doc(others.get(name), sentences(name))
        yield "#[repr(C)]\n#[derive(Clone, Copy)]"
        yield f"pub struct {name} {{"
        for field, _, kind in fields[name]:
            plain = field.replace("r#", "")
            yield doc(others.get(f"{name}.{plain}"), f"`{plain}` of {name}.", "    ")
            yield f"    pub {field}: {rust(kind)},"
        yield "}"
        if fields[name][0][0] == "size":
            yield f"/// A `{name}` that holds its size and is zero otherwise."
            yield f"pub const {name.upper()}_INIT: {name} = {name} {{"
            yield f"    size: size_of::<{name}>() as u32,"
            for field, _, kind in fields[name][1:]:
                yield f"    {field}: {zero(rust(kind))},"
            yield "};"
    yield '\nextern "C" {'
    for _, name, result, *parameters in (row for row in rows if row[0] == "function"):
        text, names = functions[name]
        gives = "" if result == "void" else f" -> {rust(result)}"
        listed = ", ".join(f"{n}: {rust(t)}" for n, t in zip(names, parameters))
        yield doc(text, "", "    ")
        yield f"    pub fn {name}({listed}){gives};"
    yield "}\n\n#[cfg(test)]\nmod layout {\n    use super::*;\n    use std::mem::align_of;"
    for name, size, align in structs:
        yield f"\n    #[test]\n    fn {name}_is_as_in_c() {{"
        yield f"        let value = std::mem::MaybeUninit::<{name}>::uninit();"
        yield "        let base = value.as_ptr() as usize;"
        yield f"        assert_eq!((size_of::<{name}>(), align_of::<{name}>()), ({size}, {align}));"
        for field, offset, _ in fields[name]:
            yield "        // SAFETY: the address of a field is computed, nothing is read."
            yield "        let at = unsafe {"
            yield f"            std::ptr::addr_of!((*value.as_ptr()).{field}) as usize"
            yield f"        }};\n        assert_eq!(at - base, {offset}, \"{field}\");"
        yield "    }"
    yield "}"


def main():
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    header = Path(arguments[0]) if arguments else ROOT / "include/kist/kist.h"
    text = "\n".join(declarations(header)) + "\n"
    if "--write" in sys.argv:
        (HERE / "src/declarations.rs").write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
