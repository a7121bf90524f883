"""Formats: exact ways there and back, and what each reader refuses."""
import base64
import csv
import io
import json
import os
import random

from tool import need, same

FORMATS = ("tsv", "csv", "jsonl")
ODD = [b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\\x41", b"\\"]
ODD += [b'"', b'""', b"\r", b"\r\n", b"\\e", b" ", b"#", b"@record"]


def _b64(data):
    return base64.b64encode(data).decode()


def _random_bytes(rng):
    kind = rng.randrange(6)
    length = rng.choice([0, 1, 2, 3, 5, 17, 100])
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(length))
    if kind == 1:
        return bytes(rng.choice(b"\0\t\r\n\\\",; \x7f\xff\xef\xbb\xbfx0") for _ in range(length))
    if kind == 2:
        text = "".join(chr(rng.choice([9, 65, 233, 0x85, 0x2028, 0x20AC, 0xFFFD, 0x1F600]))
                       for _ in range(length))
        return text.encode()
    if kind == 3:
        return rng.choice(ODD)
    return "".join(rng.choice("abc xyz") for _ in range(length)).encode()


def formats__round_trip_every_byte_string(tool):
    """dump | load makes the same entries, whatever their bytes are."""
    seed = int(os.environ.get("KIST_SEED", "0")) or random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pairs = {_random_bytes(rng): _random_bytes(rng) for _ in range(1500)}
    pairs.update({bytes([b]): bytes([b]) * 2 for b in range(256)})
    pairs[b""] = b""
    pairs[b"\xef\xbb\xbf"] = b"begins like a byte order mark"
    rows = [json.dumps({"key_b64": _b64(k), "value_b64": _b64(v)}) for k, v in pairs.items()]
    source = tool.file("source.jsonl", "\n".join(rows))
    tool.ok("load", tool.db, source)
    same(tool.ok("scan", "--count", tool.db), b"%d\n" % len(pairs))
    reference = tool.ok("dump", "--format", "tsv", tool.db)
    for name in FORMATS:
        for header in [[]] if name == "jsonl" else [[], ["--header"]]:
            copy = str(tool.dir / f"copy-{name}{len(header)}")
            text = tool.ok("dump", "-f", name, *header, tool.db)
            tool.ok("load", "-f", name, *header, copy, "-", stdin=text)
            same(tool.ok("dump", copy), reference, f"seed {seed}: {name} {header}")
    for line, key in zip(reference.splitlines(), sorted(pairs)):
        need(all(byte >= 32 and byte != 127 or byte == 9 for byte in line), line)
        line.decode()
        if rng.random() < 0.02:
            same(tool.ok("get", "-x", tool.db, key.hex()), pairs[key])


def formats__others_read_what_is_written(tool):
    """csv and JSON are read by Python's readers, which know nothing of Kist."""
    pairs = {"a": "1", "q\"x": "two\nlines", "c,d": " sp ", "e": "", "f": "\u20ac\t\\", "g": "\r"}
    tool.ok("put", tool.db, *[word for pair in pairs.items() for word in pair])
    text = tool.ok("dump", "-f", "csv", tool.db).decode()
    same(dict(csv.reader(io.StringIO(text, newline=""))), pairs)
    lines = tool.ok("dump", "-f", "jsonl", tool.db).decode().splitlines()
    same({r["key"]: r["value"] for r in map(json.loads, lines)}, pairs)
    tool.ok("put", "-x", tool.db, "ff", "00ff")
    line = json.loads(tool.ok("get", "-f", "jsonl", "-x", tool.db, "ff"))
    same(line, {"key_b64": _b64(b"\xff"), "value_b64": _b64(b"\0\xff")})


def formats__keys_alone_round_trip_into_delete(tool):
    keys = [b"", b"\t", b"a", b"\\e", b"\r", b'"', b"\xff"]
    for name in FORMATS:
        for key in keys + [b"stays"]:
            tool.ok("put", "-x", tool.db, key.hex(), "00")
        text = tool.ok("scan", "--keys-only", "-f", name, "--to", "stays", tool.db)
        text += tool.ok("scan", "--keys-only", "-f", name, "--from", "t", tool.db)
        tool.ok("load", "--delete", "-f", name, tool.db, "-", stdin=text)
        same(tool.ok("scan", "--keys-only", tool.db), b"stays\n", name)


def formats__ttl_round_trips(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("put", "--ttl", "1h", tool.db, "b", "2")
    for name, more in ("tsv", ["--ttl-field", "3"]), ("csv", ["--ttl-field", "3"]), ("jsonl", []):
        copy = str(tool.dir / f"copy-{name}")
        text = tool.ok("dump", "--with-ttl", "-f", name, tool.db)
        tool.ok("load", "-f", name, *more, copy, "-", stdin=text)
        same(tool.ok("ttl", copy, "a"), b"never\n", name)
        need(3_500_000 < int(tool.ok("ttl", copy, "b")) <= 3_600_000, name)
    text = tool.ok("dump", "--with-ttl", "--header", tool.db)
    need(text.startswith(b"key\tvalue\tttl_ms\n"), text)
    tool.ok("load", "--header", "--key", "key", "--value", "value", "--ttl-field", "ttl_ms",
            str(tool.dir / "named"), "-", stdin=text)
    tool.fails(3, "load", "--ttl-field", "3", tool.db, "-", stdin="a\tb\tsoon\n", says="TTL 'soon'")


def tsv__lines(tool):
    tool.ok("load", tool.db, "-", stdin="a\t1\r\n\r\n\nb\t\nc\t\\t\\x41\\0\\e")
    same(tool.ok("get", tool.db, "c"), b"\tA\0")
    same(sorted(tool.entries()), [b"a", b"b", b"c"])
    same(tool.ok("get", tool.db, "a"), b"1")
    for line, reason in (("x", "one column"), ("x\ty\tz", "3 columns"), ("x\t\\", "lone backslash"),
                         ("x\t\\q", "unknown escape"), ("x\t\\x4", "two hexadecimal digits")):
        tool.fails(3, "load", tool.db, "-", stdin=f"a\t1\n{line}\n",
                   says=["(standard input):2: ", reason, "lines 1..1 are in the database"])


def tsv__raw_takes_backslashes_as_they_are(tool):
    tool.ok("load", "--raw", tool.db, "-", stdin="C:\\new\tx\\q\n")
    same(tool.ok("get", tool.db, "C:\\new"), b"x\\q")
    same(tool.ok("scan", "--raw", tool.db), b"C:\\new\tx\\q\n")


def tsv__fields(tool):
    data = "id\tname\tcity\n7\tAda\tLondon\n8\tAlan\tWilmslow\n"
    tool.ok("load", "--header", "--key", "id", "--value", "name", tool.db, "-", stdin=data)
    same(tool.entries(), {b"7": b"Ada", b"8": b"Alan"})
    tool.ok("load", "--key", "3", "--value", "1", "-k", "c", tool.db, "-", stdin=data)
    same(tool.entries("-k", "c"), {b"city": b"id", b"London": b"7", b"Wilmslow": b"8"})
    tool.ok("load", "--header", "--key", "id", "-k", "r", tool.db, "-", stdin=data)
    same(tool.ok("get", "-k", "r", tool.db, "7"), b"7\tAda\tLondon")
    tool.ok("load", "--key", "1", "--value", "@empty", "-k", "e", tool.db, "-", stdin=data)
    same(tool.ok("get", "-k", "e", tool.db, "7"), b"")
    tool.fails(3, "load", "--header", "--key", "nam", tool.db, "-", stdin=data,
               says=["no such column", "did you mean 'name'?"])
    tool.fails(3, "load", "--key", "id", tool.db, "-", stdin=data, says="only with --header")
    tool.fails(3, "load", "--key", "4", tool.db, "-", stdin=data, says="no column 4")


def csv__records(tool):
    data = '\ufeffkey,value\r\na,"x,\r\n""y"""\r\n\r\n"b",\r\n'
    tool.ok("load", "-f", "csv", "--header", tool.db, "-", stdin=data)
    same(tool.ok("get", tool.db, "a"), b'x,\r\n"y"')
    same(tool.ok("get", tool.db, "b"), b"")
    same(tool.ok("scan", "--count", tool.db), b"2\n")
    tool.ok("load", "-f", "csv", "--delimiter", ";", tool.db, "-", stdin="k;v,w\n")
    same(tool.ok("get", tool.db, "k"), b"v,w")
    for text, line, reason in (
        ('a,1\nb,x"y\nc,3\n', 2, "a quote inside a field"),
        ('a,1\nb,"x"y\nc,3\n', 2, "text after the closing quote"),
        ('a,1\n\nb,"x\ny\n', 3, "never closed"),
        ("a,1\nb\n", 2, "one column"),
    ):
        tool.fails(3, "load", "-f", "csv", tool.db, "-", stdin=text, says=[f":{line}: ", reason])


def csv__skips_to_the_next_line_after_a_bad_one(tool):
    data = 'a,1\nb,x"y\nc,3\nd,"x"y\ne,5\n'
    tool.ok("load", "-f", "csv", "--on-error", "skip", tool.db, "-", stdin=data)
    same(tool.entries(), {b"a": b"1", b"c": b"3", b"e": b"5"})


def jsonl__members(tool):
    user = '{"id": 7, "name": "Ada \\u00e9\\ud83d\\ude00"}'
    line = f'{{"user": {user}, "n": 1.50, "t": true, "z": null}}'
    tool.ok("load", "-f", "jsonl", "--key", "/user/id", "--value", "/user/name", tool.db, "-",
            stdin=line)
    same(tool.ok("get", tool.db, "7").decode(), "Ada \u00e9\U0001f600")
    values = {"n": "1.50", "t": "true", "user": user, "@record": line, "@empty": ""}
    for field, value in values.items():
        tool.ok("load", "-f", "jsonl", "--key", "n", "--value", field, tool.db, "-", stdin=line)
        same(tool.ok("get", tool.db, "1.50").decode(), value, field)
    reasons = {"z": "is null", "t": "neither a string nor a number", "q": "no member 'q'"}
    for field, reason in reasons.items():
        tool.fails(3, "load", "-f", "jsonl", "--key", field, tool.db, "-", stdin=line, says=reason)


def jsonl__native_records(tool):
    data = '{"key":"a","value":"\\u0000\\n"}\n\n{"value":{"x": [1]},"key":5}\n'
    data += '{"key_b64":"/w==","value_b64":""}\n'
    tool.ok("load", "-f", "jsonl", tool.db, "-", stdin=data)
    same(tool.ok("get", tool.db, "a"), b"\0\n")
    same(tool.ok("get", tool.db, "5"), b'{"x": [1]}')
    same(tool.ok("get", "-x", tool.db, "ff"), b"")
    for text, reason in (
        ('{"key":"a"}', 'no member "value"'),
        ('{"value":"a"}', 'no member "key"'),
        ('{"key":"a","key_b64":"YQ==","value":""}', "both"),
        ('{"key_b64":"a","value":""}', "not base64"),
        ('{"key":"a","value":"\\ud800"}', "surrogate"),
        ('{"key":"a","value":"x"', "byte 23"),
        ('{"key":"a","value":01}', "leading zero"),
        ('{"key":"a","value":"x"} x', "after the object's end"),
        ('["a"]', "one JSON object"),
        ('{"key":null,"value":"x"}', "neither a string nor a number"),
        ('{"key":"a","value":"\t"}', "control character"),
        ("[" * 300, "one JSON object"),
        ('{"key":"a","value":' + "[" * 300, "nested too deeply"),
    ):
        tool.fails(3, "load", "-f", "jsonl", tool.db, "-", stdin=text, says=reason)
    line = b'{"key":"\xff","value":""}'
    tool.fails(3, "load", "-f", "jsonl", tool.db, "-", stdin=line, says="not UTF-8")


STANZAS = """Package: bash
Version: 5.2
Description: shell
 It reads commands.
 .
 And runs them.


package:  dash \r
Version: 0.5
 \t
Package: zsh"""


def _stanzas(tool, *words):
    return tool.run("load", "-f", "stanza", *words, "-", stdin=STANZAS)


def stanza__records(tool):
    same(_stanzas(tool, "--key", "Package", tool.db).code, 0)
    same(tool.ok("scan", "--keys-only", tool.db), b"bash\ndash\nzsh\n")
    same(tool.ok("get", tool.db, "bash").decode(), STANZAS.split("\n\n")[0])
    same(tool.ok("get", tool.db, "zsh"), b"Package: zsh")
    text = tool.ok("scan", "-f", "stanza", tool.db)
    tool.ok("load", "-f", "deb822", "--key", "Package", str(tool.dir / "copy"), "-", stdin=text)
    same(tool.ok("dump", str(tool.dir / "copy")), tool.ok("dump", tool.db))
    tool.fails(2, "dump", "-f", "stanza", tool.db, says="stanzas cannot hold every value")


def stanza__fields(tool):
    fields = ["--key", "package", "--value", "description"]
    same(_stanzas(tool, *fields, "--on-error", "skip", tool.db).code, 0)
    same(tool.entries(), {b"bash": b"shell\\n It reads commands.\\n .\\n And runs them."})
    result = _stanzas(tool, "--key", "Version", "-k", "v", tool.db)
    same(result.code, 3)
    need(":12: no field 'Version'" in result.err, result)
    need("2 entries of lines 1..11" in result.err, result)
