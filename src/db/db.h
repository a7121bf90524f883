// Db: one open database. The C interface (capi/) holds it through handles and checks arguments,
// handle kinds, fork and closing; nothing here is called after Close returned, nor in a fork child.
//
// Threads: everything from any thread, concurrently, unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batch/packed_batch.h"
#include "db/options.h"
#include "iter/internal_iterator.h"
#include "util/epoch.h"
#include "util/ref.h"
#include "util/status.h"
#include "vfs/vfs.h"

namespace kist {

enum class Durability : uint32_t { kDefault = 0, kBuffered = 1, kOs = 2, kSync = 3 };

struct LogSink {
  int level = 1;
  void (*log)(void* ctx, int32_t level, const char* message, size_t len) = nullptr;
  void* ctx = nullptr;
};

// A keyspace while any handle or engine structure knows it. dropped() turns true for ever.
class Keyspace {
 public:
  virtual ~Keyspace() = default;
  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }
  bool dropped() const { return dropped_.load(std::memory_order_acquire); }
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  uint32_t id_ = 0;
  std::string name_;
  std::atomic<bool> dropped_{false};
  std::atomic<uint32_t> refs_{1};
};

enum class KeyspaceMode { kOpen = 0, kCreate = 1, kCreateNew = 2 };

// A registered snapshot: holds its sequence and TTL time against compaction until destroyed.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  Sequence seq = 0;
  int64_t time_ms = 0;
};

// What a point read found. `value` is valid while the ReadGuard lives or until Release of a Pin
// made from it.
struct ReadFound {
  bool found = false;
  Slice value;
  int64_t expires_ms = 0;  // 0: never
  // What keeps `value` alive; moved into a pin by MakePin.
  Block* block = nullptr;
  RefPtr<Block> owned;
  class Memtable* memtable = nullptr;
  // For statistics: see ReadCounter.
  struct Looks {
    uint16_t from_table = 0;
    uint16_t filter_false = 0;
    uint32_t filter_negatives = 0;
  } looks;
};

// What a version means to a reader at `now_ms` over whose key a range tombstone of sequence
// `covering` (0: none) lies: fills found, value and expiry. read.cc
void ResolveFound(uint64_t tag, Slice value, Sequence covering, int64_t now_ms, ReadFound* found);

// One key of several that are read together.
struct ManyGet {
  Slice key;
  ReadFound found;
  Status status;  // an error of this key alone
  // The engine's.
  uint64_t hash = 0;
  Sequence covering = 0;
  uint32_t block = 0;
  bool done = false;
};

// The state that several reads have in common; valid inside the guard under which it was fixed.
struct ReadState {
  class View* view = nullptr;
  Sequence seq = 0;
  int64_t time_ms = 0;
};

// A reference that outlives the guard: release(owner) once.
struct PinRef {
  void* owner = nullptr;  // nullptr: nothing to release
  void (*release)(void*) = nullptr;
};

struct IterOptions {
  const Snapshot* snapshot = nullptr;
  // A transaction's writes, over the snapshot: those with sequences up to own_limit.
  class Memtable* own = nullptr;
  Sequence own_limit = 0;
  Slice lower, upper, prefix;  // copied
  bool has_upper = false;
  bool fill_cache = true;
  bool keys_only = false;
  bool for_update = false;  // a transaction's: it depends on what the iterator passes over
};

// Over the visible entries of one keyspace as they were at one commit.
class DbIterator {
 public:
  virtual ~DbIterator() = default;
  enum class Position { kUnpositioned, kOn, kBefore, kPast };
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  virtual void SeekGe(Slice key) = 0;
  virtual void SeekGt(Slice key) = 0;
  virtual void SeekLe(Slice key) = 0;
  virtual void SeekLt(Slice key) = 0;
  // Per SEMANTICS.md from every position.
  void Next() {
    if (run_way_ <= 0 || run_at_ == run_last_) return StepNext();
    Stand(++run_at_);
  }
  void Prev() {
    if (run_way_ >= 0 || run_at_ == run_last_) return StepPrev();
    Stand(++run_at_);
  }
  Position position() const { return position_; }
  bool on() const { return position_ == Position::kOn; }
  Slice key() const { return key_; }
  Slice value() const { return value_; }
  const Status& status() const { return status_; }  // sticky
  // While set, entries stay valid over further steps until ReleaseHeld (for kist_iter_entries),
  // behind which only a step or seek may follow.
  virtual void HoldEntries(bool on) = 0;
  virtual void ReleaseHeld() = 0;
  // The most bytes of entries to hold at a time.
  size_t hold_max() const { return hold_max_; }
  virtual Status Refresh() = 0;  // to the newest state; keeps an explicit snapshot; unpositioned

 protected:
  virtual void StepNext() = 0;
  virtual void StepPrev() = 0;
  void Stand(const InternalEntry* e) {
    key_ = e->key;
    value_ = e->value;
  }

  // What comes next on the way (1, -1) without any work; way 0: nothing. Position is kOn then.
  int run_way_ = 0;
  const InternalEntry* run_at_ = nullptr;  // the current entry
  const InternalEntry* run_last_ = nullptr;
  Position position_ = Position::kUnpositioned;
  Slice key_;
  Slice value_;
  Status status_;
  size_t hold_max_ = SIZE_MAX;
};

// A transaction; see db/txn.h. Its iterators must be destroyed before it.
class Txn {
 public:
  virtual ~Txn() = default;  // rolls back what was not committed
  virtual Status Put(Keyspace* ks, Slice key, Slice value, int64_t ttl_ms) = 0;
  virtual Status Delete(Keyspace* ks, Slice key) = 0;
  virtual Status DeleteRange(Keyspace* ks, Slice begin, Slice end) = 0;
  virtual Status Savepoint() = 0;
  virtual Status RollbackTo() = 0;  // kMisuse where there is no savepoint
  // Inside one Epoch::Guard of the database, like Db::Get.
  virtual Status Get(Keyspace* ks, Slice key, bool for_update, bool fill_cache,
                     ReadFound* found) = 0;
  // options.snapshot is not set. Sees the writes made so far; Refresh: those made by then.
  virtual Result<std::unique_ptr<DbIterator>> NewIterator(Keyspace* ks,
                                                          const IterOptions& options) = 0;
  // kConflict: nothing happened. After any outcome only destruction is allowed.
  virtual Status Commit(Durability durability, Sequence* seq) = 0;
  virtual size_t memory_bytes() const = 0;
  virtual int64_t time_ms() const = 0;  // by which values expire in it
};

struct FeedCommit {
  Sequence seq = 0;
  int64_t time_ms = 0;  // 0: the log holds none
  Slice packed;         // valid until the feed's next call
};

// The commits after a sequence, in order; see db/feed.h.
class Feed {
 public:
  virtual ~Feed() = default;
  // Waits up to timeout_ms (< 0: for ever) for the next commit. kMissing where the log no longer
  // holds it; kClosed where the database closes meanwhile.
  virtual Status Next(int64_t timeout_ms, FeedCommit* commit, bool* got) = 0;
};

class OpStats;        // db/op_stats.h
struct TxnFootprint;  // db/txn.h
struct LogCapture;    // db/retain.h
struct LogExtent;
struct PinnedState;
class LogHold;

struct WriteRequest {
  const TxnFootprint* footprint =
      nullptr;  // of a transaction: what no later commit may have changed
  Durability durability = Durability::kDefault;
  // One of: a packed batch that was validated (with kRecordHeaderMax bytes of headroom in front
  // where has_headroom).
  char* batch = nullptr;
  size_t batch_bytes = 0;
  bool has_headroom = false;
  BatchSummary summary;
};

struct JobControl {
  // Returns false to cancel. May be empty.
  std::function<bool(uint64_t done, uint64_t total)> progress;
  size_t workers = 1;  // threads that a verification may use; progress has one at a time
};

class Db {
 public:
  // path ":memory:": vfs is made inside. `vfs` nullptr: PosixVfs(). replayed: told of the bytes of
  // each commit that comes back from the log; its error ends the opening. held: the directory's
  // lock, where the caller has it and keeps it until the Db is destroyed.
  using Replayed = std::function<Status(uint64_t bytes)>;
  static Result<std::unique_ptr<Db>> Open(const std::string& path, const OptionSet& options,
                                          const LogSink& log, Vfs* vfs, Replayed replayed = {},
                                          FileLock* held = nullptr);
  virtual ~Db() = default;
  // Drains, syncs, stops background work, releases files and lock. Iterators, snapshots and
  // keyspace references may live on until they are destroyed, which is before the Db itself is;
  // they take no other call, and what an iterator's entry points into stays readable. So do
  // memtables and blocks that pins hold, for ever. epoch() and vfs() work on. Waits for running
  // reads.
  virtual Status Close() = 0;
  // Close comes next: WaitDurable and WaitIdle, which it has to wait for, wait no longer.
  virtual void EndWaits() = 0;

  virtual Vfs* vfs() = 0;
  virtual const DbOptions& options() const = 0;
  virtual Status SetOption(Slice name, Slice value) = 0;

  // ---- keyspaces
  virtual RefPtr<Keyspace> DefaultKeyspace() = 0;
  virtual Result<RefPtr<Keyspace>> OpenKeyspace(const std::string& name, KeyspaceMode mode,
                                                const OptionSet* options) = 0;
  virtual Status DropKeyspace(const std::string& name) = 0;
  virtual std::vector<std::string> ListKeyspaces() = 0;  // sorted

  // ---- reads. Get is called, and its result used, inside one Epoch::Guard of epoch().
  virtual Epoch& epoch() = 0;
  virtual Status Get(Keyspace* ks, const Snapshot* snapshot, Slice key, bool fill_cache,
                     ReadFound* found) = 0;
  // The newest state of one moment, or the snapshot's; whether a keyspace is dropped is to be asked
  // behind it. Inside a guard, as GetMany with it, which wants keys in ascending order and is
  // quickest for some dozens at a time.
  virtual ReadState FixState(const Snapshot* snapshot) = 0;
  virtual void GetMany(Keyspace* ks, const ReadState& state, bool fill_cache, ManyGet* gets,
                       size_t count) = 0;
  // kNoMem where handles hold all that the memory budget gives them; before MakePin.
  virtual Status AdmitPin(const ReadFound& found) = 0;
  // Takes a reference to what holds found->value; still inside the guard.
  static PinRef MakePin(ReadFound* found);
  virtual Result<std::unique_ptr<Snapshot>> NewSnapshot() = 0;
  virtual Result<std::unique_ptr<DbIterator>> NewIterator(Keyspace* ks,
                                                          const IterOptions& options) = 0;
  virtual Result<std::unique_ptr<Txn>> NewTxn(bool serializable) = 0;
  // kInvalid beyond last_seq(); kMissing where the log does not reach back to `from`.
  virtual Result<std::unique_ptr<Feed>> NewFeed(Sequence from) = 0;
  virtual Status ApproximateSize(Keyspace* ks, Slice begin, Slice end, uint64_t* bytes) = 0;

  // ---- writes
  virtual Status Write(WriteRequest* request, Sequence* seq) = 0;
  // The path of a single put or delete: builds the record in a reused buffer.
  virtual Status Put(Keyspace* ks, Durability durability, Slice key, Slice value, int64_t ttl_ms,
                     Sequence* seq) = 0;
  virtual Status Delete(Keyspace* ks, Durability durability, Slice key, Sequence* seq) = 0;
  virtual Status DeleteRange(Keyspace* ks, Durability durability, Slice begin, Slice end,
                             Sequence* seq) = 0;
  virtual Status Sync() = 0;
  virtual Sequence last_seq() const = 0;
  virtual Sequence durable_seq() const = 0;
  virtual Status WaitDurable(Sequence seq, int64_t timeout_ms) = 0;
  virtual const BatchLimits& limits() const = 0;

  // ---- maintenance
  virtual Status Flush() = 0;
  virtual Status Compact(Keyspace* ks, Slice begin, Slice end,
                         const JobControl& job) = 0;  // empty end: to the last key
  virtual Status WaitIdle(int64_t timeout_ms) = 0;
  virtual Status Verify(const JobControl& job) = 0;

  // ---- statistics
  virtual OpStats* ops() = 0;
  virtual std::optional<uint64_t> Stat(Slice name) = 0;
  enum class StatsFormat { kText = 0, kJson = 1, kPrometheus = 2 };
  virtual std::string Stats(StatsFormat format) = 0;

  // ---- copies: see db/retain.h
  virtual Result<std::unique_ptr<LogHold>> HoldLog(uint64_t bytes_max = UINT64_MAX) = 0;
  virtual Result<std::unique_ptr<PinnedState>> PinState() = 0;
  virtual LogCapture CaptureLog() = 0;
  // With the log held: begins a segment where the last one is long and that stops no writer; seals
  // the others, best effort.
  virtual Status SealLog() = 0;
  virtual std::vector<LogExtent> LogExtents() = 0;  // the segments there are, oldest first
  virtual const std::string& path() const = 0;
  // After opening a file by its name: whether it was this database's, see vfs/locked_vfs.h.
  virtual Status CheckLocked() const = 0;
  virtual int64_t NowMs() = 0;  // the database's time
  // No later opening goes back behind what NowMs has said, unless the disk is full now.
  virtual Status KeepTime() = 0;
};

Status DestroyDb(const std::string& path, Vfs* vfs);

}  // namespace kist
