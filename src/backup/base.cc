// GenerationWriter's base copies: claim, list, upload what is missing, publish. Tables that the
// target has are shared; others are verified here before they go there.
// Threads: see generation.h.
#include <algorithm>
#include <set>

#include "backup/generation.h"
#include "db/retain.h"
#include "key/file_name.h"
#include "util/alloc.h"
#include "util/crc32c.h"

namespace kist {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

// A table file, as an object; asks whether to go on at each read.
class TableSource final : public ObjectSource {
 public:
  TableSource(std::unique_ptr<File> file, std::string path, uint64_t bytes,
              const std::function<Status(uint64_t)>& ask)
      : file_(std::move(file)), path_(std::move(path)), bytes_(bytes), ask_(ask) {}
  uint64_t bytes() const override { return bytes_; }
  Status Read(uint64_t offset, char* buf, size_t n) override {
    KIST_TRY_ASSIGN(const size_t got, file_->Read(offset, buf, n));
    if (got != n) return Status::Corrupt(path_, offset + got, "shorter than the manifest says");
    return ask_(0);
  }

 private:
  const std::unique_ptr<File> file_;
  const std::string path_;
  const uint64_t bytes_;
  const std::function<Status(uint64_t)>& ask_;
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

uint64_t GenerationWriter::BaseBytes(const PinnedState& pin) {
  uint64_t bytes = 0;
  for (const auto& table : pin.tables) bytes += table->bytes();
  return bytes;
}

bool GenerationWriter::HasLogOf(const PinnedState& pin) {
  MutexLock lock(&mutex_);
  return shipped_lsn() >= pin.state.flushed_lsn &&
         first_ranges_.lower_bound(pin.state.log_number) != first_ranges_.end();
}

// One that the target has under the same number, size and checksum is shared; another is verified
// before it is uploaded, so that damage here never becomes the only copy there.
Status GenerationWriter::AddTable(LiveTable* table, const Catalog& catalog,
                                  const std::function<Status(uint64_t)>& progress) {
  const std::string path = JoinPath(db_->path(), TableFileName(table->number()));
  KIST_TRY_ASSIGN(auto file, db_->vfs()->Open(path, OpenMode::kRead));
  KIST_TRY(db_->CheckLocked());
  TableSource source(std::move(file), path, table->bytes(), progress);
  BaseTable t;
  t.number = table->number();
  t.bytes = table->bytes();
  if (!table->file_crc(&t.crc)) {
    KIST_TRY_ASSIGN(t.crc, ChecksumOf(&source));
    table->set_file_crc(t.crc);
  }
  if (const BaseTable* there = catalog.FindTable(t.number, t.bytes, t.crc); there != nullptr) {
    tables_.push_back(*there);
    return progress(t.bytes);
  }
  KIST_TRY_ASSIGN(RefPtr<Table> reader, table->ReaderRef());
  KIST_TRY(reader->Verify([&](uint64_t) { return progress(0); }));
  db_->vfs()->Random(&t.upload, sizeof t.upload);
  Status s = target_->Put(FormatObjectName(NameOf(t)), &source);
  // Nobody else takes a random name: an earlier try, whose answer was lost, has put it.
  if (!s.Is(Code::kExists)) KIST_TRY(std::move(s));
  shipped_bytes_.fetch_add(t.bytes, std::memory_order_relaxed);
  tables_.push_back(t);
  return progress(t.bytes);
}

Status GenerationWriter::MakeBase(const PinnedState& pin, int64_t captured_ms,
                                  const std::function<Status(uint64_t)>& progress,
                                  const std::function<Status()>& shipped) {
  for (;;) {
    KIST_TRY(PutClaim(&pin, &base_claim_));
    uint64_t first = 0, end = 0;
    {
      MutexLock lock(&mutex_);
      const auto known = first_ranges_.lower_bound(pin.state.log_number);
      end = next_index_;
      first = known != first_ranges_.end() ? known->second.index : end;
    }
    KIST_TRY_ASSIGN(const Catalog catalog,
                    Catalog::Load(target_, Catalog::Part::kWhole, generation_));
    KIST_TRY(CheckStands(catalog, first, end));
    tables_.clear();
    for (const auto& table : pin.tables) KIST_TRY(AddTable(table.get(), catalog, progress));
    KIST_TRY(shipped());
    if (db_->NowMs() - base_claim_.time_ms < kClaimMs / 2) break;
  }
  KIST_TRY(db_->KeepTime());  // the newest base is told by the time
  std::vector<BaseTable> tables;
  KIST_TRY(Publish(pin, captured_ms, &tables));
  Status s = CheckPublished(pin.state.flushed_lsn, tables);
  if (s.Is(Code::kConflict)) {  // nobody is to restore from it
    ObjectName name;
    name.kind = ObjectKind::kBase;
    name.generation = generation_;
    name.lsn = pin.state.flushed_lsn;
    static_cast<void>(target_->Delete(FormatObjectName(name)).ok());
  }
  KIST_TRY(std::move(s));
  base_lsn_.store(pin.state.flushed_lsn, std::memory_order_release);
  DropClaim(&base_claim_);
  return Status();
}

// A pruning whose clock is far ahead takes every claim for that of a dead writer. Either it has
// seen the listing, or its mark, or what is missing, is seen now. The mark of one that heeds our
// claim may name what it spares.
Status GenerationWriter::CheckPublished(Sequence lsn, const std::vector<BaseTable>& tables) {
  uint64_t first = 0, end = 0;
  {
    MutexLock lock(&mutex_);
    first = base_first_;
    end = next_index_;
  }
  KIST_TRY_ASSIGN(const Catalog catalog,
                  Catalog::Load(target_, Catalog::Part::kWhole, generation_));
  std::set<std::string> names;
  for (const BaseTable& t : tables) names.insert(FormatObjectName(NameOf(t)));
  const auto g = catalog.generations.find(generation_);
  bool stands =
      g != catalog.generations.end() && g->second.started && g->second.bases.count(lsn) != 0;
  for (uint64_t i = first; stands && i < end; ++i) stands = g->second.ranges.count(i) != 0;
  for (const std::string& name : names) stands = stands && catalog.tables.count(name) != 0;
  for (const auto& [object, mark] : catalog.prunes) {
    if (mark.time_ms - base_claim_.time_ms < kClaimMs) continue;
    const auto cut = mark.cuts.find(generation_);
    stands = stands && (cut == mark.cuts.end() || cut->second <= first);
    for (const BaseTable& t : mark.tables)
      stands = stands && names.count(FormatObjectName(NameOf(t))) == 0;
  }
  if (stands) return Status();
  return Status::Error(Code::kConflict, target_->url() + ": objects of generation " +
                                            std::to_string(generation_) +
                                            " were removed while it was written");
}

// tables: receives what the listing names that is there now.
Status GenerationWriter::Publish(const PinnedState& pin, int64_t captured_ms,
                                 std::vector<BaseTable>* tables) {
  BaseListing base;
  base.generation = generation_;
  base.writer = writer_;
  base.time_ms = captured_ms;
  base.tables = std::move(tables_);
  base.state = pin.state;
  base.state.newest_log = 0;  // what follows in ranges says it
  base.shipped_lsn = shipped_lsn();
  {
    MutexLock lock(&mutex_);
    const auto first = first_ranges_.find(pin.state.log_number);
    if (first == first_ranges_.end() || base.shipped_lsn < pin.state.flushed_lsn) {
      return Status::Error(Code::kConflict, target_->url() + ": generation " +
                                                std::to_string(generation_) +
                                                " does not hold the log from segment " +
                                                std::to_string(pin.state.log_number) + " on");
    }
    base.first_range = first->second.index;
    base.first_crc = first->second.crc;
    base.ranges = next_index_;
    base.last_crc = last_crc_;
  }
  ObjectName name;
  name.kind = ObjectKind::kBase;
  name.generation = generation_;
  name.lsn = pin.state.flushed_lsn;
  const std::string object = FormatObjectName(name);
  const std::string bytes = EncodeBase(base);
  StringSource source(bytes);
  Status s = target_->Put(object, &source);
  if (s.Is(Code::kExists)) {  // ours where an answer was lost; the claim still stands for it
    KIST_TRY_ASSIGN(const std::string have, GetAll(target_, object, kListBytesMax));
    KIST_TRY_ASSIGN(const BaseListing there, DecodeBase(have, target_->NameOf(object)));
    if (there.writer != writer_)
      return Status::Error(Code::kConflict,
                           target_->NameOf(object) + ": another writer took its place");
    *tables = there.tables;  // of an earlier try, which may have uploaded others
    s = Status();
  } else {
    *tables = std::move(base.tables);
  }
  KIST_TRY(std::move(s));
  {
    MutexLock lock(&mutex_);
    base_first_ = base.first_range;
    first_ranges_.erase(first_ranges_.begin(), first_ranges_.lower_bound(pin.state.log_number));
  }
  return Status();
}

}  // namespace kist
