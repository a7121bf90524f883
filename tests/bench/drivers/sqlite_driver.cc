// SQLite behind the benchmark's driver interface: one WITHOUT ROWID table, WAL mode, prepared
// statements, a connection a thread.
//
// Durability: kOs is synchronous=OFF (a commit's pages reach the log file by pwrite and survive the
// process; NORMAL differs only by syncing at checkpoints, so OFF is the kinder choice); kSync is
// synchronous=FULL (an fsync of the log a commit). The cache is PRAGMA cache_size in bytes.
// StaticReads keeps one read transaction open, as for LMDB.
#include <sqlite3.h>

#include "driver.h"
#include "measure.h"

namespace kist::bench {

namespace {

class SqliteSession : public Session {
 public:
  ~SqliteSession() override {
    for (sqlite3_stmt* s : {put_, delete_, get_, first_, last_, seek_, begin_, commit_})
      sqlite3_finalize(s);
    sqlite3_close(db_);
  }
  bool Open(const Config& config) {
    const std::string file = config.dir + "/data.sqlite";
    if (sqlite3_open_v2(file.c_str(), &db_,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        nullptr) != 0) {
      return Lost();
    }
    sqlite3_busy_timeout(db_, 60000);
    const std::string sync = config.durability == Durability::kSync ? "FULL" : "OFF";
    const std::string mmap = Tuning(config, "mmap_bytes", "0");
    return Run("PRAGMA journal_mode=WAL") && Run("PRAGMA synchronous=" + sync) &&
           Run("PRAGMA cache_size=-" + std::to_string(config.cache_bytes / 1024)) &&
           Run("PRAGMA mmap_size=" + mmap) &&
           Run("CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID") &&
           Prepare("INSERT OR REPLACE INTO kv VALUES(?1, ?2)", &put_) &&
           Prepare("DELETE FROM kv WHERE k = ?1", &delete_) &&
           Prepare("SELECT v FROM kv WHERE k = ?1", &get_) &&
           Prepare("SELECT k, v FROM kv ORDER BY k", &first_) &&
           Prepare("SELECT k, v FROM kv ORDER BY k DESC", &last_) &&
           Prepare("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k", &seek_) &&
           Prepare("BEGIN IMMEDIATE", &begin_) && Prepare("COMMIT", &commit_);
  }
  bool Run(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == 0 || Lost();
  }

  bool Put(std::string_view key, std::string_view value) override {
    Bind(put_, 1, key);
    Bind(put_, 2, value);
    return Step(put_);
  }
  bool PutBatch(const KeyValue* entries, size_t count) override {
    if (!Step(begin_)) return false;
    for (size_t i = 0; i < count; ++i) {
      if (!Put(entries[i].key, entries[i].value)) return false;
    }
    return Step(commit_);
  }
  bool Delete(std::string_view key) override {
    Bind(delete_, 1, key);
    return Step(delete_);
  }
  Found Get(std::string_view key, std::string_view* value) override {
    sqlite3_reset(get_);
    Bind(get_, 1, key);
    const int rc = sqlite3_step(get_);
    if (rc == SQLITE_ROW) {
      *value = Column(get_, 0);
      return Found::kYes;
    }
    sqlite3_reset(get_);
    if (rc == SQLITE_DONE) return Found::kNo;
    Lost();
    return Found::kError;
  }
  bool Scan(bool forward, EntryCheck* check) override {
    return Rows(forward ? first_ : last_, ~size_t{0}, check);
  }
  bool SeekScan(std::string_view key, size_t count, EntryCheck* check) override {
    Bind(seek_, 1, key);
    return Rows(seek_, count, check);
  }
  void StaticReads(bool on) override {
    sqlite3_reset(get_);
    Run(on ? "BEGIN" : "COMMIT");
  }

 private:
  bool Lost() { return Fail(sqlite3_errmsg(db_)); }
  bool Prepare(const char* sql, sqlite3_stmt** statement) {
    return sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) == 0 ||
           Lost();
  }
  static void Bind(sqlite3_stmt* s, int i, std::string_view bytes) {
    sqlite3_bind_blob(s, i, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  }
  static std::string_view Column(sqlite3_stmt* s, int i) {
    const void* data = sqlite3_column_blob(s, i);
    return {static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(s, i))};
  }
  bool Step(sqlite3_stmt* s) {
    // A get that was not finished holds a read transaction, in which a write would be refused once
    // another thread wrote.
    sqlite3_reset(get_);
    const int rc = sqlite3_step(s);
    sqlite3_reset(s);
    return rc == SQLITE_DONE || Lost();
  }
  bool Rows(sqlite3_stmt* s, size_t count, EntryCheck* check) {
    int rc = SQLITE_ROW;
    for (size_t i = 0; i < count && (rc = sqlite3_step(s)) == SQLITE_ROW; ++i) {
      const std::string_view key = Column(s, 0);
      const std::string_view value = Column(s, 1);
      check->Add(key.data(), key.size(), value.data(), value.size());
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || Lost();
  }
  sqlite3* db_ = nullptr;
  sqlite3_stmt *put_ = nullptr, *delete_ = nullptr, *get_ = nullptr, *first_ = nullptr,
               *last_ = nullptr, *seek_ = nullptr;
  sqlite3_stmt *begin_ = nullptr, *commit_ = nullptr;
};

class SqliteDriver : public Driver {
 public:
  std::string Version() override { return std::string("SQLite ") + sqlite3_libversion(); }
  bool Open(const Config& config) override {
    config_ = config;
    if (!MakeDirs(config.dir)) return Fail("cannot create " + config.dir);
    keeper_ = std::make_unique<SqliteSession>();
    return keeper_->Open(config) || Fail(keeper_->error());
  }
  std::unique_ptr<Session> NewSession() override {
    auto session = std::make_unique<SqliteSession>();
    if (!session->Open(config_)) {
      Fail(session->error());
      return nullptr;
    }
    return session;
  }
  bool Settle() override {
    return keeper_->Run("PRAGMA wal_checkpoint(TRUNCATE)") || Fail(keeper_->error());
  }
  bool Compact() override {
    // VACUUM rewrites the table in key order; the log is then emptied into the file.
    return (keeper_->Run("VACUUM") && keeper_->Run("PRAGMA wal_checkpoint(TRUNCATE)")) ||
           Fail(keeper_->error());
  }
  void Close() override { keeper_.reset(); }

 private:
  Config config_;
  std::unique_ptr<SqliteSession> keeper_;
};

}  // namespace

std::unique_ptr<Driver> NewDriver() { return std::make_unique<SqliteDriver>(); }

}  // namespace kist::bench
