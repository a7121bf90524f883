// TableOutputs: the files that a job writes, one after the other, with their range tombstones cut
// at the files' bounds. Invariant: file n spans from its first key (the first one from the
// beginning) to the first key of file n + 1 (the last one to the end).
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compaction/job.h"

namespace kist {

class TableOutputs {
 public:
  // tombstones: those to keep, in any order.
  TableOutputs(const JobContext& context, uint32_t keyspace, int level,
               std::vector<RangeTombstone> tombstones)
      : context_(context), keyspace_(keyspace), level_(level), tombstones_(std::move(tombstones)) {}
  ~TableOutputs();  // removes everything unless Finish succeeded

  bool open() const { return builder_ != nullptr; }
  uint64_t bytes() const { return builder_ == nullptr ? 0 : builder_->estimated_bytes(); }
  Status Add(Slice key, uint64_t tag, Slice value);
  // Ends the current file; the next entry has user key `next_key`, greater than all before.
  Status Cut(Slice next_key);
  // Ends the last file, or makes one for tombstones alone.
  Status Finish(JobResult* result);

 private:
  Status Open();
  // limit: where the file's span ends; nullopt: it has no end.
  Status Close(std::optional<Slice> limit);
  Status AddTombstones(std::optional<Slice> limit, bool* any);

  const JobContext& context_;
  const uint32_t keyspace_;
  const int level_;
  std::vector<RangeTombstone> tombstones_;  // that do not end before the current file
  std::string begin_;  // where the current file's span begins; empty for the first
  std::string path_;
  uint64_t number_ = 0;
  std::unique_ptr<File> file_;
  std::unique_ptr<TableBuilder> builder_;
  std::vector<NewTable> done_;
  bool finished_ = false;
  bool sync_failed_ = false;
};

}  // namespace kist
