// Making the outcome of a flush or compaction the state: manifest first, then the view, then what
// became unneeded. Nothing is removed before the edit that stops listing it is durable.
// Threads: any; one at a time by manifest_mutex_.
#include <algorithm>
#include <cerrno>
#include <new>

#include "db/db_impl.h"
#include "key/file_name.h"
#include "util/check.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kManifestRollBytes = uint64_t{1} << 20;

bool Removes(const Edit& edit, uint64_t number) {
  return std::any_of(edit.removed.begin(), edit.removed.end(),
                     [number](const RemovedTable& r) { return r.number == number; });
}

}  // namespace

RefPtr<View> DbImpl::BuildView() {
  auto view = RefPtr<View>::Adopt(new View);
  view->version = version_;
  view->memtables.reserve(slots_.size());
  for (auto it = slots_.rbegin(); it != slots_.rend(); ++it)
    view->memtables.push_back(it->memtable);
  return view;
}

// Readers inside the epoch may hold the old one; it goes when they have left.
void DbImpl::PublishView(RefPtr<View> view) {
  View* old = view_.exchange(view.Release(), std::memory_order_seq_cst);
  if (old != nullptr) epoch_.Retire(old, [](void* v) { static_cast<View*>(v)->Unref(); });
}

// One look at which keyspaces there are, since a drop may come at any time. A new table of one that
// is gone is nobody's: neither the manifest nor the version lists it, and its file goes. One that
// was to be moved is listed until the drop's own edit.
void DbImpl::FindSlots(Outcome* outcome) {
  Edit& edit = outcome->edit;
  const auto find = [&](uint32_t id) {
    if (auto ks = registry_.Find(id)) outcome->slots[id] = ks->slot();
  };
  for (const NewTable& t : edit.added) find(t.keyspace);
  for (const RemovedTable& r : edit.removed) find(r.keyspace);
  for (size_t i = edit.added.size(); i-- > 0;) {
    if (outcome->slots.count(edit.added[i].keyspace) != 0) continue;
    if (!Removes(edit, edit.added[i].number)) outcome->added[i]->MarkObsolete();
    outcome->added.erase(outcome->added.begin() + static_cast<ptrdiff_t>(i));
    edit.added.erase(edit.added.begin() + static_cast<ptrdiff_t>(i));
  }
}

// The version after the outcome, whose slots are found; `base` is not changed.
Result<RefPtr<Version>> DbImpl::ApplyOutcome(const Version& base, const Outcome& outcome) {
  auto version = RefPtr<Version>::Adopt(new Version);
  version->keyspaces = base.keyspaces;
  for (uint32_t id : outcome.edit.dropped) {
    for (auto& kv : version->keyspaces) {
      if (kv && kv->id == id) kv = RefPtr<KeyspaceVersion>();
    }
  }
  std::vector<uint32_t> ids;
  for (const NewTable& t : outcome.edit.added) ids.push_back(t.keyspace);
  for (const RemovedTable& r : outcome.edit.removed) ids.push_back(r.keyspace);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (uint32_t id : ids) {
    const auto known = outcome.slots.find(id);
    if (known == outcome.slots.end()) continue;  // its tables go with the drop's own edit
    std::vector<std::pair<int, RefPtr<LiveTable>>> added;
    std::vector<std::pair<int, uint64_t>> removed;
    for (size_t i = 0; i < outcome.edit.added.size(); ++i) {
      if (outcome.edit.added[i].keyspace == id)
        added.emplace_back(outcome.edit.added[i].level, outcome.added[i]);
    }
    for (const RemovedTable& r : outcome.edit.removed) {
      if (r.keyspace == id) removed.emplace_back(r.level, r.number);
    }
    const uint32_t slot = known->second;
    if (slot >= version->keyspaces.size()) version->keyspaces.resize(slot + 1);
    KIST_TRY_ASSIGN(RefPtr<KeyspaceVersion> kv,
                    ApplyToKeyspace(version->Find(slot, id), id, added, removed));
    version->keyspaces[slot] = std::move(kv);
  }
  return version;
}

Status DbImpl::RollManifest() {
  KIST_TRY(names_.Check());  // before anything is in doubt
  const uint64_t number = next_file_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t old = manifest_->number();
  Result<std::unique_ptr<Manifest>> made = Status::Bare(Code::kNoMem);
  {
    MutexLock lock(&directory_mutex_);
    if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
    bool in_doubt = false;
    try {
      made = Manifest::Create(vfs_, path_, number, &manifest_state_, &in_doubt);
    } catch (const std::bad_alloc&) {
    }
    const Status& s = made.status();
    const bool lacks = s.Is(Code::kNoMem) || s.sys_errno() == EMFILE || s.sys_errno() == ENFILE;
    if (!made.ok() && !s.Is(Code::kNoSpace) && (in_doubt || !lacks)) {
      // CURRENT may name either manifest, or the disk fails: nothing may change until the database
      // is opened again.
      return Poison(s, "starting a new manifest");
    }
  }
  if (!made.ok()) {  // CURRENT is as it was: the old manifest goes on
    static_cast<void>(vfs_->Remove(JoinPath(path_, ManifestFileName(number))).ok());
    return Status();
  }
  manifest_ = made.Take();
  if (!vfs_->Remove(JoinPath(path_, ManifestFileName(old))).ok())
    Log(2, "the old manifest could not be removed");
  return Status();
}

// What `base` lists and the edit takes away is unlinked once its last reader has gone.
void DbImpl::MarkObsolete(const Version& base, const Edit& edit) {
  const auto mark = [&](const KeyspaceVersion& kv, const RemovedTable& r) {
    for (const auto& f : kv.levels[r.level].files()) {
      if (f->number() == r.number) f->MarkObsolete();
    }
  };
  for (const auto& kv : base.keyspaces) {
    if (!kv) continue;
    if (std::find(edit.dropped.begin(), edit.dropped.end(), kv->id) != edit.dropped.end()) {
      for (const Level& level : kv->levels) {
        for (const auto& f : level.files()) f->MarkObsolete();
      }
      continue;
    }
    for (const RemovedTable& r : edit.removed) {
      if (r.keyspace != kv->id) continue;
      // A trivial move removes and adds the same file: it lives on.
      const bool moved = std::any_of(edit.added.begin(), edit.added.end(),
                                     [&](const NewTable& t) { return t.number == r.number; });
      if (!moved) mark(*kv, r);
    }
  }
}

Status DbImpl::Install(Outcome* outcome) {
  MutexLock manifest_lock(&manifest_mutex_);
  if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
  if (!outcome->added.empty() && !Planted(Bug::kNoDirSyncOfTables)) {
    KIST_TRY(SyncDirectory("syncing the directory of new tables"));
  }
  Edit& edit = outcome->edit;
  // A compaction of a keyspace that was dropped meanwhile has no one to tell.
  const bool compaction = !edit.removed.empty();
  FindSlots(outcome);
  if (compaction && outcome->slots.empty()) return Status::Bare(Code::kCancelled);
  RefPtr<Version> base;
  {
    MutexLock lock(&mutex_);
    base = version_;
  }
  // A keyspace that a later commit dropped is still the manifest's until that drop is flushed, so
  // edits that name it stay valid.
  KIST_TRY_ASSIGN(RefPtr<Version> version, ApplyOutcome(*base, *outcome));
  const uint64_t newest_log = newest_log_.load(std::memory_order_acquire);
  if (newest_log > manifest_state_.newest_log) edit.newest_log = newest_log;
  edit.next_file = next_file_.load(std::memory_order_relaxed);
  edit.time_floor_ms = clock_.NowMs();
  ManifestState next = manifest_state_;
  KIST_TRY(next.Apply(edit));
  // Everything that needs memory comes before the manifest is written.
  auto view = RefPtr<View>::Adopt(new View);
  view->memtables.reserve(kMaxFullMemtables + 2);
  {
    MutexLock lock(&mutex_);
    size_t logs = outcome->drops_memtables;
    for (const MemtableSlot& slot : slots_) logs += slot.replayed.size();
    retained_.reserve(retained_.size() + logs);
  }
  if (manifest_->bytes() > kManifestRollBytes + 2 * manifest_->first_bytes())
    KIST_TRY(RollManifest());
  Status s = manifest_->Append(edit);
  if (!s.ok())
    return manifest_->broken() && !Planted(Bug::kTablesRemovedInDoubt)
               ? Poison(s, "writing the manifest")
               : s;
  next.manifest_number = manifest_state_.manifest_number;
  std::swap(manifest_state_, next);

  MutexLock lock(&mutex_);
  MarkObsolete(*base, edit);
  if (store_->has_obsolete()) flush_cond_.Signal();  // whose thread removes the files
  version_ = version;
  for (size_t n = outcome->drops_memtables; n > 0; --n) {
    const MemtableSlot& done = slots_.front();
    // Feeds may read it until TrimRetained decides.
    for (const ReplayedLog& log : done.replayed)
      retained_.push_back({log.number, log.previous_lsn, log.bytes});
    if (done.segment != nullptr)
      retained_.push_back({done.log_number, done.previous_lsn, done.segment->flushed_size()});
    slots_.erase(slots_.begin());
  }
  view->version = version_;
  for (auto it = slots_.rbegin(); it != slots_.rend(); ++it)
    view->memtables.push_back(it->memtable);
  PublishView(std::move(view));
  UpdatePressure();
  done_cond_.SignalAll();
  return Status();
}

void DbImpl::RemoveOldLogs() {
  std::vector<uint64_t> logs;
  {
    MutexLock lock(&mutex_);
    logs.swap(old_logs_);
  }
  if (poisoned_.load(std::memory_order_acquire)) return;
  for (uint64_t number : logs) {
    {
      MutexLock sync(&sync_mutex_);
      MutexLock lock(&log_mutex_);
      unsynced_.erase(std::remove_if(unsynced_.begin(), unsynced_.end(),
                                     [&](const auto& s) { return s->info().id == number; }),
                      unsynced_.end());
    }
    Status s = vfs_->Remove(JoinPath(path_, LogFileName(number)));
    if (!s.ok()) Log(2, "a log that is not needed any more stays: " + s.ToString());
  }
}

}  // namespace kist
