// The rows and their aims as data; what the fields mean stands in rows.h.
#include "rows.h"

#include <utility>

namespace kist::bench {

namespace {

Aim Rate(double least) { return {"rate", true, Against::kBestPeer, least}; }
Aim AtMost(const char* metric, double bound) { return {metric, false, Against::kBound, bound}; }
Aim AtLeast(const char* metric, double bound) { return {metric, true, Against::kBound, bound}; }
Aim Floor(const char* metric, double bound) {
  return {metric, true, Against::kBound, bound, nullptr, true};
}
Aim NoMoreThanLsm(const char* metric) { return {metric, false, Against::kBestLsm, 1.0}; }

}  // namespace

const std::vector<Row>& Table() {
  static const std::vector<Row> table = {
      {"fillseq", "fill in key order", "us_op", "us/op", {Rate(1.5), Floor("user_mb_s", 500)}},
      {"fillrandom",
       "fill in random order",
       "us_op",
       "us/op",
       {Rate(2.2), AtMost("p999_us", 25), AtMost("max_us", 100000), Floor("user_mb_s", 100)}},
      {"fillrandom_4t", "fill in random order, 4 threads", "us_op", "us/op", {Rate(1.3)}},
      {"fillbatch", "fill in batches of 100", "us_op", "us/op", {Rate(1.5)}},
      {"fillbatch_seq",
       "fill in batches of 100, key order",
       "us_op",
       "us/op",
       {Floor("user_mb_s", 800)}},
      {"overwrite", "overwrite in random order", "us_op", "us/op", {Rate(1.5)}},
      {"deleterandom", "delete in random order", "us_op", "us/op", {Rate(1.5)}},
      {"fillsync", "put, synced", "us_op", "us/op", {{"us_op", false, Against::kDisk, 1 / 1.1}}},
      {"fillsync_zeroed", "  the disk alone, blocks written before", "us_op", "us/op", {}},
      {"fillsync_8t", "put, synced, 8 threads", "us_op", "us/op", {Rate(1.3)}},
      {"diskwrite", "  the disk alone, 1 MiB appends", "mb_s", "MB/s", {}},
      {"readrandom", "get, everything cached", "us_op", "us/op", {Rate(2.5), Floor("rate", 50000)}},
      // LMDB and SQLite compress nothing: their pages are in the page cache as they are read.
      {"readrandom_64m",
       "get, 64 MiB cache, compressed",
       "us_op",
       "us/op",
       {{"rate", true, Against::kBestLsm, 1.5}}},
      {"readmissing", "get of absent keys", "us_op", "us/op", {Rate(1.0)}},
      {"readmissing_64m", "get of absent keys, 64 MiB cache", "us_op", "us/op", {}},
      {"readhot", "get, 95 % on 1 % of keys", "us_op", "us/op", {Rate(2.5)}},
      {"readhot_64m", "get, 95 % on 1 % of keys, 64 MiB cache", "us_op", "us/op", {}},
      {"readrandom_2t",
       "get, 2 threads, everything cached",
       "us_op",
       "us/op",
       {Rate(2.2), {"rate", true, Against::kOwnRow, 1.9, "readrandom"}}},
      {"readrandom_mapped",
       "get, 4x the keys, 64 MiB cache, page cache, no compression",
       "us_op",
       "us/op",
       {Rate(1.0)}},
      {"readseq",
       "scan by next, per entry",
       "us_op",
       "us/entry",
       {Rate(1.5), Floor("rate", 10000)}},
      {"readseq_many", "scan by kist_iter_entries, per entry", "us_op", "us/entry", {Rate(3.0)}},
      {"readseq_64m", "scan by next, 64 MiB cache, per entry", "us_op", "us/entry", {}},
      {"readreverse", "scan backwards, per entry", "us_op", "us/entry", {Rate(1.2)}},
      {"seek10", "seek and read 10", "us_op", "us/op", {Rate(1.5)}},
      {"seek10_64m", "seek and read 10, 64 MiB cache", "us_op", "us/op", {}},
      {"readwhilewriting",
       "get beside 50 k writes/s, p50",
       "p50_us",
       "us",
       {{"p50_us", false, Against::kBestPeer, 1.3}, AtMost("p99_us", 10)}},
      {"ycsb_a", "YCSB A: 50 read, 50 update", "us_op", "us/op", {}},
      {"ycsb_b", "YCSB B: 95 read, 5 update", "us_op", "us/op", {}},
      {"ycsb_c", "YCSB C: read", "us_op", "us/op", {}},
      {"ycsb_d", "YCSB D: 95 read latest, 5 insert", "us_op", "us/op", {}},
      {"ycsb_e", "YCSB E: 95 scan, 5 insert", "us_op", "us/op", {}},
      {"ycsb_f", "YCSB F: 50 read, 50 read-modify-write", "us_op", "us/op", {}},
      {"ycsb_a_64m", "YCSB A, 64 MiB cache", "us_op", "us/op", {}},
      {"ycsb_b_64m", "YCSB B, 64 MiB cache", "us_op", "us/op", {}},
      {"ycsb_c_64m", "YCSB C, 64 MiB cache", "us_op", "us/op", {}},
      {"ycsb_d_64m", "YCSB D, 64 MiB cache", "us_op", "us/op", {}},
      {"ycsb_e_64m", "YCSB E, 64 MiB cache", "us_op", "us/op", {}},
      {"ycsb_f_64m", "YCSB F, 64 MiB cache", "us_op", "us/op", {}},
      {"settle", "fill, flush and idle: bytes written per byte put", "amplification", "x", {}},
      {"compact",
       "space after compaction",
       "disk_mb",
       "MB",
       {NoMoreThanLsm("disk_mb"), NoMoreThanLsm("amplification")}},
      {"peak_memory",
       "peak memory of all the rows above",
       "rss_mb",
       "MB",
       {AtMost("budget_share", 1.1)}},
      {"reopen",
       "open after a kill, log full",
       "open_ms",
       "ms",
       {AtLeast("replay_mb_s", 200), AtMost("seconds", 1)}},
      {"open",
       "open of the loaded database, nothing to replay",
       "open_ms",
       "ms",
       {AtMost("open_ms", 10)}},
      {"allocations",
       "heap allocations per get, put, delete, next (worst)",
       "allocations",
       "",
       {AtMost("allocations", 0.0005)}},
      {"library", "stripped library", "library_mb", "MB", {AtMost("library_mb", 1.5)}},
      {"stall", "overload, 2 writers: longest pause", "max_us", "us", {AtMost("max_us", 100000)}},
      {"mixed", "mixed run, 2 threads", "us_op", "us/op", {}},
  };
  return table;
}

const Row* FindRow(const std::string& id) {
  for (const Row& row : Table()) {
    if (id == row.id) return &row;
  }
  return nullptr;
}

namespace {

using Names = std::vector<const char*>;

Sequence Fill(const char* name, Names rows, bool with_variants) {
  Sequence s;
  s.name = name;
  s.kind = Sequence::Kind::kFresh;
  s.rows = std::move(rows);
  s.with_variants = with_variants;
  return s;
}

Sequence FillSync(const char* name, bool with_disk) {
  Sequence s = Fill(name, {name}, false);
  s.sync = true;
  s.with_disk = with_disk;
  return s;
}

Sequence Read(const char* name, Sequence::Kind kind, Names rows, unsigned cache_mib,
              const char* suffix) {
  Sequence s;
  s.name = name;
  s.kind = kind;
  s.rows = std::move(rows);
  s.cache_mib = cache_mib;
  s.suffix = suffix;
  return s;
}

// The cache is small and the page cache holds the files: every engine that can reads them there.
Sequence ReadSmallCache(Names rows) {
  Sequence s = Read("reads_64m", Sequence::Kind::kRead, std::move(rows), 64, "_64m");
  s.mapped = true;
  return s;
}

Sequence ReadMapped() {
  Sequence s = Read("reads_mapped", Sequence::Kind::kRead, {"readrandom"}, 64, "_mapped");
  s.compression = false;
  s.mapped = true;
  s.entries_factor = 4;
  return s;
}

Sequence Allocations() {
  Sequence s = Read("allocations", Sequence::Kind::kCopy, {"allocations"}, 0, "");
  s.counted_allocations = true;
  return s;
}

}  // namespace

const std::vector<Sequence>& Sequences() {
  using Kind = Sequence::Kind;
  static const Names reads = {"readrandom", "readrandom_2t", "readmissing", "readhot",
                              "readseq",    "readseq_many",  "readreverse", "seek10"};
  static const Names some_reads = {"readrandom", "readmissing", "readhot", "readseq", "seek10"};
  // The letters in the order that YCSB asks for: those that insert come last.
  static const Names ycsb = {"ycsb_a", "ycsb_b", "ycsb_c", "ycsb_f", "ycsb_d", "ycsb_e"};
  static const std::vector<Sequence> sequences = {
      Fill("fillseq", {"fillseq"}, true),
      Fill("fillrandom", {"fillrandom", "settle", "compact", "overwrite", "deleterandom"}, true),
      Fill("fillrandom_4t", {"fillrandom_4t"}, true),
      Fill("fillbatch", {"fillbatch"}, true),
      Fill("fillbatch_seq", {"fillbatch_seq"}, false),
      FillSync("fillsync", true),
      FillSync("fillsync_8t", false),
      Read("reads", Kind::kRead, reads, 0, ""),
      ReadSmallCache(some_reads),
      ReadMapped(),
      Read("readwhilewriting", Kind::kCopy, {"readwhilewriting"}, 0, ""),
      Read("ycsb", Kind::kCopy, ycsb, 0, ""),
      Read("ycsb_64m", Kind::kCopy, ycsb, 64, "_64m"),
      Read("kill", Kind::kKill, {"reopen"}, 0, ""),
      Allocations(),
  };
  return sequences;
}

const std::vector<Variant>& Variants() {
  static const std::vector<Variant> variants = {
      {"leveldb_4m", "LevelDB, its standard 4 MiB write buffer", "write_buffer_mib=4"},
      // A power cut may leave no database at all, and a stray pointer of the host writes into it.
      {"lmdb_map", "LMDB with MDB_WRITEMAP", "map=write"},
  };
  return variants;
}

const std::vector<Profile>& Profiles() {
  static const std::vector<Profile> profiles = {
      {"small", "1 M entries of 16 + 100 bytes", 1000000, 100},
      {"values", "100 k entries of 16 + 4,096 bytes", 100000, 4096},
      {"large", "4 M entries of 16 + 100 bytes", 4000000, 100},
  };
  return profiles;
}

}  // namespace kist::bench
