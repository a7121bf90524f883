// Claiming and continuing generations, shipping ranges. Every step may be repeated: what it finds
// done already, by itself, it takes for done. Base copies are base.cc's.
// Threads: see generation.h.
#include "backup/generation.h"

#include <algorithm>

#include "util/alloc.h"
#include "util/crc32c.h"

namespace kist {
namespace {

constexpr int kBeginTries = 16;
constexpr int64_t kLeaseRenewMs = kClaimMs / 8;

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

}  // namespace

GenerationWriter::GenerationWriter(Db* db, Target* target, uint64_t database_id,
                                   uint64_t generation)
    : db_(db), target_(target), database_id_(database_id), generation_(generation) {
  db->vfs()->Random(&writer_, sizeof writer_);
}

GenerationWriter::~GenerationWriter() {
  if (reachable_.load(std::memory_order_relaxed)) BestEffort([this] { DropClaim(&lease_); });
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
  for (int i = 0; i < kBeginTries; ++i, ++number) {
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
    if (s.ok()) s = w->PutClaim(nullptr, &w->lease_);
    if (s.ok()) return w;
    if (!s.Is(Code::kConflict)) return s;
  }
  return Status::Error(Code::kConflict, target->url() + ": other writers claim every generation");
}

Result<std::unique_ptr<GenerationWriter>> GenerationWriter::Continue(Db* db, Target* target,
                                                                     const Catalog& catalog,
                                                                     uint64_t log_number,
                                                                     Standing* standing) {
  const Status none = Status::Error(Code::kMissing, "no generation to go on with");
  if (catalog.generations.empty() || catalog.generations.rbegin()->second.bases.empty())
    return none;
  const uint64_t number = catalog.generations.rbegin()->first;
  std::unique_ptr<GenerationWriter> w(
      new GenerationWriter(db, target, catalog.database_id, number));
  KIST_TRY(w->PutClaim(nullptr, &w->lease_));
  KIST_TRY_ASSIGN(const Catalog now, Catalog::Load(target, Catalog::Part::kWhole, number));
  const auto found = now.generations.find(number);
  if (found == now.generations.end() || found->second.bases.empty()) return none;
  const CatalogGeneration& g = found->second;
  KIST_TRY_ASSIGN(standing->base, ReadBase(target, now, g.bases.rbegin()->second));
  const BaseListing& base = standing->base;
  const uint64_t end = g.ranges.empty() ? 0 : g.ranges.rbegin()->first + 1;
  // A gap would never be healed by going on.
  if (end < base.ranges || !w->CheckStands(now, base.first_range, end).ok()) return none;
  KIST_TRY_ASSIGN(const RangeHeader h, ReadRangeHeader(target, now, g.ranges.rbegin()->second));
  if (h.last_lsn < base.state.flushed_lsn) return none;
  KIST_TRY(w->FindSegments(now, h, base.first_range, log_number));
  standing->place.segment = h.segment.id;
  standing->place.nonce = h.segment.nonce;
  standing->place.position = h.position + h.payload_bytes;
  standing->place.lsn = h.last_lsn;
  standing->since = h.position;
  standing->crc = h.payload_crc;
  standing->captured_ms = h.captured_ms;
  standing->log_bytes = standing->log_ranges = 0;
  for (auto it = g.ranges.lower_bound(base.first_range); it != g.ranges.end(); ++it) {
    standing->log_bytes += it->second.bytes;
    ++standing->log_ranges;
  }
  w->last_time_ms_ = h.last_time_ms;
  w->shipped_lsn_.store(h.last_lsn, std::memory_order_relaxed);
  w->base_lsn_.store(base.state.flushed_lsn, std::memory_order_relaxed);
  MutexLock lock(&w->mutex_);
  w->next_index_ = h.index + 1;
  w->last_crc_ = h.crc;
  w->base_first_ = base.first_range;
  return w;
}

// Fills first_ranges_ by bisection: from log_number on, or where the ranges begin later from there.
Status GenerationWriter::FindSegments(const Catalog& catalog, const RangeHeader& last,
                                      uint64_t first, uint64_t log_number) {
  const auto& ranges = catalog.generations.at(generation_).ranges;
  for (uint64_t segment = log_number; segment <= last.segment.id;) {
    uint64_t low = first, high = last.index;  // the last one's segment is not below `segment`
    RangeHeader found = last;
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2;
      KIST_TRY_ASSIGN(const RangeHeader h, ReadRangeHeader(target_, catalog, ranges.at(middle)));
      if (h.segment.id >= segment) {
        high = middle;
        found = h;
      } else {
        low = middle + 1;
      }
    }
    MutexLock lock(&mutex_);
    if (found.position == 0) first_ranges_[found.segment.id] = {found.index, found.crc};
    segment = found.segment.id + 1;
    first = found.index;
  }
  return Status();
}

// The generation is what its writer believes: not given up by a pruning, ranges [first, end) there.
Status GenerationWriter::CheckStands(const Catalog& catalog, uint64_t first, uint64_t end) const {
  const auto found = catalog.generations.find(generation_);
  bool stands = found != catalog.generations.end() && found->second.started &&
                catalog.CutOf(generation_) <= first;
  for (uint64_t i = first; stands && i < end; ++i) stands = found->second.ranges.count(i) != 0;
  if (stands) return Status();
  return Status::Error(Code::kConflict, target_->url() + ": objects of generation " +
                                            std::to_string(generation_) + " were removed");
}

// ---- claims

Status GenerationWriter::PutClaim(const PinnedState* pin, HeldClaim* held) {
  Claim claim;
  claim.database_id = database_id_;
  claim.generation = generation_;
  claim.writer = writer_;
  claim.time_ms = db_->NowMs();
  if (pin != nullptr) {
    for (const auto& table : pin->tables) claim.tables.push_back(table->number());
    std::sort(claim.tables.begin(), claim.tables.end());
  }
  ObjectName name;
  name.kind = ObjectKind::kClaim;
  name.number = writer_;
  name.index = claims_.fetch_add(1, std::memory_order_relaxed) + 1;
  HeldClaim fresh{FormatObjectName(name), claim.time_ms};
  Status s = PutOnce(target_, fresh.name, EncodeClaim(claim));
  reachable_.store(s.ok(), std::memory_order_relaxed);
  KIST_TRY(std::move(s));
  std::swap(*held, fresh);
  DropClaim(&fresh);
  return Status();
}

// One that stays is old one day, and pruning takes it away.
void GenerationWriter::DropClaim(HeldClaim* held) {
  if (!held->name.empty()) static_cast<void>(target_->Delete(held->name).ok());
  held->name.clear();
}

Status GenerationWriter::KeepLease() {
  if (db_->NowMs() - lease_.time_ms < kLeaseRenewMs) return Status();
  KIST_TRY(PutClaim(nullptr, &lease_));
  const bool based = has_base();  // a newer one may come meanwhile, and this one go
  const Sequence oldest = base_lsn();
  KIST_TRY_ASSIGN(const Catalog catalog,
                  Catalog::Load(target_, Catalog::Part::kWhole, generation_));
  uint64_t first = 0, end = 0;
  {
    MutexLock lock(&mutex_);
    first = base_first_;
    end = next_index_;
  }
  KIST_TRY(CheckStands(catalog, first, end));
  const auto& bases = catalog.generations.at(generation_).bases;
  if (!based || bases.lower_bound(oldest) != bases.end()) return Status();
  return Status::Error(Code::kConflict, target_->url() + ": the base copy of generation " +
                                            std::to_string(generation_) + " was removed");
}

// ---- ranges

Status GenerationWriter::Ship(LogPiece piece, int64_t captured_ms) {
  piece_ = std::move(piece);
  piece_captured_ms_ = captured_ms;
  return PutRange();
}

Status GenerationWriter::Retry() { return retry_pending() ? PutRange() : Status(); }

void GenerationWriter::MakeHeader() {
  RangeHeader h;
  h.database_id = database_id_;
  h.generation = generation_;
  h.segment = piece_.info;
  h.position = piece_.position;
  h.payload_bytes = piece_.bytes.size();
  h.last_lsn = piece_.last_lsn;
  h.commits = piece_.commits;
  h.first_time_ms = piece_.first_time_ms;
  // Never less than the range before says, so that times can be searched for.
  h.last_time_ms = last_time_ms_ = std::max(last_time_ms_, piece_.last_time_ms);
  h.captured_ms = piece_captured_ms_;
  h.payload_crc = crc32c::Value(piece_.bytes);
  {
    MutexLock lock(&mutex_);
    h.index = next_index_;
    h.previous_crc = last_crc_;
  }
  header_ = EncodeRangeHeader(&h);
}

Status GenerationWriter::PutRange() {
  if (header_.empty()) MakeHeader();
  KIST_TRY_ASSIGN(const RangeHeader h, DecodeRangeHeader(header_, "a range"));
  ObjectName name;
  name.kind = ObjectKind::kRange;
  name.generation = generation_;
  name.index = h.index;
  const std::string object = FormatObjectName(name);
  RangeSource source(header_, piece_.bytes);
  Status s = target_->Put(object, &source);
  reachable_.store(s.ok() || s.Is(Code::kExists), std::memory_order_relaxed);
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
    if (h.position == 0) first_ranges_[h.segment.id] = {h.index, h.crc};
  }
  shipped_lsn_.store(h.last_lsn, std::memory_order_release);
  header_.clear();
  piece_ = LogPiece();
  return Status();
}

}  // namespace kist
