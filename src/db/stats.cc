// Statistics: counts since open, what is read off the newest view, times. One list of names serves
// kist_stat and every way to print (stats_format.h). Numbers of one printing may be some operations
// apart.
// Threads: any.
#include <iterator>

#include "db/db_impl.h"
#include "db/stats_format.h"

namespace kist {
namespace {

struct TimeNames {
  const char* count;
  const char* quantiles[3];
  const char* max;
};
#define KIST_TIMES(name) \
  { name "_timed", {name "_p50_ns", name "_p99_ns", name "_p999_ns"}, name "_max_ns" }
// In the order of OpStats::Timed.
constexpr TimeNames kTimeNames[] = {
    KIST_TIMES("get"),      KIST_TIMES("multi_get"), KIST_TIMES("seek"),
    KIST_TIMES("put"),      KIST_TIMES("batch"),     KIST_TIMES("txn_commit"),
    KIST_TIMES("log_sync"), KIST_TIMES("flush"),     KIST_TIMES("compaction"),
};
#undef KIST_TIMES

uint64_t Load(const std::atomic<uint64_t>& v) { return v.load(std::memory_order_relaxed); }

// a / b in thousandths; 0 where there is nothing to compare with.
uint64_t Permille(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<uint64_t>(static_cast<double>(a) * 1000 / static_cast<double>(b));
}

constexpr struct {
  const char* text;
  uint64_t permille;
} kQuantiles[] = {{"nanoseconds that half of them took at most", 500},
                  {"nanoseconds that 99 in 100 took at most", 990},
                  {"nanoseconds that 999 in 1000 took at most", 999}};

}  // namespace

// What was read, since open.
template <typename Each>
void DbImpl::ForEachReadCount(Each each) {
  const OpStats& o = ops_;
  each("gets", "keys looked up by gets, multi_gets excluded", epoch_.Sum(kGets));
  each("gets_absent", "keys looked up that had no visible value", epoch_.Sum(kGetsAbsent));
  each("table_hits", "keys looked up that a table answered for", epoch_.Sum(kTableHits));
  each("filter_negatives", "looks into a table that its filter spared",
       epoch_.Sum(kFilterNegatives));
  each("filter_false_positives", "looks into a table in vain that its filter did not spare",
       epoch_.Sum(kFilterFalse));
  each("multi_gets", "calls of kist_multi_get", Load(o.multi_gets));
  each("multi_get_keys", "keys looked up by them", Load(o.multi_get_keys));
  each("snapshots_made", "snapshots made", Load(o.snapshots));
  each("iterators", "iterators made", Load(o.iterators));
  each("seeks", "seeks of iterators", Load(o.seeks));
  each("steps", "entries that iterators went over (told late by a few)", Load(o.steps));
}

// What was written, the log, waits.
template <typename Each>
void DbImpl::ForEachWriteCount(Each each) {
  const DbCounters& c = counters_;
  const OpStats& o = ops_;
  each("puts", "commits of a single put", Load(c.puts));
  each("deletes", "commits of a single delete", Load(c.deletes));
  each("range_deletes", "commits of a single range delete", Load(c.range_deletes));
  each("batches", "commits of batches and transactions", Load(c.batches));
  each("transactions", "transactions begun", Load(o.txns));
  each("transaction_commits", "transactions committed", Load(o.txn_commits));
  each("transaction_conflicts", "transactions that lost against another commit",
       Load(o.txn_conflicts));
  each("commits", "commits made since open", Load(c.commits));
  each("commit_groups", "log appends that carried them", Load(c.groups));
  each("entries_written", "operations in those commits", Load(c.entries_written));
  each("bytes_written", "key and value bytes of those operations", Load(c.bytes_written));
  each("wal_bytes", "bytes appended to the log", Load(c.wal_bytes));
  each("wal_syncs", "times the log was synced", Load(c.syncs));
  each("wal_segments", "log segments created", Load(c.segments));
  each("wal_reserved_bytes", "disk bytes reserved for log segments when they were created",
       Load(c.wal_reserved_bytes));
  each("wal_used_bytes", "bytes of log segments that are full", Load(c.wal_used_bytes));
  each("wal_wasted_bytes", "bytes that those had reserved and did not use",
       Load(c.wal_wasted_bytes));
  each("stall_memtable_count", "waits of writers for a flush", Load(c.stall_count[0]));
  each("stall_memtable_us", "microseconds of those waits", Load(c.stall_us[0]));
  each("slowdown_level0_count", "times a writer was slowed down because of level 0",
       Load(c.stall_count[1]));
  each("slowdown_level0_us", "microseconds of those", Load(c.stall_us[1]));
  each("slowdown_flush_count", "times a writer was slowed down because flushes are behind",
       Load(c.stall_count[2]));
  each("slowdown_flush_us", "microseconds of those", Load(c.stall_us[2]));
  each("slowdown_count", "times a writer was slowed down",
       Load(c.stall_count[1]) + Load(c.stall_count[2]));
  each("slowdown_us", "microseconds of those slow-downs",
       Load(c.stall_us[1]) + Load(c.stall_us[2]));
  each("memory_refusals", "pins, iterators and transactions that memory_budget refused",
       Load(o.refused));
}

// Background work, recovery, the cache.
template <typename Each>
void DbImpl::ForEachWorkCount(Each each) {
  const DbCounters& c = counters_;
  each("flushes", "memtables written to tables", Load(c.flushes));
  each("flush_bytes", "bytes those flushes wrote", Load(c.flush_bytes));
  each("compactions", "compactions done", Load(c.compactions));
  each("compaction_bytes_read", "bytes compactions read", Load(c.compaction_bytes_read));
  each("compaction_bytes_written", "bytes compactions wrote", Load(c.compaction_bytes_written));
  each("trivial_moves", "tables moved to a deeper level without being read", Load(c.trivial_moves));
  each("dropped_shadowed", "versions dropped because a newer one hides them",
       Load(c.dropped_shadowed));
  each("dropped_range_deleted", "versions dropped under range deletes", Load(c.dropped_range));
  each("dropped_tombstones", "deletes dropped because nothing is left to hide",
       Load(c.dropped_tombstones));
  each("dropped_expired", "expired values dropped", Load(c.dropped_expired));
  each("recovered_records", "commits replayed from the log by open", Load(c.recovered_records));
  each("recovered_bytes", "log bytes replayed by open", Load(c.recovered_bytes));
  each("residue_records", "records dropped by open that were never promised durable",
       Load(c.residue_records));
  each("residue_bytes", "bytes dropped by open that were never promised durable",
       Load(c.residue_bytes));
  each("background_errors", "flushes and compactions that failed", Load(c.background_errors));
  each("background_retries", "of them, those that were tried again", Load(c.background_retries));
  each("cache_hits", "block reads answered by the cache", cache_->hits());
  each("cache_misses", "block reads that went to the file, those of compactions aside",
       cache_->misses());
  each("cache_evictions", "blocks evicted", cache_->evictions());
}

// What the log takes on disk.
template <typename Each>
void DbImpl::ForEachLogGauge(Each each) {
  uint64_t segments = 0, bytes = 0, reserved = 0, retained = 0, next = 0;
  {
    MutexLock lock(&mutex_);
    for (const MemtableSlot& slot : slots_) {
      if (slot.segment == nullptr) continue;
      ++segments;
      bytes += slot.segment->flushed_size();
      reserved += slot.segment->reserved_bytes();
    }
    for (const LogExtent& e : retained_) retained += e.bytes;
  }
  {
    MutexLock lock(&log_mutex_);
    next = next_reserve_;
    if (ahead_ != nullptr) reserved += ahead_->reserved_bytes();
  }
  each("wal_live_segments", "log segments that recovery would read", segments);
  each("wal_live_bytes", "their bytes", bytes);
  each("wal_live_reserved_bytes", "disk bytes reserved for them and for the next one", reserved);
  each("wal_next_reserve_bytes", "what the next segment is going to reserve", next);
  each("wal_retained_bytes", "log kept for feeds beyond that", retained);
}

// Times of calls and of background work: how many, and percentiles.
template <typename Each>
void DbImpl::ForEachTime(Each each) {
  static_assert(std::size(kTimeNames) == OpStats::kTimed);
  LatencyHistogram::Summary summary;
  for (int kind = 0; kind < OpStats::kTimed; ++kind) {
    ops_.histogram(kind).Read(&summary);
    const TimeNames& n = kTimeNames[kind];
    each(n.count, "how many the times below stand for", summary.count);
    for (int i = 0; i < 3; ++i) {
      each(n.quantiles[i], kQuantiles[i].text, summary.Quantile(kQuantiles[i].permille));
    }
    each(n.max, "the longest one that was timed, in nanoseconds", summary.max_ns);
  }
}

// Memtables, tables and levels of the newest view.
template <typename Each>
void DbImpl::ForEachShapeGauge(Each each) {
  Sequence seq = 0;
  RefPtr<View> view = AcquireView(&seq);
  uint64_t memtable_bytes = 0, memtable_entries = 0;
  for (const auto& m : view->memtables) {
    memtable_bytes += m->memory_bytes();
    memtable_entries += m->entries();
  }
  uint64_t debt = 0, bottom_bytes = 0;
  uint64_t tables = 0, bytes = 0, level_files[kLevels] = {}, level_bytes[kLevels] = {}, entries = 0;
  for (const auto& kv : view->version->keyspaces) {
    if (!kv) continue;
    for (int l = 0; l < kLevels; ++l) {
      level_files[l] += kv->levels[l].size();
      level_bytes[l] += kv->levels[l].bytes();
      for (const auto& f : kv->levels[l].files()) entries += f->properties().entries;
    }
    tables += kv->files();
    bytes += kv->bytes();
    bottom_bytes += kv->levels[kv->last_level()].bytes();
    if (auto ks = registry_.Find(kv->id))
      debt += CompactionDebt(*kv, PickOptionsFor(ks->options()));
  }
  each("last_seq", "newest commit that readers see", seq);
  each("durable_seq", "every commit up to this one survives a power cut", durable_seq());
  each("keyspaces", "keyspaces", registry_.All().size());
  each("snapshots", "live snapshots", snapshots_.count());
  each("memtables", "memtables, the one being written included", view->memtables.size());
  each("memtable_bytes", "memory they hold", memtable_bytes);
  each("memtable_entries", "versions they hold", memtable_entries);
  each("tables", "table files", tables);
  each("table_bytes", "bytes of table files", bytes);
  each("table_entries", "versions in table files", entries);
  static const char* const kFiles[kLevels] = {"level0_files", "level1_files", "level2_files",
                                              "level3_files", "level4_files", "level5_files",
                                              "level6_files"};
  static const char* const kBytes[kLevels] = {"level0_bytes", "level1_bytes", "level2_bytes",
                                              "level3_bytes", "level4_bytes", "level5_bytes",
                                              "level6_bytes"};
  for (int l = 0; l < kLevels; ++l) {
    each(kFiles[l], "table files of the level", level_files[l]);
    each(kBytes[l], "their bytes", level_bytes[l]);
  }
  each("space_amplification_permille", "bytes of tables for 1000 bytes of the deepest level",
       Permille(bytes, bottom_bytes));
  each("compaction_debt_bytes", "bytes to be moved until every level is within its aim", debt);
}

// What all of it is worth, and what holds it up.
template <typename Each>
void DbImpl::ForEachEffectGauge(Each each) {
  const uint64_t keys = epoch_.Sum(kGets) + Load(ops_.multi_get_keys);
  const uint64_t negatives = epoch_.Sum(kFilterNegatives), false_ = epoch_.Sum(kFilterFalse);
  each("write_amplification_permille", "bytes written to log and tables for 1000 bytes put",
       Permille(Load(counters_.wal_bytes) + Load(counters_.flush_bytes) +
                    Load(counters_.compaction_bytes_written),
                Load(counters_.bytes_written)));
  each("read_amplification_permille", "table blocks looked into for 1000 keys looked up",
       Permille(epoch_.Sum(kTableHits) + false_, keys));
  each("filter_effect_permille", "of 1000 looks in vain, those that filters spared",
       Permille(negatives, negatives + false_));
  each("cache_hit_permille", "of 1000 block reads, those that the cache answered",
       Permille(cache_->hits(), cache_->hits() + cache_->misses()));
  each("write_delay_us_per_mib", "what writers are slowed down by now",
       delay_us_per_mib_.load(std::memory_order_relaxed));
  each("stall_max_us", "the longest wait or slow-down of a writer", Load(counters_.stall_max_us));
  const Sequence oldest = snapshots_.Oldest();
  const int64_t now_ms = clock_.NowMs();
  each("oldest_snapshot_seq", "the oldest commit that a snapshot or transaction keeps; 0: none",
       oldest == kMaxSequence ? 0 : oldest);
  each("oldest_snapshot_age_ms", "its age",
       static_cast<uint64_t>(now_ms - std::min(snapshots_.OldestTime(now_ms), now_ms)));
  const Sequence newest = last_seq();
  each("unsynced_commits", "commits that a power cut may take",
       newest - std::min(newest, durable_seq()));
}

// memory_budget, part by part.
template <typename Each>
void DbImpl::ForEachMemoryGauge(Each each) {
  each("open_tables", "table files that are open", store_->open_tables());
  each("table_reader_bytes", "memory of their indexes and filters", store_->reader_bytes());
  each("cache_capacity_bytes", "memory that cached blocks may use", cache_->capacity());
  each("cache_bytes", "memory that cached blocks use", cache_->used_bytes());
  const size_t loose = cache_->loose_bytes();
  const size_t jobs = std::min(loose, cache_->job_bytes());
  const MemoryBudget& budget = *budget_;
  each("memory_budget_bytes", "the option memory_budget", budget.limit());
  each("memory_used_bytes", "what the parts below take of it",
       budget.Used(loose, cache_->memory_bytes()));
  each("memory_memtables_bytes", "memtables", budget.used(MemoryBudget::kMemtables));
  each("memory_old_memtables_bytes", "memtables in tables by now that pins and iterators hold",
       budget.used(MemoryBudget::kOldMemtables));
  each("memory_cache_bytes", "the cache, with what its memory takes beyond blocks",
       cache_->memory_bytes());
  each("memory_tables_bytes", "indexes, filters and range tombstones of open tables",
       budget.used(MemoryBudget::kTables));
  each("memory_pinned_bytes", "blocks outside the cache: of pins, iterators, running reads",
       loose - jobs);
  each("memory_old_tables_bytes", "the same of tables that nothing but iterators needs any more",
       budget.used(MemoryBudget::kOldTables));
  each("memory_iterators_bytes", "iterators", budget.used(MemoryBudget::kIterators));
  each("memory_transactions_bytes", "what transactions wrote and noted as read",
       budget.used(MemoryBudget::kTransactions));
  each("memory_buffers_bytes", "buffers of writers and the log",
       budget.used(MemoryBudget::kBuffers));
  each("memory_jobs_bytes", "flushes and compactions", budget.used(MemoryBudget::kJobs) + jobs);
  each("memory_reserve_bytes", "kept free for what is not counted", budget.reserve());
  each("memory_held_max_bytes",
       "the most that pins, iterators, transactions, old memtables and tables may take",
       budget.HeldMax());
}

template <typename Each>
void DbImpl::ForEachCount(Each each) {
  ForEachReadCount(each);
  ForEachWriteCount(each);
  ForEachWorkCount(each);
}

template <typename Each>
void DbImpl::ForEachGauge(Each each) {
  ForEachShapeGauge(each);
  ForEachEffectGauge(each);
  ForEachLogGauge(each);
  ForEachMemoryGauge(each);
  bool log_work = false;
  {
    MutexLock lock(&log_mutex_);
    log_work = log_work_;
  }
  uint64_t running = log_work || log_turn_.load(std::memory_order_acquire) ? 1 : 0;
  size_t compactions = 0;
  bool failing = false;
  {
    MutexLock lock(&mutex_);
    running += (flush_running_ ? 1 : 0) + compactions_running_;
    compactions = compacting_.size();
    failing = !flush_error_.ok() || !compaction_error_.ok() || !compaction_stopped_.ok();
  }
  each("background_running", "flushes, compactions and preparations of the log at work", running);
  each("compactions_running", "compactions running now", compactions);
  each("background_failing", "1 where the last flush or compaction failed", failing ? 1 : 0);
  each("poisoned", "1 where writes stopped until the database is reopened",
       poisoned_.load(std::memory_order_relaxed) ? 1 : 0);
}

std::optional<uint64_t> DbImpl::Stat(Slice name) {
  std::optional<uint64_t> found;
  const auto each = [&](const char* n, const char*, uint64_t v) {
    if (name == n) found = v;
  };
  ForEachCount(each);
  if (!found) ForEachGauge(each);
  if (!found) ForEachTime(each);
  return found;
}

std::string DbImpl::Stats(StatsFormat format) {
  StatList list;
  StatKind kind = StatKind::kGauge;
  const auto each = [&](const char* n, const char* t, uint64_t v) {
    list.values.push_back({n, t, v, kind});
  };
  ForEachGauge(each);
  kind = StatKind::kCounter;
  ForEachCount(each);
  kind = StatKind::kTime;
  ForEachTime(each);
  for (int i = 0; i < OpStats::kTimed; ++i) {
    list.times.push_back({OpStats::Name(static_cast<OpStats::Timed>(i)), &ops_.histogram(i)});
  }
  switch (format) {
    case StatsFormat::kText:
      return StatsText(list);
    case StatsFormat::kJson:
      return StatsJson(list);
    case StatsFormat::kPrometheus:
      return StatsPrometheus(list);
  }
  return "";
}

}  // namespace kist
