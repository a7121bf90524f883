// The structs behind the opaque handles of kist.h. Each begins with its magic number; a freed one
// has magic 0.
// Invariants:
//  1. A child (keyspace handle, snapshot, iterator, transaction, feed) holds one reference on its
//     kist_db, so a database's memory and its engine object outlive every child; what kist_close
//     ends is the engine's files and threads.
//  2. `children` and `child_count` hold exactly the children that were handed out and not freed.
//  3. A single-user handle's `state` is kIdle between calls, kBusy inside one, kRevoked for ever
//     once its database was closed under it. Who changes it from kIdle owns the other members. A
//     call on a transaction's iterator takes the iterator's and then the transaction's: they have
//     one user together.
// Threads: as kist.h says of each type; members stand in the groups constant, self-synchronised,
// guarded.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "backup/stream.h"
#include "batch/packed_batch.h"
#include "capi/gate.h"
#include "db/db.h"
#include "kist/kist.h"
#include "record/segment.h"
#include "util/mutex.h"

namespace kist::capi {

enum Magic : uint32_t {
  kFreed = 0,
  kOptionsMagic = 0x4b4f5054,
  kDbMagic = 0x4b444221,
  kKeyspaceMagic = 0x4b4b5321,
  kSnapshotMagic = 0x4b534e50,
  kIterMagic = 0x4b495445,
  kBatchMagic = 0x4b424154,
  kTxnMagic = 0x4b54584e,
  kFeedMagic = 0x4b464545,
  kStreamMagic = 0x4b535452,
};

enum UserState : uint32_t { kIdle = 0, kBusy = 1, kRevoked = 2 };

struct Handle {
  explicit Handle(Magic m) : magic(m) {}
  ~Handle() { magic.store(kFreed, std::memory_order_relaxed); }
  std::atomic<uint32_t> magic;
};

// A handle of one user at a time.
struct SingleUser : Handle {
  explicit SingleUser(Magic m) : Handle(m) {}
  std::atomic<uint32_t> state{kIdle};
};

// What links a child into its database; see lifecycle.h.
struct Link {
  kist_db* db = nullptr;
  Link* previous = nullptr;
  Link* next = nullptr;
  std::atomic<uint32_t>* state = nullptr;  // of a single-user child: what revoking it sets
  kist::Stream* stream = nullptr;          // whose threads are ended before the engine closes
};

// Owns what kist_options_set_logger was given; the last owner calls drop.
struct LoggerOwner {
  LogSink sink;
  void (*drop)(void*) = nullptr;
  LoggerOwner() = default;
  LoggerOwner(const LoggerOwner&) = delete;
  LoggerOwner& operator=(const LoggerOwner&) = delete;
  ~LoggerOwner() {
    if (drop != nullptr) drop(sink.ctx);
  }
};

}  // namespace kist::capi

struct kist_options : kist::capi::SingleUser {
  kist_options() : SingleUser(kist::capi::kOptionsMagic) {}
  kist::OptionSet set;
  std::shared_ptr<kist::capi::LoggerOwner> logger;
};

struct kist_keyspace : kist::capi::Handle {
  kist_keyspace() : Handle(kist::capi::kKeyspaceMagic) {}
  kist::capi::Link link;
  kist::RefPtr<kist::Keyspace> keyspace;
};

struct kist_snapshot : kist::capi::Handle {
  kist_snapshot() : Handle(kist::capi::kSnapshotMagic) {}
  kist::capi::Link link;
  std::unique_ptr<kist::Snapshot> snapshot;
};

struct kist_iter : kist::capi::SingleUser {
  kist_iter() : SingleUser(kist::capi::kIterMagic) {}
  kist::capi::Link link;
  // Of an iterator of a transaction: the word of the transaction's user.
  std::shared_ptr<std::atomic<uint32_t>> txn_state;
  bool txn_taken = false;  // by the call that runs
  kist::RefPtr<kist::Keyspace> keyspace;
  std::unique_ptr<kist::DbIterator> it;
  bool keys_only = false;
  // A seek has just found the current entry: entries and chunk begin with it.
  bool fresh = false;
  // A call ended by an exception: the engine's iterator is in doubt.
  bool broken = false;
  // chunk found no room for an entry: `it` stands on it, one step in this direction (1, -1) past
  // the iterator's own position. 0: no.
  int8_t ahead = 0;
  // The iterator's own position where ahead != 0, and where Settle could not take `it` back to
  // being unpositioned.
  kist::DbIterator::Position own = kist::DbIterator::Position::kUnpositioned;
  bool unpositioned = false;
  // For statistics: numbers of its seeks, from a start of its own, and steps not yet counted.
  uint64_t seeks = 0;
  uint64_t steps = 0;
};

struct kist_batch : kist::capi::SingleUser {
  kist_batch() : SingleUser(kist::capi::kBatchMagic), builder(kist::kRecordHeaderMax) {}
  kist::BatchBuilder builder;
  uint64_t db_id = 0;  // of the open database that its first keyspace belongs to; 0: none yet
};

struct kist_txn : kist::capi::Handle {
  kist_txn() : Handle(kist::capi::kTxnMagic) {}
  kist::capi::Link link;
  // As a single user's. Its iterators, which may outlive it, take it too; kRevoked once it is
  // freed.
  const std::shared_ptr<std::atomic<uint32_t>> state =
      std::make_shared<std::atomic<uint32_t>>(kist::capi::kIdle);
  std::unique_ptr<kist::Txn> txn;
  bool ended = false;  // a commit was tried
};

struct kist_feed : kist::capi::SingleUser {
  kist_feed() : SingleUser(kist::capi::kFeedMagic) {}
  kist::capi::Link link;
  std::unique_ptr<kist::Feed> feed;
  kist::Status failed;  // sticky
};

struct kist_stream : kist::capi::Handle {
  kist_stream() : Handle(kist::capi::kStreamMagic) {}
  kist::capi::Link link;
  std::unique_ptr<kist::Stream> stream;
};

struct kist_db : kist::capi::Handle {
  kist_db() : Handle(kist::capi::kDbMagic) {}

  // Constant once open. The logger outlives the engine, which calls it.
  std::shared_ptr<kist::capi::LoggerOwner> logger;
  std::unique_ptr<kist::Db> engine;
  kist::Epoch* epoch = nullptr;
  kist::OpStats* ops = nullptr;
  std::unique_ptr<kist::ForkGuard> fork;
  uint64_t id = 0;  // random, never 0
  size_t max_key = 0;
  size_t max_value = 0;
  kist_keyspace default_keyspace;  // not a child

  // Self-synchronised. `closed`: the engine takes no new call. refs: the open handle and each
  // child.
  std::atomic<bool> closed{false};
  std::atomic<uint64_t> refs{1};
  kist::capi::Gate gate;

  // Guarded. `released`: kist_close has taken the handle from the user.
  kist::Mutex mutex;
  kist::capi::Link* children KIST_GUARDED_BY(mutex) = nullptr;
  uint64_t child_count KIST_GUARDED_BY(mutex) = 0;
  bool released KIST_GUARDED_BY(mutex) = false;
};
