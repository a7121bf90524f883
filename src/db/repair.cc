// Repair in four steps: look (files, database id, manifest as far as it can be read), clean (each
// table and the log's records into sound intermediate tables), merge (per keyspace, by the
// compaction job, into the last level), switch (manifest, CURRENT). See repair.h.
//
// What the manifest does not list takes part only where no manifest can be read: it is what a
// compaction left behind, and deletes that it has outlived may be gone.
// Threads: one a repair.
#include "db/repair.h"

#include <algorithm>
#include <map>

#include "compaction/job.h"
#include "db/apply.h"
#include "key/file_name.h"
#include "record/chain.h"
#include "table/format.h"
#include "util/planted.h"
#include "version/manifest.h"

namespace kist {
namespace {

constexpr size_t kMemtableBytes = size_t{32} << 20;
constexpr uint32_t kNoKeyspace = UINT32_MAX;
constexpr size_t kMergeTables = 200;  // at once: each takes a descriptor

class Repairer {
 public:
  Repairer(const std::string& path, Vfs* vfs, const JobControl& job, std::string* report)
      : path_(path), vfs_(vfs), job_(job), report_(report) {}
  ~Repairer() {
    inputs_.clear();
    for (uint64_t number : made_) static_cast<void>(vfs_->Remove(store_->Path(number)).ok());
  }
  Status Run() {
    KIST_TRY(Look());
    KIST_TRY(CleanTables());
    KIST_TRY(CleanLogs());
    return MergeAndSwitch();
  }

 private:
  using Inputs = std::vector<RefPtr<LiveTable>>;

  Status Look();
  Status FindDatabaseId();
  void FindManifest();
  bool ReadManifestFile(uint64_t number);
  Status CleanTables();
  Status CleanTable(uint64_t number, uint32_t keyspace, bool known);
  Status SalvageTable(uint64_t number, std::unique_ptr<File> file, uint32_t keyspace);
  Status CleanLogs();
  Status CleanLog(uint64_t number, uint64_t limit);
  Status Replay(const SegmentReader::Record& record);
  Status FlushLog();
  Status Merge(uint32_t keyspace, const Inputs& inputs, int level, uint64_t database_id,
               std::vector<NewTable>* out);
  Status MergeAndSwitch();
  Status Switch(ManifestState* state);
  JobContext Context(uint64_t database_id);
  Status Progress(uint64_t bytes);
  uint64_t NewNumber() {
    made_.push_back(next_file_);
    return next_file_++;
  }
  void Loss(const std::string& file, const std::string& what) {
    ++losses_;
    report_->append(file).append(": ").append(what).append("\n");
  }
  std::string Name(const std::string& name) const { return JoinPath(path_, name); }
  void AddKeyspace(uint32_t id, const std::string& why);

  const std::string path_;
  Vfs* const vfs_;
  const JobControl& job_;
  std::string* const report_;
  std::unique_ptr<FileLock> lock_;
  Epoch epoch_;
  std::unique_ptr<TableStore> store_;
  std::vector<uint64_t> tables_, logs_, manifests_;  // numbers, ascending
  std::vector<std::string> old_files_;
  uint64_t next_file_ = 1;
  uint64_t database_id_ = 0;
  bool has_manifest_ = false;
  ManifestState state_;
  std::map<uint32_t, Inputs> inputs_;  // sound tables, by keyspace
  std::vector<uint64_t> made_;         // tables of this repair, removed unless it ends well
  RefPtr<Memtable> memtable_;
  Sequence max_lsn_ = 0;
  uint64_t losses_ = 0, entries_ = 0, sound_tables_ = 0, commits_ = 0;
  uint64_t done_ = 0, total_ = 0;
};

Status Repairer::Progress(uint64_t bytes) {
  done_ = std::min(done_ + bytes, total_);
  return !job_.progress || job_.progress(done_, total_) ? Status() : Status::Bare(Code::kCancelled);
}

Status Repairer::Look() {
  KIST_TRY_ASSIGN(const FileInfo info, vfs_->Stat(path_));
  if (!info.is_directory) return Status::Invalid(path_ + ": not a directory");
  KIST_TRY_ASSIGN(const std::vector<std::string> names, vfs_->List(path_));
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed) continue;
    next_file_ = std::max(next_file_, parsed->number + 1);
    const FileType type = parsed->type;
    if (type == FileType::kLock || type == FileType::kReserve) continue;
    if (type != FileType::kCurrent) old_files_.push_back(name);
    if (type == FileType::kTable) tables_.push_back(parsed->number);
    if (type == FileType::kLog) logs_.push_back(parsed->number);
    if (type == FileType::kManifest) manifests_.push_back(parsed->number);
    const Result<FileInfo> file = vfs_->Stat(Name(name));
    if (file.ok()) total_ += file->bytes;
  }
  if (old_files_.empty())
    return Status::Error(Code::kMissing, path_ + ": no files of a database in this directory");
  for (auto* numbers : {&tables_, &logs_, &manifests_}) std::sort(numbers->begin(), numbers->end());
  total_ *= 2;  // read, then merged
  KIST_TRY_ASSIGN(lock_, vfs_->Lock(Name(kLockFileName)));
  KIST_TRY(Progress(0));
  FindManifest();
  KIST_TRY(FindDatabaseId());
  TableStore::Options so;
  so.vfs = vfs_;
  so.dir = path_;
  so.database_id = database_id_;
  so.epoch = &epoch_;
  store_ = std::make_unique<TableStore>(so);
  return Status();
}

// Edits as far as they can be read. The first is the whole state; without it there is nothing.
bool Repairer::ReadManifestFile(uint64_t number) {
  auto reader = SegmentReader::Probe(vfs_, Name(ManifestFileName(number)), SegmentType::kManifest);
  if (!reader.ok() || !(*reader)->has_link()) return false;
  ManifestState state;
  for (SegmentReader::Record record;;) {
    const auto outcome = (*reader)->Next(&record);
    if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) break;
    Result<Edit> edit = DecodeEdit(record.data);
    ManifestState next = state;
    if (!edit.ok() || !next.Apply(*edit).ok()) break;
    state = std::move(next);
    has_manifest_ = true;
  }
  if (!has_manifest_) return false;
  state_ = std::move(state);
  state_.database_id = (*reader)->info().database_id;
  return true;
}

void Repairer::FindManifest() {
  Result<ManifestState> good = ReadManifest(vfs_, path_);
  if (good.ok()) {
    state_ = good.Take();
    has_manifest_ = true;
    return;
  }
  Loss(kCurrentFileName, "does not lead to a whole manifest: " + good.status().message());
  const Result<CurrentFile> current = ReadCurrent(vfs_, path_);
  if (current.ok()) manifests_.push_back(current->manifest_number);  // tried first
  for (auto n = manifests_.rbegin(); n != manifests_.rend(); ++n) {
    if (!ReadManifestFile(*n)) continue;
    // Edits may be missing at its end, so every file counts that can be newer than them.
    Loss(ManifestFileName(*n), "used as far as it can be read");
    return;
  }
  Loss("MANIFEST", "none can be read: every table and log counts, keyspaces lose their names");
}

// What most files say.
Status Repairer::FindDatabaseId() {
  std::map<uint64_t, size_t> votes;
  if (has_manifest_) votes[state_.database_id] += 1 + tables_.size() + logs_.size();
  for (uint64_t number : logs_) {
    const auto reader = SegmentReader::Probe(vfs_, Name(LogFileName(number)), SegmentType::kLog);
    if (reader.ok() && (*reader)->info().database_id != 0) ++votes[(*reader)->info().database_id];
  }
  for (uint64_t number : tables_) {
    auto file = vfs_->Open(Name(TableFileName(number)), OpenMode::kRead);
    if (!file.ok()) continue;
    const auto table = Table::Open(file.Take(), Name(TableFileName(number)), Table::OpenOptions());
    if (table.ok()) ++votes[(*table)->identity().database_id];
  }
  size_t most = 0;
  for (const auto& [id, count] : votes) {
    if (count > most) database_id_ = id;
    most = std::max(most, count);
  }
  return Status();
}

JobContext Repairer::Context(uint64_t database_id) {
  JobContext c;
  c.vfs = vfs_;
  c.store = store_.get();
  c.table.database_id = database_id;
  c.new_number = [this] { return NewNumber(); };
  c.progress = [this](uint64_t bytes) { return Progress(bytes); };
  return c;
}

void Repairer::AddKeyspace(uint32_t id, const std::string& why) {
  if (id == 0 || state_.keyspaces.count(id) != 0) return;
  ManifestState::KeyspaceState& ks = state_.keyspaces[id];
  ks.name = "recovered-" + std::to_string(id);
  ks.options = EncodeKeyspaceOptions(KeyspaceOptions());
  Loss("keyspace " + std::to_string(id), why + "; it is called '" + ks.name + "' now");
}

Status Repairer::CleanTables() {
  std::map<uint64_t, uint32_t> listed;  // number -> keyspace
  for (const auto& [id, ks] : state_.keyspaces) {
    for (const auto& [at, properties] : ks.tables) listed[at.second] = id;
  }
  for (const auto& [number, id] : listed) {
    if (!std::binary_search(tables_.begin(), tables_.end(), number))
      Loss(TableFileName(number), "missing, with all that it held");
  }
  for (uint64_t number : tables_) {
    const auto known = listed.find(number);
    // One from after the last edit that could be read may be what a lost edit listed.
    if (known == listed.end() && has_manifest_ && number < state_.next_file) continue;
    KIST_TRY(CleanTable(number, known == listed.end() ? kNoKeyspace : known->second,
                        known != listed.end()));
  }
  return Status();
}

Status Repairer::CleanTable(uint64_t number, uint32_t keyspace, bool known) {
  const std::string name = TableFileName(number);
  KIST_TRY_ASSIGN(auto file, vfs_->Open(Name(name), OpenMode::kRead));
  Table::OpenOptions oo;
  oo.table_id = number;
  oo.database_id = database_id_;
  Result<RefPtr<Table>> table = Table::Open(std::move(file), Name(name), oo);
  if (table.ok() && known && (*table)->identity().keyspace != keyspace)
    table = Status::Error(Code::kCorrupt, "belongs to another keyspace");
  Status s = table.ok() ? (*table)->Verify([this](uint64_t bytes) { return Progress(bytes); })
                        : table.status();
  if (s.Is(Code::kCancelled) || s.Is(Code::kNoMem) || s.Is(Code::kTooNew)) return s;
  if (s.ok()) {
    const uint32_t id = (*table)->identity().keyspace;
    AddKeyspace(id, "its name is lost");
    inputs_[id].push_back(
        RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), number, id, (*table)->properties())));
    entries_ += (*table)->properties().entries;
    max_lsn_ = std::max(max_lsn_, (*table)->properties().largest_seq);
    ++sound_tables_;
    return Status();
  }
  Loss(name, s.message());
  KIST_TRY_ASSIGN(file, vfs_->Open(Name(name), OpenMode::kRead));
  return SalvageTable(number, std::move(file), keyspace);
}

// Into a sound table of the same keyspace: what the undamaged blocks hold.
Status Repairer::SalvageTable(uint64_t number, std::unique_ptr<File> file, uint32_t keyspace) {
  const std::string name = TableFileName(number);
  const auto nothing = [](Slice, uint64_t, Slice) { return Status(); };
  const auto no_range = [](const RangeTombstone&) { return Status(); };
  const auto quiet = [](uint64_t, const std::string&) {};
  KIST_TRY(Table::SalvageFile(file.get(), Name(name), number, database_id_, nothing, no_range,
                              quiet, &keyspace));
  if (keyspace == kNoKeyspace && has_manifest_)
    return Loss(name, "is not listed, and does not say whose it is"), Status();
  if (keyspace == kNoKeyspace) {
    while (state_.keyspaces.count(state_.next_keyspace) != 0) ++state_.next_keyspace;
    keyspace = state_.next_keyspace += 1000;  // beyond those that other tables may name
  }
  TableOptions options;
  options.table_id = NewNumber();
  options.database_id = database_id_;
  options.keyspace = keyspace;
  KIST_TRY_ASSIGN(auto to, vfs_->Open(store_->Path(options.table_id), OpenMode::kCreateNew));
  TableBuilder builder(options, to.get(), store_->Path(options.table_id));
  std::string last;
  uint64_t last_tag = 0, kept = 0, ranges = 0;
  bool damaged = false;
  const auto entry = [&](Slice key, uint64_t tag, Slice value) {
    if (damaged && Planted(Bug::kRepairStopsAtDamage)) return Status();
    if (kept != 0 && (key < Slice(last) || (key == Slice(last) && tag >= last_tag)))
      return Status();  // from a block that does not belong here
    last.assign(key.data(), key.size());
    last_tag = tag;
    ++kept;
    return builder.Add(key, tag, value);
  };
  const auto tombstone = [&](const RangeTombstone& t) {
    ++ranges;
    return builder.AddRangeTombstone(t);
  };
  const auto damage = [&](uint64_t offset, const std::string& reason) {
    damaged = true;
    Loss(name, "offset " + std::to_string(offset) + ": " + reason);
  };
  KIST_TRY(Table::SalvageFile(file.get(), Name(name), number, database_id_, entry, tombstone,
                              damage, &keyspace));
  report_->append(name + ": " + std::to_string(kept) + " entries of it are saved\n");
  if (kept + ranges == 0) return Status();
  TableProperties properties;
  KIST_TRY(builder.Finish(&properties));
  AddKeyspace(keyspace, "its name is lost");
  entries_ += kept;
  max_lsn_ = std::max(max_lsn_, properties.largest_seq);
  inputs_[keyspace].push_back(RefPtr<LiveTable>::Adopt(
      new LiveTable(store_.get(), options.table_id, keyspace, properties)));
  return Status();
}

Status Repairer::CleanLogs() {
  // What an earlier recovery did not count does not count now.
  std::map<uint64_t, uint64_t> limits;
  std::vector<uint64_t> wanted;
  for (uint64_t number : logs_) {
    if (has_manifest_ && number < state_.log_number) continue;
    wanted.push_back(number);
    const auto reader = SegmentReader::Probe(vfs_, Name(LogFileName(number)), SegmentType::kLog);
    if (!reader.ok() || !(*reader)->has_link()) continue;
    const SegmentLink& link = (*reader)->link();
    limits[link.previous_id] = kSegmentDataStart2 + link.previous_bytes;
    if (link.previous_id >= std::max<uint64_t>(state_.log_number, 1) &&
        !std::binary_search(logs_.begin(), logs_.end(), link.previous_id))
      Loss(LogFileName(link.previous_id), "missing, with the commits that it held");
  }
  if (has_manifest_ && state_.log_number != 0 &&
      !std::binary_search(logs_.begin(), logs_.end(), state_.log_number) &&
      limits.count(state_.log_number) == 0)
    Loss(LogFileName(state_.log_number), "missing, with the commits that it held");
  for (uint64_t number : wanted) {
    const auto limit = limits.find(number);
    KIST_TRY(CleanLog(number, limit == limits.end() ? UINT64_MAX : limit->second));
  }
  return FlushLog();
}

// Record by record; after a damaged one, on from the next that is whole.
Status Repairer::CleanLog(uint64_t number, uint64_t limit) {
  const std::string name = LogFileName(number);
  auto opened = SegmentReader::Probe(vfs_, Name(name), SegmentType::kLog);
  if (!opened.ok()) {
    if (!opened.status().Is(Code::kCorrupt)) return opened.status();
    return Loss(name, opened.status().message()), Status();
  }
  SegmentReader& reader = **opened;
  if (!reader.has_prefix() || (database_id_ != 0 && reader.info().database_id != database_id_)) {
    if (reader.size() != 0 || number == state_.log_number)
      Loss(name, "its head cannot be read, or is another database's");
    return Status();
  }
  KIST_TRY(Progress(reader.size()));
  reader.SetLimit(limit);
  for (SegmentReader::Record record;;) {
    const auto outcome = reader.Next(&record);
    if (outcome.ok() && *outcome == SegmentReader::Outcome::kRecord) {
      Status s = record.kind == RecordKind::kCommit ? Replay(record) : Status();
      if (s.Is(Code::kInvalid) || s.Is(Code::kLimit)) Loss(name, s.message());
      if (s.Is(Code::kNoMem) || s.Is(Code::kNoSpace) || s.Is(Code::kIo)) return s;
      continue;
    }
    if (!outcome.ok() && !outcome.status().Is(Code::kCorrupt)) return outcome.status();
    const uint64_t at = reader.break_offset();
    const std::string reason = reader.break_reason();
    const bool broken = !outcome.ok() || *outcome == SegmentReader::Outcome::kBroken;
    KIST_TRY_ASSIGN(const bool more, reader.Resync());
    // At the very end it may be a commit that was never finished: nobody can tell.
    if (more || broken) Loss(name, "offset " + std::to_string(at) + ": " + reason);
    if (!more) return Status();
  }
}

Status Repairer::Replay(const SegmentReader::Record& record) {
  BatchSummary summary;
  KIST_TRY(ValidateBatch(record.data, BatchLimits(), true, &summary));
  const uint64_t bytes = ReserveBytes(summary);
  if (memtable_ && memtable_->used_bytes() + bytes > kMemtableBytes) KIST_TRY(FlushLog());
  if (!memtable_) {
    KIST_TRY_ASSIGN(Memtable * fresh, Memtable::New(kMemtableBytes, false));
    memtable_ = RefPtr<Memtable>::Adopt(fresh);
  }
  KIST_TRY(memtable_->Reserve(summary.count, bytes, summary.one_keyspace ? 1 : summary.count));
  BatchWalker walker(record.data);
  for (Op op; walker.Next(&op);) {
    if (op.kind == OpKind::kCreateKeyspace) {
      ManifestState::KeyspaceState& ks = state_.keyspaces[op.keyspace];
      ks.name = std::string(op.key);
      ks.options = std::string(op.value);
    } else if (op.kind == OpKind::kDropKeyspace) {
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
    AddKeyspace(id, "its name is lost");
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

Status Repairer::Merge(uint32_t keyspace, const Inputs& inputs, int level, uint64_t database_id,
                       std::vector<NewTable>* out) {
  Visibility visibility;
  visibility.newest = kMaxSequence;
  visibility.ttl_time_ms = INT64_MIN;  // nothing expires by a clock that nobody vouches for
  CompactionPlan plan;
  plan.output_level = level;
  plan.inputs = inputs;
  KeyspaceVersion version(keyspace);
  JobResult result;
  KIST_TRY(RunCompaction(Context(database_id), plan, version, visibility, &result));
  *out = std::move(result.tables);
  return Status();
}

Status Repairer::MergeAndSwitch() {
  ManifestState state;
  do {
    vfs_->Random(&state.database_id, sizeof state.database_id);
  } while (state.database_id == 0);
  Edit edit;
  if (state_.keyspaces.count(0) == 0)
    edit.keyspaces.push_back({0, 0, "default", EncodeKeyspaceOptions(KeyspaceOptions())});
  for (const auto& [id, ks] : state_.keyspaces)
    edit.keyspaces.push_back({id, 0, ks.name, ks.options});
  for (auto& [id, inputs] : inputs_) {
    while (inputs.size() > kMergeTables) {
      const Inputs some(inputs.begin(), inputs.begin() + kMergeTables);
      std::vector<NewTable> merged;
      KIST_TRY(Merge(id, some, 0, database_id_, &merged));
      inputs.erase(inputs.begin(), inputs.begin() + kMergeTables);
      for (const NewTable& t : merged)
        inputs.push_back(
            RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), t.number, id, t.properties)));
    }
    std::vector<NewTable> tables;
    KIST_TRY(Merge(id, inputs, kLevels - 1, state.database_id, &tables));
    for (NewTable& t : tables) edit.added.push_back(std::move(t));
  }
  const Sequence seen = std::max({max_lsn_, state_.last_lsn, state_.flushed_lsn});
  const Sequence next = seen + std::min(kLsnJump, kMaxSequence - seen);
  edit.flushed_lsn = edit.last_lsn = next;
  edit.time_floor_ms = state_.time_floor_ms;
  edit.next_file = next_file_ + 1;
  edit.next_keyspace = std::max<uint32_t>(state_.next_keyspace, 1);
  KIST_TRY(state.Apply(edit));
  return Switch(&state);
}

// Everything is there: CURRENT is what makes it the database, then the rest goes.
Status Repairer::Switch(ManifestState* state) {
  KIST_TRY(vfs_->SyncDir(path_));
  std::vector<uint64_t> temporary;
  for (uint64_t number : made_) {
    bool kept = false;
    for (const auto& [id, ks] : state->keyspaces)
      kept |= ks.tables.count({kLevels - 1, number}) != 0;
    if (!kept) temporary.push_back(number);
  }
  // From here on CURRENT may lead to the outcome, even where a call fails: its tables stay.
  made_ = std::move(temporary);
  if (Planted(Bug::kRepairRemovesFirst)) {
    for (const std::string& name : old_files_) static_cast<void>(vfs_->Remove(Name(name)).ok());
  }
  KIST_TRY(Manifest::Create(vfs_, path_, next_file_, state).status());
  for (const std::string& name : old_files_) static_cast<void>(vfs_->Remove(Name(name)).ok());
  uint64_t kept = 0;
  for (const auto& [id, ks] : state->keyspaces) {
    for (const auto& [at, properties] : ks.tables) kept += properties.entries;
  }
  report_->append("repaired: " + std::to_string(kept) + " entries in " +
                  std::to_string(state->keyspaces.size()) + " keyspaces, from " +
                  std::to_string(sound_tables_) + " sound tables (" + std::to_string(entries_) +
                  " versions with what was saved of others) and " + std::to_string(commits_) +
                  " commits of the log; losses: " + std::to_string(losses_) + "\n");
  return Status();
}

}  // namespace

Status RepairDb(const std::string& path, Vfs* vfs, const JobControl& job, std::string* report) {
  if (vfs == nullptr) vfs = PosixVfs();
  return Repairer(path, vfs, job, report).Run();
}

}  // namespace kist
