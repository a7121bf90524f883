// Recovery: the log's commits back into memtables, and those into level-0 tables. What counts of
// the log and what is damage is record/chain.h's verdict; nothing on disk changes before it.
// Threads: the opener's.
#include "db/recovery.h"

#include <algorithm>

#include "db/apply.h"
#include "key/file_name.h"
#include "util/planted.h"

namespace kist {
namespace {

// A manifest that knows of no log yet is of a database that nobody has written to, or an older
// copy. What is no file tells of nothing: a repair cannot remove a directory.
Status CheckNoCommits(Vfs* vfs, const ManifestState& state, const std::string& log) {
  const Result<FileInfo> info = vfs->Stat(log);
  if (info.ok() ? !info->is_file : info.status().Is(Code::kMissing)) return Status();
  KIST_TRY_ASSIGN(const auto reader, SegmentReader::Salvage(vfs, log, SegmentType::kLog));
  if (!reader->has_link() || reader->info().database_id != state.database_id) return Status();
  SegmentReader::Record record;
  KIST_TRY_ASSIGN(const SegmentReader::Outcome outcome, reader->Next(&record));
  if (outcome != SegmentReader::Outcome::kRecord && reader->link().start_lsn <= state.last_lsn)
    return Status();
  return Status::Corrupt(log, reader->info().data_start(),
                         "tells of commits, though the manifest knows of no log");
}

}  // namespace

Status DbImpl::Recover(const ManifestState& state, Recovery* recovery) {
  KIST_TRY(CheckFiles(state));
  KIST_TRY(LoadState(state));
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs_->List(path_));
  uint64_t next = state.next_file;
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (parsed && parsed->number < kFileNumberStray && !Planted(Bug::kFileNumberReused))
      next = std::max(next, parsed->number + 1);
  }
  next_file_.store(next, std::memory_order_relaxed);
  reserve_.KeepForOpen();
  KIST_TRY(Replay(state, recovery));
  clock_.Start(vfs(), std::max(state.time_floor_ms, recovery->newest_ms));
  ChainOptions options;
  options.database_id = database_id_;
  options.first_id = state.log_number;
  options.base_lsn = state.flushed_lsn;
  // Before the flush: the reserved blocks that it cuts off may be the space that a table needs.
  Status settled = SettleChain(vfs_, options, recovery->chain);
  if (settled.Is(Code::kNoSpace) && reserve_.ReleaseMost())
    settled = SettleChain(vfs_, options, recovery->chain);
  KIST_TRY(std::move(settled));
  const std::vector<ChainSegment>& empty = recovery->chain.empty;
  RemoveLeftovers(FindLeftovers(state, recovery->outcome.edit, [&empty](uint64_t number) {
    return std::none_of(empty.begin(), empty.end(),
                        [number](const ChainSegment& s) { return s.id == number; });
  }));
  Status flushed = FlushRecovered(recovery);
  if (flushed.Is(Code::kNoSpace) && reserve_.ReleaseMost()) flushed = FlushRecovered(recovery);
  if (flushed.Is(Code::kNoSpace)) {
    Log(2, "what the log holds stays in memory until there is space for a table: " +
               flushed.ToString());
  } else {
    KIST_TRY(std::move(flushed));
  }
  return recovery->outcome.added.empty() ? Status() : vfs_->SyncDir(path_);
}

// Without those that the replay's own tables hold already: on a full disk their space is what the
// rest needs.
std::vector<DbImpl::ReplayedLog> DbImpl::ReplayedLogs(const Recovery& recovery) {
  std::vector<ReplayedLog> logs;
  for (const ChainKept& kept : recovery.chain.kept) {
    if (kept.last_lsn > recovery.flushed_lsn || &kept == &recovery.chain.kept.back())
      logs.push_back({kept.id, kept.previous_lsn, kept.last_lsn, kept.end});
  }
  return logs;
}

Status DbImpl::Replay(const ManifestState& state, Recovery* recovery) {
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs_->List(path_));
  std::vector<ChainSegment> segments;
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed || parsed->type != FileType::kLog || parsed->number < state.log_number) continue;
    segments.push_back({parsed->number, JoinPath(path_, name)});
  }
  std::sort(segments.begin(), segments.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  if (state.log_number == 0) {  // just created or repaired: there never was a log
    for (const ChainSegment& s : segments) KIST_TRY(CheckNoCommits(vfs_, state, s.path));
    recovery->chain.clean = true;
    recovery->chain.last_lsn = state.last_lsn;
    recovery->chain.next.start_lsn = state.last_lsn;
    recovery->chain.abandoned = recovery->chain.empty = segments;
    return Status();
  }
  ChainOptions options;
  options.database_id = database_id_;
  options.first_id = state.log_number;
  options.first_path = JoinPath(path_, LogFileName(state.log_number));
  options.begun_path = JoinPath(path_, LogFileName(state.newest_log));
  options.begun_id = Planted(Bug::kNewestLogNotMissed) ? 0 : state.newest_log;
  options.closed = state.closed;
  options.base_lsn = state.flushed_lsn;
  if (!options_.read_only) KIST_TRY(ClearBeforeReplay(state, segments, options));
  const auto visit = [&](const ChainSegment& segment,
                         const SegmentReader::Record& record) -> Status {
    Status s = ReplayBatch(record.data, record.lsn, record.has_time ? record.time_ms : 0, recovery);
    if (s.ok() && replayed_) return replayed_(record.raw.size());
    return s.Is(Code::kInvalid) || s.Is(Code::kLimit)
               ? Status::Corrupt(segment.path, record.offset, s.message())
               : s;
  };
  KIST_TRY_ASSIGN(recovery->chain, ReplayChain(vfs_, segments, options, visit));
  // After an unclean end no commit number seen anywhere, or told of by the manifest, is given out
  // again.
  SegmentLink& next = recovery->chain.next;
  next.start_lsn = std::max(next.start_lsn, state.last_lsn);
  counters_.recovered_records.store(recovery->chain.records, std::memory_order_relaxed);
  counters_.recovered_bytes.store(recovery->chain.bytes, std::memory_order_relaxed);
  counters_.residue_bytes.store(recovery->chain.residue_bytes, std::memory_order_relaxed);
  counters_.residue_records.store(recovery->chain.residue_records, std::memory_order_relaxed);
  if (recovery->chain.residue_bytes > 0) {
    Log(1, "dropped " + std::to_string(recovery->chain.residue_bytes) +
               " bytes that were never promised durable, from " + recovery->chain.residue_path +
               " at " + std::to_string(recovery->chain.residue_offset));
  }
  return Status();
}

// The replay may write tables. Those of one that was cut short go first, and since a damaged log
// leaves everything as it is, only once it is known to be whole.
Status DbImpl::ClearBeforeReplay(const ManifestState& state,
                                 const std::vector<ChainSegment>& segments,
                                 const ChainOptions& options) {
  const std::vector<std::string> left = FindLeftovers(state, Edit(), [](uint64_t) { return true; });
  if (left.empty()) return Status();
  KIST_TRY(
      ReplayChain(vfs_, segments, options, [](const ChainSegment&, const SegmentReader::Record&) {
        return Status();
      }).status());
  RemoveLeftovers(left);
  return Status();
}

Status DbImpl::ReplayBatch(Slice batch, Sequence seq, int64_t time_ms, Recovery* recovery) {
  BatchSummary summary;
  BatchLimits limits;  // the format's own: the options may have been lowered since
  KIST_TRY(ValidateBatch(batch, limits, true, &summary));
  recovery->newest_ms = std::max(recovery->newest_ms, time_ms);
  if (summary.has_ttl) ttl_seen_.store(true, std::memory_order_relaxed);
  const uint64_t bytes = ReserveBytes(summary);
  if (recovery->memtable && !options_.read_only && !recovery->no_space &&
      !recovery->memtable->empty() &&
      recovery->memtable->used_bytes() + bytes >
          write_buffer_bytes_.load(std::memory_order_relaxed)) {
    Status flushed = FlushRecovered(recovery);
    if (!flushed.Is(Code::kNoSpace)) KIST_TRY(std::move(flushed));
  }
  if (!recovery->memtable) {
    KIST_TRY_ASSIGN(
        Memtable * fresh,
        Memtable::New(write_buffer_bytes_.load(std::memory_order_relaxed), false, budget_.get()));
    recovery->memtable = RefPtr<Memtable>::Adopt(fresh);
  }
  KIST_TRY(
      recovery->memtable->Reserve(summary.count, bytes, summary.one_keyspace ? 1 : summary.count));
  recovery->last_seq = seq;
  if (Planted(Bug::kReplayedTtlFromZero)) time_ms = 0;
  if (Planted(Bug::kBatchHalfReplayed) && summary.count > 1 && summary.keyspace_ops == 0) {
    BatchWalker walker(batch);
    Op op;
    for (uint32_t i = 0; i < summary.count / 2 && walker.Next(&op); ++i)
      ApplyOp(recovery->memtable.get(), op, seq, time_ms);
    return Status();
  }
  if (summary.keyspace_ops == 0) {
    ApplyBatch(recovery->memtable.get(), batch, seq, time_ms);
    return Status();
  }
  BatchWalker walker(batch);
  for (Op op; walker.Next(&op);) {
    if (op.kind == OpKind::kCreateKeyspace) {
      KIST_TRY_ASSIGN(KeyspaceOptions options, DecodeKeyspaceOptions(op.value));
      if (registry_.Contains(op.keyspace) || recovery->Dropped(op.keyspace))
        return Status::Invalid("keyspace " + std::to_string(op.keyspace) + " is created twice");
      registry_.Add(op.keyspace, std::string(op.key), options);
      next_keyspace_ = std::max(next_keyspace_, op.keyspace + 1);
      recovery->created.push_back({op.keyspace, seq, std::string(op.key), std::string(op.value)});
    } else if (op.kind == OpKind::kDropKeyspace) {
      if (Planted(Bug::kKeyspaceResurrected)) continue;
      auto ks = op.keyspace == 0 ? RefPtr<KeyspaceImpl>() : registry_.Find(op.keyspace);
      if (!ks) {
        return Status::Invalid("keyspace " + std::to_string(op.keyspace) +
                               " is dropped but does not exist");
      }
      registry_.Remove(op.keyspace);
      recovery->dropped.push_back(op.keyspace);
      recovery->freed_slots.push_back(ks->slot());
    } else {
      ApplyOp(recovery->memtable.get(), op, seq, time_ms);
    }
  }
  return Status();
}

// kNoSpace leaves everything as it was, to be tried again.
Status DbImpl::FlushRecovered(Recovery* recovery) {
  if (!recovery->memtable) return Status();
  // No snapshot outlives a process: only the newest version of each key is needed.
  Visibility visibility;
  visibility.newest = kMaxSequence;
  visibility.ttl_time_ms = recovery->newest_ms;
  Outcome made;
  Status s = FlushKeyspaces({recovery->memtable.get()}, visibility, &made);
  recovery->no_space = s.Is(Code::kNoSpace);
  KIST_TRY(std::move(s));
  Outcome& outcome = recovery->outcome;
  const auto append = [](auto* to, auto* from) {
    to->insert(to->end(), std::make_move_iterator(from->begin()),
               std::make_move_iterator(from->end()));
    from->clear();
  };
  append(&outcome.added, &made.added);
  append(&outcome.edit.added, &made.edit.added);
  append(&outcome.edit.keyspaces, &recovery->created);
  append(&outcome.edit.dropped, &recovery->dropped);
  recovery->freed_slots.clear();
  recovery->flushed_lsn = recovery->last_seq;
  recovery->memtable = RefPtr<Memtable>();
  return Status();
}

}  // namespace kist
