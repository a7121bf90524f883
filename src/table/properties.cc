// Encoding and checking of properties and range tombstones; the format stands in properties.h.
// Most numbers go through one table of ids and fields, so that encoder and decoder cannot differ.
// Threads: pure functions.
#include "table/properties.h"

#include "table/format.h"
#include "util/coding.h"

namespace kist {

namespace {

class PropertyWriter {
 public:
  PropertyWriter() { Append32(&out_, 0); }
  void Number(PropertyId id, uint64_t v) {
    char b[8];
    Store64(b, v);
    Bytes(id, Slice(b, sizeof b));
  }
  void Bytes(PropertyId id, Slice v) {
    Append16(&out_, static_cast<uint16_t>(id));
    Append16(&out_, 0);
    AppendBytes(&out_, v);
    ++count_;
  }
  std::string Finish() {
    Store32(out_.data(), count_);
    return std::move(out_);
  }

 private:
  std::string out_;
  uint32_t count_ = 0;
};

// One walk for numbers keeps encoder and decoder in step.
template <typename Visit>
void VisitNumbers(TableIdentity* identity, TableProperties* p, Visit visit) {
  visit(PropertyId::kDatabaseId, &identity->database_id);
  visit(PropertyId::kTableId, &identity->table_id);
  visit(PropertyId::kSmallestSequence, &p->smallest_seq);
  visit(PropertyId::kLargestSequence, &p->largest_seq);
  visit(PropertyId::kEntries, &p->entries);
  visit(PropertyId::kDeletes, &p->deletes);
  visit(PropertyId::kRangeTombstones, &p->range_tombstones);
  visit(PropertyId::kTtlEntries, &p->ttl_entries);
  visit(PropertyId::kRawKeyBytes, &p->raw_key_bytes);
  visit(PropertyId::kRawValueBytes, &p->raw_value_bytes);
  visit(PropertyId::kDataBlocks, &p->data_blocks);
}

// Of those that every table has.
constexpr uint32_t kLastKnown = static_cast<uint32_t>(PropertyId::kDataBlocks);
constexpr uint32_t kAllKnown = (uint32_t{2} << kLastKnown) - 2;

// Returns false where the value's length is not the id's.
bool TakeProperty(PropertyId id, Slice value, TableIdentity* identity, TableProperties* p,
                  uint64_t* version) {
  switch (id) {
    case PropertyId::kSmallestKey:
      return p->smallest_key.assign(value), true;
    case PropertyId::kLargestKey:
      return p->largest_key.assign(value), true;
    case PropertyId::kTombstoneEnd:
      return p->tombstone_end.assign(value), true;
    default:
      break;
  }
  if (value.size() != 8) return false;
  const uint64_t number = Load64(value.data());
  switch (id) {
    case PropertyId::kFormatVersion:
      return *version = number, true;
    case PropertyId::kKeyspace:
      return identity->keyspace = static_cast<uint32_t>(number), number >> 32 == 0;
    case PropertyId::kTombstoneUnbounded:
      return p->tombstone_unbounded = number != 0, number <= 1;
    case PropertyId::kEarliestExpiryMs:
      return p->earliest_expiry_ms = static_cast<int64_t>(number), true;
    case PropertyId::kLatestExpiryMs:
      return p->latest_expiry_ms = static_cast<int64_t>(number), true;
    default:
      break;
  }
  VisitNumbers(identity, p, [&](PropertyId known, uint64_t* field) {
    if (known == id) *field = number;
  });
  return true;
}

}  // namespace

std::string EncodeProperties(const TableIdentity& identity, const TableProperties& properties,
                             Slice stretches) {
  TableIdentity id = identity;
  TableProperties p = properties;
  PropertyWriter w;
  uint64_t numbers[kLastKnown + 1] = {};
  VisitNumbers(&id, &p, [&](PropertyId known, uint64_t* field) {
    numbers[static_cast<size_t>(known)] = *field;
  });
  numbers[static_cast<size_t>(PropertyId::kFormatVersion)] = kTableVersion;
  numbers[static_cast<size_t>(PropertyId::kKeyspace)] = id.keyspace;
  numbers[static_cast<size_t>(PropertyId::kTombstoneUnbounded)] = p.tombstone_unbounded ? 1 : 0;
  numbers[static_cast<size_t>(PropertyId::kEarliestExpiryMs)] =
      static_cast<uint64_t>(p.earliest_expiry_ms);
  numbers[static_cast<size_t>(PropertyId::kLatestExpiryMs)] =
      static_cast<uint64_t>(p.latest_expiry_ms);
  for (uint32_t i = 1; i <= kLastKnown; ++i) {
    const PropertyId property = static_cast<PropertyId>(i);
    switch (property) {
      case PropertyId::kSmallestKey:
        w.Bytes(property, p.smallest_key);
        break;
      case PropertyId::kLargestKey:
        w.Bytes(property, p.largest_key);
        break;
      case PropertyId::kTombstoneEnd:
        w.Bytes(property, p.tombstone_end);
        break;
      default:
        w.Number(property, numbers[i]);
        break;
    }
  }
  if (!stretches.empty()) w.Bytes(PropertyId::kStretches, stretches);
  return w.Finish();
}

const char* DecodeProperties(Slice payload, TableIdentity* identity, TableProperties* properties,
                             Slice* stretches) {
  Decoder in(payload);
  const uint32_t count = in.Take32();
  uint32_t seen = 0;
  uint32_t last = 0;
  uint64_t version = 0;
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const uint32_t id = in.Take16();
    const uint16_t zero = in.Take16();
    const Slice value = in.TakeBytes();
    if (!in.ok()) break;
    if (id <= last || zero != 0) return "properties out of order";
    last = id;
    if (id == static_cast<uint32_t>(PropertyId::kStretches) && stretches != nullptr)
      *stretches = value;
    if (id > kLastKnown) continue;
    if (!TakeProperty(static_cast<PropertyId>(id), value, identity, properties, &version))
      return "a property of another length";
    seen |= uint32_t{1} << id;
  }
  if (!in.done()) return "properties of another length";
  if (seen != kAllKnown) return "a property is missing";
  if (version != kTableVersion) return "properties of another format version";
  return nullptr;
}

void AppendTombstone(const RangeTombstone& tombstone, std::string* out) {
  Append64(out, tombstone.seq);
  Append32(out, static_cast<uint32_t>(tombstone.begin.size()));
  Append32(out, static_cast<uint32_t>(tombstone.end.size()));
  out->append(tombstone.begin);
  out->append(tombstone.end);
}

const char* DecodeTombstones(Slice payload, std::vector<RangeTombstone>* tombstones) {
  Decoder in(payload);
  const uint32_t count = in.Take32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    RangeTombstone t;
    t.seq = in.Take64();
    const uint32_t begin_bytes = in.Take32();
    const uint32_t end_bytes = in.Take32();
    t.begin = in.Take(begin_bytes);
    t.end = in.Take(end_bytes);
    if (in.ok() && t.seq > kMaxSequence) return "a range tombstone with an impossible sequence";
    if (in.ok() && !t.end.empty() && t.end <= t.begin) return "a range tombstone that is empty";
    tombstones->push_back(t);
  }
  return in.done() ? nullptr : "range tombstones of another length";
}

}  // namespace kist
