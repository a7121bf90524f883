// Repair in four steps: look (files, database id, manifest as far as it can be read), clean (each
// table and the log's records into sound intermediate tables), merge (per keyspace, by the
// compaction job, into the last level), switch (manifest, CURRENT). See repair.h.
//
// A table that the manifest does not list takes part only where edits may be lost, and none of
// those that can be read has named it: else it is what a compaction left behind, and deletes that
// it has outlived may be gone. Threads: one a repair.
#include "db/repair.h"

#include <utility>

#include "db/repairer.h"
#include "record/chain.h"
#include "table/format.h"
#include "util/alloc.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint32_t kNoKeyspace = UINT32_MAX;
constexpr size_t kMergeTables = 200;  // at once: each takes a descriptor
constexpr uint64_t kPollBytes = uint64_t{1} << 20;

}  // namespace

Repairer::~Repairer() {
  inputs_.clear();
  BestEffort([this] {  // what stays is listed nowhere
    for (uint64_t number : made_) static_cast<void>(vfs_->Remove(store_->Path(number)).ok());
  });
}

Status Repairer::Run() {
  KIST_TRY(Look());
  KIST_TRY(CleanTables());
  KIST_TRY(CleanLogs());
  return MergeAndSwitch();
}

Status Repairer::Progress(uint64_t bytes) {
  done_ = std::min(done_ + bytes, total_);
  return !job_.progress || job_.progress(done_, total_) ? Status() : Status::Bare(Code::kCancelled);
}

// False: nothing of a database is there.
Result<bool> Repairer::ListFiles() {
  KIST_TRY_ASSIGN(const std::vector<std::string> names, vfs_->List(path_));
  bool found = false;
  total_ = 0;
  old_files_.clear();
  for (auto* numbers : {&tables_, &logs_, &manifests_}) numbers->clear();
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed) continue;
    next_file_ = std::max(next_file_, parsed->number + 1);
    const FileType type = parsed->type;
    if (type == FileType::kLock || type == FileType::kReserve) continue;
    found |= type != FileType::kTemporary;
    if (type != FileType::kCurrent) old_files_.push_back(name);
    if (type == FileType::kTable) tables_.push_back(parsed->number);
    if (type == FileType::kLog) logs_.push_back(parsed->number);
    if (type == FileType::kManifest) manifests_.push_back(parsed->number);
    const Result<FileInfo> file = vfs_->Stat(Name(name));
    if (file.ok()) total_ += 2 * file->bytes;  // read, then merged
  }
  for (auto* numbers : {&tables_, &logs_, &manifests_}) std::sort(numbers->begin(), numbers->end());
  return found;
}

Status Repairer::Look() {
  KIST_TRY_ASSIGN(const FileInfo info, vfs_->Stat(path_));
  if (!info.is_directory) return Status::Invalid(path_ + ": not a directory");
  KIST_TRY_ASSIGN(const bool found, ListFiles());
  if (!found)
    return Status::Error(Code::kMissing, path_ + ": no files of a database in this directory");
  KIST_TRY_ASSIGN(lock_, vfs_->Lock(Name(kLockFileName)));
  KIST_TRY(ListFiles().status());  // as they are now that nobody changes them any more
  KIST_TRY(Progress(0));
  KIST_TRY(FindManifest());
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
Status Repairer::ReadManifestFile(uint64_t number) {
  const std::string path = Name(ManifestFileName(number));
  auto opened = SegmentReader::Salvage(vfs_, path, SegmentType::kManifest);
  if (!opened.ok()) return IsDamage(opened.status()) ? Status() : std::move(opened).status();
  SegmentReader& reader = **opened;
  ManifestState state;
  Sequence last = 0;
  for (SegmentReader::Record record;;) {
    const auto outcome = reader.Next(&record);
    if (!outcome.ok() && !IsDamage(outcome.status())) return outcome.status();
    if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) {
      if (last != 0) break;
      KIST_TRY_ASSIGN(const bool more, reader.Resync());
      if (!more) break;
      continue;
    }
    if (record.lsn != last + 1) break;
    Result<Edit> edit = DecodeEdit(record.data);
    if (edit.status().Is(Code::kTooNew)) return edit.status().Prefixed(path);
    ManifestState next = state;
    if (!edit.ok() || !next.Apply(*edit).ok()) break;
    state = std::move(next);
    last = record.lsn;
    for (const NewTable& t : edit->added) named_.insert(t.number);
    dropped_.insert(edit->dropped.begin(), edit->dropped.end());
  }
  if (last == 0) return Status();
  has_manifest_ = true;
  state_ = std::move(state);
  state_.database_id = reader.info().database_id;
  return Status();
}

Status Repairer::FindManifest() {
  Result<ManifestState> good = ReadManifest(vfs_, path_);
  if (good.ok() && good->broken_end.empty()) {
    state_ = good.Take();
    has_manifest_ = whole_manifest_ = true;
    return Status();
  }
  if (good.ok()) {
    Loss(ManifestFileName(good->manifest_number), "its last edit is incomplete or damaged");
    return ReadManifestFile(good->manifest_number);
  }
  if (!IsDamage(good.status())) return std::move(good).status();
  Loss(kCurrentFileName, "does not lead to a whole manifest: " + good.status().message());
  const Result<CurrentFile> current = ReadCurrent(vfs_, path_);
  if (!current.ok() && !IsDamage(current.status())) return current.status();
  if (current.ok()) manifests_.push_back(current->manifest_number);  // tried first
  for (auto n = manifests_.rbegin(); n != manifests_.rend(); ++n) {
    KIST_TRY(ReadManifestFile(*n));
    if (!has_manifest_) continue;
    Loss(ManifestFileName(*n), "used as far as it can be read");
    return Status();
  }
  Loss("MANIFEST", "none can be read: every table and log counts, keyspaces lose their names");
  return Status();
}

// The manifest's, or what most files say.
Status Repairer::FindDatabaseId() {
  database_id_ = state_.database_id;
  if (has_manifest_) return Status();
  std::map<uint64_t, size_t> votes;
  for (uint64_t number : logs_) {
    const auto reader = SegmentReader::Salvage(vfs_, Name(LogFileName(number)), SegmentType::kLog);
    if (!reader.ok() && !IsDamage(reader.status())) return reader.status();
    if (reader.ok() && (*reader)->has_prefix()) ++votes[(*reader)->info().database_id];
  }
  for (uint64_t number : tables_) {
    KIST_TRY_ASSIGN(auto file, vfs_->Open(Name(TableFileName(number)), OpenMode::kRead));
    const auto table =
        Table::Open(std::move(file), Name(TableFileName(number)), Table::OpenOptions());
    if (!table.ok() && !IsDamage(table.status())) return table.status();
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

void Repairer::LoseName(uint32_t id, const std::string& what) {
  const std::string name = "recovered-" + std::to_string(id);
  Loss("keyspace " + std::to_string(id), what + " is lost; it is called '" + name + "' now");
  state_.keyspaces[id].name = name;
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
    if (known == listed.end() && (whole_manifest_ || named_.count(number) != 0)) continue;
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
  if (!s.ok() && !IsDamage(s)) return s;
  if (s.ok()) {
    const uint32_t id = (*table)->identity().keyspace;
    if (dropped_.count(id) != 0) return Status();
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
    keyspace = state_.next_keyspace += 1000;  // beyond those that other tables may name
  }
  TableOptions options;
  options.table_id = NewNumber();
  options.database_id = database_id_;
  options.keyspace = keyspace;
  KIST_TRY_ASSIGN(auto to, vfs_->Open(store_->Path(options.table_id), OpenMode::kCreateNew));
  TableBuilder builder(options, to.get(), store_->Path(options.table_id));
  std::string last;
  uint64_t last_tag = 0, kept = 0, ranges = 0, unreported = 0;
  bool damaged = false;
  const auto entry = [&](Slice key, uint64_t tag, Slice value) -> Status {
    if (damaged && Planted(Bug::kRepairStopsAtDamage)) return Status();
    unreported += key.size() + value.size();
    if (unreported >= kPollBytes) KIST_TRY(Progress(std::exchange(unreported, 0)));
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
  if (kept + ranges == 0 || dropped_.count(keyspace) != 0) return Status();
  TableProperties properties;
  KIST_TRY(builder.Finish(&properties));
  entries_ += kept;
  max_lsn_ = std::max(max_lsn_, properties.largest_seq);
  inputs_[keyspace].push_back(RefPtr<LiveTable>::Adopt(
      new LiveTable(store_.get(), options.table_id, keyspace, properties)));
  return Status();
}

Status Repairer::Merge(uint32_t keyspace, const Inputs& inputs, int level, uint64_t database_id,
                       std::vector<NewTable>* out) {
  Visibility visibility;
  visibility.newest = kMaxSequence;
  visibility.ttl_time_ms = INT64_MIN;  // nothing expires by a clock that nobody vouches for
  CompactionPlan plan;
  plan.output_level = level;
  // Of equal sequences, which the last level has alone, the newer table's counts.
  plan.inputs.assign(inputs.rbegin(), inputs.rend());
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
  for (const auto& [id, inputs] : inputs_) {
    UseKeyspace(id);
    if (id == 0 || state_.keyspaces.count(id) != 0) continue;
    LoseName(id, "its name");
    state_.keyspaces[id].options = EncodeKeyspaceOptions(KeyspaceOptions());
  }
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
        inputs.insert(inputs.begin(), RefPtr<LiveTable>::Adopt(
                                          new LiveTable(store_.get(), t.number, id, t.properties)));
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
  KIST_TRY(Progress(total_));
  return Switch(&state);
}

// Everything is there: CURRENT is what makes it the database, then the rest goes.
Status Repairer::Switch(ManifestState* state) {
  KIST_TRY(vfs_->SyncDir(path_));
  std::vector<uint64_t> temporary;
  uint64_t kept = 0;
  for (uint64_t number : made_) {
    const auto holds = [number](const auto& ks) {
      return ks.second.tables.count({kLevels - 1, number}) != 0;
    };
    if (std::none_of(state->keyspaces.begin(), state->keyspaces.end(), holds))
      temporary.push_back(number);
  }
  for (const auto& [id, ks] : state->keyspaces) {
    for (const auto& [at, properties] : ks.tables) kept += properties.entries;
  }
  const std::string verdict =
      "repaired: " + std::to_string(kept) + " entries in " +
      std::to_string(state->keyspaces.size()) + " keyspaces, from " +
      std::to_string(sound_tables_) + " sound tables (" + std::to_string(entries_) +
      " versions with what was saved of others) and " + std::to_string(commits_) +
      " commits of the log; losses: " + std::to_string(losses_) + "\n";
  report_->reserve(report_->size() + verdict.size());
  if (Planted(Bug::kRepairRemovesFirst)) RemoveOld();
  KIST_TRY_ASSIGN(const uint64_t before, CurrentInode());
  // From here on CURRENT may lead to the outcome, even where a call fails: its tables stay.
  made_.swap(temporary);
  Status s = Manifest::Create(vfs_, path_, next_file_, state).status();
  if (!s.ok()) {
    const Result<uint64_t> now = CurrentInode();
    if (!now.ok() || *now != before) return s;
    made_.swap(temporary);
    static_cast<void>(vfs_->Remove(Name(ManifestFileName(next_file_))).ok());
    return s;
  }
  RemoveOld();
  report_->append(verdict);
  return Status();
}

// 0: there is none.
Result<uint64_t> Repairer::CurrentInode() {
  const Result<FileInfo> info = vfs_->Stat(Name(kCurrentFileName));
  if (info.ok()) return info->inode;
  return info.status().Is(Code::kMissing) ? Result<uint64_t>(uint64_t{0}) : info.status();
}

// What stays is listed nowhere, and goes with the next open.
void Repairer::RemoveOld() noexcept {
  BestEffort([this] {
    for (const std::string& name : old_files_) static_cast<void>(vfs_->Remove(Name(name)).ok());
  });
}

Status RepairDb(const std::string& path, Vfs* vfs, const JobControl& job, std::string* report) {
  if (vfs == nullptr) vfs = PosixVfs();
  return Repairer(path, vfs, job, report).Run();
}

}  // namespace kist
