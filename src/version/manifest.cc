// Reading and writing CURRENT and the manifest. Reading judges the tail: an edit that was being
// appended at a crash is not there, a damaged one below a later edit is corruption.
// Threads: one at a time.
#include "version/manifest.h"

#include <algorithm>
#include <cstring>

#include "key/file_name.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr char kCurrentMagic[8] = {'K', 'I', 'S', 'T', 'C', 'U', 'R', '\0'};
constexpr uint16_t kCurrentVersion = 1;
constexpr size_t kCurrentCrcAt = 36;
static_assert(kCurrentCrcAt + 4 == kCurrentBytes, "the checksum ends CURRENT");

}  // namespace

std::string EncodeCurrent(const CurrentFile& c) {
  std::string s(kCurrentMagic, sizeof kCurrentMagic);
  Append16(&s, kCurrentVersion);
  Append16(&s, 0);
  Append32(&s, 0);
  Append64(&s, c.database_id);
  Append64(&s, c.manifest_number);
  Append32(&s, 0);
  Append32(&s, crc32c::Value(s.data(), s.size()));
  return s;
}

Result<CurrentFile> DecodeCurrent(Slice b, const std::string& path) {
  if (b.size() != kCurrentBytes) {
    return Status::Corrupt(path, std::min(b.size(), kCurrentBytes),
                           "CURRENT must be " + std::to_string(kCurrentBytes) + " bytes long");
  }
  if (std::memcmp(b.data(), kCurrentMagic, sizeof kCurrentMagic) != 0) {
    return Status::Corrupt(path, 0, "wrong magic; not a Kist CURRENT file");
  }
  if (Load32(b.data() + kCurrentCrcAt) != crc32c::Value(b.data(), kCurrentCrcAt)) {
    return Status::Corrupt(path, kCurrentCrcAt, "checksum mismatch");
  }
  const uint16_t version = Load16(b.data() + 8);
  if (version != kCurrentVersion) {
    return Status::Error(Code::kTooNew, path + ": format version " + std::to_string(version) +
                                            "; this Kist knows " + std::to_string(kCurrentVersion));
  }
  CurrentFile c;
  c.database_id = Load64(b.data() + 16);
  c.manifest_number = Load64(b.data() + 24);
  return c;
}

Result<CurrentFile> ReadCurrent(Vfs* vfs, const std::string& dir) {
  const std::string path = JoinPath(dir, kCurrentFileName);
  KIST_TRY_ASSIGN(const auto file, vfs->Open(path, OpenMode::kRead));
  char bytes[kCurrentBytes + 1];  // one more tells of a longer one, however long it is
  KIST_TRY_ASSIGN(const size_t n, file->Read(0, bytes, sizeof bytes));
  return DecodeCurrent(Slice(bytes, n), path);
}

Status ManifestState::Apply(const Edit& e) {
  for (const NewKeyspace& k : e.keyspaces) {
    KeyspaceState s;
    s.name = k.name;
    s.options = k.options;
    s.lsn = k.lsn;
    if (!keyspaces.emplace(k.id, std::move(s)).second) {
      return Status::Error(Code::kCorrupt, "keyspace " + std::to_string(k.id) + " is added twice");
    }
    if (k.id >= next_keyspace) next_keyspace = k.id + 1;
  }
  for (const auto& [id, options] : e.keyspace_options) {
    auto it = keyspaces.find(id);
    if (it == keyspaces.end()) {
      return Status::Error(Code::kCorrupt, "options for unknown keyspace " + std::to_string(id));
    }
    it->second.options = options;
  }
  for (const RemovedTable& r : e.removed) {
    auto it = keyspaces.find(r.keyspace);
    if (it == keyspaces.end() || it->second.tables.erase({r.level, r.number}) == 0) {
      return Status::Error(Code::kCorrupt,
                           "table " + std::to_string(r.number) + " is removed but was not there");
    }
  }
  for (const NewTable& t : e.added) {
    auto it = keyspaces.find(t.keyspace);
    if (it == keyspaces.end() ||
        !it->second.tables.emplace(std::make_pair(t.level, t.number), t.properties).second) {
      return Status::Error(Code::kCorrupt,
                           "table " + std::to_string(t.number) + " cannot be added");
    }
  }
  for (uint32_t id : e.dropped) {
    if (keyspaces.erase(id) == 0) {
      return Status::Error(Code::kCorrupt,
                           "keyspace " + std::to_string(id) + " is dropped but was not there");
    }
  }
  if (e.log_number) log_number = *e.log_number;
  if (e.newest_log) newest_log = *e.newest_log;
  if (e.next_file) next_file = *e.next_file;
  if (e.flushed_lsn) flushed_lsn = *e.flushed_lsn;
  if (e.last_lsn) last_lsn = *e.last_lsn;
  if (e.time_floor_ms) time_floor_ms = *e.time_floor_ms;
  if (e.next_keyspace) next_keyspace = *e.next_keyspace;
  return Status();
}

Edit ManifestState::Snapshot() const {
  Edit e;
  e.log_number = log_number;
  if (newest_log > log_number) e.newest_log = newest_log;
  e.next_file = next_file;
  e.flushed_lsn = flushed_lsn;
  e.last_lsn = last_lsn;
  e.time_floor_ms = time_floor_ms;
  for (const auto& [id, k] : keyspaces) {
    e.keyspaces.push_back({id, k.lsn, k.name, k.options});
    for (const auto& [at, properties] : k.tables)
      e.added.push_back({id, at.first, at.second, properties});
  }
  e.next_keyspace = next_keyspace;
  return e;
}

Result<ManifestState> ReadManifest(Vfs* vfs, const std::string& dir) {
  KIST_TRY_ASSIGN(CurrentFile current, ReadCurrent(vfs, dir));
  const std::string path = JoinPath(dir, ManifestFileName(current.manifest_number));
  auto opened = SegmentReader::Open(vfs, path, SegmentType::kManifest);
  if (!opened.ok()) {
    if (opened.status().Is(Code::kMissing)) {
      return Status::Corrupt(path, 0, "the manifest that CURRENT names is missing");
    }
    return std::move(opened).status();
  }
  SegmentReader& reader = **opened;
  if (reader.info().database_id != current.database_id) {
    return Status::Corrupt(path, 32, "the manifest belongs to another database than CURRENT");
  }
  if (reader.info().id != current.manifest_number) {
    return Status::Corrupt(path, 16, "the manifest is not the one that CURRENT names");
  }
  ManifestState state;
  state.database_id = current.database_id;
  state.manifest_number = current.manifest_number;
  Sequence last = 0;
  for (;;) {
    SegmentReader::Record record;
    KIST_TRY_ASSIGN(SegmentReader::Outcome outcome, reader.Next(&record));
    if (outcome != SegmentReader::Outcome::kRecord) break;
    if (record.kind != RecordKind::kEdit)
      return Status::Corrupt(path, record.offset, "a record that is not an edit");
    Result<Edit> edit = DecodeEdit(record.data);
    Status s = edit.ok() ? state.Apply(*edit) : edit.status();
    if (!s.ok()) {
      if (s.Is(Code::kTooNew)) return s.Prefixed(path);
      return Status::Corrupt(path, record.offset, s.message());
    }
    last = record.lsn;
  }
  KIST_TRY_ASSIGN(SegmentReader::Residue residue, reader.ScanResidue());
  if (last == 0 || residue.max_durable_lsn > last) {
    std::string reason = "a damaged edit: ";
    reason += reader.break_reason();
    if (last == 0) reason = "the manifest holds no complete edit";
    return Status::Corrupt(path, reader.break_offset(), reason);
  }
  state.manifest_bytes = reader.offset();
  state.closed = reader.seal() == SealKind::kClosed && residue.bytes == 0;
  if (residue.bytes != 0) {
    state.broken_end = path + ": offset " + std::to_string(reader.offset()) +
                       ": the last edit is incomplete or damaged (" + reader.break_reason() +
                       "), and without it";
  }
  return state;
}

Result<std::unique_ptr<Manifest>> Manifest::Create(Vfs* vfs, const std::string& dir,
                                                   uint64_t number, ManifestState* state,
                                                   bool* in_doubt) {
  std::unique_ptr<Manifest> m(new Manifest);
  m->number_ = number;
  SegmentWriter::Options options;
  options.info.type = SegmentType::kManifest;
  options.info.id = number;
  options.info.database_id = state->database_id;
  do {
    vfs->Random(&options.info.nonce, sizeof options.info.nonce);
  } while (options.info.nonce == 0);
  const std::string path = JoinPath(dir, ManifestFileName(number));
  KIST_TRY_ASSIGN(m->writer_, SegmentWriter::Create(vfs, path, options));
  KIST_TRY(m->AppendRecord(EncodeEdit(state->Snapshot())));
  m->first_bytes_ = m->writer_->size();
  if (!Planted(Bug::kNoDirSyncOfManifest)) KIST_TRY(vfs->SyncDir(dir));
  KIST_TRY(ReplaceFile(vfs, JoinPath(dir, kCurrentFileName),
                       EncodeCurrent({state->database_id, number}), in_doubt));
  state->manifest_number = number;
  return m;
}

Status Manifest::Append(const Edit& edit) {
  if (broken_) return Status::Bare(Code::kPoisoned);
  Status s = AppendRecord(EncodeEdit(edit));
  // A refused record was cut back durably (no space, say) and the manifest can go on; anything else
  // leaves it in doubt.
  if (!s.ok() && writer_->broken()) broken_ = true;
  // The edit is durable. A mark that cannot be written leaves the one before, which is true too.
  if (s.ok()) static_cast<void>(writer_->WriteMark().ok());
  return s;
}

Status Manifest::AppendRecord(const std::string& payload) {
  std::string buffer(kRecordHeaderMax, '\0');
  buffer += payload;
  buffer.append(8, '\0');  // room for the record's padding
  PreparedRecord record;
  record.data = buffer.data() + kRecordHeaderMax;
  record.data_bytes = static_cast<uint32_t>(payload.size());
  record.data_crc = crc32c::Value(record.data, record.data_bytes);
  record.kind = RecordKind::kEdit;
  record.lsn = writer_->last_lsn() + 1;
  KIST_TRY(writer_->Append(&record, 1, writer_->last_lsn(), false));
  return Planted(Bug::kManifestNotSynced) ? Status() : writer_->Sync();
}

}  // namespace kist
