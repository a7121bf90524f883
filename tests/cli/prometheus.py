"""A strict reader of Prometheus' text exposition format 0.0.4, as far as a check needs it.

read(text) returns {name: (type, {labels: value})} and raises ValueError by line. It holds the
text to what the format asks and to what its users rely on: HELP and TYPE once and before the
samples of their family, families in one piece, no sample twice, counters that end in _total and
are whole, summaries and histograms with _sum and _count, buckets that never fall and end with
+Inf = _count. Where the prometheus_client package is installed, its parser has to read it too.
"""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}=\"[^\"\\\n]*\",?)*)\}})? (\S+)$")
SUFFIXES = {"summary": ("", "_sum", "_count"), "histogram": ("_bucket", "_sum", "_count")}


def family_of(name, families):
    for suffix in ("", "_bucket", "_sum", "_count"):
        base = name[: len(name) - len(suffix)] if suffix else name
        if name.endswith(suffix) and base in families:
            return base
    raise ValueError(f"{name}: no TYPE")


def check_family(name, kind, samples):
    if not samples:
        raise ValueError(f"{name}: no samples")
    if kind == "counter":
        if not name.endswith("_total"):
            raise ValueError(f"{name}: a counter that does not end in _total")
        if any(value < 0 or value != int(value) for value in samples.values()):
            raise ValueError(f"{name}: a counter that is no count")
    if kind != "histogram":
        return
    rows = {}
    for (sample, labels), value in samples.items():
        others = tuple(pair for pair in labels if pair[0] != "le")
        row = rows.setdefault(others, {"buckets": []})
        if sample.endswith("_bucket"):
            row["buckets"].append((float(dict(labels)["le"]), value))
        else:
            row[sample.rsplit("_", 1)[1]] = value
    for others, row in rows.items():
        bounds = [bound for bound, _ in row["buckets"]]
        counts = [count for _, count in row["buckets"]]
        if bounds != sorted(set(bounds)) or counts != sorted(counts):
            raise ValueError(f"{name}{others}: buckets out of order")
        if bounds[-1] != math.inf or counts[-1] != row["count"] or "sum" not in row:
            raise ValueError(f"{name}{others}: +Inf, sum or count are missing or differ")


def read(text):
    families, helped, current = {}, set(), None
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            if name in helped or name in families or not re.fullmatch(NAME, name):
                raise ValueError(f"{number}: HELP of {name}")
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in families or name not in helped:
                raise ValueError(f"{number}: TYPE of {name}")
            if kind not in ("counter", "gauge", "summary", "histogram"):
                raise ValueError(f"{number}: type {kind}")
            families[name] = (kind, {})
            current = name
        else:
            match = SAMPLE.match(line)
            if not match:
                raise ValueError(f"{number}: {line}")
            name, labels, value = match.groups()
            family = family_of(name, families)
            if family != current:
                raise ValueError(f"{number}: {name} stands apart from its family")
            kind, samples = families[family]
            if name[len(family):] not in SUFFIXES.get(kind, ("",)):
                raise ValueError(f"{number}: {name} in a {kind}")
            pairs = tuple(re.findall(rf"({LABEL})=\"([^\"]*)\"", labels or ""))
            if (name, pairs) in samples or len({pair[0] for pair in pairs}) != len(pairs):
                raise ValueError(f"{number}: {line} comes twice")
            samples[(name, pairs)] = float(value)
    for name, (kind, samples) in families.items():
        check_family(name, kind, samples)
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        return families
    theirs = {f.name for f in text_string_to_metric_families(text) if f.samples}
    ours = {re.sub("_total$", "", name) for name in families}
    if {re.sub("_total$", "", name) for name in theirs} != ours:
        raise ValueError(f"prometheus_client reads {sorted(theirs ^ ours)} otherwise")
    return families
