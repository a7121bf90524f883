// From versions to visible entries, a run at a time. Forwards the first version that is seen
// decides for its key; backwards versions come oldest first, so the last one seen before the key
// changes decides. Chains of versions that are not seen are passed by a search after a few of them.
// Threads: one.
#include "db/db_iterator.h"

#include <algorithm>

#include "db/db_impl.h"
#include "db/skipping_iterator.h"
#include "util/coding.h"
#include "util/planted.h"

namespace kist {
namespace {

// What a source of the merge takes, with what stands below it.
constexpr size_t kSourceBytes = 384;
// Versions of one key passed one by one before a search is cheaper.
constexpr uint32_t kStepsBeforeSeek = 8;

// Expected to be false: neighbours mostly differ in their last byte.
inline bool SameKey(Slice a, Slice b) {
  const size_t n = a.size();
  if (n != b.size()) return false;
  return n == 0 || (a[n - 1] == b[n - 1] && SameBytes(a.data(), b.data(), n));
}

// The least string greater than every string with this prefix; false where there is none.
bool PrefixEnd(Slice prefix, std::string* end) {
  end->assign(prefix.data(), prefix.size());
  while (!end->empty() && static_cast<uint8_t>(end->back()) == 0xff) end->pop_back();
  if (end->empty()) return false;
  end->back() = static_cast<char>(static_cast<uint8_t>(end->back()) + 1);
  return true;
}

}  // namespace

void NarrowToPrefix(Slice prefix, std::string* lower, std::string* upper, bool* has_upper) {
  if (Slice(*lower) < prefix) lower->assign(prefix.data(), prefix.size());
  std::string end;
  if (!PrefixEnd(prefix, &end)) return;
  if (!*has_upper || end < *upper) *upper = std::move(end);
  *has_upper = true;
}

DbIteratorImpl::DbIteratorImpl(DbImpl* db, RefPtr<KeyspaceImpl> keyspace, const IterOptions& o)
    : db_(db),
      keyspace_(std::move(keyspace)),
      explicit_snapshot_(o.snapshot != nullptr),
      fill_cache_(o.fill_cache),
      own_(RefPtr<Memtable>::Share(o.own)),
      own_limit_(o.own != nullptr ? o.own_limit : 0),
      lower_(o.lower),
      charge_(db->budget(), MemoryBudget::kIterators, 0) {
  if (o.snapshot != nullptr) {
    db_->snapshots()->RegisterBeside(&kept_.emplace(db_->snapshots()), *o.snapshot);
    seq_ = o.snapshot->seq;
    time_ms_ = o.snapshot->time_ms;
  }
  has_upper_ = o.has_upper;
  if (o.has_upper) upper_.assign(o.upper.data(), o.upper.size());
  NarrowToPrefix(o.prefix, &lower_, &upper_, &has_upper_);
  empty_range_ = has_upper_ && Slice(lower_) >= Slice(upper_);
}

DbIteratorImpl::~DbIteratorImpl() {
  sink_.active = false;
  merged_.reset();
}

std::unique_ptr<InternalIterator> DbIteratorImpl::Wrap(std::unique_ptr<InternalIterator> base,
                                                       Sequence largest_seq) {
  if (tombstones_.empty()) return base;
  return std::make_unique<SkippingIterator>(std::move(base), largest_seq, &tombstones_);
}

void DbIteratorImpl::TakeSets(const Memtable& m, Sequence seq) {
  for (auto& set : m.RangeTombstoneSets(keyspace_->id())) {
    tombstones_.push_back({set.get(), seq});
    memtable_sets_.push_back(std::move(set));
  }
}

Status DbIteratorImpl::TakeTableSets(const KeyspaceVersion& kv) {
  if (!kv.has_range_tombstones) return Status();
  for (const Level& level : kv.levels) {
    for (const auto& f : level.files()) {
      if (f->properties().range_tombstones == 0 || !f->Overlaps(lower_, upper_, false, !has_upper_))
        continue;
      KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
      tombstones_.push_back({table->range_tombstones(), seq_});
      tombstone_tables_.push_back(std::move(table));
    }
  }
  return Status();
}

Status DbIteratorImpl::AddTables(const KeyspaceVersion& kv, const ReadContext& context,
                                 std::vector<std::unique_ptr<InternalIterator>>* sources) {
  const auto in_range = [&](const LiveTable& f) {
    return f.Overlaps(lower_, upper_, false, !has_upper_);
  };
  size_t level0 = 0;
  for (const auto& f : kv.levels[0].files()) {
    if (!in_range(*f)) continue;
    KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
    sources->push_back(Wrap(table->NewIterator(context), f->properties().largest_seq));
    ++level0;
  }
  extra_level0_ = level0 > 1 ? level0 - 1 : 0;
  for (int l = 1; l < kLevels; ++l) {
    std::vector<RefPtr<LiveTable>> files;
    Sequence largest = 0;
    for (const auto& f : kv.levels[l].files()) {
      if (!in_range(*f)) continue;
      largest = std::max(largest, f->properties().largest_seq);
      files.push_back(f);
    }
    if (!files.empty())
      sources->push_back(Wrap(NewLevelIterator(std::move(files), context), largest));
  }
  return Status();
}

Status DbIteratorImpl::Open() {
  // Before it holds anything, which a flush might make old meanwhile and count against it.
  memtables_.clear();
  tables_ = RefPtr<KeyspaceVersion>();
  extra_level0_ = 0;
  KIST_TRY(db_->AdmitHeld(sizeof *this));
  Sequence newest = 0;
  const RefPtr<View> view =
      explicit_snapshot_ ? db_->AcquireView(&newest) : db_->AcquireState(&seq_, &time_ms_);
  if (keyspace_->dropped())  // behind the view, as in Get
    return Status::Error(Code::kMissing, "keyspace '" + keyspace_->name() + "' was dropped");
  const KeyspaceVersion* kv = view->version->Find(keyspace_->slot(), keyspace_->id());
  tables_ = RefPtr<KeyspaceVersion>::Share(const_cast<KeyspaceVersion*>(kv));
  for (const auto& m : view->memtables) {
    if (m->Has(keyspace_->id())) memtables_.push_back(m);
  }
  for (const auto& m : memtables_) TakeSets(*m, seq_);
  if (kv != nullptr && !empty_range_) KIST_TRY(TakeTableSets(*kv));
  if (own_) TakeSets(*own_, own_limit_);
  std::vector<std::unique_ptr<InternalIterator>> sources;
  if (!empty_range_) {
    if (own_) {
      if (auto it = own_->NewIterator(keyspace_->id())) sources.push_back(Wrap(std::move(it), 0));
    }
    for (const auto& m : memtables_) {
      if (auto it = m->NewIterator(keyspace_->id())) sources.push_back(Wrap(std::move(it), 0));
    }
    ReadContext context;
    context.fill_cache = fill_cache_;
    context.sink = &sink_;
    context.readahead_max = db_->ScanReadAhead();
    if (kv != nullptr) KIST_TRY(AddTables(*kv, context, &sources));
  }
  const size_t bytes = sizeof *this + kSourceBytes * sources.size() + lower_.size() + upper_.size();
  charge_.Set(bytes);
  hold_max_ = db_->budget()->limit() / 16;
  merged_ = NewMergingIterator(std::move(sources));
  return Status();
}

Status DbIteratorImpl::Refresh() {
  run_way_ = 0;
  pending_ = false;
  sink_.active = false;
  sink_.Release();
  merged_.reset();
  tombstones_.clear();
  cover_ = RangeCoverCursor(&tombstones_);
  memtable_sets_.clear();
  tombstone_tables_.clear();
  position_ = Position::kUnpositioned;
  key_ = value_ = Slice();
  backwards_ = false;
  Status s = Open();
  if (!s.ok()) {
    merged_ = NewMergingIterator({});
    status_ = s;
  }
  sink_.active = holding_;
  return s;
}

void DbIteratorImpl::End(Position position) {
  position_ = position;
  key_ = value_ = Slice();
  pending_ = false;
  if (sink_.failed()) status_ = Status::Bare(Code::kNoMem);
  if (!merged_->status().ok() && !Planted(Bug::kErrorLooksLikeEnd)) status_ = merged_->status();
}

// Backwards the current entry may be among what goes; where a turn goes on from stays.
void DbIteratorImpl::ReleaseHeld() {
  if (backwards_ && on()) {
    saved_.assign(key_.data(), key_.size());
    key_ = saved_;
    value_ = Slice();
  }
  sink_.Release();
}

// Before each seek: as Resume.
bool DbIteratorImpl::Ready(bool backwards) {
  run_max_ = kRunFirst;
  pending_ = false;
  if (extra_level0_ != 0) db_->CountLevel0Seek(*tables_, extra_level0_);
  return Resume(backwards);
}

// Before each positioning call that the run does not answer: false where nothing can be done. Lets
// go of what the last entry was kept alive by.
bool DbIteratorImpl::Resume(bool backwards) {
  run_way_ = 0;
  if (!status_.ok()) return false;
  if (!holding_) sink_.Release();
  backwards_ = backwards;
  sink_.active = holding_ || backwards;
  if (!empty_range_) return true;
  End(backwards ? Position::kBefore : Position::kPast);
  return false;
}

inline bool DbIteratorImpl::Visible(InternalEntry* e) {
  if (!tombstones_.empty() && cover_.At(e->key).seq > TagSequence(e->tag)) return false;
  switch (TagKind(e->tag)) {
    case EntryKind::kPut:
      return true;
    case EntryKind::kPutTtl:
      if (static_cast<int64_t>(Load64(e->value.data())) <= time_ms_) return false;
      e->value.remove_prefix(8);
      return true;
    case EntryKind::kDelete:
      break;
  }
  return false;
}

size_t DbIteratorImpl::NextRunMax() {
  const size_t max = run_max_;
  run_max_ = std::min(max * kRunGrowth, kRunMax);
  return max;
}

void DbIteratorImpl::Yield(size_t kept) {
  run_way_ = backwards_ ? -1 : 1;
  run_at_ = run_;
  run_last_ = run_ + kept - 1;
  Stand(run_at_);
  position_ = Position::kOn;
}

// Leaves the visible ones of the n versions in run_. A version repeats the last key that was taken
// only where it repeats the one before it, whether that was seen or not: keys are looked at there
// alone, which are not in the cache yet.
size_t DbIteratorImpl::KeepForward(size_t n, uint64_t repeats, bool* skip) {
  Slice last = last_key_;
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) {
    InternalEntry& e = run_[i];
    const bool same = (repeats >> i & 1) != 0 && *skip && SameKey(e.key, last);
    if (__builtin_expect(same || !Sees(e.tag), 0)) {
      ++passed_;
      passed_unseen_ = !same;
      continue;
    }
    last = e.key;
    *skip = true;
    passed_ = 0;
    if (!Visible(&e)) continue;
    if (kept != i) run_[kept] = e;
    ++kept;
  }
  last_key_ = last;
  return kept;
}

void DbIteratorImpl::SettleForward(bool skip) {
  InternalIterator* const m = merged_.get();
  const Slice upper(upper_);
  const bool past_upper = Planted(Bug::kUpperBoundIncluded);
  passed_ = 0;
  last_key_ = saved_;
  while (m->valid() && !sink_.failed()) {
    if (has_upper_ && (past_upper ? m->key() > upper : m->key() >= upper)) break;
    uint64_t repeats = 0;
    const size_t n = m->Run(true, has_upper_ && !past_upper ? &upper : nullptr, run_,
                            past_upper ? 1 : NextRunMax(), &repeats);
    const size_t kept = KeepForward(n, repeats, &skip);
    if (kept != 0) return Yield(kept);
    if (passed_ >= kStepsBeforeSeek && passed_unseen_) {
      const uint64_t tag = m->tag();
      saved_.assign(m->key().data(), m->key().size());
      last_key_ = saved_;
      m->Seek(saved_, TagSequence(tag) > kTxnBase ? NewestTag() : SeekTag(seq_));
      skip = false;
      passed_ = 0;
      continue;
    }
    if (last_key_.data() != saved_.data()) saved_.assign(last_key_.data(), last_key_.size());
    last_key_ = saved_;
    if (passed_ >= kStepsBeforeSeek) {
      m->Seek(saved_, 0);
      passed_ = 0;
    } else {
      m->Next();
    }
  }
  End(Position::kPast);
}

// Takes in the newer versions of the pending key; 1 where run_ then begins with its entry.
size_t DbIteratorImpl::FinishPending() {
  if (!pending_) return 0;
  InternalIterator* const m = merged_.get();
  // The key's memory is kept by sink_ while merged_ moves on.
  for (; m->valid() && SameKey(m->key(), pending_entry_.key); m->Prev()) {
    if (!Sees(m->tag())) continue;
    pending_entry_ = {m->key(), m->tag(), m->value()};
    pending_seen_ = true;
  }
  pending_ = false;
  // A newer version may be unreadable; what was found may be gone.
  if ((!m->valid() && !m->status().ok()) || sink_.failed()) return 0;
  if (!pending_seen_ || !Visible(&pending_entry_)) return 0;
  run_[0] = pending_entry_;
  return 1;
}

// Leaves the visible ones of the n versions behind the first `kept` entries of run_; the last key
// becomes the pending one.
size_t DbIteratorImpl::KeepBackward(size_t kept, size_t n, uint64_t repeats) {
  InternalEntry* const end = run_ + kept + n;
  InternalEntry* best = run_ + kept;
  bool seen = Sees(best->tag);
  for (InternalEntry* e = best + 1; e != end; ++e) {
    const bool sees = Sees(e->tag);
    repeats >>= 1;
    if (__builtin_expect((repeats & 1) != 0 && SameKey(e->key, best->key), 0)) {
      if (sees) best = e;
      seen |= sees;
      continue;
    }
    if (seen && Visible(best)) {
      if (best != run_ + kept) run_[kept] = *best;
      ++kept;
    }
    best = e;
    seen = sees;
  }
  pending_ = true;
  pending_seen_ = seen;
  pending_entry_ = *best;
  return kept;
}

void DbIteratorImpl::SettleBackward() {
  InternalIterator* const m = merged_.get();
  const Slice lower(lower_);
  for (;;) {
    size_t kept = FinishPending();
    if (m->valid() && !sink_.failed() && !BelowLower(m->key())) {
      uint64_t repeats = 0;
      const size_t n = m->Run(false, lower_.empty() ? nullptr : &lower, run_ + kept,
                              std::min(NextRunMax(), kRunMax - kept), &repeats);
      kept = KeepBackward(kept, n, repeats);
    } else if (kept == 0) {
      return End(Position::kBefore);
    }
    if (kept != 0) return Yield(kept);
    if (!holding_) sink_.Release();  // nothing was handed out yet
    m->Prev();
  }
}

void DbIteratorImpl::SeekToFirst() {
  if (!Ready(false)) return;
  if (lower_.empty()) {
    merged_->SeekToFirst();
  } else {
    merged_->Seek(lower_, NewestTag());
  }
  SettleForward(false);
}

void DbIteratorImpl::SeekToLast() {
  if (!Ready(true)) return;
  if (has_upper_) {
    merged_->SeekBefore(upper_, kMaxTag);
  } else {
    merged_->SeekToLast();
  }
  SettleBackward();
}

// The key sought may be this iterator's own current one, which moving any source may free: it is
// copied first.
void DbIteratorImpl::SeekGe(Slice key) {
  if (BelowLower(key)) return SeekToFirst();
  saved_.assign(key.data(), key.size());
  if (!Ready(false)) return;
  merged_->Seek(saved_, NewestTag());
  SettleForward(false);
}

void DbIteratorImpl::SeekGt(Slice key) {
  if (BelowLower(key)) return SeekToFirst();
  saved_.assign(key.data(), key.size());
  if (!Ready(false)) return;
  merged_->Seek(saved_, 0);
  SettleForward(false);
}

void DbIteratorImpl::SeekLe(Slice key) {
  if (has_upper_ && key >= Slice(upper_)) return SeekToLast();
  saved_.assign(key.data(), key.size());
  saved_.push_back('\0');  // the next possible key
  if (!Ready(true)) return;
  merged_->SeekBefore(saved_, kMaxTag);
  SettleBackward();
}

void DbIteratorImpl::SeekLt(Slice key) {
  if (has_upper_ && key > Slice(upper_)) return SeekToLast();
  saved_.assign(key.data(), key.size());
  if (!Ready(true)) return;
  merged_->SeekBefore(saved_, kMaxTag);
  SettleBackward();
}

void DbIteratorImpl::StepNext() {
  if (position_ == Position::kPast) return;
  if (position_ != Position::kOn) return SeekToFirst();
  if (backwards_) return SeekGt(key_);
  saved_.assign(last_key_.data(), last_key_.size());
  if (!Resume(false)) return;
  merged_->Next();
  SettleForward(true);
}

void DbIteratorImpl::StepPrev() {
  if (position_ == Position::kBefore) return;
  if (position_ != Position::kOn) return SeekToLast();
  if (!backwards_) return SeekLt(key_);
  if (!Resume(true)) return;
  if (pending_) merged_->Prev();
  SettleBackward();
}

Result<std::unique_ptr<DbIterator>> DbImpl::NewIterator(Keyspace* ks, const IterOptions& options) {
  auto keyspace = RefPtr<KeyspaceImpl>::Share(static_cast<KeyspaceImpl*>(ks));
  auto it = std::make_unique<DbIteratorImpl>(this, std::move(keyspace), options);
  KIST_TRY(it->Open());
  return std::unique_ptr<DbIterator>(std::move(it));
}

}  // namespace kist
