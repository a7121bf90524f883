// Statistics: one table of names, counters first, then what is read off the newest view, and
// three ways to print it. Numbers of one printing may be some operations apart.
// Threads: any.
#include <functional>

#include "db/db_impl.h"

namespace kist {
namespace {

struct Value {
  const char* name;
  const char* text;
  uint64_t value;
};

void AppendJson(std::string* out, const std::vector<Value>& values) {
  out->append("{");
  const char* separator = "";
  for (const Value& v : values) {
    out->append(separator).append("\"").append(v.name).append("\":").append(
        std::to_string(v.value));
    separator = ",";
  }
  out->append("}\n");
}

void AppendPrometheus(std::string* out, const std::vector<Value>& values) {
  for (const Value& v : values) {
    const std::string name = std::string("kist_") + v.name;
    out->append("# HELP ").append(name).append(" ").append(v.text).append("\n");
    out->append("# TYPE ").append(name).append(" untyped\n");
    out->append(name).append(" ").append(std::to_string(v.value)).append("\n");
  }
}

void AppendText(std::string* out, const std::vector<Value>& values) {
  size_t width = 0;
  for (const Value& v : values) width = std::max(width, std::string(v.name).size());
  for (const Value& v : values) {
    const std::string number = std::to_string(v.value);
    const size_t used = std::string(v.name).size() + number.size();
    out->append(v.name).append(width + 16 > used ? width + 16 - used : 1, ' ').append(number);
    out->append("  ").append(v.text).append("\n");
  }
}

}  // namespace

// In the order in which they are printed.
template <typename Each>
static void ForEachStat(const DbCounters& c, Each each) {
  const auto load = [](const DbCounters::Counter& v) { return v.load(std::memory_order_relaxed); };
  each("commits", "commits made since open", load(c.commits));
  each("commit_groups", "log appends that carried them", load(c.groups));
  each("entries_written", "operations in those commits", load(c.entries_written));
  each("bytes_written", "key and value bytes of those operations", load(c.bytes_written));
  each("wal_bytes", "bytes appended to the log", load(c.wal_bytes));
  each("wal_syncs", "times the log was synced", load(c.syncs));
  each("wal_segments", "log segments created", load(c.segments));
  each("wal_reserved_bytes", "disk bytes reserved for log segments", load(c.wal_reserved_bytes));
  each("stall_memtable_count", "waits of writers for a flush", load(c.stall_count[0]));
  each("stall_memtable_us", "microseconds of those waits", load(c.stall_us[0]));
  each("slowdown_count", "times a writer was slowed down by compaction debt",
       load(c.stall_count[2]));
  each("slowdown_us", "microseconds of those slow-downs", load(c.stall_us[2]));
  each("flushes", "memtables written to tables", load(c.flushes));
  each("flush_bytes", "bytes those flushes wrote", load(c.flush_bytes));
  each("compactions", "compactions done", load(c.compactions));
  each("compaction_bytes_read", "bytes compactions read", load(c.compaction_bytes_read));
  each("compaction_bytes_written", "bytes compactions wrote", load(c.compaction_bytes_written));
  each("trivial_moves", "tables moved to a deeper level without being read", load(c.trivial_moves));
  each("dropped_shadowed", "versions dropped because a newer one hides them",
       load(c.dropped_shadowed));
  each("dropped_range_deleted", "versions dropped under range deletes", load(c.dropped_range));
  each("dropped_tombstones", "deletes dropped because nothing is left to hide",
       load(c.dropped_tombstones));
  each("dropped_expired", "expired values dropped", load(c.dropped_expired));
  each("recovered_records", "commits replayed from the log by open", load(c.recovered_records));
  each("recovered_bytes", "log bytes replayed by open", load(c.recovered_bytes));
  each("residue_records", "records dropped by open that were never promised durable",
       load(c.residue_records));
  each("residue_bytes", "bytes dropped by open that were never promised durable",
       load(c.residue_bytes));
  each("background_errors", "flushes and compactions that failed", load(c.background_errors));
}

template <typename Each>
void DbImpl::ForEachGauge(Each each) {
  Sequence seq = 0;
  RefPtr<View> view = AcquireView(&seq);
  uint64_t memtable_bytes = 0, memtable_entries = 0;
  for (const auto& m : view->memtables) {
    memtable_bytes += m->memory_bytes();
    memtable_entries += m->entries();
  }
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
  each("open_tables", "table files that are open", store_->open_tables());
  each("table_reader_bytes", "memory of their indexes and filters", store_->reader_bytes());
  each("cache_capacity_bytes", "memory that cached blocks may use", cache_->capacity());
  each("cache_bytes", "memory that cached blocks use", cache_->used_bytes());
  each("cache_hits", "block reads answered by the cache", cache_->hits());
  each("cache_misses", "block reads that went to the file", cache_->misses());
  each("cache_evictions", "blocks evicted", cache_->evictions());
  uint64_t running = log_turn_.load(std::memory_order_acquire) ? 1 : 0;
  {
    MutexLock lock(&mutex_);
    running += (flush_running_ ? 1 : 0) + compactions_running_;
  }
  each("background_running", "flushes, compactions and preparations of the log at work", running);
  each("poisoned", "1 where writes stopped until the database is reopened",
       poisoned_.load(std::memory_order_relaxed) ? 1 : 0);
}

std::optional<uint64_t> DbImpl::Stat(Slice name) {
  std::optional<uint64_t> found;
  const auto each = [&](const char* n, const char*, uint64_t v) {
    if (name == n) found = v;
  };
  ForEachStat(counters_, each);
  if (!found) ForEachGauge(each);
  return found;
}

std::string DbImpl::Stats(StatsFormat format) {
  std::vector<Value> values;
  const auto each = [&](const char* n, const char* t, uint64_t v) { values.push_back({n, t, v}); };
  ForEachGauge(each);
  ForEachStat(counters_, each);
  std::string out;
  switch (format) {
    case StatsFormat::kText:
      AppendText(&out, values);
      break;
    case StatsFormat::kJson:
      AppendJson(&out, values);
      break;
    case StatsFormat::kPrometheus:
      AppendPrometheus(&out, values);
      break;
  }
  return out;
}

}  // namespace kist
