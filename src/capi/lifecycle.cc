// Registering children, closing, and what a fork child may still do. See lifecycle.h.
// Lock order: kist_db::mutex is taken alone; no engine call is made under it but SleepUs.
// Threads: any.
#include "capi/lifecycle.h"

namespace kist::capi {
namespace {

constexpr uint64_t kPauseUs = 20;

void Unref(kist_db* db) noexcept {
  if (db->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (InForkChild(db)) {
    // Its threads do not exist here and its locks may be held for ever: the memory of the engine
    // stays the parent's affair.
    static_cast<void>(db->engine.release());
    static_cast<void>(db->default_keyspace.keyspace.Release());
  }
  delete db;
}

// Waits until no iterator is inside a call, and lets none in again. Iterators keep what their
// entries point into until they are freed.
void RevokeChildren(kist_db* db) {
  MutexLock lock(&db->mutex);
  for (Link* child = db->children; child != nullptr; child = child->next) {
    if (child->stream != nullptr) child->stream->Abandon();
    if (child->state == nullptr) continue;
    for (;;) {
      uint32_t idle = kIdle;
      // Acquire pairs with the release that ends a call.
      if (child->state->compare_exchange_strong(idle, kRevoked, std::memory_order_acq_rel)) break;
      if (idle == kRevoked) break;
      db->engine->vfs()->SleepUs(kPauseUs);
    }
  }
}

// `closed` was stored by the caller, under the mutex.
Status CloseEngine(kist_db* db) {
  db->engine->EndWaits();
  db->epoch->Drain();
  Vfs* vfs = db->engine->vfs();
  db->gate.Drain([vfs] { vfs->SleepUs(kPauseUs); });
  RevokeChildren(db);
  return db->engine->Close();
}

// kist_close that returns KIST_OK leaves everything durable, also where the engine stays open for
// its children.
Status SyncBeforeDefer(kist_db* db) {
  if (db->engine->options().read_only) return Status();
  Gate::Slot* slot = db->gate.Enter();
  Status status;
  try {
    // Where the last child was freed meanwhile, its closing has synced.
    if (!db->closed.load(std::memory_order_seq_cst)) status = db->engine->Sync();
  } catch (...) {
    status = Status::Bare(Code::kNoMem);
  }
  Gate::Leave(slot);
  return status;
}

}  // namespace

kist_rc Register(kist_db* db, Link* link, kist_err* err) {
  MutexLock lock(&db->mutex);
  if (db->closed.load(std::memory_order_relaxed)) {
    return Fail(err, KIST_E_CLOSED, {}, "the database has been closed");
  }
  link->db = db;
  link->next = db->children;
  link->previous = nullptr;
  if (link->next != nullptr) link->next->previous = link;
  db->children = link;
  ++db->child_count;
  db->refs.fetch_add(1, std::memory_order_relaxed);
  return KIST_OK;
}

void Unregister(Link* link) noexcept {
  kist_db* db = link->db;
  if (InForkChild(db)) return Unref(db);
  bool last = false;
  {
    MutexLock lock(&db->mutex);
    (link->previous != nullptr ? link->previous->next : db->children) = link->next;
    if (link->next != nullptr) link->next->previous = link->previous;
    --db->child_count;
    last = db->released && db->child_count == 0 && !db->closed.load(std::memory_order_relaxed);
    if (last) db->closed.store(true, std::memory_order_seq_cst);
  }
  if (last) {
    GuardVoid([db] { static_cast<void>(CloseEngine(db)); });
  }
  Unref(db);
}

kist_rc CloseDb(kist_db* db, uint32_t mode, kist_err* err) {
  if (InForkChild(db)) {
    db->magic.store(kFreed, std::memory_order_relaxed);
    Unref(db);
    return KIST_OK;
  }
  if (mode > KIST_CLOSE_DEFER) {
    return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "kist_close: unknown mode %u", mode);
  }
  bool close_now = true;
  {
    MutexLock lock(&db->mutex);
    if (db->released)
      return Fail(err, KIST_E_MISUSE, {KIST_D_HANDLE}, "kist_close: closed already");
    if (mode == KIST_CLOSE_STRICT && db->child_count > 0) {
      const auto live = static_cast<unsigned long long>(db->child_count);
      return Fail(err, KIST_E_BUSY, {KIST_D_NONE, live},
                  "%llu keyspaces, snapshots, iterators, transactions, feeds or streams are live",
                  live);
    }
    db->released = true;
    db->magic.store(kFreed, std::memory_order_relaxed);
    db->default_keyspace.magic.store(kFreed, std::memory_order_relaxed);
    close_now = mode != KIST_CLOSE_DEFER || db->child_count == 0;
    // Pairs with the loads of calls that have entered the epoch or the gate.
    if (close_now) db->closed.store(true, std::memory_order_seq_cst);
  }
  Status status;
  try {
    status = close_now ? CloseEngine(db) : SyncBeforeDefer(db);
  } catch (...) {
    status = Status::Bare(Code::kNoMem);
  }
  const kist_rc rc = Finish(err, status);
  Unref(db);
  return rc;
}

}  // namespace kist::capi
