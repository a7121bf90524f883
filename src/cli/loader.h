// Loader: files of records into a keyspace, in batches. Invariants:
//   1. Records are committed in the order of the input, so what is in the database is at every
//   moment,
//      and after a kill, a prefix of it.
//   2. `files` and `line` of Loaded() describe exactly what has been committed.
//   3. A load that ends early says how far it came.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/database.h"
#include "cli/format.h"
#include "cli/progress.h"

namespace kist::cli {

struct LoadOptions {
  FormatOptions format;
  bool format_given = false;
  bool skip_bad = false;
  bool remove = false;  // delete the keys of the input
  bool atomic = false;
  bool dry_run = false;
  bool policy_given = false;  // --sync: commits follow it, else one sync at the end
  int64_t ttl_ms = 0;
  uint64_t batch_bytes = 0;  // 0: 32 KiB, or 1 MiB where each commit may wait for storage
  uint64_t batch_entries = 4096;
};

class Loader {
 public:
  Loader(Context* context, Database* database, const LoadOptions& options)
      : context_(*context),
        database_(*database),
        options_(options),
        batch_bytes_(options.batch_bytes != 0 ? options.batch_bytes
                     : options.policy_given   ? kSyncedBatchBytes
                                              : kBatchBytes) {}

  // 0 or the exit code, after having said why.
  int Run(const std::vector<std::string>& paths);

 private:
  // Without a sync between them, larger commits gain nothing: five alternating loads of 1 M entries
  // of 118 bytes took 2.6 to 3.0 s with 32 KiB and 3.0 to 3.5 s with 1 MiB.
  static constexpr uint64_t kBatchBytes = 32 << 10;
  static constexpr uint64_t kSyncedBatchBytes = 1 << 20;

  int LoadFile(const std::string& path);
  int LoadRecords(Input* input, RecordReader* reader);
  int Add(const Record& record);
  int BadRecord(const Input& input, uint64_t line, const std::string& reason);
  int Stop(int code);                    // commits what is complete, says what is in the database
  bool IsDue(const Input& input) const;  // the batch should be written now
  int Commit();
  int Finish();
  std::string Loaded() const;
  std::string Where(const std::string& name, uint64_t line) const;

  Context& context_;
  Database& database_;
  const LoadOptions options_;
  const uint64_t batch_bytes_;
  kist_batch* batch_ = nullptr;
  Progress* progress_ = nullptr;

  const Input* input_ = nullptr;  // being read
  std::string key_, reason_;
  std::vector<std::string> finished_;  // files committed to their end
  std::string file_;                   // the file of line_
  uint64_t line_read_ = 0;             // last line whose record is in the batch or was skipped
  uint64_t line_ = 0;                  // last line that is committed
  uint64_t batch_held_bytes_ = 0;
  double batch_began_ = 0;  // when its first record came, in seconds of progress_
  uint64_t entries_ = 0;    // committed
  uint64_t skipped_ = 0;
  uint64_t bytes_done_ = 0;   // of finished files
  uint64_t bytes_total_ = 0;  // 0: not known
};

}  // namespace kist::cli
