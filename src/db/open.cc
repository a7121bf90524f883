// Opening: directory and lock, creation, the manifest's state into memory, recovery, and the new
// log and manifest that go on from there.
//
// Order of a writable open, each step harmless to repeat after a crash: read CURRENT and manifest;
// check that what they list is there; replay the log (recovery.cc) and write what it holds into
// level-0 tables; settle the old log; make a new segment; write a new manifest and point CURRENT at
// it; only then remove what nobody needs. Until CURRENT is replaced the old manifest and the old
// log still say everything. What an open that was cut short has left goes before the next one makes
// the same again, so that it does not pile up: its tables once the log is judged to be whole, its
// segments once the log is settled.
#include <algorithm>

#include "db/db_impl.h"
#include "db/recovery.h"
#include "key/file_name.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kFirstManifest = 1;
constexpr int kReadOnlyTries = 20;
constexpr char kMemoryPath[] = ":memory:";
constexpr char kMemoryDir[] = "/memory";

}  // namespace

DbImpl::DbImpl(std::string path, const DbOptions& options, const LogSink& log, Replayed replayed,
               FileLock* held, Vfs* vfs, std::unique_ptr<Vfs> owned_vfs)
    : path_(std::move(path)),
      options_(options),
      log_sink_(log),
      replayed_(std::move(replayed)),
      owned_vfs_(std::move(owned_vfs)),
      names_(owned_vfs_ != nullptr ? owned_vfs_.get() : vfs),
      held_(held) {
  limits_.max_key_bytes = options.max_key_size;
  limits_.max_value_bytes = options.max_value_size;
}

DbImpl::~DbImpl() {
  StopThreads();
  Release();
}

Result<std::unique_ptr<Db>> Db::Open(const std::string& path, const OptionSet& set,
                                     const LogSink& log, Vfs* vfs, Replayed replayed,
                                     FileLock* held) {
  if (path.empty()) return Status::Invalid("the path of a database must not be empty");
  std::unique_ptr<Vfs> owned;
  std::string dir = path;
  if (path == kMemoryPath) {
    if (set.values().read_only)
      return Status::Invalid(path + ": a database in memory begins empty and cannot be read-only");
    owned = NewMemoryVfs();
    dir = kMemoryDir;
  }
  if (vfs == nullptr) vfs = PosixVfs();
  if (owned == nullptr) {
    KIST_TRY_ASSIGN(dir, vfs->Absolute(path));
  }
  auto db = std::make_unique<DbImpl>(std::move(dir), set.values(), log, std::move(replayed), held,
                                     vfs, std::move(owned));
  KIST_TRY(db->Start());
  return std::unique_ptr<Db>(std::move(db));
}

Status DbImpl::Start() {
  KIST_TRY(options_.CheckSizes());
  ApplySizes();
  log_timer_ = options_.sync.kind == SyncPolicy::Kind::kInterval ||
               options_.sync.kind == SyncPolicy::Kind::kHybrid;
  {
    MutexLock lock(&mutex_);
    slots_.reserve(kMaxFullMemtables + 2);
    MutexLock log_lock(&log_mutex_);
    next_reserve_ = kFirstReserveBytes;
    unsynced_.reserve(kMaxFullMemtables + 2);
  }
  cache_ = std::make_unique<BlockCache>(options_.CacheBytes(), &epoch_, budget_.get());
  if (options_.read_only) return StartReadOnly();
  KIST_TRY(OpenDirectory());
  if (owned_vfs_ == nullptr) reserve_.Start(vfs_, JoinPath(path_, kReserveFileName));
  Result<ManifestState> read = ReadManifest(vfs_, path_);
  if (read.status().Is(Code::kMissing))  // though its name is there
    return Status::Corrupt(JoinPath(path_, kCurrentFileName), 0, "a link that leads nowhere");
  KIST_TRY_ASSIGN(ManifestState state, std::move(read));
  Recovery recovery;
  Status recovered = Recover(state, &recovery);
  if (!recovered.ok()) {  // the tables it made are nobody's: a failed open changes nothing
    RemoveUnlisted(recovery.outcome.edit);
    return state.Explain(std::move(recovered));
  }
  KIST_TRY(FinishOpen(state, &recovery));
  return StartThreads();
}

Status DbImpl::NoDatabase() const {
  return Status::Error(Code::kMissing,
                       path_ + ": no database in this directory, and create_if_missing is off");
}

// Makes and locks the directory, and creates a database in it where there is none.
Status DbImpl::OpenDirectory() {
  Result<FileInfo> info = vfs_->Stat(path_);
  if (!info.ok()) {
    if (!info.status().Is(Code::kMissing)) return std::move(info).status();
    if (!options_.create_if_missing) {
      return Status::Error(Code::kMissing,
                           path_ + ": no such database, and create_if_missing is off");
    }
    Status made = vfs_->MakeDir(path_);
    if (!made.ok() && !made.Is(Code::kExists)) return made;
  } else if (!info->is_directory) {
    return Status::Invalid(path_ + ": not a directory");
  }
  if (!options_.create_if_missing) {  // else a directory without one would be left with a LOCK
    KIST_TRY_ASSIGN(const std::vector<std::string> there, vfs_->List(path_));
    const bool any = std::any_of(there.begin(), there.end(), [](const std::string& name) {
      return ParseFileName(name).has_value();
    });
    if (!any) return NoDatabase();
  }
  if (held_ == nullptr) {
    KIST_TRY_ASSIGN(lock_, vfs_->Lock(JoinPath(path_, kLockFileName)));
  }
  names_.Begin(held_ != nullptr ? held_ : lock_.get());
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs_->List(path_));
  const bool has_current = std::find(names.begin(), names.end(), kCurrentFileName) != names.end();
  if (has_current) {
    if (options_.error_if_exists)
      return Status::Error(Code::kExists,
                           path_ + ": the database exists, and error_if_exists is on");
    return Status();
  }
  KIST_TRY(CheckNoDatabase(path_, names));
  return options_.create_if_missing ? CreateDatabase() : NoDatabase();
}

// The least that an open finds complete: an empty state. The open that follows gives it a log.
Status DbImpl::CreateDatabase() {
  Status gone = vfs_->Remove(
      JoinPath(path_, ManifestFileName(kFirstManifest)));  // of a creation that was cut short
  if (!gone.ok() && !gone.Is(Code::kMissing)) return gone;
  ManifestState state;
  do {
    vfs_->Random(&state.database_id, sizeof state.database_id);
  } while (state.database_id == 0);
  state.next_file = kFirstManifest + 1;
  ManifestState::KeyspaceState& keyspace = state.keyspaces[0];
  keyspace.name = "default";
  keyspace.options = EncodeKeyspaceOptions(options_.keyspace);
  // Before there is a CURRENT, since who finds one comes past here no more. Also where the
  // directory was there already: whoever made it may not have made it durable.
  Status s = Planted(Bug::kNoDirSyncOfParent) ? Status() : vfs_->SyncDir(ParentDir(path_));
  if (!s.ok() && !s.Is(Code::kPermission)) return s;
  return Manifest::Create(vfs_, path_, kFirstManifest, &state).status();
}

// No CURRENT: fine where there is nothing of Kist's, or what a creation that was cut short leaves,
// which is the first manifest at most. Every database that was ever opened has a later one.
Status CheckNoDatabase(const std::string& dir, const std::vector<std::string>& names) {
  if (Planted(Bug::kMissingCurrentIsNew)) return Status();
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    if (!parsed || parsed->type == FileType::kLock || parsed->type == FileType::kTemporary)
      continue;
    if (parsed->type == FileType::kManifest && parsed->number == kFirstManifest) continue;
    return Status::Corrupt(JoinPath(dir, kCurrentFileName), 0,
                           "missing, though the directory holds " + name + " of a database");
  }
  return Status();
}

// Every table that the manifest lists is there, as long as it should be.
Status DbImpl::CheckFiles(const ManifestState& state) {
  for (const auto& [id, ks] : state.keyspaces) {
    for (const auto& [at, properties] : ks.tables) {
      const std::string path = JoinPath(path_, TableFileName(at.second));
      Result<FileInfo> info = vfs_->Stat(path);
      if (!info.ok()) {
        if (info.status().Is(Code::kMissing))
          return Status::Corrupt(path, 0, "a table that the manifest lists is missing");
        return std::move(info).status();
      }
      if (info->bytes != properties.file_bytes) {
        return Status::Corrupt(path, std::min(info->bytes, properties.file_bytes),
                               "the table is " + std::to_string(info->bytes) +
                                   " bytes long; the manifest says " +
                                   std::to_string(properties.file_bytes));
      }
    }
  }
  return Status();
}

// Keyspaces and their versions from the manifest's state.
Status DbImpl::LoadState(const ManifestState& state) {
  database_id_ = state.database_id;
  next_keyspace_ = state.next_keyspace;
  TableStore::Options so;
  so.vfs = vfs_;
  so.dir = path_;
  so.database_id = database_id_;
  so.cache = cache_.get();
  so.epoch = &epoch_;
  so.budget = budget_.get();
  so.keep_open = options_.read_only;
  so.max_open = options_.max_open_files;
  so.map = options_.mmap_reads;
  so.frozen = &poisoned_;
  store_ = std::make_unique<TableStore>(so);
  auto version = RefPtr<Version>::Adopt(new Version);
  const std::string manifest = JoinPath(path_, ManifestFileName(state.manifest_number));
  for (const auto& [id, ks] : state.keyspaces) {
    Result<KeyspaceOptions> options = DecodeKeyspaceOptions(ks.options);
    if (!options.ok())
      return Status::Corrupt(
          manifest, 0, "options of keyspace '" + ks.name + "': " + options.status().message());
    if (id == 0)
      *options = options_.keyspace;  // the default keyspace takes what the database is opened with
    auto known = registry_.Add(id, ks.name, *options);
    if (ks.tables.empty()) continue;
    std::vector<std::pair<int, RefPtr<LiveTable>>> added;
    for (const auto& [at, properties] : ks.tables) {
      TableProperties copy = properties;
      auto* table = new LiveTable(store_.get(), at.second, id, std::move(copy));
      added.emplace_back(at.first, RefPtr<LiveTable>::Adopt(table));
    }
    auto kv = ApplyToKeyspace(nullptr, id, added, {});
    if (!kv.ok()) return Status::Corrupt(manifest, 0, kv.status().message());
    version->keyspaces.resize(known->slot() + 1);  // slots ascend from keyspace to keyspace
    version->keyspaces[known->slot()] = kv.Take();
  }
  if (!registry_.Find(0)) return Status::Corrupt(manifest, 0, "the default keyspace is missing");
  if (options_.verify_on_open)
    KIST_TRY(VerifyTables(*version, 1, [](uint64_t) { return Status(); }));
  MutexLock lock(&mutex_);
  version_ = std::move(version);
  return Status();
}

// The log and the manifest that go on from what recovery found. On an error neither counts.
Status DbImpl::MakeStartFiles(const ManifestState& state, const Recovery& recovery,
                              StartFiles* files) {
  const ChainResult& chain = recovery.chain;
  const uint64_t number = next_file_.fetch_add(1, std::memory_order_relaxed);
  SegmentWriter::Options so;
  so.info.id = number;
  so.info.database_id = database_id_;
  so.info.max_key_bytes = options_.max_key_size;
  so.info.max_value_bytes = options_.max_value_size;
  so.link = chain.next;
  // Commit numbers that were passed over count as flushed: nothing of them is to be replayed.
  so.durable_lsn = std::max(chain.last_lsn, chain.next.previous_lsn);
  so.preallocate_bytes = LogReserve(kFirstReserveBytes);
  const std::string path = JoinPath(path_, LogFileName(number));
  KIST_TRY_ASSIGN(auto log, SegmentWriter::Create(vfs_, path, so));
  KIST_TRY(log->Sync());
  KIST_TRY(vfs_->SyncDir(path_));
  files->log = std::move(log);
  files->log->CountBuffer(budget_.get());

  const uint64_t manifest_number = next_file_.fetch_add(1, std::memory_order_relaxed);
  Edit edit = recovery.outcome.edit;
  if (recovery.memtable) {  // it waits for space: the old log is still needed
    edit.log_number = ReplayedLogs(recovery).front().number;
    edit.flushed_lsn = std::max(state.flushed_lsn, recovery.flushed_lsn);
  } else {
    edit.log_number = number;
    edit.flushed_lsn = so.durable_lsn;
  }
  edit.newest_log = number;
  edit.last_lsn = chain.next.start_lsn;
  edit.next_file = next_file_.load(std::memory_order_relaxed);
  edit.time_floor_ms = clock_.NowMs();
  edit.next_keyspace = next_keyspace_;
  files->state = state;
  KIST_TRY(files->state.Apply(edit));  // unreachable: replay has refused what contradicts it
  auto manifest = Manifest::Create(vfs_, path_, manifest_number, &files->state);
  if (manifest.ok()) {
    files->manifest = manifest.Take();
    return Status();
  }
  if (manifest.status().Is(Code::kNoSpace)) {  // CURRENT is as it was
    files->log.reset();
    static_cast<void>(vfs_->Remove(path).ok());
    static_cast<void>(vfs_->Remove(JoinPath(path_, ManifestFileName(manifest_number))).ok());
  }
  return manifest.status();
}

Status DbImpl::FinishOpen(const ManifestState& state, Recovery* recovery) {
  KIST_TRY_ASSIGN(std::vector<LogExtent> retained, FindRetained(recovery->chain.next));
  StartFiles files;
  Status made = MakeStartFiles(state, *recovery, &files);
  if (made.Is(Code::kNoSpace) && reserve_.Release())
    made = MakeStartFiles(state, *recovery, &files);
  KIST_TRY(std::move(made));
  last_lsn_ = recovery->chain.next.start_lsn;
  std::vector<uint64_t> logs = {files.log->info().id};
  if (recovery->memtable) {
    const std::vector<ReplayedLog> replayed = ReplayedLogs(*recovery);
    for (const ReplayedLog& log : replayed) logs.push_back(log.number);
    while (!retained.empty() && retained.back().number >= replayed.front().number)
      retained.pop_back();
  }
  for (const LogExtent& e : retained) logs.push_back(e.number);
  {
    MutexLock lock(&mutex_);
    retained_ = std::move(retained);
  }
  KIST_TRY(PublishOpened(&files, recovery));
  {
    MutexLock lock(&manifest_mutex_);
    RemoveLeftovers(FindLeftovers(manifest_state_, Edit(), [&logs](uint64_t number) {
      return std::find(logs.begin(), logs.end(), number) != logs.end();
    }));
  }
  if (!reserve_.Hold())
    Log(2, "the disk is full: nothing but deletes is taken until there is space");
  return Status();
}

// What readers and writers begin with: the version, the memtable of what could not be flushed
// where there is one, and an empty one with the new log.
Status DbImpl::PublishOpened(StartFiles* files, Recovery* recovery) {
  const uint64_t number = files->log->info().id;
  const Sequence flushed = std::max(recovery->chain.last_lsn, recovery->chain.next.previous_lsn);
  counters_.segments.fetch_add(1, std::memory_order_relaxed);
  KIST_TRY_ASSIGN(Memtable * fresh,
                  Memtable::New(write_buffer_bytes_.load(std::memory_order_relaxed),
                                options_.memtable_preallocate, budget_.get(), &chunks_));
  auto memtable = RefPtr<Memtable>::Adopt(fresh);
  {
    MutexLock lock(&manifest_mutex_);
    manifest_ = std::move(files->manifest);
    manifest_state_ = std::move(files->state);
  }
  newest_log_.store(number, std::memory_order_release);
  visible_seq_.store(last_lsn_, std::memory_order_release);
  durable_seq_.store(last_lsn_, std::memory_order_release);
  {
    MutexLock lock(&mutex_);
    FindSlots(&recovery->outcome);
    auto version = ApplyOutcome(*version_, recovery->outcome);
    if (!version.ok()) return version.status();  // unreachable: tables of level 0 may overlap
    version_ = version.Take();
    if (recovery->memtable) {
      slots_.emplace_back();
      MemtableSlot& slot = slots_.back();
      slot.replayed = ReplayedLogs(*recovery);
      slot.log_number = slot.replayed.front().number;
      slot.previous_lsn = slot.replayed.front().previous_lsn;
      slot.last_seq = flushed;
      slot.memtable = std::move(recovery->memtable);
      slot.created = std::move(recovery->created);
      slot.dropped = std::move(recovery->dropped);
      slot.freed_slots = std::move(recovery->freed_slots);
    }
    slots_.emplace_back();
    slots_.back().memtable = memtable;
    slots_.back().log_number = number;
    slots_.back().previous_lsn = flushed;
    slots_.back().segment = files->log;
    memtable_ = memtable.get();
    PublishView(BuildView());
    UpdatePressure();
  }
  MutexLock lock(&log_mutex_);
  log_ = std::move(files->log);
  log_work_ = true;
  return Status();
}

// The names of files that neither the state lists nor this opening has made.
std::vector<std::string> DbImpl::FindLeftovers(const ManifestState& state, const Edit& made,
                                               const std::function<bool(uint64_t)>& keeps_log) {
  std::vector<uint64_t> live;
  for (const auto& [id, ks] : state.keyspaces) {
    for (const auto& [at, properties] : ks.tables) live.push_back(at.second);
  }
  for (const NewTable& t : made.added) live.push_back(t.number);
  std::sort(live.begin(), live.end());
  std::vector<std::string> left;
  Result<std::vector<std::string>> names = vfs_->List(path_);
  if (!names.ok()) return left;
  for (std::string& name : *names) {
    const auto parsed = ParseFileName(name);
    if (!parsed) continue;
    bool keep = true;
    switch (parsed->type) {
      case FileType::kLog:
        keep = keeps_log(parsed->number);
        break;
      case FileType::kManifest:
        keep = parsed->number == state.manifest_number;
        break;
      case FileType::kTable:
        keep = std::binary_search(live.begin(), live.end(), parsed->number);
        break;
      case FileType::kTemporary:
        keep = false;
        break;
      default:  // CURRENT, LOCK and RESERVE stay
        break;
    }
    if (!keep) left.push_back(std::move(name));
  }
  return left;
}

// Failing to remove something is said in the log and tried again by the next open.
void DbImpl::RemoveLeftovers(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    Status s = vfs_->Remove(JoinPath(path_, name));
    if (!s.ok()) Log(2, "left over from an earlier run and not removable: " + s.ToString());
  }
}

// Changes nothing on disk. A writer may be at work: what it removes while we read makes us start
// again.
Status DbImpl::StartReadOnly() {
  const Result<FileInfo> info = vfs_->Stat(path_);
  if (!info.ok()) {
    if (!info.status().Is(Code::kMissing)) return info.status();
    return Status::Error(Code::kMissing, path_ + ": no such database, and read_only is on");
  }
  if (!info->is_directory) return Status::Invalid(path_ + ": not a directory");
  Status s;
  std::string damage;  // that the look before has met
  for (int i = 0; i < kReadOnlyTries; ++i) {
    Result<CurrentFile> before = ReadCurrent(vfs_, path_);
    if (!before.ok()) {
      if (!before.status().Is(Code::kMissing)) return std::move(before).status();
      Result<std::vector<std::string>> names = vfs_->List(path_);
      if (!names.ok()) return std::move(names).status();
      s = CheckNoDatabase(path_, *names);
      if (!s.ok()) continue;  // one that is being made has its CURRENT by now
      return Status::Error(Code::kMissing,
                           path_ + ": no database in this directory, and read_only is on");
    }
    Result<std::vector<std::string>> names = vfs_->List(path_);
    Result<ManifestState> state = ReadManifest(vfs_, path_);
    s = state.status();
    if (s.ok()) s = state->Explain(OpenReadOnlyState(*state));
    if (s.ok()) return s;
    // Only a change under our feet excuses a failure.
    Result<ManifestState> after = ReadManifest(vfs_, path_);
    const bool changed = state.ok() && after.ok() &&
                         (after->manifest_number != state->manifest_number ||
                          after->manifest_bytes != state->manifest_bytes);
    const bool rolled = !state.ok() && after.ok();
    // An opening removes what an earlier one left before it writes a manifest.
    Result<std::vector<std::string>> names_after = vfs_->List(path_);
    const bool moved = names.ok() && names_after.ok() && *names != *names_after;
    // What was read of the log may be older than what was read behind it: damage is there again.
    const bool again = !s.Is(Code::kCorrupt) || s.message() == damage;
    if (!changed && !rolled && !moved && again) return s;
    damage = s.message();
    Release();
    registry_.Clear();
  }
  return s;
}

Status DbImpl::OpenReadOnlyState(const ManifestState& state) {
  KIST_TRY(CheckFiles(state));
  KIST_TRY(LoadState(state));
  KIST_TRY_ASSIGN(
      Memtable * memtable,
      Memtable::New(write_buffer_bytes_.load(std::memory_order_relaxed), false, budget_.get()));
  MemtableSlot slot;
  slot.memtable = RefPtr<Memtable>::Adopt(memtable);
  Recovery recovery;
  recovery.memtable = slot.memtable;
  KIST_TRY(Replay(state, &recovery));
  clock_.Start(vfs(), std::max(state.time_floor_ms, recovery.newest_ms));
  // Tables that the writer removes later stay readable through their open files.
  RefPtr<Version> version;
  {
    MutexLock lock(&mutex_);
    version = version_;
  }
  for (const auto& kv : version->keyspaces) {
    if (!kv) continue;
    for (const Level& level : kv->levels) {
      for (const auto& f : level.files()) KIST_TRY(f->ReaderRef().status());
    }
  }
  visible_seq_.store(recovery.chain.last_lsn, std::memory_order_release);
  durable_seq_.store(recovery.chain.last_lsn, std::memory_order_release);
  slot.replayed = ReplayedLogs(recovery);  // for verification, as the manifest's state
  {
    MutexLock lock(&manifest_mutex_);
    manifest_state_ = state;
  }
  MutexLock lock(&mutex_);
  slots_.push_back(std::move(slot));
  PublishView(BuildView());
  return Status();
}

Status DbImpl::StartThreads() {
  threads_.reserve(2 + options_.compaction_threads);  // what has started can be stopped
  KIST_TRY(StartThread("kist-log", [this] { LogThread(); }));
  KIST_TRY(StartThread("kist-flush", [this] { FlushThread(); }));
  return options_.compaction_manual ? Status() : StartCompaction();
}

Status DbImpl::StartThread(const char* name, std::function<void()> body) {
  auto thread = vfs_->Start(name, std::move(body));
  if (thread.ok()) threads_.push_back(thread.Take());
  return thread.status();
}

// At open, or when the option compaction becomes auto.
Status DbImpl::StartCompaction() {
  for (; compactors_ < options_.compaction_threads; ++compactors_)
    KIST_TRY(StartThread("kist-compact", [this] { CompactionThread(); }));
  return Status();
}

void DbImpl::Log(int level, const std::string& message) {
  if (log_sink_.log == nullptr || level < log_sink_.level) return;
  log_sink_.log(log_sink_.ctx, level, message.data(), message.size());
}

}  // namespace kist
