// Database: a command's database and keyspace, opened as its options ask, or borrowed from the
// shell.
//
// Reading commands open read-only: they change nothing on disk and run beside a writer. Iterators
// and snapshots must be gone before Close, which is strict so that a leak in the tool shows.
#pragma once

#include <kist/kist.h>

#include <string>
#include <vector>

#include "cli/context.h"

namespace kist::cli {

class Database {
 public:
  enum class Mode {
    kRead,    // read-only
    kWrite,   // must exist, unless --create
    kCreate,  // created where absent, unless --no-create
  };

  Database() = default;
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // 0 or the exit code, after having said why.
  int Open(Context& context, Mode mode);
  // The same without a Context's operands: for benchmarks.
  int OpenPath(Context& context, const std::string& path, Mode mode);
  // Says a failure and returns its exit code: closing is what makes the last commits durable. A
  // borrowed database stays open.
  int Close(Context& context);
  // Another keyspace of the same database, for the shell. 0 or the exit code.
  int Use(Context& context, const std::string& name, bool create);
  [[nodiscard]] bool KeyspaceNames(Context& context, std::vector<std::string>* names);

  kist_db* db() const { return db_; }
  kist_keyspace* keyspace() const { return keyspace_; }
  const std::string& keyspace_name() const { return keyspace_name_; }
  const std::string& path() const { return path_; }
  bool read_only() const { return read_only_; }
  // The limits of the options the database was opened with.
  uint64_t key_bytes_max() const { return key_bytes_max_; }
  uint64_t value_bytes_max() const { return value_bytes_max_; }

 private:
  int Borrow(Context& context);
  int OpenWithOptions(Context& context, kist_options* options, Mode mode);
  int SetOptions(Context& context, kist_options* options, Mode mode);

  kist_db* db_ = nullptr;
  kist_keyspace* keyspace_ = nullptr;
  bool keyspace_owned_ = false;
  bool db_owned_ = false;
  bool read_only_ = false;
  std::string path_;
  std::string keyspace_name_ = "default";
  uint64_t key_bytes_max_ = 65535;
  uint64_t value_bytes_max_ = uint64_t{1} << 30;
};

// Frees what kist hands out at the end of a scope.
template <typename T, void (*kFree)(T*)>
class Owned {
 public:
  Owned() = default;
  ~Owned() { kFree(value_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T** out() { return &value_; }
  T* get() const { return value_; }

 private:
  T* value_ = nullptr;
};
using OwnedOptions = Owned<kist_options, kist_options_free>;
using OwnedBatch = Owned<kist_batch, kist_batch_free>;
using OwnedIter = Owned<kist_iter, kist_iter_free>;
using OwnedSnapshot = Owned<kist_snapshot, kist_snapshot_free>;

}  // namespace kist::cli
