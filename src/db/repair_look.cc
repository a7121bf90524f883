// Repair, the first step: which files there are, whose they are, and what the lists (CURRENT and
// manifests) say of them.
//
// Files are known by what they say of themselves. Lists may be another database's, or older than
// the files: lists whose id no file has do not count, and where a file is missing that they name
// they may be outdated, so that unlisted tables count too. Threads: one a repair.
#include <utility>

#include "db/repairer.h"
#include "table/format.h"
#include "util/coding.h"
#include "util/crc32c.h"

namespace kist {
namespace {

// Each edit as far as it makes sense; what it contradicts was said by one that is lost. A keyspace
// whose creation is lost has no name.
void ApplyLoosely(const Edit& e, ManifestState* state) {
  auto& keyspaces = state->keyspaces;
  for (const NewKeyspace& k : e.keyspaces) {
    keyspaces[k.id].name = k.name;
    keyspaces[k.id].options = k.options;
    state->next_keyspace = std::max(state->next_keyspace, k.id + 1);
  }
  for (const auto& [id, options] : e.keyspace_options) keyspaces[id].options = options;
  for (const RemovedTable& r : e.removed) keyspaces[r.keyspace].tables.erase({r.level, r.number});
  for (const NewTable& t : e.added)
    keyspaces[t.keyspace].tables[{t.level, t.number}] = t.properties;
  for (uint32_t id : e.dropped) keyspaces.erase(id);
  if (e.log_number) state->log_number = *e.log_number;
  if (e.newest_log) state->newest_log = *e.newest_log;
  if (e.flushed_lsn) state->flushed_lsn = *e.flushed_lsn;
  if (e.last_lsn) state->last_lsn = *e.last_lsn;
  if (e.time_floor_ms) state->time_floor_ms = *e.time_floor_ms;
  if (e.next_keyspace) state->next_keyspace = std::max(state->next_keyspace, *e.next_keyspace);
}

}  // namespace

uint64_t OutcomeId(uint32_t random, uint64_t original) {
  std::string bytes;
  Append32(&bytes, random);
  Append64(&bytes, original);
  return static_cast<uint64_t>(random) << 32 | crc32c::Value(bytes);
}

// False: nothing of a database is there.
Result<bool> Repairer::ListFiles() {
  KIST_TRY_ASSIGN(const std::vector<std::string> names, vfs_->List(path_));
  bool found = false;
  total_ = 0;
  old_files_.clear();
  no_files_.clear();
  manifests_.clear();
  for (auto* files : {&tables_, &logs_}) files->clear();
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed) continue;
    if (parsed->number < kFileNumberStray) next_file_ = std::max(next_file_, parsed->number + 1);
    const FileType type = parsed->type;
    if (type == FileType::kLock || type == FileType::kReserve) continue;
    found |= type != FileType::kTemporary;
    if (type != FileType::kCurrent) old_files_.push_back(name);
    const Result<FileInfo> file = vfs_->Stat(Name(name));
    if (!file.ok() && !IsDamage(file.status())) return file.status();
    if (!file.ok() || !file->is_file) {  // reading a pipe would wait for somebody who writes
      no_files_.push_back(name);
      continue;
    }
    total_ += 2 * file->bytes;  // read, then merged
    if (type == FileType::kManifest) manifests_.push_back(parsed->number);
    FoundFile f;
    f.file = f.number = parsed->number;
    if (type == FileType::kTable) tables_.push_back(f);
    if (type == FileType::kLog) logs_.push_back(f);
  }
  std::sort(manifests_.begin(), manifests_.end());
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
  for (const std::string& name : no_files_) Loss(name, "is no file");
  KIST_TRY(Identify());
  KIST_TRY(FindManifest());
  database_id_ = state_.database_id;
  if (database_id_ == 0) database_id_ = ids_.empty() ? list_id_ : MostFilesId();
  TakeNumbers(&tables_);
  TakeNumbers(&logs_);
  TableStore::Options so;
  so.vfs = vfs_;
  so.dir = path_;
  so.database_id = database_id_;
  so.epoch = &epoch_;
  store_ = std::make_unique<TableStore>(so);
  return Status();
}

Status Repairer::Identify() {
  for (FoundFile& f : tables_) KIST_TRY(ReadIdentity(TableFileName(f.file), &f));
  for (FoundFile& f : logs_) {
    const auto log = SegmentReader::Salvage(vfs_, Name(LogFileName(f.file)), SegmentType::kLog);
    const Status s = log.status();
    if (!s.ok() && !IsDamage(s) && !s.Is(Code::kTooNew)) return s;
    if (!s.ok() || !(*log)->has_prefix()) continue;
    f.number = (*log)->info().id;
    f.database_id = (*log)->info().database_id;
    log_ids_.insert(f.database_id);
  }
  for (const auto* files : {&tables_, &logs_}) {
    for (const FoundFile& f : *files) ++(f.database_id == 0 ? unreadable_ : ids_[f.database_id]);
  }
  return Status();
}

// A table's, by its footer. What is wrong with it is told when it is read.
Status Repairer::ReadIdentity(const std::string& name, FoundFile* found) {
  KIST_TRY_ASSIGN(const auto file, vfs_->Open(Name(name), OpenMode::kRead));
  KIST_TRY_ASSIGN(const uint64_t size, file->Size());
  char bytes[kFooterBytes];
  if (size < sizeof bytes) return Status();
  KIST_TRY_ASSIGN(const size_t n, file->Read(size - sizeof bytes, bytes, sizeof bytes));
  Footer footer;
  if (n != sizeof bytes || !DecodeFooter(name, size, bytes, &footer).ok()) return Status();
  found->number = footer.table_id;
  found->database_id = footer.database_id;
  return Status();
}

void Repairer::TakeNumbers(std::vector<FoundFile>* files) {
  for (FoundFile& f : *files) {
    if (f.database_id != database_id_) f.number = f.file;
  }
  const auto order = [this](const FoundFile& f) {
    return std::make_tuple(f.number, f.database_id != database_id_, f.number != f.file, f.file);
  };
  std::sort(files->begin(), files->end(),
            [&](const FoundFile& a, const FoundFile& b) { return order(a) < order(b); });
}

// Tables that a repair which was killed has made have no say: it has no log.
uint64_t Repairer::MostFilesId() const {
  uint64_t id = 0;
  size_t most = 0;
  for (const auto& [one, count] : ids_) {
    const auto made_of = [one = one](const auto& other) { return IsOutcome(one, other.first); };
    if (log_ids_.count(one) == 0 && std::any_of(ids_.begin(), ids_.end(), made_of)) continue;
    if (count > most) id = one;
    most = std::max(most, count);
  }
  return id;
}

// Lists of this id speak of other files than those that are here.
bool Repairer::IsForeign(uint64_t id) const {
  const auto most = ids_.find(MostFilesId());
  return ids_.count(id) == 0 && most != ids_.end() && most->second > unreadable_;
}

size_t Repairer::Lacks(const ManifestState& state) const {
  const auto numbers = [&state](const std::vector<FoundFile>& files) {
    std::set<uint64_t> there;
    for (const FoundFile& f : files) {
      there.insert(f.file);
      if (f.database_id == state.database_id) there.insert(f.number);
    }
    return there;
  };
  const std::set<uint64_t> tables = numbers(tables_);
  // Who has no log yet has been created or repaired just now.
  size_t lacks = state.log_number == 0 ? log_ids_.count(state.database_id)
                                       : 1 - numbers(logs_).count(state.log_number);
  for (const auto& [id, ks] : state.keyspaces) {
    for (const auto& [at, properties] : ks.tables) lacks += 1 - tables.count(at.second);
  }
  return lacks;
}

// False: nothing of it can be read.
Result<bool> Repairer::ReadManifestFile(uint64_t number, Lists* lists) {
  const std::string path = Name(ManifestFileName(number));
  auto opened = SegmentReader::Salvage(vfs_, path, SegmentType::kManifest);
  if (!opened.ok() && !IsDamage(opened.status())) return std::move(opened).status();
  if (!opened.ok() || !(*opened)->has_prefix()) return false;
  SegmentReader& reader = **opened;
  lists->manifest = number;
  lists->state.database_id = reader.info().database_id;
  if (list_id_ == 0) list_id_ = lists->state.database_id;
  bool any = false;
  for (SegmentReader::Record record;;) {
    const auto outcome = reader.Next(&record);
    if (!outcome.ok() && !IsDamage(outcome.status())) return outcome.status();
    if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) {
      KIST_TRY_ASSIGN(const bool more, reader.Resync());
      if (!more) break;
      continue;
    }
    Result<Edit> edit = DecodeEdit(record.data);
    if (edit.status().Is(Code::kTooNew)) return edit.status().Prefixed(path);
    if (!edit.ok()) continue;
    any = true;
    ApplyLoosely(*edit, &lists->state);
    for (const RemovedTable& r : edit->removed) lists->named.insert(r.number);
    for (const NewTable& t : edit->added) lists->named.insert(t.number);
    lists->dropped.insert(edit->dropped.begin(), edit->dropped.end());
  }
  lists->lacks = Lacks(lists->state);
  return any;
}

Status Repairer::FindManifest() {
  Result<ManifestState> good = ReadManifest(vfs_, path_);
  if (!good.ok() && !IsDamage(good.status())) return std::move(good).status();
  if (!good.ok()) {
    Loss(kCurrentFileName, "does not lead to a whole manifest: " + good.status().message());
  } else if (!good->broken_end.empty()) {
    Loss(ManifestFileName(good->manifest_number), "its last edit is incomplete or damaged");
  } else if (!IsForeign(good->database_id) && Lacks(*good) == 0) {
    state_ = good.Take();
    whole_manifest_ = true;
    return Status();
  }
  return ChooseManifest();
}

// Of those that are not older than CURRENT's the one that lacks least, then the newest.
Status Repairer::ChooseManifest() {
  const Result<CurrentFile> current = ReadCurrent(vfs_, path_);
  if (!current.ok() && !IsDamage(current.status())) return current.status();
  if (current.ok()) list_id_ = current->database_id;
  const bool known = current.ok() && !IsForeign(current->database_id);
  const uint64_t oldest = known ? current->manifest_number : 0;
  Lists best;
  for (auto n = manifests_.rbegin(); n != manifests_.rend() && *n >= oldest; ++n) {
    Lists lists;
    KIST_TRY_ASSIGN(const bool any, ReadManifestFile(*n, &lists));
    if (any && IsForeign(lists.state.database_id)) {
      Loss(ManifestFileName(*n), "belongs to another database");
    } else if (any && (best.manifest == 0 || lists.lacks < best.lacks)) {
      best = std::move(lists);
    }
  }
  if (best.manifest == 0) {
    Loss("MANIFEST", "none can be read: every table and log counts, keyspaces lose their names");
    return Status();
  }
  if (best.manifest != oldest)
    Loss(ManifestFileName(best.manifest), "used as far as it can be read");
  state_ = std::move(best.state);
  named_ = std::move(best.named);
  dropped_ = std::move(best.dropped);
  return Status();
}

}  // namespace kist
