// A transaction's writes, reads and commit. The batch is the truth of what is written; the
// memtable only makes it readable, and is made anew where a rollback shortens the batch.
// Threads: one.
#include "db/txn.h"

#include <algorithm>

#include "db/apply.h"
#include "db/db_impl.h"
#include "db/txn_iterator.h"

namespace kist {
namespace {

constexpr size_t kTxnArenaBytes = size_t{64} << 10;
constexpr size_t kKeyBytes = 64;  // about what a set keeps beside a key
constexpr size_t kChargeStep = size_t{64} << 10;
// What an operation takes beside its bytes: its header in the batch, its entry, its share of a
// node.
constexpr size_t kOpBytes = 128;

Status Dropped(const Keyspace& ks) {
  return Status::Error(Code::kMissing, "keyspace '" + ks.name() + "' was dropped");
}

}  // namespace

size_t TxnFootprint::Position(KeyspaceImpl* ks) {
  for (size_t i = 0; i < keyspaces.size(); ++i) {
    if (keyspaces[i].get() == ks) return i;
  }
  keys.reserve(keys.size() + 1);  // both grow, or neither
  keyspaces.push_back(RefPtr<KeyspaceImpl>::Share(ks));
  keys.emplace_back();
  return keyspaces.size() - 1;
}

const KeyspaceImpl* TxnFootprint::Find(uint32_t id) const {
  for (const auto& ks : keyspaces) {
    if (ks->id() == id) return ks.get();
  }
  return nullptr;
}

bool TxnFootprint::Read(size_t position) const {
  return !keys[position].empty() ||
         std::any_of(ranges.begin(), ranges.end(),
                     [&](const KeyRange& r) { return r.keyspace == position; });
}

void TxnFootprint::AddKey(KeyspaceImpl* ks, Slice key) {
  if (keys[Position(ks)].emplace(key).second) bytes += key.size() + kKeyBytes;
}

void TxnFootprint::AddRange(KeyspaceImpl* ks, Slice low, Slice high, bool to_last) {
  if (!to_last && low >= high) return;
  KeyRange r;
  r.keyspace = static_cast<uint32_t>(Position(ks));
  r.low.assign(low.data(), low.size());
  r.high.assign(high.data(), high.size());
  r.to_last = to_last;
  ranges.push_back(std::move(r));
  bytes += low.size() + high.size() + sizeof(KeyRange);
}

void TxnFootprint::MergeRanges() {
  std::sort(ranges.begin(), ranges.end(), [](const KeyRange& a, const KeyRange& b) {
    return a.keyspace != b.keyspace ? a.keyspace < b.keyspace : a.low < b.low;
  });
  size_t kept = 0;
  for (size_t i = 1; i < ranges.size(); ++i) {
    KeyRange& last = ranges[kept];
    KeyRange& r = ranges[i];
    if (r.keyspace == last.keyspace && (last.to_last || r.low <= last.high)) {
      last.to_last |= r.to_last;
      if (r.high > last.high) last.high.swap(r.high);
    } else if (++kept != i) {
      ranges[kept] = std::move(r);
    }
  }
  if (!ranges.empty()) ranges.resize(kept + 1);
}

TxnImpl::TxnImpl(DbImpl* db, std::unique_ptr<Snapshot> snapshot, bool serializable)
    : db_(db),
      snapshot_(std::move(snapshot)),
      serializable_(serializable),
      charge_(db->budget(), MemoryBudget::kTransactions, sizeof *this) {}

TxnImpl::~TxnImpl() {
  if (memtable_) memtable_->CountAs(MemoryBudget::kOldMemtables);
  for (TxnIterator* it : iterators_) it->Detach();
}

Status TxnImpl::Charge(size_t more) {
  const size_t need = memory_bytes() + more;
  if (need <= admitted_) return Status();
  const size_t ahead = need + std::min(need, kChargeStep);
  KIST_TRY(db_->AdmitHeld(ahead - admitted_));
  admitted_ = ahead;
  charge_.Set(ahead - counted_apart());
  return Status();
}

Status TxnImpl::Apply(const Op& op, uint32_t index, RefPtr<Memtable>* memtable) {
  if (!*memtable) {
    KIST_TRY_ASSIGN(Memtable * fresh, Memtable::New(kTxnArenaBytes, false, db_->budget()));
    fresh->CountAs(MemoryBudget::kTransactions);
    *memtable = RefPtr<Memtable>::Adopt(fresh);
  }
  KIST_TRY((*memtable)->Reserve(1, op.key.size() + op.value.size() + 8, 1));
  ApplyOp(memtable->get(), op, kTxnBase + index, snapshot_->time_ms);
  return Status();
}

TxnImpl::Mark TxnImpl::Here() const {
  return {batch_.data().size(), batch_.count(), static_cast<uint32_t>(written_keyspaces_.size())};
}

void TxnImpl::BackTo(const Mark& mark) {
  batch_.TruncateTo(mark.bytes, mark.count);
  written_keyspaces_.resize(mark.keyspaces);
}

Status TxnImpl::Write(OpKind kind, Keyspace* ks, Slice key, Slice value, int64_t ttl_ms) {
  if (ended_) return Status::Bare(Code::kMisuse);
  if (ks->dropped()) return Dropped(*ks);
  auto* impl = static_cast<KeyspaceImpl*>(ks);
  // Once in the batch, once in the memtable.
  KIST_TRY(Charge(2 * (key.size() + value.size()) + kOpBytes));
  if (kind == OpKind::kPut && ttl_ms == 0 && impl->default_ttl_ms() != 0)
    ttl_ms = impl->default_ttl_ms();
  Op op;
  op.kind = kind;
  op.has_ttl = ttl_ms != 0;
  op.ttl_ms = ttl_ms;
  op.keyspace = ks->id();
  op.key = key;
  op.value = value;
  const Mark before = Here();
  if (std::none_of(written_keyspaces_.begin(), written_keyspaces_.end(),
                   [&](const auto& k) { return k.get() == impl; })) {
    written_keyspaces_.push_back(RefPtr<KeyspaceImpl>::Share(impl));
  }
  Status s = kind == OpKind::kPut      ? batch_.Put(op.keyspace, key, value, ttl_ms)
             : kind == OpKind::kDelete ? batch_.Delete(op.keyspace, key)
                                       : batch_.DeleteRange(op.keyspace, key, value);
  if (s.ok()) s = Apply(op, batch_.count(), &memtable_);
  if (!s.ok()) BackTo(before);
  return s;
}

Status TxnImpl::Put(Keyspace* ks, Slice key, Slice value, int64_t ttl_ms) {
  return Write(OpKind::kPut, ks, key, value, ttl_ms);
}
Status TxnImpl::Delete(Keyspace* ks, Slice key) {
  return Write(OpKind::kDelete, ks, key, Slice(), 0);
}
Status TxnImpl::DeleteRange(Keyspace* ks, Slice begin, Slice end) {
  if (!end.empty() && begin == end) return Status();
  return Write(OpKind::kDeleteRange, ks, begin, end, 0);
}

Status TxnImpl::Savepoint() {
  if (ended_) return Status::Bare(Code::kMisuse);
  if (savepoints_.size() == savepoints_.capacity())  // it doubles
    KIST_TRY(Charge((savepoints_.capacity() + 1) * sizeof(Mark)));
  savepoints_.push_back(Here());
  return Status();
}

Status TxnImpl::RollbackTo() {
  if (ended_) return Status::Bare(Code::kMisuse);
  if (savepoints_.empty()) return Status::Error(Code::kMisuse, "the transaction has no savepoint");
  const Mark mark = savepoints_.back();
  if (mark.count < batch_.count()) {
    // The memtable first: should memory run out, nothing has been undone. Both count meanwhile, but
    // the budget does not refuse what gives memory back.
    RefPtr<Memtable> fresh;
    BatchWalker walker(batch_.data());
    Op op;
    for (uint32_t i = 1; i <= mark.count && walker.Next(&op); ++i) KIST_TRY(Apply(op, i, &fresh));
    memtable_->CountAs(MemoryBudget::kOldMemtables);
    memtable_ = std::move(fresh);
    BackTo(mark);
    admitted_ = memory_bytes();
    charge_.Set(admitted_ - counted_apart());
  }
  savepoints_.pop_back();
  return Status();
}

Status TxnImpl::Get(Keyspace* ks, Slice key, bool for_update, bool fill_cache, ReadFound* found) {
  if (ended_) return Status::Bare(Code::kMisuse);
  if (ks->dropped()) return Dropped(*ks);
  if (serializable_ || for_update) {
    footprint_.AddKey(static_cast<KeyspaceImpl*>(ks), key);
    KIST_TRY(Charge(0));
  }
  if (memtable_) {
    Memtable::Found own;
    const bool have = memtable_->Get(ks->id(), key, Limit(), &own);
    const Sequence covering = memtable_->MaxCovering(ks->id(), key, Limit());
    if (have || covering != 0) {
      *found = ReadFound();
      if (have) {
        ResolveFound(own.tag, own.value, covering, snapshot_->time_ms, found);
        found->memtable = memtable_.get();
      }
      return Status();
    }
  }
  return db_->Get(ks, snapshot_.get(), key, fill_cache, found);
}

Result<std::unique_ptr<DbIterator>> TxnImpl::NewIterator(Keyspace* ks, const IterOptions& options) {
  if (ended_) return Status::Bare(Code::kMisuse);
  if (ks->dropped()) return Dropped(*ks);
  auto it = std::make_unique<TxnIterator>(
      this, RefPtr<KeyspaceImpl>::Share(static_cast<KeyspaceImpl*>(ks)), options);
  KIST_TRY(it->Open());
  return std::unique_ptr<DbIterator>(std::move(it));
}

Status TxnImpl::Commit(Durability durability, Sequence* seq) {
  if (ended_) return Status::Error(Code::kMisuse, "the transaction was committed before");
  for (TxnIterator* it : iterators_) it->Report();
  ended_ = true;
  if (batch_.count() == 0) {
    if (seq != nullptr) *seq = db_->last_seq();
    return Status();
  }
  TxnFootprint& footprint = footprint_;
  for (const auto& ks : written_keyspaces_) {
    if (ks->dropped()) return Dropped(*ks);
    footprint.Position(ks.get());
  }
  footprint.since = snapshot_->seq;
  footprint.batch = batch_.data();
  footprint.written = memtable_.get();
  footprint.MergeRanges();
  // Most conflicts are old news: they are found here, without holding up other writers. What was
  // looked at need not be looked at again.
  Sequence looked_at = footprint.since;
  KIST_TRY(db_->CheckFootprint(footprint, &looked_at));
  footprint.since = looked_at;
  WriteRequest request;
  request.footprint = &footprint;
  request.durability = durability;
  request.batch = batch_.mutable_data();
  request.batch_bytes = batch_.data().size();
  request.has_headroom = true;
  request.summary = batch_.summary();
  Status s = db_->Write(&request, seq);
  // The batch is well formed: a keyspace that it names has been dropped meanwhile.
  return s.Is(Code::kInvalid) ? s.WithCode(Code::kMissing) : std::move(s);
}

size_t TxnImpl::memory_bytes() const {
  return sizeof *this + batch_.memory_bytes() + footprint_.bytes +
         savepoints_.capacity() * sizeof(Mark) + (memtable_ ? memtable_->memory_bytes() : 0);
}

Result<std::unique_ptr<Txn>> DbImpl::NewTxn(bool serializable) {
  KIST_TRY(AdmitHeld(sizeof(TxnImpl)));
  KIST_TRY_ASSIGN(std::unique_ptr<Snapshot> snapshot, NewSnapshot());
  return std::unique_ptr<Txn>(std::make_unique<TxnImpl>(this, std::move(snapshot), serializable));
}

}  // namespace kist
