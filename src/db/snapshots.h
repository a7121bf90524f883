// SnapshotList: the live snapshots of a database, and the one lock under which a snapshot registers
// its sequence and a flush or compaction samples them all, so that no snapshot can appear between
// the sample and what it allows to be dropped. Threads: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>

#include "compaction/drop_rule.h"
#include "db/clock.h"
#include "db/db.h"
#include "util/mutex.h"

namespace kist {

class SnapshotList;

class SnapshotNode final : public Snapshot {
 public:
  explicit SnapshotNode(SnapshotList* list) : list_(list) {}
  ~SnapshotNode() override;

 private:
  friend class SnapshotList;
  SnapshotList* const list_;
  SnapshotNode* prev_ = nullptr;
  SnapshotNode* next_ = nullptr;
};

class SnapshotList {
 public:
  // visible: the newest commit that readers see. It and the time are read under the list's lock: a
  // job whose sample the snapshot is not in has looked at both before. As DbImpl::FixState, they
  // are of one moment.
  void Register(SnapshotNode* s, const std::atomic<Sequence>& visible, DbClock* clock) {
    MutexLock lock(&mutex_);
    for (std::optional<int64_t> before;; before = s->time_ms) {
      s->seq = visible.load(std::memory_order_acquire);
      s->time_ms = clock->NowMs();
      if (visible.load(std::memory_order_acquire) == s->seq || before == s->time_ms) break;
    }
    s->prev_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = s;
    last_ = s;
    ++count_;
  }
  // s sees what `other`, a live snapshot of this list, sees, and stays when that is freed.
  void RegisterBeside(SnapshotNode* s, const Snapshot& other) {
    auto* const beside = const_cast<SnapshotNode*>(static_cast<const SnapshotNode*>(&other));
    MutexLock lock(&mutex_);
    s->seq = other.seq;
    s->time_ms = other.time_ms;
    s->prev_ = beside;
    s->next_ = beside->next_;
    (s->next_ != nullptr ? s->next_->prev_ : last_) = s;
    beside->next_ = s;
    ++count_;
  }
  Visibility Sample(const std::atomic<Sequence>& visible, int64_t now_ms) {
    MutexLock lock(&mutex_);
    Visibility v;
    v.newest = visible.load(std::memory_order_acquire);
    v.ttl_time_ms = now_ms;
    for (SnapshotNode* s = first_; s != nullptr; s = s->next_) {
      if (v.snapshots.empty() || v.snapshots.back() != s->seq) v.snapshots.push_back(s->seq);
      v.ttl_time_ms = std::min(v.ttl_time_ms, s->time_ms);
    }
    std::sort(v.snapshots.begin(), v.snapshots.end());
    return v;
  }
  // kMaxSequence where there is none.
  Sequence Oldest() {
    MutexLock lock(&mutex_);
    return first_ == nullptr ? kMaxSequence : first_->seq;
  }
  // The earliest time that a snapshot reads expiry at, now_ms where there is none earlier.
  int64_t OldestTime(int64_t now_ms) {
    MutexLock lock(&mutex_);
    for (SnapshotNode* s = first_; s != nullptr; s = s->next_)
      now_ms = std::min(now_ms, s->time_ms);
    return now_ms;
  }
  size_t count() {
    MutexLock lock(&mutex_);
    return count_;
  }

 private:
  friend class SnapshotNode;
  void Remove(SnapshotNode* s) {
    MutexLock lock(&mutex_);
    (s->prev_ != nullptr ? s->prev_->next_ : first_) = s->next_;
    (s->next_ != nullptr ? s->next_->prev_ : last_) = s->prev_;
    --count_;
  }
  Mutex mutex_;
  SnapshotNode* first_ KIST_GUARDED_BY(mutex_) =
      nullptr;  // oldest sequence first: sequences only grow
  SnapshotNode* last_ KIST_GUARDED_BY(mutex_) = nullptr;
  size_t count_ KIST_GUARDED_BY(mutex_) = 0;
};

inline SnapshotNode::~SnapshotNode() { list_->Remove(this); }

}  // namespace kist
