// DbImpl: the engine behind Db. Its methods stand by path, a file each: open, recovery, write, ...
// Invariants
//  1. One writer at a time holds queue_'s token; it alone appends to log_, adds to the newest
//     memtable and raises visible_seq_.
//  2. A commit is: record appended, synced where asked, applied to the memtable, published by
//     visible_seq_. A failure before the last step leaves nothing visible.
//  3. One segment of the log belongs to one memtable. A segment is removed after the edit that
//     lists its memtable's tables is durable.
//  4. view_ is replaced under mutex_ only, and the old one retired through epoch_.
//  5. Versions change under manifest_mutex_: manifest append first, then the view.
//  6. Once poisoned_ is set nothing is written, synced or removed any more; reads go on.
// Lock order: keyspace_mutex_, queue_ token, manifest_mutex_, directory_mutex_, sync_mutex_,
// mutex_, log_mutex_, then the locks inside other objects.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compaction/job.h"
#include "db/buffer_pool.h"
#include "db/clock.h"
#include "db/db.h"
#include "db/group_pace.h"
#include "db/keyspaces.h"
#include "db/op_stats.h"
#include "db/retain.h"
#include "db/snapshots.h"
#include "db/space_reserve.h"
#include "db/view.h"
#include "db/write_queue.h"
#include "memtable/chunk_reserve.h"
#include "record/chain.h"
#include "record/segment.h"
#include "util/memory_budget.h"
#include "version/manifest.h"
#include "vfs/locked_vfs.h"

namespace kist {

// Full memtables that wait for their flush before writers have to wait too.
constexpr size_t kMaxFullMemtables = 2;
// What a log segment reserves while the database has not shown how much it writes.
constexpr uint64_t kFirstReserveBytes = uint64_t{256} << 10;
// The most it reserves at a time, however much is written; it goes on in stretches.
constexpr uint64_t kReserveBytesMax = uint64_t{1} << 20;
constexpr size_t kGroupMax = 64;  // commits in one append of the log

// Why a writer waited: for a memtable to be flushed, or a little for the sake of level 0 or of
// flushes that are behind.
enum class StallReason { kMemtables, kLevel0, kFlushes };
constexpr int kStallReasons = 3;

// Counters that writers and background work keep; readers' stand in the epoch's slots.
struct DbCounters {
  using Counter = std::atomic<uint64_t>;
  Counter commits{0}, entries_written{0}, bytes_written{0}, groups{0}, syncs{0}, wal_bytes{0};
  Counter stall_us[kStallReasons] = {}, stall_count[kStallReasons] = {}, stall_max_us{0};
  Counter puts{0}, deletes{0}, range_deletes{0}, batches{0};  // commits by kind
  Counter flushes{0}, flush_bytes{0}, compactions{0}, compaction_bytes_read{0},
      compaction_bytes_written{0}, trivial_moves{0};
  Counter dropped_shadowed{0}, dropped_range{0}, dropped_tombstones{0}, dropped_expired{0};
  Counter recovered_records{0}, recovered_bytes{0}, residue_bytes{0}, residue_records{0};
  // Of full segments: what they hold, and what they had reserved beyond it.
  Counter segments{0}, wal_reserved_bytes{0}, wal_used_bytes{0}, wal_wasted_bytes{0};
  Counter background_errors{0}, background_retries{0};
};

class DbImpl final : public Db {
 public:
  DbImpl(std::string path, const DbOptions& options, const LogSink& log, Replayed replayed,
         FileLock* held, Vfs* vfs, std::unique_ptr<Vfs> owned_vfs);
  ~DbImpl() override;
  Status Start();  // open.cc: recovers and starts background work

  Status Close() override;
  void EndWaits() override;
  Vfs* vfs() override { return names_.base(); }
  const DbOptions& options() const override { return options_; }
  Status SetOption(Slice name, Slice value) override;

  RefPtr<Keyspace> DefaultKeyspace() override;
  Result<RefPtr<Keyspace>> OpenKeyspace(const std::string& name, KeyspaceMode mode,
                                        const OptionSet* options) override;
  Status DropKeyspace(const std::string& name) override;
  std::vector<std::string> ListKeyspaces() override;

  Epoch& epoch() override { return epoch_; }
  Status Get(Keyspace* ks, const Snapshot* snapshot, Slice key, bool fill_cache,
             ReadFound* found) override;
  ReadState FixState(const Snapshot* snapshot) override;
  void GetMany(Keyspace* ks, const ReadState& state, bool fill_cache, ManyGet* gets,
               size_t count) override;
  Status AdmitPin(const ReadFound& found) override;
  Result<std::unique_ptr<Snapshot>> NewSnapshot() override;
  Result<std::unique_ptr<DbIterator>> NewIterator(Keyspace* ks,
                                                  const IterOptions& options) override;
  Result<std::unique_ptr<Txn>> NewTxn(bool serializable) override;
  Result<std::unique_ptr<Feed>> NewFeed(Sequence from) override;
  Status ApproximateSize(Keyspace* ks, Slice begin, Slice end, uint64_t* bytes) override;

  Status Write(WriteRequest* request, Sequence* seq) override;
  Status Put(Keyspace* ks, Durability durability, Slice key, Slice value, int64_t ttl_ms,
             Sequence* seq) override;
  Status Delete(Keyspace* ks, Durability durability, Slice key, Sequence* seq) override;
  Status DeleteRange(Keyspace* ks, Durability durability, Slice begin, Slice end,
                     Sequence* seq) override;
  Status Sync() override;
  Sequence last_seq() const override { return visible_seq_.load(std::memory_order_acquire); }
  // A commit is durable a little before it is visible.
  Sequence durable_seq() const override {
    const Sequence durable = durable_seq_.load(std::memory_order_acquire);
    return std::min(durable, last_seq());
  }
  Status WaitDurable(Sequence seq, int64_t timeout_ms) override;
  const BatchLimits& limits() const override { return limits_; }

  Status Flush() override;
  Status Compact(Keyspace* ks, Slice begin, Slice end, const JobControl& job) override;
  Status WaitIdle(int64_t timeout_ms) override;
  Status Verify(const JobControl& job) override;

  OpStats* ops() override { return &ops_; }
  std::optional<uint64_t> Stat(Slice name) override;
  std::string Stats(StatsFormat format) override;

  Result<std::unique_ptr<LogHold>> HoldLog(uint64_t bytes_max) override;
  Result<std::unique_ptr<PinnedState>> PinState() override;
  LogCapture CaptureLog() override;
  Status SealLog() override;
  int64_t NowMs() override { return clock_.NowMs(); }
  Status KeepTime() override;

  // For iterators: the newest view with a reference, and the newest visible sequence of it.
  RefPtr<View> AcquireView(Sequence* seq);
  // The same with the time: FixState.
  RefPtr<View> AcquireState(Sequence* seq, int64_t* time_ms);
  void CountLevel0Seek(const KeyspaceVersion& kv, uint64_t extra_files);  // a reader's
  DbClock& clock() { return clock_; }
  SnapshotList* snapshots() { return &snapshots_; }
  std::vector<LogExtent> LogExtents() override;
  const std::string& path() const override { return path_; }
  Status CheckLocked() const override { return names_.Check(); }
  // What handles hold is to grow by so much: kNoMem where the budget does not allow it. The cache
  // gives way. own_bytes: of blocks that are held already and shall not count. budget.cc
  Status AdmitHeld(size_t bytes, size_t own_bytes = 0);
  MemoryBudget* budget() { return budget_.get(); }
  // What a scan may read ahead of each of its tables.
  size_t ScanReadAhead() const;
  Status DrainForFeed();
  Status WaitForCommit(Sequence seq, uint64_t us);
  // For transactions: kConflict where a commit after footprint.since changed what it names.
  // conflict.cc
  Status CheckFootprint(const TxnFootprint& footprint, Sequence* looked_at = nullptr);

 private:
  class HoldImpl;      // retain.cc
  struct GroupWriter;  // write.cc
  struct Recovery;     // recovery.h
  struct ReplayedLog {
    uint64_t number = 0;
    Sequence previous_lsn = 0;  // the last commit before its first
    Sequence last_lsn = 0;
    uint64_t bytes = 0;
  };
  // A memtable that waits for its flush, or the one being written.
  struct MemtableSlot {
    RefPtr<Memtable> memtable;
    uint64_t log_number = 0;    // its segment
    Sequence previous_lsn = 0;  // the last commit before its segment's first
    Sequence last_seq = 0;      // known once it is full
    std::shared_ptr<SegmentWriter> segment;
    // In its place, of a memtable that an opening filled: the segments, oldest first; log_number
    // is the first one's.
    std::vector<ReplayedLog> replayed;
    // Keyspaces created and dropped by commits in it, for the flush's edit.
    std::vector<NewKeyspace> created;
    std::vector<uint32_t> dropped;
    std::vector<uint32_t> freed_slots;  // of Version::keyspaces, once the drops are in the manifest
  };
  struct Outcome {  // of a flush or compaction, for Install
    Edit edit;
    std::vector<RefPtr<LiveTable>> added;  // by position of edit.added
    size_t drops_memtables = 0;            // so many of the oldest are in tables now
    std::map<uint32_t, uint32_t> slots;    // of its tables' keyspaces, by FindSlots
  };

  // ---- read.cc
  Status GetRenewed(Keyspace* ks, const ReadState& looked, Slice key, bool fill_cache,
                    ReadFound* found);
  bool IsNewest(const ReadState& state) const {
    return visible_seq_.load(std::memory_order_acquire) == state.seq &&
           view_.load(std::memory_order_seq_cst) == state.view;
  }

  // ---- open.cc, recovery.cc
  Status StartReadOnly();
  Status OpenReadOnlyState(const ManifestState& state);
  Status OpenDirectory();
  Status NoDatabase() const;
  Status CreateDatabase();
  Status CheckFiles(const ManifestState& state);
  Status LoadState(const ManifestState& state);
  Status Recover(const ManifestState& state, Recovery* recovery);
  Status Replay(const ManifestState& state, Recovery* recovery);
  Status ClearBeforeReplay(const ManifestState& state, const std::vector<ChainSegment>& segments,
                           const ChainOptions& options);
  Status ReplayBatch(Slice batch, Sequence seq, int64_t time_ms, Recovery* recovery);
  Status FlushRecovered(Recovery* recovery);
  struct StartFiles {
    std::shared_ptr<SegmentWriter> log;
    std::unique_ptr<Manifest> manifest;
    ManifestState state;
  };
  Status MakeStartFiles(const ManifestState& state, const Recovery& recovery, StartFiles* files);
  Status FinishOpen(const ManifestState& state, Recovery* recovery);
  Status PublishOpened(StartFiles* files, Recovery* recovery);
  static std::vector<ReplayedLog> ReplayedLogs(const Recovery& recovery);
  std::vector<std::string> FindLeftovers(const ManifestState& state, const Edit& made,
                                         const std::function<bool(uint64_t)>& keeps_log);
  void RemoveLeftovers(const std::vector<std::string>& names);
  Status StartThreads();
  Status StartThread(const char* name, std::function<void()> body);
  Status StartCompaction();
  void StopThreads();
  void SaveTime();
  void Release();

  // ---- maintenance.cc
  Status VerifyTables(const Version& version, size_t workers,
                      const std::function<Status(uint64_t bytes)>& progress);
  Status VerifyTable(LiveTable* live, const std::function<Status(uint64_t bytes)>& progress);
  Status VerifyManifest();
  Status LookAtManifest() KIST_REQUIRES(manifest_mutex_);
  Status VerifyLogs();
  Status VerifyLog(const std::string& path, Sequence reaches);
  bool LogIsPast(uint64_t number);
  void ApplySizes();  // budget.cc
  MemoryCharge ChargeJob(uint64_t entries) const;

  // ---- write.cc
  Status WriteNothing(Durability durability, Sequence* seq);
  Status Commit(GroupWriter* w);
  void AwaitCompany();
  WriteQueue::Waiter* LeadGroup(GroupWriter* leader);
  void ExpectEntry(GroupWriter** group, size_t count);
  Status TryCommit(GroupWriter** group, size_t count);
  Status CommitGroup(GroupWriter** group, size_t count);
  void RefuseSome(GroupWriter** group, size_t* count);
  Status MakeRoomFor(GroupWriter* const* group, size_t count);
  Status CommitFreeing(GroupWriter* leader, WriteQueue::Waiter* followers);
  bool BackgroundBusy(bool wait);
  Status CheckSpace(GroupWriter* const* group, size_t count, bool* frees);
  void CountGroup(GroupWriter** group, size_t count, uint64_t bytes, uint64_t log_bytes);
  bool WantsSync(Durability durability, uint64_t commits);
  void ApplyKeyspaceOps(Slice batch, Sequence seq);
  Status ChangeKeyspaceOptions(const RefPtr<KeyspaceImpl>& ks, const OptionSet& options);
  Status FlushSoon();
  Status Normalize(Slice batch, const BatchSummary& summary, BatchBuilder* out, bool* changed);
  Status CheckKeyspaces(Slice batch, const BatchSummary& summary);
  Status WriteSmall(Keyspace* ks, Durability durability, OpKind kind, Slice key, Slice value,
                    int64_t ttl_ms, Sequence* seq);

  // ---- stall.cc
  Status MakeRoom(uint64_t bytes, bool frees);
  void Throttle(uint64_t bytes);
  void CountStall(StallReason reason, uint64_t us);
  Status SwitchMemtable();

  // ---- log.cc
  uint64_t LogReserve(uint64_t bytes) const;
  Result<std::shared_ptr<SegmentWriter>> NewSegment(uint64_t number, uint64_t reserve);
  Result<std::shared_ptr<SegmentWriter>> NextSegment(uint64_t* number);
  Status GiveUpSegment(uint64_t number, Status why);  // why, or what poisons
  Status SyncLog();  // all that was handed to the operating system; poisons on failure
  Status SyncDirectory(const char* doing);  // poisons where it was tried and failed
  Status DrainBuffered();                   // takes the token
  void LogThread();
  void LogTurn(uint64_t* due_us, uint64_t* marked);
  void NoteUnsynced();
  void WakeLogThread();
  void MakeAhead();
  void NameNewestLog();
  void RaiseDurable(Sequence seq);
  Status Poison(const Status& cause, const char* doing);
  Status PoisonStatus();

  // ---- retain.cc
  void ReleaseHold(HoldImpl* hold);
  uint64_t OldestHeld() KIST_REQUIRES(mutex_);  // UINT64_MAX where nothing is held
  Status KeepSegment(const std::shared_ptr<SegmentWriter>& segment);

  // ---- background.cc, install.cc
  void FlushThread();
  bool WaitForFlush();
  void CompactionThread();
  void WaitForCompaction() KIST_REQUIRES(mutex_);
  void CollectDead();
  void LeaveMemtables(std::vector<RefPtr<Memtable>>* flushed);
  Status FlushOldest(size_t count);
  Status FlushKeyspaces(const std::vector<const Memtable*>& memtables, const Visibility& visibility,
                        Outcome* outcome);
  void RemoveUnlisted(const Edit& edit);
  Status CompactOnce(bool* did);
  Status RunPlan(const RefPtr<KeyspaceImpl>& ks, const CompactionPlan& plan,
                 const KeyspaceVersion& kv, const JobControl* job);
  bool NextPlan(RefPtr<KeyspaceImpl>* ks, RefPtr<KeyspaceVersion>* kv, CompactionPlan* plan)
      KIST_REQUIRES(mutex_);
  PickOptions PickOptionsFor(const KeyspaceOptions& options);
  JobContext MakeJob(const KeyspaceOptions& options);
  Status Install(Outcome* outcome);
  static void MarkObsolete(const Version& base, const Edit& edit);
  void FindSlots(Outcome* outcome);
  Result<RefPtr<Version>> ApplyOutcome(const Version& base, const Outcome& outcome);
  Status RollManifest() KIST_REQUIRES(manifest_mutex_);
  void PublishView(RefPtr<View> view) KIST_REQUIRES(mutex_);
  RefPtr<View> BuildView() KIST_REQUIRES(mutex_);
  void RemoveOldLogs();
  void TrimRetained();
  Result<std::vector<LogExtent>> FindRetained(SegmentLink link);
  void UpdatePressure() KIST_REQUIRES(mutex_);
  // Decides what a failed background job means: retried later, or poison.
  void BackgroundFailed(const Status& s, bool flush);
  bool FlushPending() const KIST_REQUIRES(mutex_) { return slots_.size() > 1; }
  void Log(int level, const std::string& message);
  // stats.cc
  template <typename Each>
  void ForEachReadCount(Each each);
  template <typename Each>
  void ForEachWriteCount(Each each);
  template <typename Each>
  void ForEachWorkCount(Each each);
  template <typename Each>
  void ForEachCount(Each each);
  template <typename Each>
  void ForEachShapeGauge(Each each);
  template <typename Each>
  void ForEachEffectGauge(Each each);
  template <typename Each>
  void ForEachLogGauge(Each each);
  template <typename Each>
  void ForEachMemoryGauge(Each each);
  template <typename Each>
  void ForEachGauge(Each each);
  template <typename Each>
  void ForEachTime(Each each);

  // ---- constant after Start
  const std::string path_;
  DbOptions options_;  // live ones change under mutex_
  const LogSink log_sink_;
  const Replayed replayed_;  // may be empty
  std::unique_ptr<Vfs> owned_vfs_;
  LockedVfs names_;
  Vfs* const vfs_ = &names_;
  FileLock* const held_;  // the caller's, or nullptr: lock_ is taken
  std::unique_ptr<FileLock> lock_;
  BatchLimits limits_;
  uint64_t database_id_ = 0;
  bool log_timer_ = false;  // the sync policy has an interval; live, like options_

  // ---- self-synchronised
  const RefPtr<MemoryBudget> budget_ = RefPtr<MemoryBudget>::Adopt(new MemoryBudget);
  Epoch epoch_;
  DbClock clock_;
  SnapshotList snapshots_;
  KeyspaceRegistry registry_;
  std::unique_ptr<BlockCache> cache_;
  std::unique_ptr<TableStore> store_;
  SpaceReserve reserve_;
  DbCounters counters_;
  OpStats ops_{names_.base()};
  std::atomic<View*> view_{nullptr};  // owns a reference
  std::atomic<Sequence> visible_seq_{0};
  std::atomic<Sequence> durable_seq_{0};
  std::atomic<uint64_t> next_file_{1};
  std::atomic<uint64_t> newest_log_{0};  // the segment that commits go to; set after it was begun
  std::atomic<bool> poisoned_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> waits_end_{false};  // set with mutex_ and with log_mutex_
  std::atomic<bool> ttl_seen_{false};   // in a commit since the open, or in the log before it
  std::atomic<bool> log_turn_{false};   // of the log thread, at work
  std::atomic<bool> stop_jobs_{false};
  std::atomic<uint32_t> delay_us_per_mib_{0};  // what writers are slowed down by
  std::atomic<StallReason> delay_reason_{StallReason::kLevel0};
  std::atomic<uint64_t> write_buffer_bytes_{0};
  WriteQueue queue_;
  BufferPool buffers_{budget_.get()};
  ChunkReserve chunks_{budget_.get(), [this] { WakeLogThread(); }};
  std::atomic<uint32_t> feed_waiters_{0};
  Mutex feed_mutex_;
  CondVar feed_cond_;  // a commit became visible while feed_waiters_ > 0, or the database closes
  std::atomic<bool> unsynced_noted_{
      false};  // the log thread has been told that bytes wait for drain or sync

  // ---- the token holder's
  Memtable* memtable_ = nullptr;        // slots_.back()'s
  std::shared_ptr<SegmentWriter> log_;  // changed under log_mutex_ too
  Sequence last_lsn_ = 0;
  GroupPace pace_;
  double delay_owed_us_ = 0;
  bool appended_ = false;  // the group at hand is in the log
  PreparedRecord records_[kGroupMax];

  // ---- guarded
  Mutex keyspace_mutex_;        // creating and dropping, one at a time; before the token
  uint32_t next_keyspace_ = 1;  // of whoever creates, or of recovery
  Mutex sync_mutex_;            // one SyncLog at a time
  Mutex directory_mutex_;       // one sync of the directory at a time
  Mutex leaving_mutex_;         // LeaveMemtables; the last to take
  Mutex log_mutex_;
  // Full segments whose end is not known durable, oldest first; never more than slots_ has, with
  // room from the start.
  std::vector<std::shared_ptr<SegmentWriter>> unsynced_ KIST_GUARDED_BY(log_mutex_);
  std::shared_ptr<SegmentWriter> ahead_ KIST_GUARDED_BY(log_mutex_);  // made in advance
  uint64_t ahead_number_ KIST_GUARDED_BY(log_mutex_) = 0;
  bool log_work_ KIST_GUARDED_BY(log_mutex_) = false;
  uint64_t next_reserve_ KIST_GUARDED_BY(log_mutex_) = 0;
  CondVar log_cond_;
  CondVar durable_cond_;  // with log_mutex_

  Mutex manifest_mutex_;
  std::unique_ptr<Manifest> manifest_ KIST_GUARDED_BY(manifest_mutex_);
  ManifestState manifest_state_ KIST_GUARDED_BY(manifest_mutex_);

  Mutex mutex_;
  CondVar flush_cond_;    // work for the flush thread
  CondVar compact_cond_;  // work for compaction threads
  CondVar done_cond_;     // a flush or compaction ended, room was made, or an error came
  // Oldest first; the last is being written. Never more than kMaxFullMemtables + 2 (the last one
  // alone by Flush on a full disk), for which it has room from the start.
  std::vector<MemtableSlot> slots_ KIST_GUARDED_BY(mutex_);
  RefPtr<Version> version_ KIST_GUARDED_BY(mutex_);
  Status poison_ KIST_GUARDED_BY(mutex_);
  // Of the last failed job that is tried again; ok after a success.
  Status flush_error_ KIST_GUARDED_BY(mutex_);
  Status compaction_error_ KIST_GUARDED_BY(mutex_);
  Status compaction_stopped_
      KIST_GUARDED_BY(mutex_);  // damage found by a compaction: none are made until reopened
  std::vector<uint32_t> compacting_ KIST_GUARDED_BY(mutex_);  // keyspaces with a compaction running
  std::vector<LogExtent> retained_ KIST_GUARDED_BY(mutex_);   // kept for feeds, oldest first
  std::vector<HoldImpl*> holds_ KIST_GUARDED_BY(mutex_);
  std::vector<uint64_t> old_logs_ KIST_GUARDED_BY(mutex_);  // to be removed
  uint64_t flush_waiters_ KIST_GUARDED_BY(mutex_) =
      0;  // a flush was asked for although memory is not full
  bool flush_running_ KIST_GUARDED_BY(mutex_) = false;
  uint64_t flush_tries_ KIST_GUARDED_BY(mutex_) = 0;          // begun
  uint64_t flush_failed_ KIST_GUARDED_BY(mutex_) = 0;         // the last one of them that failed
  uint32_t compactions_running_ KIST_GUARDED_BY(mutex_) = 0;  // turns of compaction threads
  bool closed_ KIST_GUARDED_BY(mutex_) = false;
  // Of open, close and the token holder.
  std::vector<std::unique_ptr<Thread>> threads_;
  uint32_t compactors_ = 0;
};

}  // namespace kist
