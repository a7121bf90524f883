#!/usr/bin/env python3
"""A second reader of Kist's files, written from src/FORMAT.md alone; it shares nothing with src/.

    reader.py DIRECTORY [KEYSPACE]     writes the entries as `kist dump` does (tsv)

read(directory) returns {keyspace: {key: (value, expiry in Unix ms or None)}}. Every checksum,
length, order, count and filter on the way is checked; the first thing that is wrong raises Damage.
"""
import os
import struct
import sys
import time
from itertools import accumulate

MASK = (1 << 64) - 1
NEVER = (1 << 63) - 1
A, B, C, D = 0x9E3779B97F4A7C15, 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B


class Damage(Exception):
    pass


def must(condition, what):
    if not condition:
        raise Damage(what)


# ---- CRC32C, Snappy, the key hash ----------------------------------------------------------------
def _crc_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        yield n


TABLE = tuple(_crc_table())


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def unsnappy(data):
    """One raw Snappy stream: the plain length as a varint, then literals and copies."""
    length = shift = at = 0
    while True:
        length |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n = int.from_bytes(data[at : at + extra], "little")
                at += extra
            out += data[at : at + n + 1]
            at += n + 1
            continue
        if tag & 3 == 1:
            n, back = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            n, back = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        must(0 < back <= len(out), "a Snappy copy from before the beginning")
        for _ in range(n):
            out.append(out[-back])
    must(len(out) == length, "a Snappy stream of another length")
    return bytes(out)


def fold(a, b):
    product = a * b
    return product & MASK ^ product >> 64


def key_hash(key):
    n, s = len(key), A
    if n > 16:
        at = 0
        while n - at > 16:
            first, second = struct.unpack_from("<QQ", key, at)
            s = fold(first ^ C, second ^ s)
            at += 16
        lo, hi = struct.unpack("<QQ", key[-16:])
    elif n >= 8:
        (lo,), (hi,) = struct.unpack("<Q", key[:8]), struct.unpack("<Q", key[-8:])
    elif n >= 4:
        (lo,), (hi,) = struct.unpack("<I", key[:4]), struct.unpack("<I", key[-4:])
    elif n > 0:
        lo, hi = key[0] | key[n // 2] << 8 | key[-1] << 16, 0
    else:
        lo = hi = 0
    return fold(fold(lo ^ B, hi ^ s) ^ D, n ^ C)


class Bytes:
    """Takes fields off the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        must(self.at + struct.calcsize("<" + form) <= len(self.data), "a field that is cut short")
        fields = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return fields[0] if len(fields) == 1 else fields

    def raw(self, n):
        must(self.at + n <= len(self.data), "bytes that are cut short")
        self.at += n
        return self.data[self.at - n : self.at]

    def bytes(self):
        return self.raw(self.take("I"))

    def done(self):
        return self.at == len(self.data)


# ---- segments ------------------------------------------------------------------------------------
class Segment:
    """A segment's prefix, slots and chain record; `valid` says whether the first and last hold."""

    def __init__(self, path, kind):
        self.path = path
        with open(path, "rb") as file:
            self.data = file.read()
        self.valid = False
        if not self._prefix(self.data[:64]):
            return
        must(self.kind == kind, f"{path}: a segment of another type")
        self.mark, self.mark_lsn, self.seal, self.generation = 0, 0, 0, 0
        if self.version == 2:
            self._slots()
        self.start = 64 if self.version == 1 else 1536
        record = self.record(self.start)
        if record is None or record["kind"] != 1:
            return
        link = Bytes(record["data"])
        self.previous, self.previous_nonce = link.take("QQ")
        self.previous_bytes, self.previous_lsn = link.take("QQ")
        self.start_lsn, self.link_durable = record["lsn"], record["durable"]
        self.records_at = record["end"]
        self.valid = True

    def _prefix(self, prefix):
        if len(prefix) < 64 or prefix[:8] != b"KISTSEG\0":
            return False
        if crc32c(prefix[:60]) != struct.unpack_from("<I", prefix, 60)[0]:
            return False
        self.version, self.kind, one, order = struct.unpack_from("<HBBI", prefix, 8)
        self.id, self.nonce, self.database = struct.unpack_from("<QQQ", prefix, 16)
        must(self.version in (1, 2), f"{self.path}: segment version {self.version}")
        must(one == 1 and order == 0x01020304 and self.nonce != 0, f"{self.path}: its prefix")
        return True

    def _slots(self):
        must(not any(self.data[64:512]), f"{self.path}: bytes between prefix and slots")
        for at, odd in ((512, 1), (1024, 0)):
            slot = self.data[at : at + 512]
            if len(slot) < 512 or crc32c(slot[:508]) != struct.unpack_from("<I", slot, 508)[0]:
                continue
            if slot[64:128] != self.data[:64]:
                continue
            generation, mark, lsn, seal = struct.unpack_from("<QQQB", slot)
            must(generation % 2 == odd and seal <= 3, f"{self.path}: a slot out of place")
            if generation > self.generation:
                self.generation, self.mark, self.mark_lsn, self.seal = generation, mark, lsn, seal

    def record(self, at):
        """The record that stands there, or None where none validates."""
        data = self.data
        if at + 32 > len(data):
            return None
        crc, length, lsn, durable = struct.unpack_from("<IIQQ", data, at)
        kind, flags, zero, data_crc = struct.unpack_from("<BBHI", data, at + 24)
        header = 40 if flags & 1 else 32
        end = at + header + length
        if kind == 0 or end > len(data):
            return None
        where = struct.pack("<QQQ", self.id, self.nonce, at - self.start)
        if crc32c(where, data[at + 4 : at + header]) != crc:
            return None
        stored = data[at + header : end]
        if crc32c(stored) != data_crc:
            return None
        must(kind <= 3 and flags <= 3 and zero == 0, f"{self.path}: a newer record at {at}")
        ms = struct.unpack_from("<q", data, at + 32)[0] if flags & 1 else 0
        padded = end + -end % 8
        must(not any(data[end:padded]), f"{self.path}: padding at {end}")
        plain = unsnappy(stored) if flags & 2 else stored
        return {
            "lsn": lsn, "durable": durable, "kind": kind, "ms": ms, "data": plain, "end": padded
        }

    def records(self, cut, wanted):
        """Those that count; self.reached and self.end say how far that was."""
        at, self.reached = self.records_at, self.start_lsn
        limit = len(self.data) if cut is None else cut
        while at < limit:
            record = self.record(at)
            if record is None or record["lsn"] != self.reached + 1:
                break
            must(record["kind"] == wanted, f"{self.path}: a record of another kind at {at}")
            yield record
            at, self.reached = record["end"], record["lsn"]
        self.end = at
        self.whole = at == limit or not any(self.data[at:limit])
        if cut is not None:
            must(at == cut, f"{self.path}: its successor counts it up to {cut}, it ends at {at}")
        elif self.version == 2:
            must(at >= self.mark, f"{self.path}: durable up to {self.mark}, whole up to {at}")

    def durable_behind(self, at):
        """The greatest durable LSN that an authentic record header behind `at` tells of."""
        greatest = self.mark_lsn if self.generation > 1 else 0
        for behind in range(at, len(self.data) - 31, 8):
            if not any(self.data[behind : behind + 32]):
                continue
            header = 40 if self.data[behind + 25] & 1 else 32
            where = struct.pack("<QQQ", self.id, self.nonce, behind - self.start)
            crc = struct.unpack_from("<I", self.data, behind)[0]
            if crc32c(where, self.data[behind + 4 : behind + header]) == crc:
                greatest = max(greatest, struct.unpack_from("<Q", self.data, behind + 16)[0])
        return greatest


def log_path(directory, log_number, newest):
    """The segments that count, oldest first, each with where its successor cuts it (or None)."""
    segments = {}
    if newest > log_number:
        must(Segment(os.path.join(directory, f"{newest:06}.log"), 1).id == newest, "the newest log")
    for name in sorted(os.listdir(directory)):
        if name.endswith(".log") and int(name[:-4]) >= log_number:
            segment = Segment(os.path.join(directory, name), 1)
            if segment.valid:
                must(segment.id == int(name[:-4]), f"{name} holds segment {segment.id}")
                segments[segment.id] = segment
    if log_number == 0 and not segments:
        return []
    must(segments, "there is no log")
    segment, cut, path = segments[max(segments)], None, []
    while True:
        path.insert(0, (segment, cut))
        if segment.previous == 0 or segment.id == log_number:
            return path
        successor = segment
        segment = segments.get(successor.previous)
        must(segment and segment.nonce == successor.previous_nonce, f"before {successor.path}")
        cut = segment.start + successor.previous_bytes


def commits(directory, state):
    """(LSN, time, batch) of each commit that no table holds."""
    reached = None
    for segment, cut in log_path(directory, state.log_number, state.newest_log):
        must(segment.database == state.database, f"{segment.path}: of another database")
        must(reached is None or segment.previous_lsn == reached, f"{segment.path}: a gap before it")
        for record in segment.records(cut, 2):
            if record["lsn"] > state.flushed:
                yield record["lsn"], record["ms"], record["data"]
        if cut is None and not segment.whole:
            durable = segment.durable_behind(segment.end)
            must(durable <= segment.reached, f"{segment.path}: damage at {segment.end}")
        reached = segment.reached


# ---- CURRENT and manifest ------------------------------------------------------------------------
class State:
    """What CURRENT and the manifest's edits add up to."""

    def __init__(self, directory):
        with open(os.path.join(directory, "CURRENT"), "rb") as file:
            current = file.read()
        must(len(current) == 40 and current[:8] == b"KISTCUR\0", "CURRENT: magic or length")
        must(crc32c(current[:36]) == struct.unpack_from("<I", current, 36)[0], "CURRENT: checksum")
        version, self.database, self.manifest = struct.unpack_from("<H6xQQ", current, 8)
        must(version == 1, f"CURRENT: version {version}")
        self.log_number = self.newest_log = self.flushed = 0
        self.keyspaces, self.tables = {}, {}  # id -> name; (keyspace, level, number) -> facts
        segment = Segment(os.path.join(directory, f"MANIFEST-{self.manifest:06}"), 2)
        must(segment.valid and segment.id == self.manifest, "the manifest's head")
        must(segment.database == self.database, "the manifest of another database")
        for record in segment.records(None, 3):
            self.apply(Bytes(record["data"]))
        must(segment.reached > segment.start_lsn, "a manifest without an edit")
        must(segment.durable_behind(segment.end) <= segment.reached, "a damaged edit")

    def apply(self, edit):
        fields = []
        while not edit.done():
            tag = edit.take("B")
            fields.append((tag, Bytes(edit.bytes())))
        for step in ((9,), (8,), (7,), (10,)):
            for tag, field in fields:
                if tag in step:
                    self.change(tag, field)
        for tag, field in fields:
            if tag == 1:
                self.log_number = field.take("Q")
            elif tag == 128:
                self.newest_log = field.take("Q")
            elif tag == 3:
                self.flushed = field.take("Q")
            must(tag <= 11 or tag >= 128, f"an edit's tag {tag}")

    def change(self, tag, field):
        if tag == 9:
            number, _ = field.take("IQ")
            self.keyspaces[number] = field.bytes().decode()
            field.bytes()  # options
        elif tag == 8:
            del self.tables[field.take("IBQ")]
        elif tag == 7:
            place = field.take("IBQ")
            facts = {"file_bytes": field.take("Q"), "keys": (field.bytes(), field.bytes())}
            facts["tombstone_end"] = field.bytes(), field.take("B")
            facts["numbers"] = field.take("11Q")
            must(place[0] in self.keyspaces and place not in self.tables, f"table {place}")
            self.tables[place] = facts
        else:
            dropped = field.take("I")
            del self.keyspaces[dropped]
            self.tables = {k: v for k, v in self.tables.items() if k[0] != dropped}
        must(field.done(), f"a field {tag} with more bytes than it has")


# ---- tables --------------------------------------------------------------------------------------
class Table:
    def __init__(self, directory, place, facts, database):
        self.keyspace, _, self.number = place
        path = os.path.join(directory, f"{self.number:06}.kst")
        must(os.path.exists(path), f"{path} is missing")
        with open(path, "rb") as file:
            self.data = file.read()
        self.seed = struct.pack("<QQ", database, self.number)
        must(len(self.data) == facts["file_bytes"], self.where("its length"))
        parts = self._footer(database)
        self.tombstones = self._tombstones(parts[0])
        starts = self._index(parts[2])
        self.entries = list(self._entries(starts))
        self._filter(parts[1])
        self._properties(parts[3], facts)

    def where(self, what):
        return f"table {self.number}: {what}"

    def _footer(self, database):
        footer = self.data[-104:]
        must(footer[96:] == b"KISTTBL\n", self.where("magic"))
        must(struct.unpack_from("<I", footer, 88)[0] == 1, self.where("version"))
        size, crc = struct.unpack_from("<II", footer, 80)
        must(size == 104 and crc == crc32c(footer[:84], footer[88:]), self.where("footer"))
        ids = struct.unpack_from("<QQQ", footer)
        must(ids == (database, self.number, len(self.data)), self.where("identity"))
        must(struct.unpack_from("<I", footer, 72)[0] == self.keyspace, self.where("keyspace"))
        parts = [struct.unpack_from("<QI", footer, 24 + 12 * i) for i in range(4)]
        at = parts[0][0]
        for offset, size in parts:
            must(offset == at, self.where("a gap between parts"))
            at += size
        must(at == len(self.data) - 104, self.where("a gap before the footer"))
        return parts

    def block(self, offset, size, kind):
        crc, length, found, compression, zero = struct.unpack_from("<IIBBH", self.data, offset)
        must(length == size - 12 and found == kind and zero == 0, self.where(f"block at {offset}"))
        seed = self.seed + struct.pack("<Q", offset)
        found = crc32c(seed, self.data[offset + 4 : offset + size])
        must(crc == found, self.where(f"checksum at {offset}"))
        payload = self.data[offset + 12 : offset + size]
        must(compression == 0 or (compression <= 2 and kind == 1), self.where("compression"))
        payload = unsnappy(payload) if compression else payload
        return self._starts(payload) if compression == 2 else payload

    def _starts(self, payload):
        """The same with starts for lengths."""
        n = struct.unpack_from("<I", payload)[0]
        form = f"<{n + 1}{'H' if len(payload) <= 65535 else 'I'}"
        size = struct.calcsize(form)
        must(16 + n + size <= len(payload), self.where("starts"))
        starts = accumulate(struct.unpack_from(form, payload, 16 + n))
        return payload[: 16 + n] + struct.pack(form, *starts) + payload[16 + n + size :]

    def _tombstones(self, part):
        if part[1] == 0:
            return []
        payload = Bytes(self.block(*part, 2))
        out = []
        for _ in range(payload.take("I")):
            sequence, begin, end = payload.take("QII")
            out.append((sequence, payload.raw(begin), payload.raw(end)))
        must(payload.done(), self.where("tombstones"))
        return out

    def _index(self, part):
        """(offset, size, compressed, first possible key) of each data block."""
        payload = Bytes(self.block(*part, 4))
        n, flags, _, _ = payload.take("IBBH")
        must(flags <= 1, self.where("index flags"))
        lengths = [payload.take("I") for _ in range(n)]
        ends = [payload.take("I") for _ in range(max(0, n - 1))]
        tags = [payload.take("Q") if flags else MASK for _ in range(max(0, n - 1))]
        keys = payload.raw(ends[-1] if ends else 0)
        must(payload.done(), self.where("index"))
        offset, out = 0, []
        for i, length in enumerate(lengths):
            start = b"", MASK
            if i > 0:
                start = keys[ends[i - 2] if i > 1 else 0 : ends[i - 1]], tags[i - 1]
            out.append((offset, length & 0x7FFFFFFF, length >> 31, start))
            offset += length & 0x7FFFFFFF
        return out

    def _entries(self, blocks):
        last = None
        for offset, size, compressed, start in blocks:
            compression = self.data[offset + 9]
            must((compression != 0) == (compressed != 0), self.where(f"compression at {offset}"))
            start = start[0], MASK - start[1]
            for key, tag, value in self._block_entries(self.block(offset, size, 1)):
                place = key, MASK - tag
                must(last is None or last < place, self.where("order"))
                must(start <= place, self.where("index order"))
                last = place
                yield key, tag >> 8, tag & 255, value

    def _block_entries(self, payload):
        n, least_key, key_width, tag_width, least_tag = struct.unpack_from("<IHBBQ", payload)
        at = 16
        hashes, at = payload[at : at + n], at + n
        width = 2 if len(payload) <= 65535 else 4

        def numbers(count, width, at):
            places = range(at, at + count * width, width) if width else [at] * count
            return [int.from_bytes(payload[p : p + width], "little") for p in places]

        starts, at = numbers(n + 1, width, at), at + (n + 1) * width
        lengths, at = numbers(n, key_width, at), at + n * key_width
        tags, at = numbers(n, tag_width, at), at + n * tag_width
        must(n > 0 and starts[0] == at and starts[n] == len(payload), self.where("block layout"))
        for i in range(n):
            entry = payload[starts[i] : starts[i + 1]]
            key = entry[: least_key + lengths[i]]
            must(key_hash(key) & 255 == hashes[i], self.where("a key's hash byte"))
            yield key, least_tag + tags[i], entry[len(key) :]

    def _filter(self, part):
        if part[1] == 0:
            return
        payload = self.block(*part, 3)
        lines, probes, _, _ = struct.unpack_from("<IBBH", payload)
        must(len(payload) == 8 + 64 * lines and 1 <= probes <= 14, self.where("filter"))
        for key in {entry[0] for entry in self.entries}:
            h = key_hash(key)
            line = 8 + 64 * ((h >> 32) * lines >> 32)
            g = h * 0x9E3779B97F4A7C15 & MASK
            second = (g ^ g >> 32) * 0xD6E8FEB86659FD93 & MASK
            for probe in range(probes):
                fields, place = (g, probe) if probe < 7 else (second, probe - 7)
                bit = fields >> 55 - 9 * place & 511
                must(payload[line + bit // 8] >> bit % 8 & 1, self.where("the filter misses a key"))

    def _properties(self, part, facts):
        payload = Bytes(self.block(*part, 5))
        found, last = {}, 0
        for _ in range(payload.take("I")):
            name, _ = payload.take("HH")
            must(name > last, self.where("properties"))
            found[name], last = payload.bytes(), name
        must(payload.done(), self.where("properties"))
        must((found[5], found[6]) == facts["keys"], self.where("smallest or largest key"))
        said = tuple(struct.unpack("<Q", found[name])[0] for name in range(9, 20))
        must(said == facts["numbers"], self.where("numbers"))
        with_expiry = [value for _, _, kind, value in self.entries if kind == 6]
        expiries = [struct.unpack_from("<q", value)[0] for value in with_expiry]
        counted = {
            11: len(self.entries), 12: sum(e[2] == 2 for e in self.entries),
            13: len(self.tombstones), 14: len(expiries), 15: min(expiries, default=0),
            16: max(expiries, default=0), 17: sum(len(e[0]) for e in self.entries),
        }
        for name, count in counted.items():
            must(said[name - 9] == count, self.where(f"property {name}"))


# ---- the whole -----------------------------------------------------------------------------------
class Keyspace:
    def __init__(self, name):
        self.name, self.newest, self.tombstones = name, {}, []

    def add(self, key, order, kind, value):
        """order: what decides between versions; the sequence, and of one commit the operation."""
        if key not in self.newest or self.newest[key][0] <= order:
            self.newest[key] = order, kind, value

    def read(self, now):
        out = {}
        for key, (order, kind, value) in self.newest.items():
            hidden = any(
                s > order[0] and b <= key and (not e or key < e) for s, b, e in self.tombstones
            )
            expiry = struct.unpack_from("<q", value)[0] if kind == 6 else None
            if kind != 2 and not hidden and (expiry is None or expiry > now):
                out[key] = value[8:] if kind == 6 else value, expiry
        return dict(sorted(out.items()))


def replay(keyspaces, lsn, ms, batch):
    batch = Bytes(batch)
    must(batch.raw(4) == b"KWB\1", f"the batch of commit {lsn}")
    for position in range(batch.take("I")):
        kind, flags, zero, number, key_bytes, value_bytes = batch.take("BBHIII")
        must(flags <= 1 and zero == 0, f"an operation of commit {lsn}")
        ttl = batch.take("q") if flags else NEVER
        key, value = batch.raw(key_bytes), batch.raw(value_bytes)
        if kind == 4:
            keyspaces[number] = Keyspace(key.decode())
        elif kind == 5:
            del keyspaces[number]
        elif kind == 3:
            keyspaces[number].tombstones.append((lsn, key, value))
        elif kind == 1 and ttl != NEVER:
            expiry = struct.pack("<q", min(ms + ttl, NEVER))
            keyspaces[number].add(key, (lsn, position), 6, expiry + value)
        else:
            must(kind in (1, 2), f"kind {kind} in commit {lsn}")
            keyspaces[number].add(key, (lsn, position), kind, value)
    must(batch.done(), f"bytes behind the batch of commit {lsn}")


def read(directory, now=None):
    now = int(time.time() * 1000) if now is None else now
    state = State(directory)
    keyspaces = {number: Keyspace(name) for number, name in state.keyspaces.items()}
    for place, facts in state.tables.items():
        table = Table(directory, place, facts, state.database)
        keyspace = keyspaces[place[0]]
        for key, sequence, kind, value in table.entries:
            keyspace.add(key, (sequence, 0), kind, value)
        keyspace.tombstones += table.tombstones
    for lsn, ms, batch in commits(directory, state):
        replay(keyspaces, lsn, ms, batch)
    return {keyspace.name: keyspace.read(now) for keyspace in keyspaces.values()}


def escape(data):
    plain = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}
    return "".join(plain.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data)


def main():
    keyspace = sys.argv[2] if len(sys.argv) > 2 else "default"
    for key, (value, _) in read(sys.argv[1])[keyspace].items():
        print(f"{escape(key)}\t{escape(value)}")


if __name__ == "__main__":
    main()
