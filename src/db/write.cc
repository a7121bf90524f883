// The write path: a writer builds its record and the record's checksum alone, joins the queue,
// and either leads a group through log, sync, memtable and publication, or is told the outcome by
// the one who does.
// Threads: any; LeadGroup and below by the token holder.
#include <snappy.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <thread>

#include "db/apply.h"
#include "db/db_impl.h"
#include "db/txn.h"
#include "iter/range_tombstones.h"
#include "key/file_name.h"
#include "util/check.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kGroupBytesMax = uint64_t{1} << 20;  // beyond the leader's own
constexpr size_t kGroupRangesMax = 64;  // of a transaction that joins another's group
constexpr size_t kPadBytes = 8;         // behind a record's data, for its padding
constexpr size_t kStackBytes = 4608;    // a record of a 4 KiB value
constexpr uint64_t kCompressFrom = 128;
constexpr int kRelaxes = 50;      // between two looks for company
constexpr int kFreeingTries = 8;  // of a delete on a full disk

uint64_t Since(Vfs* vfs, uint64_t start_us) { return vfs->MonotonicUs() - start_us; }

// Whether a commit only takes away, so that it may use the space kept back for that.
bool Frees(Slice batch) {
  BatchWalker walker(batch);
  for (Op op; walker.Next(&op);) {
    if (op.kind == OpKind::kPut || op.kind == OpKind::kCreateKeyspace) return false;
  }
  return true;
}

}  // namespace

struct DbImpl::GroupWriter {
  WriteQueue::Waiter waiter;
  Durability durability = Durability::kDefault;
  Slice batch;     // packed and normalised; what is applied
  Slice only_key;  // where the batch is one put or delete
  bool has_only_key = false;
  const TxnFootprint* footprint = nullptr;  // a transaction's
  uint64_t drops = 0;  // of keyspaces, before it was seen that its own are there
  BatchSummary summary;
  PreparedRecord record;  // the batch, perhaps compressed
  Sequence seq = 0;
  Status refused;              // not ok where it alone fails, and is not in the group
  bool freeing = false;        // committed apart, on a full disk
  bool batched = true;         // a batch or transaction
  OpKind kind = OpKind::kPut;  // of a single operation
};

// One put, delete or range delete: the record is built on the stack, or in a pooled buffer where it
// is large.
Status DbImpl::WriteSmall(Keyspace* ks, Durability durability, OpKind kind, Slice key, Slice value,
                          int64_t ttl_ms, Sequence* seq) {
  const uint64_t drops = registry_.drops();
  if (ks->dropped())
    return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  const bool ttl = ttl_ms != 0;
  const size_t bytes =
      kBatchHeaderBytes + kOpHeaderBytes + (ttl ? 8 : 0) + key.size() + value.size();
  const size_t need = kRecordHeaderMax + bytes + kPadBytes;
  alignas(8) char stack[kStackBytes];
  BufferPool::Lease lease;
  char* data = stack;
  if (need > sizeof stack) {
    lease = buffers_.Take(need);
    if (lease.bytes == 0) return Status::Bare(Code::kNoMem);
    data = lease.data();
  }
  data += kRecordHeaderMax;
  char* p = data;
  std::memcpy(p, "KWB\1", 4);
  Store32(p + 4, 1);
  p += kBatchHeaderBytes;
  p[0] = static_cast<char>(kind);
  p[1] = ttl ? static_cast<char>(kOpTtl) : 0;
  Store16(p + 2, 0);
  Store32(p + 4, ks->id());
  Store32(p + 8, static_cast<uint32_t>(key.size()));
  Store32(p + 12, static_cast<uint32_t>(value.size()));
  p += kOpHeaderBytes;
  if (ttl) {
    Store64(p, static_cast<uint64_t>(ttl_ms));
    p += 8;
  }
  if (!key.empty()) std::memcpy(p, key.data(), key.size());
  if (!value.empty()) std::memcpy(p + key.size(), value.data(), value.size());

  GroupWriter w;
  w.durability = durability;
  w.drops = drops;
  w.batch = Slice(data, bytes);
  w.only_key = key;
  w.has_only_key = kind != OpKind::kDeleteRange;
  w.batched = false;
  w.kind = kind;
  w.summary.count = 1;
  w.summary.range_deletes = kind == OpKind::kDeleteRange ? 1 : 0;
  w.summary.key_bytes = key.size() + (kind == OpKind::kDeleteRange ? value.size() : 0);
  w.summary.value_bytes = kind == OpKind::kPut ? value.size() : 0;
  w.summary.first_keyspace = ks->id();
  w.summary.has_ttl = ttl;
  w.record.data = data;
  w.record.data_bytes = static_cast<uint32_t>(bytes);
  Status s = Commit(&w);
  if (seq != nullptr) *seq = w.seq;
  if (lease.bytes != 0) buffers_.Give(std::move(lease));
  return s;
}

Status DbImpl::Put(Keyspace* ks, Durability durability, Slice key, Slice value, int64_t ttl_ms,
                   Sequence* seq) {
  // "Never" is said where there is a default: who writes the feed's operations to another database
  // would get the default there.
  const int64_t otherwise = static_cast<KeyspaceImpl*>(ks)->default_ttl_ms();
  if (ttl_ms == 0 || (ttl_ms == kTtlNever && otherwise == 0)) ttl_ms = otherwise;
  return WriteSmall(ks, durability, OpKind::kPut, key, value, ttl_ms, seq);
}

Status DbImpl::Delete(Keyspace* ks, Durability durability, Slice key, Sequence* seq) {
  return WriteSmall(ks, durability, OpKind::kDelete, key, Slice(), 0, seq);
}

// No commit; but those before it are as safe as behind any other write of that durability.
Status DbImpl::WriteNothing(Durability durability, Sequence* seq) {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  const Sequence last = last_seq();
  if (seq != nullptr) *seq = last;
  if (durability == Durability::kBuffered) return Status();
  bool sync = false, buffered = false;
  {
    WriteQueue::Token token(&queue_);
    sync = WantsSync(durability, 0);
    buffered = durability == Durability::kDefault && options_.write_back;
  }
  if (buffered) return Status();
  if (!sync) return DrainBuffered();
  return durable_seq() < last ? Sync() : Status();
}

Status DbImpl::DeleteRange(Keyspace* ks, Durability durability, Slice begin, Slice end,
                           Sequence* seq) {
  if (!end.empty() && begin == end && !ks->dropped()) return WriteNothing(durability, seq);
  return WriteSmall(ks, durability, OpKind::kDeleteRange, begin, end, 0, seq);
}

// Makes explicit what depends on more than the op itself: the keyspace's default TTL, and range
// deletes that cover earlier ops of the same batch (all ops of a commit share one sequence number,
// and a range tombstone hides only older ones).
Status DbImpl::Normalize(Slice batch, const BatchSummary& summary, BatchBuilder* out,
                         bool* changed) {
  *changed = false;
  const bool ranges = summary.range_deletes > 0 && summary.count > 1;
  if (!ranges && !registry_.any_default_ttl()) return Status();
  // By keyspace, with an op's position as its sequence.
  std::map<uint32_t, std::vector<RangeTombstone>> range_deletes;
  std::map<uint32_t, std::shared_ptr<const RangeTombstoneSet>> sets;
  Op op;
  Sequence i = 0;
  for (BatchWalker walker(batch); ranges && walker.Next(&op); ++i) {
    if (op.kind == OpKind::kDeleteRange)
      range_deletes[op.keyspace].push_back({op.key, op.value, i});
  }
  for (auto& [id, tombstones] : range_deletes)
    sets[id] = RangeTombstoneSet::Build(std::move(tombstones));
  i = 0;
  for (BatchWalker walker(batch); walker.Next(&op); ++i) {
    const auto set =
        ranges && op.kind != OpKind::kDeleteRange ? sets.find(op.keyspace) : sets.end();
    const bool covered = set != sets.end() && set->second->MaxCovering(op.key, kMaxSequence) > i;
    if (covered && !Planted(Bug::kBatchOrderLost)) continue;
    if (op.kind == OpKind::kDelete) {
      KIST_TRY(out->Delete(op.keyspace, op.key));
    } else if (op.kind == OpKind::kDeleteRange) {
      KIST_TRY(out->DeleteRange(op.keyspace, op.key, op.value));
    } else {
      int64_t ttl = op.has_ttl ? op.ttl_ms : 0;
      if (!op.has_ttl) {
        if (auto ks = registry_.Find(op.keyspace)) ttl = ks->default_ttl_ms();
      }
      KIST_TRY(out->Put(op.keyspace, op.key, op.value, ttl));
    }
  }
  *changed = true;
  return Status();
}

Status DbImpl::Write(WriteRequest* request, Sequence* seq) {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  GroupWriter w;
  w.durability = request->durability;
  w.batch = Slice(request->batch, request->batch_bytes);
  w.summary = request->summary;
  w.footprint = request->footprint;
  w.drops = registry_.drops();
  if (w.summary.count == 0) return WriteNothing(request->durability, seq);
  if (w.summary.keyspace_ops == 0) KIST_TRY(CheckKeyspaces(w.batch, w.summary));
  BatchBuilder normal(kRecordHeaderMax);
  bool changed = false;
  if (w.summary.keyspace_ops == 0) KIST_TRY(Normalize(w.batch, w.summary, &normal, &changed));
  BufferPool::Lease lease;
  if (changed) {
    w.batch = normal.data();
    w.summary = normal.summary();
    w.record.data = normal.mutable_data();
  } else if (request->has_headroom) {
    w.record.data = request->batch;
  } else {
    lease = buffers_.Take(kRecordHeaderMax + w.batch.size() + kPadBytes);
    if (lease.bytes == 0) return Status::Bare(Code::kNoMem);
    std::memcpy(lease.data() + kRecordHeaderMax, w.batch.data(), w.batch.size());
    w.record.data = lease.data() + kRecordHeaderMax;
    w.batch = Slice(w.record.data, w.batch.size());
  }
  w.record.data_bytes = static_cast<uint32_t>(w.batch.size());
  Status s = Commit(&w);
  if (seq != nullptr) *seq = w.seq;
  if (lease.bytes != 0) buffers_.Give(std::move(lease));
  return s;
}

// Compresses where asked, checksums, queues.
Status DbImpl::Commit(GroupWriter* w) {
  BufferPool::Lease packed;
  if (options_.wal_compression != Compression::kNone && w->record.data_bytes >= kCompressFrom) {
    packed = buffers_.Take(kRecordHeaderMax + snappy::MaxCompressedLength(w->record.data_bytes) +
                           kPadBytes);
    if (packed.bytes != 0) {
      size_t n = 0;
      snappy::RawCompress(w->record.data, w->record.data_bytes, packed.data() + kRecordHeaderMax,
                          &n);
      const bool pays =
          options_.wal_compression == Compression::kSnappy || n + n / 7 < w->record.data_bytes;
      if (pays && n < w->record.data_bytes) {
        w->record.data = packed.data() + kRecordHeaderMax;
        w->record.data_bytes = static_cast<uint32_t>(n);
        w->record.flags |= kRecordSnappy;
      }
    }
  }
  w->record.data_crc = crc32c::Value(w->record.data, w->record.data_bytes);
  w->waiter.request = w;
  w->waiter.sleeps = WantsSync(w->durability, 1);
  if (queue_.Join(&w->waiter)) {
    if (w->waiter.sleeps) AwaitCompany();
    WriteQueue::Waiter* followers = LeadGroup(w);
    queue_.Leave();
    // The next group is on its way while these are woken.
    while (followers != nullptr) {
      WriteQueue::Waiter* next = followers->next;
      queue_.Complete(followers);
      followers = next;
    }
  }
  if (packed.bytes != 0) buffers_.Give(std::move(packed));
  return std::move(w->waiter.status);
}

void DbImpl::AwaitCompany() {
  const size_t wanted = pace_.Wanted();
  if (wanted <= 1) return;
  const bool yields = pace_.Yields();
  const uint64_t end = vfs_->MonotonicUs() + pace_.LongestWaitUs();
  uint64_t longest = 0;
  bool all = false;
  for (uint64_t now = 0; !(all = queue_.Waiting() + 1 >= wanted) && now < end;) {
    const uint64_t before = vfs_->MonotonicUs();
    if (yields) {
      std::this_thread::yield();
    } else {
      for (int i = 0; i < kRelaxes; ++i) CpuRelax();
    }
    now = vfs_->MonotonicUs();
    longest = std::max(longest, now - before);
  }
  if (yields) pace_.Yielded(longest);
  pace_.Waited(all);
}

// Returns the followers, with their outcome, to be completed.
WriteQueue::Waiter* DbImpl::LeadGroup(GroupWriter* leader) {
  GroupWriter* group[kGroupMax];
  size_t count = 1;
  uint64_t bytes = 0;
  group[0] = leader;
  WriteQueue::Waiter* followers = queue_.TakeGroup([&](void* request) {
    if (request == nullptr || count == kGroupMax) return false;
    auto* w = static_cast<GroupWriter*>(request);
    // What comes and goes changes what the others may name: it commits apart.
    if (w->summary.keyspace_ops + leader->summary.keyspace_ops != 0) return false;
    if (w->footprint != nullptr && w->footprint->ranges.size() > kGroupRangesMax) return false;
    bytes += w->record.data_bytes;
    if (bytes > kGroupBytesMax) return false;
    group[count++] = w;
    return true;
  });
  Status s = TryCommit(group, count);
  Status freed;
  if (__builtin_expect(s.Is(Code::kNoSpace), 0)) freed = CommitFreeing(leader, followers);
  const auto outcome = [&](GroupWriter* w) {
    return !w->refused.ok() ? std::move(w->refused) : w->freeing ? freed : s;
  };
  leader->waiter.status = outcome(leader);
  for (WriteQueue::Waiter* f = followers; f != nullptr; f = f->next) {
    f->status = outcome(static_cast<GroupWriter*>(f->request));
    if (Planted(Bug::kFollowersToldOk)) f->status = Status();
  }
  return followers;
}

// The disk is full: the deletes of a group once more, in the space kept back for them.
Status DbImpl::CommitFreeing(GroupWriter* leader, WriteQueue::Waiter* followers) {
  GroupWriter* group[kGroupMax];
  size_t count = 0;
  const auto take = [&](GroupWriter* w) {
    w->freeing = w->refused.ok() && Frees(w->batch);
    if (w->freeing) group[count++] = w;
  };
  take(leader);
  for (WriteQueue::Waiter* f = followers; f != nullptr; f = f->next)
    take(static_cast<GroupWriter*>(f->request));
  if (count == 0) return Status();
  const SpaceReserve::Loan loan(&reserve_);
  Status s;
  for (int tries = 0; tries < kFreeingTries; ++tries) {
    const bool busy = BackgroundBusy(false);
    s = TryCommit(group, count);
    // One that is about to fail holds what was kept back, and gives it up again.
    if (!s.Is(Code::kNoSpace) || !(BackgroundBusy(true) || busy)) break;
  }
  return s;
}

Status DbImpl::TryCommit(GroupWriter** group, size_t count) {
  appended_ = false;
  try {
    return CommitGroup(group, count);
  } catch (const std::bad_alloc&) {
    // Once it is in the log its fate is in doubt, which KIST_E_NOMEM would deny.
    if (!appended_) return Status::Bare(Code::kNoMem);
    return Poison(Status::Bare(Code::kIo), "memory ran out between log and memtable");
  }
}

bool DbImpl::WantsSync(Durability durability, uint64_t commits) {
  if (durability == Durability::kSync) return true;
  if (durability != Durability::kDefault || options_.write_back) return false;
  const SyncPolicy& p = options_.sync;
  if (p.kind == SyncPolicy::Kind::kEveryWrite) return true;
  if (p.kind == SyncPolicy::Kind::kEveryN || p.kind == SyncPolicy::Kind::kHybrid)
    return commits >= p.commits;
  return false;
}

// A transaction conflicts with what was committed since it began, and with those before it in its
// group, of which the memtable does not know yet. Who conflicts leaves the group, and whose
// keyspace was dropped while it waited.
void DbImpl::RefuseSome(GroupWriter** group, size_t* count) {
  size_t kept = 0;
  const uint64_t drops = registry_.drops();
  for (size_t i = 0; i < *count; ++i) {
    GroupWriter* w = group[i];
    if (__builtin_expect(w->drops != drops && w->summary.keyspace_ops == 0, 0)) {
      w->refused = CheckKeyspaces(w->batch, w->summary);
      if (!w->refused.ok() && !w->batched) w->refused = w->refused.WithCode(Code::kMissing);
      if (!w->refused.ok()) continue;
    }
    if (w->footprint != nullptr) {
      w->refused = CheckFootprint(*w->footprint);
      const size_t before = Planted(Bug::kGroupConflictMissed) ? 0 : kept;
      for (size_t j = 0; j < before && w->refused.ok(); ++j)
        w->refused = CheckAgainst(*w->footprint, group[j]->batch);
      if (!w->refused.ok()) continue;
    }
    group[kept++] = w;
  }
  *count = kept;
}

Status DbImpl::MakeRoomFor(GroupWriter* const* group, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += ReserveBytes(group[i]->summary);
  bool frees = false;
  if (__builtin_expect(reserve_.low(), 0)) KIST_TRY(CheckSpace(group, count, &frees));
  return MakeRoom(bytes, frees);
}

// The place of a single entry is found before the log is written, so that what it reads of memory
// arrives meanwhile.
inline void DbImpl::ExpectEntry(GroupWriter** group, size_t count) {
  if (count == 1 && group[0]->has_only_key) {
    memtable_->Expect(group[0]->summary.first_keyspace, group[0]->only_key, last_lsn_ + 1);
  } else {
    memtable_->Forget();
  }
}

Status DbImpl::CommitGroup(GroupWriter** group, size_t count) {
  if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
  if (closing_.load(std::memory_order_acquire)) return Status::Bare(Code::kClosed);
  KIST_TRY(MakeRoomFor(group, count));
  RefuseSome(group, &count);
  if (count == 0) return Status();
  uint64_t bytes = 0;
  size_t entries = 0, keyspaces = 0;
  bool sync = false, buffered = true, ttl_or_time = options_.wal_timestamps;
  for (size_t i = 0; i < count; ++i) {
    GroupWriter* w = group[i];
    bytes += ReserveBytes(w->summary);
    entries += w->summary.count;
    keyspaces += w->summary.one_keyspace ? 1 : w->summary.count;
    sync |=
        WantsSync(w->durability, last_lsn_ + count - durable_seq_.load(std::memory_order_relaxed));
    buffered &= w->durability == Durability::kBuffered ||
                (w->durability == Durability::kDefault && options_.write_back);
    ttl_or_time |= w->summary.has_ttl;
  }
  KIST_TRY(memtable_->Reserve(entries, bytes, keyspaces));
  if (buffered && log_->size() - log_->flushed_size() + bytes > options_.write_back_size)
    buffered = false;

  const int64_t now = ttl_or_time ? clock_.NowMs() : 0;
  PreparedRecord* const records = records_;  // constructing them anew would cost more than the rest
  for (size_t i = 0; i < count; ++i) {
    records[i] = group[i]->record;
    records[i].lsn = last_lsn_ + 1 + i;
    if (ttl_or_time) {
      records[i].flags |= kRecordTime;
      records[i].time_ms = now;
    }
  }
  ExpectEntry(group, count);
  const uint64_t log_before = log_->size();
  const Sequence durable =
      Planted(Bug::kWatermarkTooHigh) ? last_lsn_ : durable_seq_.load(std::memory_order_relaxed);
  Status s = log_->Append(records, count, durable, buffered);
  if (!s.ok()) return log_->broken() ? Poison(s, "appending to the log") : s;
  appended_ = true;
  last_lsn_ += count;
  if (sync && !Planted(Bug::kAcknowledgeBeforeSync)) {
    const uint64_t start = vfs_->MonotonicUs();
    Status synced = SyncLog();
    pace_.Synced(count, queue_.Waiting(), Since(vfs_, start));
    if (!synced.ok() && Planted(Bug::kFailedCommitVisible)) {
      ApplyBatch(memtable_, group[0]->batch, records[0].lsn, now);
      visible_seq_.store(last_lsn_, std::memory_order_release);
    }
    // Poisoned by somebody else meanwhile: this group is in the log, so its fate is in doubt too.
    if (!synced.ok()) return synced.Is(Code::kPoisoned) ? synced.WithCode(Code::kIo) : synced;
  } else if (buffered || log_timer_) {
    NoteUnsynced();
  }
  for (size_t i = 0; i < count; ++i) {
    GroupWriter* w = group[i];
    w->seq = records[i].lsn;
    ApplyBatch(memtable_, w->batch, w->seq, now);
    if (w->summary.keyspace_ops != 0) ApplyKeyspaceOps(w->batch, w->seq);
  }
  visible_seq_.store(last_lsn_, std::memory_order_release);
  if (feed_waiters_.load(std::memory_order_relaxed) != 0) {  // one that this look misses polls
    MutexLock lock(&feed_mutex_);
    feed_cond_.SignalAll();
  }
  CountGroup(group, count, bytes, log_->size() - log_before);
  return Status();
}

// On a disk that was full: only deletes are taken until the reserve is whole again.
Status DbImpl::CheckSpace(GroupWriter* const* group, size_t count, bool* frees) {
  *frees = std::all_of(group, group + count, [](const GroupWriter* w) { return Frees(w->batch); });
  if (*frees) return Status();
  CollectDead();  // takes the reserve back where there is space
  if (!reserve_.low()) return Status();
  return Status::Error(
      Code::kNoSpace,
      path_ + ": the disk is full; nothing but deletes is taken until there is space");
}

// The token holder is the only one to change these, so they need no atomic addition.
void DbImpl::CountGroup(GroupWriter** group, size_t count, uint64_t bytes, uint64_t log_bytes) {
  const auto add = [](std::atomic<uint64_t>& c, uint64_t n) {
    c.store(c.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  uint64_t entries = 0;
  for (size_t i = 0; i < count; ++i) {
    const GroupWriter& w = *group[i];
    entries += w.summary.count;
    if (w.summary.has_ttl) ttl_seen_.store(true, std::memory_order_relaxed);
    add(w.batched                   ? counters_.batches
        : w.kind == OpKind::kPut    ? counters_.puts
        : w.kind == OpKind::kDelete ? counters_.deletes
                                    : counters_.range_deletes,
        1);
  }
  add(counters_.commits, count);
  add(counters_.groups, 1);
  add(counters_.entries_written, entries);
  add(counters_.bytes_written, bytes);
  add(counters_.wal_bytes, log_bytes);
}

}  // namespace kist
