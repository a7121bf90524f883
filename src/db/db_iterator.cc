// Stepping over versions to the visible entries. Forwards the first version that is seen decides
// for its key; backwards versions come oldest first, so the last one seen before the key changes
// decides. Chains of versions that are not seen are passed by a search after a few steps.
// Threads: one.
#include "db/db_iterator.h"

#include <algorithm>

#include "db/db_impl.h"
#include "db/skipping_iterator.h"
#include "util/coding.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr int kStepsBeforeSeek =
    8;  // versions of one key passed one by one before a search is cheaper

// The least string greater than every string with this prefix; false where there is none.
bool PrefixEnd(Slice prefix, std::string* end) {
  end->assign(prefix.data(), prefix.size());
  while (!end->empty() && static_cast<uint8_t>(end->back()) == 0xff) end->pop_back();
  if (end->empty()) return false;
  end->back() = static_cast<char>(static_cast<uint8_t>(end->back()) + 1);
  return true;
}

}  // namespace

DbIteratorImpl::DbIteratorImpl(DbImpl* db, RefPtr<KeyspaceImpl> keyspace, const IterOptions& o)
    : db_(db),
      keyspace_(std::move(keyspace)),
      explicit_snapshot_(o.snapshot != nullptr),
      fill_cache_(o.fill_cache),
      own_(RefPtr<Memtable>::Share(o.own)),
      own_limit_(o.own != nullptr ? o.own_limit : 0),
      lower_(std::max(o.lower, o.prefix)) {
  if (o.snapshot != nullptr) {
    db_->snapshots()->RegisterBeside(&kept_.emplace(db_->snapshots()), *o.snapshot);
    seq_ = o.snapshot->seq;
    time_ms_ = o.snapshot->time_ms;
  }
  has_upper_ = o.has_upper;
  if (o.has_upper) upper_.assign(o.upper.data(), o.upper.size());
  std::string end;
  if (!o.prefix.empty() && PrefixEnd(o.prefix, &end)) {
    if (!has_upper_ || end < upper_) upper_ = std::move(end);
    has_upper_ = true;
  }
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
  for (const auto& f : kv.levels[0].files()) {
    if (!in_range(*f)) continue;
    KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
    sources->push_back(Wrap(table->NewIterator(context), f->properties().largest_seq));
  }
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
  Sequence newest = 0;
  view_ = db_->AcquireView(&newest);
  if (!explicit_snapshot_) {
    seq_ = newest;
    time_ms_ = db_->clock().NowMs();
  }
  const KeyspaceVersion* kv = view_->version->Find(keyspace_->slot(), keyspace_->id());
  for (const auto& m : view_->memtables) TakeSets(*m, seq_);
  if (kv != nullptr && !empty_range_) KIST_TRY(TakeTableSets(*kv));
  if (own_) TakeSets(*own_, own_limit_);
  std::vector<std::unique_ptr<InternalIterator>> sources;
  if (!empty_range_) {
    if (own_) {
      if (auto it = own_->NewIterator(keyspace_->id())) sources.push_back(Wrap(std::move(it), 0));
    }
    for (const auto& m : view_->memtables) {
      if (auto it = m->NewIterator(keyspace_->id())) sources.push_back(Wrap(std::move(it), 0));
    }
    ReadContext context;
    context.fill_cache = fill_cache_;
    context.sink = &sink_;
    if (kv != nullptr) KIST_TRY(AddTables(*kv, context, &sources));
  }
  merged_ = NewMergingIterator(std::move(sources));
  return Status();
}

Status DbIteratorImpl::Refresh() {
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
  Status s = keyspace_->dropped()
                 ? Status::Error(Code::kMissing, "keyspace '" + keyspace_->name() + "' was dropped")
                 : Open();
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
  if (sink_.failed()) status_ = Status::Bare(Code::kNoMem);
  if (!merged_->status().ok() && !Planted(Bug::kErrorLooksLikeEnd)) status_ = merged_->status();
}

// Before each positioning call: false where nothing can be done. Lets go of what the last entry was
// kept alive by.
bool DbIteratorImpl::Ready(bool backwards) {
  if (!status_.ok()) return false;
  if (!holding_) sink_.Release();
  backwards_ = backwards;
  sink_.active = holding_ || backwards;
  if (!empty_range_) return true;
  End(backwards ? Position::kBefore : Position::kPast);
  return false;
}

bool DbIteratorImpl::Visible(Slice key, uint64_t tag, Slice value) {
  if (!tombstones_.empty() && cover_.At(key).seq > TagSequence(tag)) return false;
  switch (TagKind(tag)) {
    case EntryKind::kPut:
      value_ = value;
      return true;
    case EntryKind::kPutTtl:
      if (static_cast<int64_t>(Load64(value.data())) <= time_ms_) return false;
      value_ = value.substr(8);
      return true;
    case EntryKind::kDelete:
      break;
  }
  return false;
}

void DbIteratorImpl::SettleForward(bool skip) {
  int steps = 0;
  InternalIterator* const m = merged_.get();
  while (m->valid() && !sink_.failed()) {
    const Slice key = m->key();
    if (has_upper_ && key >= Slice(upper_)) break;
    const uint64_t tag = m->tag();
    if (skip && key == Slice(saved_)) {
      if (++steps < kStepsBeforeSeek) {
        m->Next();
      } else {
        m->Seek(saved_, 0);
        steps = 0;
      }
      continue;
    }
    if (!Sees(tag)) {
      if (++steps < kStepsBeforeSeek) {
        m->Next();
      } else {
        saved_.assign(key.data(), key.size());
        m->Seek(saved_, TagSequence(tag) > kTxnBase ? NewestTag() : SeekTag(seq_));
        steps = 0;
        skip = false;
      }
      continue;
    }
    if (Visible(key, tag, m->value())) {
      key_ = key;
      position_ = Position::kOn;
      return;
    }
    saved_.assign(key.data(), key.size());
    skip = true;
    steps = 0;
    m->Next();
  }
  End(Position::kPast);
}

void DbIteratorImpl::SettleBackward() {
  InternalIterator* const m = merged_.get();
  while (m->valid()) {
    const Slice key = m->key();
    if (BelowLower(key)) break;
    saved_.assign(key.data(), key.size());
    bool have = false;
    Slice found_key, found_value;
    uint64_t found_tag = 0;
    do {  // oldest version first
      if (Sees(m->tag())) {
        have = true;
        found_key = m->key();
        found_value = m->value();
        found_tag = m->tag();
      }
      m->Prev();
    } while (m->valid() && m->key() == Slice(saved_));
    if (!m->valid() && !m->status().ok()) break;  // a newer version may be unreadable
    if (sink_.failed()) break;                    // what was found is gone
    if (have && Visible(found_key, found_tag, found_value)) {
      key_ = found_key;
      position_ = Position::kOn;
      return;
    }
    if (!holding_) sink_.Release();  // nothing was handed out yet
  }
  End(Position::kBefore);
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

void DbIteratorImpl::Next() {
  if (position_ == Position::kPast) return;
  if (position_ != Position::kOn) return SeekToFirst();
  saved_.assign(key_.data(), key_.size());
  const bool turn = backwards_;
  if (!Ready(false)) return;
  if (turn) {
    merged_->Seek(saved_, 0);
    return SettleForward(false);
  }
  merged_->Next();
  SettleForward(true);
}

void DbIteratorImpl::Prev() {
  if (position_ == Position::kBefore) return;
  if (position_ != Position::kOn) return SeekToLast();
  const bool turn = !backwards_;
  if (turn) saved_.assign(key_.data(), key_.size());
  if (!Ready(true)) return;
  if (turn) merged_->SeekBefore(saved_, kMaxTag);
  SettleBackward();
}

Result<std::unique_ptr<DbIterator>> DbImpl::NewIterator(Keyspace* ks, const IterOptions& options) {
  if (ks->dropped())
    return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
  auto keyspace = RefPtr<KeyspaceImpl>::Share(static_cast<KeyspaceImpl*>(ks));
  auto it = std::make_unique<DbIteratorImpl>(this, std::move(keyspace), options);
  KIST_TRY(it->Open());
  return std::unique_ptr<DbIterator>(std::move(it));
}

}  // namespace kist
