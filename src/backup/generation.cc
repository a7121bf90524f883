// Claiming and continuing generations, shipping ranges, making bases. Every step may be repeated:
// what it finds done already, by itself, it takes for done.
// Threads: see generation.h.
#include "backup/generation.h"

#include <algorithm>

#include "db/retain.h"
#include "key/file_name.h"
#include "util/alloc.h"
#include "util/crc32c.h"

namespace kist {
namespace {

constexpr int kClaims = 16;
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr int64_t kPruneStaleMs = int64_t{3600} * 1000;

// A table file, as an object; tells of what was read.
class TableSource final : public ObjectSource {
 public:
  TableSource(std::unique_ptr<File> file, std::string path, uint64_t bytes,
              const std::function<Status(uint64_t)>& progress)
      : file_(std::move(file)), path_(std::move(path)), bytes_(bytes), progress_(progress) {}
  uint64_t bytes() const override { return bytes_; }
  Status Read(uint64_t offset, char* buf, size_t n) override {
    KIST_TRY_ASSIGN(const size_t got, file_->Read(offset, buf, n));
    if (got != n) return Status::Corrupt(path_, offset + got, "shorter than the manifest says");
    return progress_(n);
  }

 private:
  const std::unique_ptr<File> file_;
  const std::string path_;
  const uint64_t bytes_;
  const std::function<Status(uint64_t)>& progress_;
};

// Header and payload of a range, one behind the other.
class RangeSource final : public ObjectSource {
 public:
  RangeSource(Slice header, Slice payload) : header_(header), payload_(payload) {}
  uint64_t bytes() const override { return header_.size() + payload_.size(); }
  Status Read(uint64_t offset, char* buf, size_t n) override {
    const size_t first = offset < header_.size() ? std::min(n, header_.size() - offset) : 0;
    std::copy_n(header_.data() + (first != 0 ? offset : 0), first, buf);
    if (n == first) return Status();
    std::copy_n(payload_.data() + (offset + first - header_.size()), n - first, buf + first);
    return Status();
  }

 private:
  const Slice header_;
  const Slice payload_;
};

Result<uint32_t> ChecksumOf(ObjectSource* source) {
  Buffer buffer = AllocateBuffer(kReadBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  uint32_t crc = 0;
  for (uint64_t at = 0; at < source->bytes();) {
    const size_t n = std::min<uint64_t>(kReadBytes, source->bytes() - at);
    KIST_TRY(source->Read(at, buffer.get(), n));
    crc = crc32c::Extend(crc, buffer.get(), n);
    at += n;
  }
  return crc;
}

}  // namespace

GenerationWriter::GenerationWriter(Db* db, Target* target, uint64_t database_id,
                                   uint64_t generation)
    : db_(db), target_(target), database_id_(database_id), generation_(generation) {
  db->vfs()->Random(&writer_, sizeof writer_);
}

Result<std::unique_ptr<GenerationWriter>> GenerationWriter::Begin(Db* db, Target* target,
                                                                  const Catalog& catalog,
                                                                  uint64_t database_id) {
  Mark root;
  root.database_id = database_id;
  if (catalog.database_id == 0) {
    Status s = PutOnce(target, FormatObjectName(ObjectName()), EncodeMark(root));
    if (!s.ok() && !s.Is(Code::kConflict)) return s;
  }
  KIST_TRY_ASSIGN(const Mark owner, ReadMark(target, ObjectName()));
  if (owner.database_id != database_id)
    return Status::Error(Code::kExists, target->url() + ": holds backups of another database");
  uint64_t number = catalog.generations.empty() ? 1 : catalog.generations.rbegin()->first + 1;
  for (int i = 0; i < kClaims; ++i, ++number) {
    std::unique_ptr<GenerationWriter> w(new GenerationWriter(db, target, database_id, number));
    Mark start;
    start.kind = ObjectKind::kStart;
    start.database_id = database_id;
    start.generation = number;
    start.writer = w->writer_;
    start.time_ms = db->NowMs();
    ObjectName name;
    name.kind = ObjectKind::kStart;
    name.generation = number;
    Status s = PutOnce(target, FormatObjectName(name), EncodeMark(start));
    if (s.ok()) return w;
    if (!s.Is(Code::kConflict)) return s;
  }
  return Status::Error(Code::kBusy, target->url() + ": other writers claim every generation");
}

Result<std::unique_ptr<GenerationWriter>> GenerationWriter::Continue(Db* db, Target* target,
                                                                     const Catalog& catalog,
                                                                     uint64_t database_id,
                                                                     LogPlace* place) {
  const Status none = Status::Error(Code::kMissing, "no generation to go on with");
  if (catalog.database_id != database_id || catalog.generations.empty()) return none;
  const CatalogGeneration& g = catalog.generations.rbegin()->second;
  if (g.bases.empty() || g.ranges.empty()) return none;
  std::unique_ptr<GenerationWriter> w(new GenerationWriter(db, target, database_id, g.number));
  const CatalogRange& last = g.ranges.rbegin()->second;
  // A gap below would never be healed by going on.
  if (g.ranges.size() != g.ranges.rbegin()->first - g.ranges.begin()->first + 1) return none;
  KIST_TRY_ASSIGN(const RangeHeader h, ReadRangeHeader(target, catalog, last));
  if (h.last_lsn < g.bases.rbegin()->first) return none;
  place->segment = h.segment.id;
  place->nonce = h.segment.nonce;
  place->position = h.position + h.payload_bytes;
  place->lsn = h.last_lsn;
  w->last_time_ms_ = h.last_time_ms;
  w->shipped_lsn_.store(h.last_lsn, std::memory_order_relaxed);
  w->base_lsn_.store(g.bases.rbegin()->first, std::memory_order_relaxed);
  w->has_base_.store(true, std::memory_order_relaxed);
  MutexLock lock(&w->mutex_);
  w->next_index_ = h.index + 1;
  w->last_crc_ = h.crc;
  return w;
}

Status GenerationWriter::Ship(LogPiece piece) {
  RangeHeader h;
  h.database_id = database_id_;
  h.generation = generation_;
  h.segment = piece.info;
  h.position = piece.position;
  h.payload_bytes = piece.bytes.size();
  h.last_lsn = piece.last_lsn;
  h.commits = piece.commits;
  h.first_time_ms = piece.first_time_ms;
  // Never less than the range before says, so that times can be searched for.
  h.last_time_ms = last_time_ms_ = std::max(last_time_ms_, piece.last_time_ms);
  h.shipped_ms = db_->NowMs();
  h.payload_crc = crc32c::Value(piece.bytes);
  {
    MutexLock lock(&mutex_);
    h.index = next_index_;
    h.previous_crc = last_crc_;
  }
  piece_ = std::move(piece);
  header_ = EncodeRangeHeader(&h);
  return PutRange();
}

Status GenerationWriter::Retry() { return retry_pending() ? PutRange() : Status(); }

Status GenerationWriter::PutRange() {
  KIST_TRY_ASSIGN(const RangeHeader h, DecodeRangeHeader(header_, "a range"));
  ObjectName name;
  name.kind = ObjectKind::kRange;
  name.generation = generation_;
  name.index = h.index;
  const std::string object = FormatObjectName(name);
  RangeSource source(header_, piece_.bytes);
  Status s = target_->Put(object, &source);
  if (s.Is(Code::kExists)) {  // ours where an answer was lost
    std::string have(kRangeHeaderBytes, '\0');
    KIST_TRY_ASSIGN(const size_t n, target_->Get(object, 0, have.data(), have.size()));
    have.resize(n);
    if (have != header_) {
      return Status::Error(Code::kConflict,
                           target_->NameOf(object) + ": another writer took its place");
    }
    s = Status();
  }
  KIST_TRY(std::move(s));
  shipped_bytes_.fetch_add(piece_.bytes.size(), std::memory_order_relaxed);
  {
    MutexLock lock(&mutex_);
    next_index_ = h.index + 1;
    last_crc_ = h.crc;
    first_index_.emplace(h.segment.id, h.index);
  }
  shipped_lsn_.store(h.last_lsn, std::memory_order_release);
  header_.clear();
  piece_ = LogPiece();
  return Status();
}

uint64_t GenerationWriter::base_bytes(const PinnedState& pin) const {
  uint64_t bytes = 0;
  for (const auto& table : pin.tables) bytes += table->bytes();
  return bytes;
}

// One that the target has under the same number, size and checksum is shared; another is verified
// before it is uploaded, so that damage here never becomes the only copy there.
Status GenerationWriter::AddTable(LiveTable* table, const Catalog& catalog,
                                  const std::function<Status(uint64_t)>& progress) {
  const std::string path = JoinPath(db_->path(), TableFileName(table->number()));
  KIST_TRY_ASSIGN(auto file, db_->vfs()->Open(path, OpenMode::kRead));
  const std::function<Status(uint64_t)> ask = [&](uint64_t) { return progress(0); };
  TableSource source(std::move(file), path, table->bytes(), ask);
  ObjectName name;
  name.kind = ObjectKind::kTable;
  name.number = table->number();
  name.bytes = table->bytes();
  if (!table->file_crc(&name.crc)) {
    KIST_TRY_ASSIGN(name.crc, ChecksumOf(&source));
    table->set_file_crc(name.crc);
  }
  tables_.push_back({name.number, name.bytes, name.crc});
  const std::string object = FormatObjectName(name);
  const auto there = catalog.tables.find(object);
  if (there != catalog.tables.end() && there->second == name.bytes) return progress(name.bytes);
  KIST_TRY_ASSIGN(RefPtr<Table> reader, table->ReaderRef());
  KIST_TRY(reader->Verify(ask));
  Status s = target_->Put(object, &source);
  if (!s.ok() && !s.Is(Code::kExists)) return s;
  if (s.ok()) shipped_bytes_.fetch_add(name.bytes, std::memory_order_relaxed);
  return progress(name.bytes);
}

Status GenerationWriter::UploadTables(const PinnedState& pin, const JobControl& job,
                                      uint64_t more_total) {
  Mark pending;
  pending.kind = ObjectKind::kPending;
  pending.database_id = database_id_;
  pending.generation = generation_;
  pending.writer = writer_;
  pending.time_ms = db_->NowMs();
  pending.lsn = pin.state.flushed_lsn;
  ObjectName name;
  name.kind = ObjectKind::kPending;
  name.generation = generation_;
  name.lsn = pin.state.flushed_lsn;
  const std::string encoded = EncodeMark(pending);
  StringSource source(encoded);
  Status s = target_->Put(FormatObjectName(name), &source);
  if (!s.ok() && !s.Is(Code::kExists)) return s;  // an earlier try's does as well
  // After the mark, so that a pruning that does not see it is seen here.
  KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target_));
  for (const ObjectName& prune : catalog.prunes) {
    const Result<Mark> mark = ReadMark(target_, prune);
    if (mark.ok() && mark->time_ms + kPruneStaleMs > db_->NowMs())
      return Status::Error(Code::kBusy, target_->NameOf(FormatObjectName(prune)) +
                                            ": the target is being pruned; the mark of a pruning "
                                            "that died counts for an hour");
  }
  tables_.clear();
  uint64_t done = 0;
  const uint64_t total = base_bytes(pin) + more_total;
  const std::function<Status(uint64_t)> progress = [&](uint64_t bytes) {
    done = std::min(done + bytes, total);
    return !job.progress || job.progress(done, total) ? Status() : Status::Bare(Code::kCancelled);
  };
  KIST_TRY(progress(0));
  for (const auto& table : pin.tables) KIST_TRY(AddTable(table.get(), catalog, progress));
  return Status();
}

Status GenerationWriter::Publish(const PinnedState& pin) {
  BaseListing base;
  base.generation = generation_;
  base.writer = writer_;
  base.time_ms = db_->NowMs();
  base.tables = std::move(tables_);
  base.state = pin.state;
  base.shipped_lsn = std::max(shipped_lsn(), pin.state.flushed_lsn);
  {
    MutexLock lock(&mutex_);
    const auto first = first_index_.lower_bound(pin.state.log_number);
    base.first_range = first != first_index_.end() ? first->second : next_index_;
    base.ranges = next_index_;
    base.range_crc = last_crc_;
  }
  ObjectName name;
  name.kind = ObjectKind::kBase;
  name.generation = generation_;
  name.lsn = pin.state.flushed_lsn;
  const std::string bytes = EncodeBase(base);
  StringSource source(bytes);
  Status s = target_->Put(FormatObjectName(name), &source);
  if (!s.ok() && !s.Is(Code::kExists)) return s;  // an answer was lost: the same state stands there
  base_lsn_.store(pin.state.flushed_lsn, std::memory_order_release);
  has_base_.store(true, std::memory_order_release);
  name.kind = ObjectKind::kPending;
  static_cast<void>(target_->Delete(FormatObjectName(name)).ok());  // pruning takes stale ones away
  return Status();
}

Status GenerationWriter::MakeBase(const PinnedState& pin, const JobControl& job,
                                  uint64_t more_total) {
  KIST_TRY(UploadTables(pin, job, more_total));
  return Publish(pin);
}

}  // namespace kist
