// Encoding and decoding of target objects, both sides of each format side by side. Every refusal
// names the object, the offset and the reason.
// Threads: pure functions.
#include "backup/objects.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "key/file_name.h"
#include "record/codec.h"
#include "util/coding.h"
#include "util/crc32c.h"

namespace kist {
namespace {

constexpr char kMarkMagic[9] = "KISTMRK";
constexpr char kRangeMagic[9] = "KISTRNG";
constexpr char kBaseMagic[9] = "KISTBAS";
constexpr char kClaimMagic[9] = "KISTCLM";
constexpr char kPruneMagic[9] = "KISTPRN";
constexpr uint16_t kObjectVersion = 1;
constexpr size_t kHeadBytes = 24;
constexpr size_t kTableBytes = 28;
static_assert(kMarkBytes == kHeadBytes + 4 * 8 + 2 * 4, "mark");
static_assert(kRangeHeaderBytes == kHeadBytes + 2 * 8 + kSegmentPrefixBytes + 7 * 8 + 4 * 4,
              "range header");

void AppendHead(std::string* s, const char* magic, uint32_t kind, uint64_t database_id) {
  s->append(magic, 8);
  Append16(s, kObjectVersion);
  Append16(s, 0);
  Append32(s, kind);
  Append64(s, database_id);
}

void AppendCrc(std::string* s) { Append32(s, crc32c::Value(*s)); }

// Magic, checksum, version, in this order: a newer version's checksum stands elsewhere, so it is
// judged first where the magic is right.
Status CheckHead(Slice bytes, const char* magic, size_t least, const std::string& object) {
  if (bytes.size() < least)
    return Status::Corrupt(object, bytes.size(), "shorter than such an object is");
  if (std::memcmp(bytes.data(), magic, 8) != 0)
    return Status::Corrupt(object, 0, "wrong magic; another object, or not Kist's");
  const uint16_t version = Load16(bytes.data() + 8);
  if (Load32(bytes.data() + bytes.size() - 4) != crc32c::Value(bytes.data(), bytes.size() - 4)) {
    if (version > kObjectVersion && version < 256)
      return Status::Error(Code::kTooNew, object + ": format version " + std::to_string(version) +
                                              "; this Kist knows " +
                                              std::to_string(kObjectVersion));
    return Status::Corrupt(object, bytes.size() - 4, "checksum mismatch");
  }
  if (version != kObjectVersion)
    return Status::Error(Code::kTooNew, object + ": format version " + std::to_string(version));
  return Status();
}

// What stands between the head and the checksum.
Decoder BodyOf(Slice bytes) {
  return Decoder(Slice(bytes.data() + kHeadBytes, bytes.size() - kHeadBytes - 4));
}

uint64_t DatabaseOf(Slice bytes) { return Load64(bytes.data() + 16); }

Status CheckEnd(const Decoder& in, const std::string& object) {
  return in.done() ? Status() : Status::Corrupt(object, 0, "fields that do not add up");
}

void AppendTable(std::string* s, const BaseTable& t) {
  Append64(s, t.number);
  Append64(s, t.bytes);
  Append32(s, t.crc);
  Append64(s, t.upload);
}

void TakeTables(Decoder* in, uint32_t count, std::vector<BaseTable>* tables) {
  tables->resize(count);
  for (BaseTable& t : *tables) {
    t.number = in->Take64();
    t.bytes = in->Take64();
    t.crc = in->Take32();
    t.upload = in->Take64();
  }
}

std::string Printf(const char* format, uint64_t a, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0) {
  char buffer[160];
  const int n = std::snprintf(buffer, sizeof buffer, format, a, b, c, d);
  return std::string(buffer, static_cast<size_t>(n));
}

}  // namespace

std::string FormatObjectName(const ObjectName& n) {
  switch (n.kind) {
    case ObjectKind::kRoot:
      return "KIST-TARGET";
    case ObjectKind::kTable:
      return Printf("tables/%06" PRIu64 "-%" PRIu64 "-%08" PRIx64 "-%016" PRIx64 ".kst", n.number,
                    n.bytes, n.crc, n.upload);
    case ObjectKind::kStart:
      return Printf("generations/%010" PRIu64 "/start", n.generation);
    case ObjectKind::kRange:
      return Printf("generations/%010" PRIu64 "/range-%010" PRIu64, n.generation, n.index);
    case ObjectKind::kBase:
      return Printf("generations/%010" PRIu64 "/base-%020" PRIu64, n.generation, n.lsn);
    case ObjectKind::kClaim:
      return Printf("claim-%016" PRIx64 "-%" PRIu64, n.number, n.index);
    case ObjectKind::kPrune:
      return Printf("prune-%016" PRIx64, n.number);
  }
  return std::string();
}

std::optional<ObjectName> ParseObjectName(const std::string& name) {
  ObjectName n;
  const char* s = name.c_str();
  if (name.size() > 150) return std::nullopt;
  const auto is = [&](ObjectKind kind, bool scanned) {
    n.kind = kind;
    return scanned && FormatObjectName(n) == name;
  };
  if (is(ObjectKind::kRoot, true)) return n;
  if (is(ObjectKind::kTable, std::sscanf(s, "tables/%" SCNu64 "-%" SCNu64 "-%" SCNx32 "-%" SCNx64,
                                         &n.number, &n.bytes, &n.crc, &n.upload) == 4))
    return n;
  if (is(ObjectKind::kClaim,
         std::sscanf(s, "claim-%" SCNx64 "-%" SCNu64, &n.number, &n.index) == 2))
    return n;
  if (is(ObjectKind::kPrune, std::sscanf(s, "prune-%" SCNx64, &n.number) == 1)) return n;
  if (std::sscanf(s, "generations/%" SCNu64, &n.generation) != 1 || n.generation == 0)
    return std::nullopt;
  if (is(ObjectKind::kStart, true)) return n;
  if (is(ObjectKind::kRange, std::sscanf(s, "generations/%*u/range-%" SCNu64, &n.index) == 1))
    return n;
  if (is(ObjectKind::kBase, std::sscanf(s, "generations/%*u/base-%" SCNu64, &n.lsn) == 1)) return n;
  return std::nullopt;
}

std::string EncodeMark(const Mark& m) {
  std::string s;
  AppendHead(&s, kMarkMagic, static_cast<uint32_t>(m.kind), m.database_id);
  Append64(&s, m.generation);
  Append64(&s, m.writer);
  Append64(&s, static_cast<uint64_t>(m.time_ms));
  Append64(&s, 0);
  Append32(&s, 0);
  AppendCrc(&s);
  return s;
}

Result<Mark> DecodeMark(Slice bytes, ObjectKind kind, const std::string& object) {
  KIST_TRY(CheckHead(bytes, kMarkMagic, kMarkBytes, object));
  if (bytes.size() != kMarkBytes) return Status::Corrupt(object, kMarkBytes, "longer than a mark");
  Decoder in(Slice(bytes.data() + 12, kMarkBytes - 16));
  Mark m;
  m.kind = static_cast<ObjectKind>(in.Take32());
  m.database_id = in.Take64();
  m.generation = in.Take64();
  m.writer = in.Take64();
  m.time_ms = static_cast<int64_t>(in.Take64());
  if (m.kind != kind) return Status::Corrupt(object, 12, "a mark of another kind");
  return m;
}

ObjectName NameOf(const BaseTable& t) {
  ObjectName name;
  name.kind = ObjectKind::kTable;
  name.number = t.number;
  name.bytes = t.bytes;
  name.crc = t.crc;
  name.upload = t.upload;
  return name;
}

std::string EncodeClaim(const Claim& c) {
  std::string s;
  AppendHead(&s, kClaimMagic, 0, c.database_id);
  Append64(&s, c.generation);
  Append64(&s, c.writer);
  Append64(&s, static_cast<uint64_t>(c.time_ms));
  Append32(&s, static_cast<uint32_t>(c.tables.size()));
  for (uint64_t number : c.tables) Append64(&s, number);
  AppendCrc(&s);
  return s;
}

Result<Claim> DecodeClaim(Slice bytes, const std::string& object) {
  KIST_TRY(CheckHead(bytes, kClaimMagic, kHeadBytes + 32, object));
  Claim c;
  c.database_id = DatabaseOf(bytes);
  Decoder in = BodyOf(bytes);
  c.generation = in.Take64();
  c.writer = in.Take64();
  c.time_ms = static_cast<int64_t>(in.Take64());
  const uint32_t tables = in.Take32();
  if (tables > bytes.size() / 8) return Status::Corrupt(object, 48, "more tables than it has");
  c.tables.resize(tables);
  for (uint64_t& number : c.tables) number = in.Take64();
  KIST_TRY(CheckEnd(in, object));
  return c;
}

std::string EncodePrune(const PruneMark& m) {
  std::string s;
  AppendHead(&s, kPruneMagic, 0, m.database_id);
  Append64(&s, m.writer);
  Append64(&s, static_cast<uint64_t>(m.time_ms));
  Append32(&s, static_cast<uint32_t>(m.cuts.size()));
  Append32(&s, static_cast<uint32_t>(m.tables.size()));
  for (const auto& [generation, first] : m.cuts) {
    Append64(&s, generation);
    Append64(&s, first);
  }
  for (const BaseTable& t : m.tables) AppendTable(&s, t);
  AppendCrc(&s);
  return s;
}

Result<PruneMark> DecodePrune(Slice bytes, const std::string& object) {
  KIST_TRY(CheckHead(bytes, kPruneMagic, kHeadBytes + 28, object));
  PruneMark m;
  m.database_id = DatabaseOf(bytes);
  Decoder in = BodyOf(bytes);
  m.writer = in.Take64();
  m.time_ms = static_cast<int64_t>(in.Take64());
  const uint32_t cuts = in.Take32();
  const uint32_t tables = in.Take32();
  if (cuts > bytes.size() / 16 || tables > bytes.size() / kTableBytes)
    return Status::Corrupt(object, 40, "more entries than it has");
  for (uint32_t i = 0; i < cuts; ++i) {
    const uint64_t generation = in.Take64();
    m.cuts[generation] = in.Take64();
  }
  TakeTables(&in, tables, &m.tables);
  KIST_TRY(CheckEnd(in, object));
  return m;
}

std::string EncodeRangeHeader(RangeHeader* h) {
  std::string s;
  AppendHead(&s, kRangeMagic, 0, h->database_id);
  Append64(&s, h->generation);
  Append64(&s, h->index);
  char prefix[kSegmentPrefixBytes];
  codec::EncodePrefix(h->segment, prefix);
  s.append(prefix, sizeof prefix);
  Append64(&s, h->position);
  Append64(&s, h->payload_bytes);
  Append64(&s, h->last_lsn);
  Append64(&s, h->commits);
  Append64(&s, static_cast<uint64_t>(h->first_time_ms));
  Append64(&s, static_cast<uint64_t>(h->last_time_ms));
  Append64(&s, static_cast<uint64_t>(h->captured_ms));
  Append32(&s, h->previous_crc);
  Append32(&s, h->payload_crc);
  Append32(&s, 0);
  AppendCrc(&s);
  h->crc = Load32(s.data() + s.size() - 4);
  return s;
}

Result<RangeHeader> DecodeRangeHeader(Slice all, const std::string& object) {
  if (all.size() < kRangeHeaderBytes)
    return Status::Corrupt(object, all.size(), "shorter than a range's header");
  const Slice bytes(all.data(), kRangeHeaderBytes);
  KIST_TRY(CheckHead(bytes, kRangeMagic, kRangeHeaderBytes, object));
  RangeHeader h;
  h.database_id = DatabaseOf(bytes);
  h.generation = Load64(bytes.data() + 24);
  h.index = Load64(bytes.data() + 32);
  if (codec::DecodePrefix(Slice(bytes.data() + 40, kSegmentPrefixBytes), &h.segment) !=
          codec::PrefixVerdict::kOk ||
      h.segment.type != SegmentType::kLog || h.segment.database_id != h.database_id)
    return Status::Corrupt(object, 40, "not the prefix of a segment of this database's log");
  Decoder in(Slice(bytes.data() + 40 + kSegmentPrefixBytes, 7 * 8 + 2 * 4));
  h.position = in.Take64();
  h.payload_bytes = in.Take64();
  h.last_lsn = in.Take64();
  h.commits = in.Take64();
  h.first_time_ms = static_cast<int64_t>(in.Take64());
  h.last_time_ms = static_cast<int64_t>(in.Take64());
  h.captured_ms = static_cast<int64_t>(in.Take64());
  h.previous_crc = in.Take32();
  h.payload_crc = in.Take32();
  h.crc = Load32(bytes.data() + kRangeHeaderBytes - 4);
  if (h.segment.id > kFileNumberMax || h.payload_bytes == 0 || h.payload_bytes % 8 != 0 ||
      h.position % 8 != 0 || h.position > UINT64_MAX / 4 || h.payload_bytes > UINT64_MAX / 4)
    return Status::Corrupt(object, 104, "a range that cannot be");
  return h;
}

std::string EncodeBase(const BaseListing& b) {
  std::string s;
  AppendHead(&s, kBaseMagic, 0, b.state.database_id);
  Append64(&s, b.generation);
  Append64(&s, b.writer);
  Append64(&s, static_cast<uint64_t>(b.time_ms));
  Append64(&s, b.first_range);
  Append64(&s, b.ranges);
  Append32(&s, b.first_crc);
  Append32(&s, b.last_crc);
  Append32(&s, static_cast<uint32_t>(b.tables.size()));
  Append64(&s, b.shipped_lsn);
  for (const BaseTable& t : b.tables) AppendTable(&s, t);
  AppendBytes(&s, EncodeEdit(b.state.Snapshot()));
  AppendCrc(&s);
  return s;
}

Result<BaseListing> DecodeBase(Slice bytes, const std::string& object) {
  KIST_TRY(CheckHead(bytes, kBaseMagic, 100, object));
  BaseListing b;
  b.state.database_id = DatabaseOf(bytes);
  Decoder in = BodyOf(bytes);
  b.generation = in.Take64();
  b.writer = in.Take64();
  b.time_ms = static_cast<int64_t>(in.Take64());
  b.first_range = in.Take64();
  b.ranges = in.Take64();
  b.first_crc = in.Take32();
  b.last_crc = in.Take32();
  const uint32_t tables = in.Take32();
  b.shipped_lsn = in.Take64();
  if (b.first_range >= b.ranges) return Status::Corrupt(object, 48, "names no log");
  if (tables > bytes.size() / kTableBytes)
    return Status::Corrupt(object, 72, "more tables than it has");
  TakeTables(&in, tables, &b.tables);
  for (const BaseTable& t : b.tables) {
    if (t.number > kFileNumberMax) return Status::Corrupt(object, 72, "an impossible file number");
  }
  const Slice edit_bytes = in.TakeBytes();
  KIST_TRY(CheckEnd(in, object));
  Result<Edit> edit = DecodeEdit(edit_bytes);
  Status s = edit.ok() ? b.state.Apply(*edit) : edit.status();
  if (!s.ok())
    return s.Is(Code::kTooNew) ? s.Prefixed(object) : Status::Corrupt(object, 0, s.message());
  size_t listed = 0;
  for (const auto& [id, ks] : b.state.keyspaces) listed += ks.tables.size();
  if (listed != tables) return Status::Corrupt(object, 72, "lists other tables than its state");
  return b;
}

}  // namespace kist
