// Opening, sharing, closing and removing table files. Readers find an open table by one load;
// opening and closing happen under the store's lock, and a closed reader is retired through the
// epoch.
// Threads: any.
#include "version/live_table.h"

#include <algorithm>
#include <new>

#include "key/file_name.h"

namespace kist {

LiveTable::~LiveTable() {
  Table* t = table_.load(std::memory_order_acquire);
  if (t != nullptr) t->Unref();
}

void LiveTable::Unref() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  store_->Died(this);
  delete this;
}

void LiveTable::MarkObsolete() {
  if (!obsolete_.exchange(true, std::memory_order_acq_rel))
    store_->obsolete_.fetch_add(1, std::memory_order_acq_rel);
}

Status LiveTable::OpenReader(Table** table) {
  RefPtr<Table> opened;
  KIST_TRY(store_->Open(this, &opened));
  // The reference that table_ holds outlives the caller's guard: it is dropped by retirement.
  *table = opened.get();
  return Status();
}

Result<RefPtr<Table>> LiveTable::ReaderRef() {
  Epoch::Guard guard(*store_->options().epoch);
  Table* t = nullptr;
  KIST_TRY(Reader(&t));
  return RefPtr<Table>::Share(t);
}

bool LiveTable::MayHold(Slice key) const {
  const TableProperties& p = properties_;
  if (key < Slice(p.smallest_key)) return false;
  if (p.entries > 0 && key <= Slice(p.largest_key)) return true;
  if (p.range_tombstones == 0) return false;
  return p.tombstone_unbounded || key < Slice(p.tombstone_end);
}

bool LiveTable::Overlaps(Slice begin, Slice end, bool end_inclusive, bool to_last) const {
  const TableProperties& p = properties_;
  const Slice low(p.smallest_key);
  if (!to_last && (end_inclusive ? low > end : low >= end)) return false;
  if (p.entries > 0 && Slice(p.largest_key) >= begin) return true;
  if (p.range_tombstones == 0) return false;
  return p.tombstone_unbounded || Slice(p.tombstone_end) > begin;
}

TableStore::~TableStore() { RemoveDead(); }

std::string TableStore::Path(uint64_t number) const {
  return JoinPath(options_.dir, TableFileName(number));
}

// Readers are retired outside the lock: retiring may free what was retired before, other tables
// that call Died among it.
Status TableStore::Open(LiveTable* file, RefPtr<Table>* reader) {
  struct Closed {
    Epoch* const epoch;
    std::vector<Table*> tables;
    ~Closed() {
      for (Table* t : tables) epoch->Retire(t, [](void* p) { static_cast<Table*>(p)->Unref(); });
    }
  } closed{options_.epoch, {}};
  return OpenHeld(file, reader, &closed.tables);
}

Status TableStore::OpenHeld(LiveTable* file, RefPtr<Table>* reader, std::vector<Table*>* closed) {
  MutexLock lock(&mutex_);
  Table* t = file->table_.load(std::memory_order_relaxed);
  if (t == nullptr) {
    CloseSome(closed);
    open_.reserve(open_.size() + 1);
    const std::string path = Path(file->number_);
    Result<std::unique_ptr<File>> opened = options_.vfs->Open(path, OpenMode::kRead);
    if (!opened.ok()) {
      if (opened.status().Is(Code::kMissing)) {
        return Status::Corrupt(path, 0, "a table that the manifest lists is missing");
      }
      return std::move(opened).status();
    }
    Table::OpenOptions oo;
    oo.table_id = file->number_;
    oo.database_id = options_.database_id;
    oo.file_bytes = file->bytes();
    oo.cache = options_.cache;
    oo.budget = options_.budget;
    oo.map = options_.map;
    KIST_TRY_ASSIGN(RefPtr<Table> table, Table::Open(opened.Take(), path, oo));
    reader_bytes_.fetch_add(table->memory_bytes(), std::memory_order_relaxed);
    t = table.Release();
    open_.push_back(file);
    file->table_.store(t, std::memory_order_release);
    if (file->obsolete_.load(std::memory_order_acquire)) CountAsOld(t);
  }
  file->used_.store(true, std::memory_order_relaxed);
  *reader = RefPtr<Table>::Share(t);
  return Status();
}

void TableStore::Trim() {
  std::vector<Table*> closed;
  {
    MutexLock lock(&mutex_);
    SortOutObsolete(&closed);
    CloseSome(&closed);
  }
  for (Table* t : closed) {
    options_.epoch->Retire(t, [](void* p) { static_cast<Table*>(p)->Unref(); });
  }
}

// Of what no version lists any more only iterators read: it is closed, or counts as held by them.
void TableStore::SortOutObsolete(std::vector<Table*>* closed) {
  if (options_.keep_open) return;
  for (size_t i = open_.size(); i-- > 0;) {
    LiveTable* f = open_[i];
    if (!f->obsolete_.load(std::memory_order_acquire)) continue;
    Table* t = f->table_.load(std::memory_order_relaxed);
    t->shared() ? CountAsOld(t) : Close(i, closed);
  }
}

void TableStore::CountAsOld(Table* t) {
  if (t->old()) return;
  reader_bytes_.fetch_sub(t->memory_bytes(), std::memory_order_relaxed);
  t->CountAsOld(options_.budget);
}

void TableStore::Close(size_t at, std::vector<Table*>* closed) {
  closed->reserve(closed->size() + 1);
  Table* t = open_[at]->table_.exchange(nullptr, std::memory_order_acq_rel);
  if (!t->old()) reader_bytes_.fetch_sub(t->memory_bytes(), std::memory_order_relaxed);
  open_[at] = open_.back();
  open_.pop_back();
  closed->push_back(t);
}

// Files, or what they take of the memory budget.
bool TableStore::TooManyOpen() {
  if (options_.keep_open || open_.empty()) return false;
  if (open_.size() >= max_open_.load(std::memory_order_relaxed)) return true;
  return options_.budget != nullptr &&
         reader_bytes() >= options_.budget->TablesMax(options_.cache->loose_bytes());
}

// CLOCK over the open readers, until they are few and small enough: those not used since the last
// sweep first. What is closed is free only when the readers of now have left, so no more is closed
// than must be. One that an iterator holds stays: closing it would free nothing, and the next
// lookup would open a second one beside it.
void TableStore::CloseSome(std::vector<Table*>* closed) {
  for (size_t turns = 2 * open_.size(); turns > 0 && TooManyOpen(); --turns) {
    if (hand_ >= open_.size()) hand_ = 0;
    LiveTable* f = open_[hand_];
    if (f->used_.exchange(false, std::memory_order_relaxed) ||
        f->table_.load(std::memory_order_relaxed)->shared()) {
      ++hand_;
      continue;
    }
    Close(hand_, closed);
  }
}

void TableStore::Died(LiveTable* file) {
  MutexLock lock(&mutex_);
  Table* t = file->table_.load(std::memory_order_relaxed);
  if (t != nullptr) {
    if (!t->old()) reader_bytes_.fetch_sub(t->memory_bytes(), std::memory_order_relaxed);
    open_.erase(std::remove(open_.begin(), open_.end(), file), open_.end());
  }
  if (!file->obsolete_.load(std::memory_order_acquire)) return;
  try {
    dead_.push_back(file->number_);
  } catch (const std::bad_alloc&) {  // a reader's end cannot fail: the next open removes the file
  }
}

size_t TableStore::open_tables() {
  MutexLock lock(&mutex_);
  return open_.size();
}

// One at a time: who returns knows that what another one took is gone, too.
void TableStore::RemoveDead() {
  if (options_.frozen != nullptr && options_.frozen->load(std::memory_order_acquire)) return;
  MutexLock removing(&remove_mutex_);
  std::vector<uint64_t> dead;
  {
    MutexLock lock(&mutex_);
    dead.swap(dead_);
  }
  std::vector<uint64_t> kept;
  for (uint64_t number : dead) {
    Status s = options_.vfs->Remove(Path(number));
    if (!s.ok() && !s.Is(Code::kMissing)) {
      kept.push_back(number);
    } else {
      obsolete_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }
  if (kept.empty()) return;
  MutexLock lock(&mutex_);
  dead_.insert(dead_.end(), kept.begin(), kept.end());
}

}  // namespace kist
