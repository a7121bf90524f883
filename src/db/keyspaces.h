// KeyspaceImpl and the registry of the keyspaces of one database.
// A keyspace is created and dropped by a commit in the log (op kinds 4 and 5); the manifest learns
// of both with the flush of the memtable that the commit stands in, so the log is the truth until
// then. Threads: any.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "db/db.h"
#include "util/mutex.h"

namespace kist {

class KeyspaceImpl final : public Keyspace {
 public:
  KeyspaceImpl(uint32_t id, std::string name, uint32_t slot, const KeyspaceOptions& options)
      : slot_(slot), options_(options) {
    id_ = id;
    name_ = std::move(name);
    default_ttl_ms_.store(options.default_ttl_ms, std::memory_order_relaxed);
  }
  uint32_t slot() const { return slot_; }
  void MarkDropped() { dropped_.store(true, std::memory_order_release); }
  KeyspaceOptions options() const {
    MutexLock lock(&mutex_);
    return options_;
  }
  void SetOptions(const KeyspaceOptions& options) {
    MutexLock lock(&mutex_);
    options_ = options;
    default_ttl_ms_.store(options.default_ttl_ms, std::memory_order_relaxed);
  }
  int64_t default_ttl_ms() const { return default_ttl_ms_.load(std::memory_order_relaxed); }

 private:
  const uint32_t slot_;  // position in Version::keyspaces
  mutable Mutex mutex_;
  KeyspaceOptions options_ KIST_GUARDED_BY(mutex_);
  std::atomic<int64_t> default_ttl_ms_{0};
};

class KeyspaceRegistry {
 public:
  RefPtr<KeyspaceImpl> Find(uint32_t id) const {
    MutexLock lock(&mutex_);
    auto it = by_id_.find(id);
    return it == by_id_.end() ? RefPtr<KeyspaceImpl>() : it->second;
  }
  RefPtr<KeyspaceImpl> FindName(const std::string& name) const {
    MutexLock lock(&mutex_);
    for (const auto& [id, ks] : by_id_) {
      if (ks->name() == name) return ks;
    }
    return {};
  }
  bool Contains(uint32_t id) const {
    if (id == 0) return true;  // the default keyspace is always there
    MutexLock lock(&mutex_);
    return by_id_.count(id) != 0;
  }
  std::vector<RefPtr<KeyspaceImpl>> All() const {
    MutexLock lock(&mutex_);
    std::vector<RefPtr<KeyspaceImpl>> out;
    for (const auto& [id, ks] : by_id_) out.push_back(ks);
    return out;
  }
  RefPtr<KeyspaceImpl> Add(uint32_t id, const std::string& name, const KeyspaceOptions& options) {
    MutexLock lock(&mutex_);
    uint32_t slot = next_slot_;
    if (!free_slots_.empty()) {
      slot = free_slots_.back();
    }
    auto ks = RefPtr<KeyspaceImpl>::Adopt(new KeyspaceImpl(id, name, slot, options));
    by_id_.emplace(id, ks);
    if (slot == next_slot_) {
      ++next_slot_;
    } else {
      free_slots_.pop_back();
    }
    if (options.default_ttl_ms != 0) with_ttl_.fetch_add(1, std::memory_order_relaxed);
    return ks;
  }
  void SetOptions(KeyspaceImpl* ks, const KeyspaceOptions& options) {
    MutexLock lock(&mutex_);
    // Raised before and lowered after, so that no put with a default TTL is missed.
    if (options.default_ttl_ms != 0) with_ttl_.fetch_add(1, std::memory_order_seq_cst);
    const bool had = ks->default_ttl_ms() != 0;
    ks->SetOptions(options);
    if (had) with_ttl_.fetch_sub(1, std::memory_order_seq_cst);
  }
  // The keyspace is gone for callers; its slot is freed when the version has let go of its tables
  // (FreeSlot).
  void Remove(uint32_t id) {
    MutexLock lock(&mutex_);
    auto it = by_id_.find(id);
    if (it == by_id_.end()) return;
    it->second->MarkDropped();
    if (it->second->default_ttl_ms() != 0) with_ttl_.fetch_sub(1, std::memory_order_relaxed);
    by_id_.erase(it);
    // Release: who reads the new number sees the keyspace dropped.
    drops_.fetch_add(1, std::memory_order_release);
  }
  // How many were removed. One that is there after this was read, is there until it changes.
  uint64_t drops() const { return drops_.load(std::memory_order_acquire); }
  // The slot is used again; readers compare the id that the version holds at it.
  void FreeSlot(uint32_t slot) {
    MutexLock lock(&mutex_);
    free_slots_.push_back(slot);
  }
  void Clear() {
    MutexLock lock(&mutex_);
    by_id_.clear();
    free_slots_.clear();
    next_slot_ = 0;
    with_ttl_.store(0, std::memory_order_relaxed);
  }
  bool any_default_ttl() const { return with_ttl_.load(std::memory_order_relaxed) != 0; }

 private:
  mutable Mutex mutex_;
  std::map<uint32_t, RefPtr<KeyspaceImpl>> by_id_ KIST_GUARDED_BY(mutex_);
  std::vector<uint32_t> free_slots_ KIST_GUARDED_BY(mutex_);
  uint32_t next_slot_ KIST_GUARDED_BY(mutex_) = 0;
  std::atomic<uint32_t> with_ttl_{0};
  std::atomic<uint64_t> drops_{0};
};

}  // namespace kist
