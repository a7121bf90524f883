// Encoding and decoding of edits, field by field; the format stands in edit.h. A field's length
// is checked against what it holds, so that a wrong byte is found even where the record's
// checksum was made to match.
// Threads: any; no state.
#include "version/edit.h"

#include "key/file_name.h"
#include "util/coding.h"

namespace kist {
namespace {

enum Tag : uint8_t {
  kLogNumber = 1,
  kNextFile = 2,
  kFlushedLsn = 3,
  kLastLsn = 4,
  kTimeFloor = 5,
  kNextKeyspace = 6,
  kAddTable = 7,
  kRemoveTable = 8,
  kAddKeyspace = 9,
  kDropKeyspace = 10,
  kKeyspaceOptions = 11,
  kNewestLog = 128,
};
constexpr uint8_t kFirstSkippable = 128;
constexpr int kMaxLevel = 64;

void Field(std::string* out, Tag tag, const std::string& payload) {
  Append8(out, tag);
  AppendBytes(out, payload);
}

void Field64(std::string* out, Tag tag, uint64_t v) {
  std::string p;
  Append64(&p, v);
  Field(out, tag, p);
}

std::string TablePayload(const NewTable& t) {
  const TableProperties& p = t.properties;
  std::string s;
  Append32(&s, t.keyspace);
  Append8(&s, static_cast<uint8_t>(t.level));
  Append64(&s, t.number);
  Append64(&s, p.file_bytes);
  AppendBytes(&s, p.smallest_key);
  AppendBytes(&s, p.largest_key);
  AppendBytes(&s, p.tombstone_end);
  Append8(&s, p.tombstone_unbounded ? 1 : 0);
  for (uint64_t v :
       {p.smallest_seq, p.largest_seq, p.entries, p.deletes, p.range_tombstones, p.ttl_entries,
        static_cast<uint64_t>(p.earliest_expiry_ms), static_cast<uint64_t>(p.latest_expiry_ms),
        p.raw_key_bytes, p.raw_value_bytes, p.data_blocks}) {
    Append64(&s, v);
  }
  return s;
}

uint64_t TakeFileNumber(Decoder* d, bool* possible) {
  const uint64_t number = d->Take64();
  if (number > kFileNumberMax) *possible = false;
  return number;
}

NewTable TakeTable(Decoder* d, bool* possible) {
  NewTable t;
  TableProperties& p = t.properties;
  t.keyspace = d->Take32();
  t.level = d->Take8();
  t.number = TakeFileNumber(d, possible);
  p.file_bytes = d->Take64();
  p.smallest_key = std::string(d->TakeBytes());
  p.largest_key = std::string(d->TakeBytes());
  p.tombstone_end = std::string(d->TakeBytes());
  p.tombstone_unbounded = d->Take8() != 0;
  p.smallest_seq = d->Take64();
  p.largest_seq = d->Take64();
  p.entries = d->Take64();
  p.deletes = d->Take64();
  p.range_tombstones = d->Take64();
  p.ttl_entries = d->Take64();
  p.earliest_expiry_ms = static_cast<int64_t>(d->Take64());
  p.latest_expiry_ms = static_cast<int64_t>(d->Take64());
  p.raw_key_bytes = d->Take64();
  p.raw_value_bytes = d->Take64();
  p.data_blocks = d->Take64();
  return t;
}

Status DecodeField(uint8_t tag, Decoder* d, Edit* e) {
  bool possible = true;
  switch (tag) {
    case kLogNumber:
      e->log_number = TakeFileNumber(d, &possible);
      break;
    case kNewestLog:
      e->newest_log = TakeFileNumber(d, &possible);
      break;
    case kNextFile:
      e->next_file = TakeFileNumber(d, &possible);
      break;
    case kFlushedLsn:
      e->flushed_lsn = d->Take64();
      break;
    case kLastLsn:
      e->last_lsn = d->Take64();
      break;
    case kTimeFloor:
      e->time_floor_ms = static_cast<int64_t>(d->Take64());
      break;
    case kNextKeyspace:
      e->next_keyspace = d->Take32();
      break;
    case kAddTable: {
      e->added.push_back(TakeTable(d, &possible));
      if (e->added.back().level >= kMaxLevel) {
        return Status::Error(Code::kCorrupt, "a table at an impossible level");
      }
      break;
    }
    case kRemoveTable: {
      RemovedTable r;
      r.keyspace = d->Take32();
      r.level = d->Take8();
      r.number = TakeFileNumber(d, &possible);
      e->removed.push_back(r);
      break;
    }
    case kAddKeyspace: {
      NewKeyspace k;
      k.id = d->Take32();
      k.lsn = d->Take64();
      k.name = std::string(d->TakeBytes());
      k.options = std::string(d->TakeBytes());
      e->keyspaces.push_back(std::move(k));
      break;
    }
    case kDropKeyspace:
      e->dropped.push_back(d->Take32());
      break;
    case kKeyspaceOptions: {
      const uint32_t id = d->Take32();
      e->keyspace_options.emplace_back(id, std::string(d->TakeBytes()));
      break;
    }
    default:
      if (tag < kFirstSkippable) {
        return Status::Error(Code::kTooNew, "an edit of kind " + std::to_string(tag) +
                                                ", which this version of Kist does not know");
      }
      d->Take(d->rest().size());
  }
  return possible ? Status() : Status::Error(Code::kCorrupt, "an impossible file number");
}

}  // namespace

std::string EncodeEdit(const Edit& e) {
  std::string s;
  if (e.log_number) Field64(&s, kLogNumber, *e.log_number);
  if (e.newest_log) Field64(&s, kNewestLog, *e.newest_log);
  if (e.next_file) Field64(&s, kNextFile, *e.next_file);
  if (e.flushed_lsn) Field64(&s, kFlushedLsn, *e.flushed_lsn);
  if (e.last_lsn) Field64(&s, kLastLsn, *e.last_lsn);
  if (e.time_floor_ms) Field64(&s, kTimeFloor, static_cast<uint64_t>(*e.time_floor_ms));
  if (e.next_keyspace) {
    std::string p;
    Append32(&p, *e.next_keyspace);
    Field(&s, kNextKeyspace, p);
  }
  for (const NewKeyspace& k : e.keyspaces) {
    std::string p;
    Append32(&p, k.id);
    Append64(&p, k.lsn);
    AppendBytes(&p, k.name);
    AppendBytes(&p, k.options);
    Field(&s, kAddKeyspace, p);
  }
  for (const auto& [id, options] : e.keyspace_options) {
    std::string p;
    Append32(&p, id);
    AppendBytes(&p, options);
    Field(&s, kKeyspaceOptions, p);
  }
  for (const RemovedTable& r : e.removed) {
    std::string p;
    Append32(&p, r.keyspace);
    Append8(&p, static_cast<uint8_t>(r.level));
    Append64(&p, r.number);
    Field(&s, kRemoveTable, p);
  }
  for (const NewTable& t : e.added) Field(&s, kAddTable, TablePayload(t));
  for (uint32_t id : e.dropped) {
    std::string p;
    Append32(&p, id);
    Field(&s, kDropKeyspace, p);
  }
  return s;
}

Result<Edit> DecodeEdit(Slice bytes) {
  Edit e;
  Decoder d(bytes);
  while (!d.rest().empty()) {
    const uint8_t tag = d.Take8();
    Decoder field(d.TakeBytes());
    if (!d.ok()) break;
    KIST_TRY(DecodeField(tag, &field, &e));
    if (!field.done()) {
      return Status::Error(Code::kCorrupt,
                           "an edit's field " + std::to_string(tag) + " has a wrong length");
    }
  }
  if (!d.ok()) return Status::Error(Code::kCorrupt, "an edit ends inside a field");
  return e;
}

}  // namespace kist
