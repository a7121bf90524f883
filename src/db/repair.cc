// Repair in four steps: look (repair_look.cc), clean (each table and the log's records into sound
// intermediate tables), merge (per keyspace, by the compaction job, into the last level), switch
// (manifest, CURRENT). See repair.h.
//
// A table that the manifest does not list takes part only where edits may be lost, and none of
// those that can be read has named it: else it is what a compaction left behind, and deletes that
// it has outlived may be gone. Threads: one a repair.
#include "db/repair.h"

#include <utility>

#include "db/repairer.h"
#include "record/chain.h"
#include "util/alloc.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint32_t kNoKeyspace = UINT32_MAX;
constexpr size_t kMergeTables = 200;  // at once: each takes a descriptor

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

JobContext Repairer::Context(uint64_t database_id) {
  JobContext c;
  c.vfs = vfs_;
  c.store = store_.get();
  c.table.database_id = database_id;
  c.new_number = [this] { return NewNumber(); };
  c.progress = [this](uint64_t bytes) { return Progress(bytes); };
  return c;
}

Status Repairer::CleanTables() {
  std::map<uint64_t, uint32_t> listed;  // number -> keyspace
  for (const auto& [id, ks] : state_.keyspaces) {
    for (const auto& [at, properties] : ks.tables) listed[at.second] = id;
  }
  std::set<uint64_t> there;
  for (const FoundFile& f : tables_) there.insert(f.number);
  for (const auto& [number, id] : listed) {
    if (there.count(number) == 0) Loss(TableFileName(number), "missing, with all that it held");
  }
  uint64_t sound = 0;
  for (const FoundFile& f : tables_) {
    const auto known = listed.find(f.number);
    if (known == listed.end() && (whole_manifest_ || named_.count(f.number) != 0)) continue;
    if (f.number == sound || IsOutcome(f.database_id, database_id_)) continue;
    KIST_TRY_ASSIGN(const bool whole,
                    CleanTable(f, known == listed.end() ? kNoKeyspace : known->second));
    if (whole) sound = f.number;
  }
  return Status();
}

// Whether all of it is there. The outcome's readers find tables by their names: one that has
// another's is copied like what is left of a damaged one.
Result<bool> Repairer::CleanTable(const FoundFile& found, uint32_t keyspace) {
  const std::string name = TableFileName(found.file);
  KIST_TRY_ASSIGN(auto file, vfs_->Open(Name(name), OpenMode::kRead));
  Table::OpenOptions oo;
  oo.table_id = found.number;
  oo.database_id = database_id_;
  Result<RefPtr<Table>> table = Table::Open(std::move(file), Name(name), oo);
  if (table.ok() && keyspace != kNoKeyspace && (*table)->identity().keyspace != keyspace)
    table = Status::Error(Code::kCorrupt, "belongs to another keyspace");
  Status s = table.ok() ? (*table)->Verify([this](uint64_t bytes) { return Progress(bytes); })
                        : table.status();
  if (!s.ok() && !IsDamage(s)) return s;
  const bool sound = s.ok();
  if (sound && found.file == found.number) {
    const uint32_t id = (*table)->identity().keyspace;
    if (dropped_.count(id) != 0) return true;
    inputs_[id].push_back(RefPtr<LiveTable>::Adopt(
        new LiveTable(store_.get(), found.number, id, (*table)->properties())));
    entries_ += (*table)->properties().entries;
    max_lsn_ = std::max(max_lsn_, (*table)->properties().largest_seq);
    ++sound_tables_;
    return true;
  }
  Loss(name, sound ? "is " + TableFileName(found.number) + " under another name" : s.message());
  KIST_TRY_ASSIGN(file, vfs_->Open(Name(name), OpenMode::kRead));
  KIST_TRY(SalvageTable(found, std::move(file), keyspace));
  return sound;
}

// Into a sound table of the same keyspace: what the undamaged blocks hold.
Status Repairer::SalvageTable(const FoundFile& found, std::unique_ptr<File> file,
                              uint32_t keyspace) {
  const std::string name = TableFileName(found.file);
  Table::Salvaging look;
  look.entry = [](Slice, uint64_t, Slice) { return Status(); };
  look.tombstone = [](const RangeTombstone&) { return Status(); };
  look.damage = [](uint64_t, const std::string&) {};
  look.progress = [this](uint64_t) { return Progress(0); };
  look.keyspace = &keyspace;
  KIST_TRY(Table::SalvageFile(file.get(), Name(name), found.number, database_id_, look));
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
  uint64_t last_tag = 0, kept = 0, ranges = 0;
  bool damaged = false;
  Table::Salvaging save;
  save.entry = [&](Slice key, uint64_t tag, Slice value) -> Status {
    if (damaged && Planted(Bug::kRepairStopsAtDamage)) return Status();
    if (kept != 0 && (key < Slice(last) || (key == Slice(last) && tag >= last_tag)))
      return Status();  // from a block that does not belong here
    last.assign(key.data(), key.size());
    last_tag = tag;
    ++kept;
    return builder.Add(key, tag, value);
  };
  save.tombstone = [&](const RangeTombstone& t) {
    ++ranges;
    return builder.AddRangeTombstone(t);
  };
  save.damage = [&](uint64_t offset, const std::string& reason) {
    damaged = true;
    Loss(name, "offset " + std::to_string(offset) + ": " + reason);
  };
  save.progress = [this](uint64_t bytes) { return Progress(bytes); };
  KIST_TRY(Table::SalvageFile(file.get(), Name(name), found.number, database_id_, save));
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

// Each keyspace has a name of its own. Of two that have one name the record that dropped the older
// one is lost.
void Repairer::SettleNames() {
  auto& all = state_.keyspaces;
  std::map<std::string, uint32_t> newest;
  for (auto& [id, ks] : all) {
    if (id == 0) ks.name = "default";
    if (ks.options.empty()) ks.options = EncodeKeyspaceOptions(KeyspaceOptions());
    if (!ks.name.empty()) newest[ks.name] = id;
  }
  for (auto& [id, ks] : all) {
    if (!ks.name.empty() && newest[ks.name] == id) continue;
    const std::string what = ks.name.empty() ? "its name" : "its removal";
    ks.name = "recovered-" + std::to_string(id);
    while (!newest.emplace(ks.name, id).second) ks.name += "-" + std::to_string(id);
    Loss("keyspace " + std::to_string(id), what + " is lost; it is called '" + ks.name + "' now");
  }
}

Status Repairer::MergeAndSwitch() {
  ManifestState state;
  while (state.database_id == 0) {
    uint32_t random = 0;
    vfs_->Random(&random, sizeof random);
    state.database_id = OutcomeId(random, database_id_);
  }
  state_.keyspaces[0];
  for (const auto& [id, inputs] : inputs_) state_.keyspaces[id];
  SettleNames();
  Edit edit;
  for (const auto& [id, ks] : state_.keyspaces) {
    UseKeyspace(id);
    edit.keyspaces.push_back({id, 0, ks.name, ks.options});
  }
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
