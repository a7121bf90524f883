// Repair of the log: which segments count and how far, then record by record into memtables and
// from those into sound tables. A damaged record costs itself alone.
// Threads: one a repair.
#include "db/apply.h"
#include "db/repairer.h"

namespace kist {
namespace {

constexpr size_t kMemtableBytes = size_t{32} << 20;

}  // namespace

// Those that may hold commits which are in no table, and where each of them ends, as far as a later
// one says. What an earlier recovery did not count does not count now: the end of a segment, and
// segments between one and the predecessor that it names.
Status Repairer::FindLogs(std::vector<LogPart>* parts) {
  if (whole_manifest_ && state_.log_number == 0) return Status();  // never opened
  std::map<uint64_t, uint64_t> files;                              // number -> that in the name
  for (const FoundFile& f : logs_) files.emplace(f.number, f.file);
  uint64_t before = UINT64_MAX, before_end = UINT64_MAX;  // the last one's predecessor; not known
  for (auto f = files.rbegin(); f != files.rend() && f->first >= state_.log_number; ++f) {
    const auto& [number, file] = *f;
    if (number > before) continue;
    parts->push_back({number, file, number == before ? before_end : UINT64_MAX});
    const auto reader = SegmentReader::Salvage(vfs_, Name(LogFileName(file)), SegmentType::kLog);
    if (!reader.ok() && !IsDamage(reader.status())) return reader.status();
    before = before_end = UINT64_MAX;
    if (!reader.ok() || !(*reader)->has_link()) continue;
    if ((*reader)->info().database_id != database_id_ || (*reader)->info().id != number) continue;
    const SegmentLink& link = (*reader)->link();
    max_lsn_ = std::max(max_lsn_, link.start_lsn);
    before = link.previous_id;
    before_end = kSegmentDataStart2 + link.previous_bytes;
    if (before >= std::max<uint64_t>(state_.log_number, 1) && files.count(before) == 0)
      Loss(LogFileName(before), "missing, with the commits that it held");
  }
  std::reverse(parts->begin(), parts->end());
  if (state_.newest_log > state_.log_number && !files.empty() &&
      files.rbegin()->first < state_.newest_log)
    Loss(LogFileName(state_.newest_log), "missing, with the commits that it held");
  if (before == UINT64_MAX && state_.log_number != 0 && files.count(state_.log_number) == 0)
    Loss(LogFileName(state_.log_number), "missing, with the commits that it held");
  return Status();
}

Status Repairer::CleanLogs() {
  std::vector<LogPart> parts;
  KIST_TRY(FindLogs(&parts));
  for (const LogPart& part : parts) KIST_TRY(CleanLog(part));
  return FlushLog();
}

// Record by record; after a damaged one, on from the next that is whole.
Status Repairer::CleanLog(const LogPart& part) {
  const auto [number, in_file, limit] = part;
  const std::string name = LogFileName(in_file);
  auto opened = SegmentReader::Salvage(vfs_, Name(name), SegmentType::kLog);
  if (!opened.ok() && !IsDamage(opened.status())) return std::move(opened).status();
  if (!opened.ok()) return Loss(name, opened.status().message()), Status();
  SegmentReader& reader = **opened;
  if (!reader.has_prefix() || reader.info().id != number ||
      (database_id_ != 0 && reader.info().database_id != database_id_)) {
    if (reader.size() != 0 || number == state_.log_number)
      Loss(name, "its head cannot be read, or is another file's");
    return Status();
  }
  if (in_file != number) Loss(name, "is " + LogFileName(number) + " under another name");
  KIST_TRY(Progress(reader.size()));
  const uint64_t due = std::max(reader.valid_data_end(), limit == UINT64_MAX ? 0 : limit);
  if (due > reader.size()) {
    Loss(name, "offset " + std::to_string(reader.size()) + ": the file ends, " +
                   std::to_string(due) + " bytes were written");
  }
  reader.SetLimit(limit);
  for (SegmentReader::Record record;;) {
    const auto outcome = reader.Next(&record);
    if (outcome.ok() && *outcome == SegmentReader::Outcome::kRecord) {
      if (record.kind == RecordKind::kCommit) KIST_TRY(Replay(name, record));
      continue;
    }
    if (!outcome.ok() && !IsDamage(outcome.status())) return outcome.status();
    const uint64_t at = reader.break_offset();
    const std::string reason = reader.break_reason();
    const bool broken = !outcome.ok() || *outcome == SegmentReader::Outcome::kBroken;
    KIST_TRY_ASSIGN(const bool more, reader.Resync());
    // At the very end it may be a commit that was never finished: nobody can tell.
    if (more || broken) Loss(name, "offset " + std::to_string(at) + ": " + reason);
    if (!more) return Status();
  }
}

Status Repairer::Replay(const std::string& name, const SegmentReader::Record& record) {
  BatchSummary summary;
  const Status valid = ValidateBatch(record.data, BatchLimits(), true, &summary);
  if (!valid.ok()) return Loss(name, valid.message()), Status();
  const uint64_t bytes = ReserveBytes(summary);
  if (memtable_ && memtable_->used_bytes() + bytes > kMemtableBytes) KIST_TRY(FlushLog());
  if (!memtable_) {
    KIST_TRY_ASSIGN(Memtable * fresh, Memtable::New(kMemtableBytes, false));
    memtable_ = RefPtr<Memtable>::Adopt(fresh);
  }
  KIST_TRY(memtable_->Reserve(summary.count, bytes, summary.one_keyspace ? 1 : summary.count));
  BatchWalker walker(record.data);
  for (Op op; walker.Next(&op);) {
    if (op.kind == OpKind::kCreateKeyspace && dropped_.count(op.keyspace) == 0) {
      ManifestState::KeyspaceState& ks = state_.keyspaces[op.keyspace];
      if (ks.name.empty()) ks.options = std::string(op.value);  // else the manifest's are newer
      ks.name = std::string(op.key);
    }
    if (op.kind == OpKind::kDropKeyspace) {
      UseKeyspace(op.keyspace);
      dropped_.insert(op.keyspace);
      state_.keyspaces.erase(op.keyspace);
      inputs_.erase(op.keyspace);
    }
  }
  ApplyBatch(memtable_.get(), record.data, record.lsn, record.has_time ? record.time_ms : 0);
  state_.time_floor_ms = std::max(state_.time_floor_ms, record.time_ms);
  max_lsn_ = std::max(max_lsn_, record.lsn);
  ++commits_;
  return Status();
}

Status Repairer::FlushLog() {
  if (!memtable_) return Status();
  Visibility visibility;
  visibility.newest = kMaxSequence;
  for (uint32_t id : memtable_->Keyspaces()) {
    if (dropped_.count(id) != 0) continue;
    JobResult result;
    KIST_TRY(RunFlush(Context(database_id_), {memtable_.get()}, id, visibility, &result));
    for (const NewTable& t : result.tables) {
      inputs_[id].push_back(
          RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), t.number, id, t.properties)));
    }
  }
  memtable_ = RefPtr<Memtable>();
  return Status();
}

}  // namespace kist
