// LMDB behind the benchmark's driver interface.
//
// Durability: kOs is MDB_NOSYNC without MDB_WRITEMAP: a commit hands its pages to pwrite(2), so it
// survives the process; like SQLite with synchronous=OFF it promises less after a power cut than
// the log-structured engines do. kSync is the default of LMDB (data and meta page synced in every
// commit). Reads: a read transaction is renewed for every get and seek, so that each sees the
// newest commit as in the other engines; where the row promises that nothing writes (StaticReads)
// one transaction serves them all, which is LMDB at its best. LMDB has no cache of its own: the
// page cache holds everything, whatever cache the others are given. Tuning: map=write selects
// MDB_WRITEMAP for writes.
#include <lmdb.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>

#include "driver.h"
#include "measure.h"

namespace kist::bench {

namespace {

MDB_val ToVal(std::string_view s) { return {s.size(), const_cast<char*>(s.data())}; }

class LmdbSession : public Session {
 public:
  LmdbSession(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {}
  ~LmdbSession() override {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
    if (read_ != nullptr) mdb_txn_abort(read_);
  }

  bool Put(std::string_view key, std::string_view value) override {
    const KeyValue entry{key, value};
    return PutBatch(&entry, 1);
  }
  bool PutBatch(const KeyValue* entries, size_t count) override {
    EndRead();
    MDB_txn* txn = nullptr;
    if (!Check(mdb_txn_begin(env_, nullptr, 0, &txn))) return false;
    for (size_t i = 0; i < count; ++i) {
      MDB_val k = ToVal(entries[i].key);
      MDB_val v = ToVal(entries[i].value);
      if (!Check(mdb_put(txn, dbi_, &k, &v, 0))) {
        mdb_txn_abort(txn);
        return false;
      }
    }
    return Check(mdb_txn_commit(txn));
  }
  bool Delete(std::string_view key) override {
    EndRead();
    MDB_txn* txn = nullptr;
    if (!Check(mdb_txn_begin(env_, nullptr, 0, &txn))) return false;
    MDB_val k = ToVal(key);
    const int rc = mdb_del(txn, dbi_, &k, nullptr);
    if (rc != 0 && rc != MDB_NOTFOUND) {
      mdb_txn_abort(txn);
      return Check(rc);
    }
    return Check(mdb_txn_commit(txn));
  }
  Found Get(std::string_view key, std::string_view* value) override {
    if (!static_ && !Renew()) return Found::kError;
    MDB_val k = ToVal(key);
    MDB_val v;
    const int rc = mdb_get(read_, dbi_, &k, &v);
    if (rc == 0) {
      *value = {static_cast<const char*>(v.mv_data), v.mv_size};
      return Found::kYes;
    }
    if (rc == MDB_NOTFOUND) return Found::kNo;
    Check(rc);
    return Found::kError;
  }
  bool Scan(bool forward, EntryCheck* check) override {
    if (!static_ && !Renew()) return false;
    if (!OpenCursor()) return false;
    MDB_val k;
    MDB_val v;
    const MDB_cursor_op step = forward ? MDB_NEXT : MDB_PREV;
    int rc = mdb_cursor_get(cursor_, &k, &v, forward ? MDB_FIRST : MDB_LAST);
    for (; rc == 0; rc = mdb_cursor_get(cursor_, &k, &v, step)) Show(k, v, check);
    return rc == MDB_NOTFOUND || Check(rc);
  }
  bool SeekScan(std::string_view key, size_t count, EntryCheck* check) override {
    if (!static_ && !Renew()) return false;
    if (!OpenCursor()) return false;
    MDB_val k = ToVal(key);
    MDB_val v;
    int rc = mdb_cursor_get(cursor_, &k, &v, MDB_SET_RANGE);
    for (size_t i = 0; rc == 0; rc = mdb_cursor_get(cursor_, &k, &v, MDB_NEXT)) {
      Show(k, v, check);
      if (++i == count) break;
    }
    return rc == 0 || rc == MDB_NOTFOUND || Check(rc);
  }
  void StaticReads(bool on) override {
    static_ = on;
    if (on) {
      Renew();
    } else {
      EndRead();
    }
  }

 private:
  bool Check(int rc) { return rc == 0 || Fail(mdb_strerror(rc)); }
  // The newest state; cheap, because the reader's slot is kept.
  bool Renew() {
    if (read_ == nullptr) return Check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &read_));
    mdb_txn_reset(read_);
    cursor_current_ = false;
    return Check(mdb_txn_renew(read_));
  }
  // An old reader would keep pages from being reused.
  void EndRead() {
    if (read_ != nullptr) mdb_txn_reset(read_);
    cursor_current_ = false;
  }
  bool OpenCursor() {
    if (cursor_ == nullptr) {
      if (!Check(mdb_cursor_open(read_, dbi_, &cursor_))) return false;
    } else if (!cursor_current_) {
      if (!Check(mdb_cursor_renew(read_, cursor_))) return false;
    }
    cursor_current_ = true;
    return true;
  }
  static void Show(const MDB_val& k, const MDB_val& v, EntryCheck* check) {
    check->Add(static_cast<const char*>(k.mv_data), k.mv_size, static_cast<const char*>(v.mv_data),
               v.mv_size);
  }
  MDB_env* env_;
  MDB_dbi dbi_;
  MDB_txn* read_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool cursor_current_ = false;
  bool static_ = false;
};

class LmdbDriver : public Driver {
 public:
  std::string Version() override {
    return "LMDB " + std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) +
           "." + std::to_string(MDB_VERSION_PATCH);
  }
  bool Open(const Config& config) override {
    config_ = config;
    if (!MakeDirs(config.dir)) return Fail("cannot create " + config.dir);
    if (!Check(mdb_env_create(&env_))) return false;
    // Copy-on-write pages, half-full leaves and overflow pages: six times the data is ample;
    // address space is free.
    const size_t map = (size_t{1} << 30) + 6 * config.data_bytes;
    if (!Check(mdb_env_set_mapsize(env_, map)) || !Check(mdb_env_set_maxreaders(env_, 64)))
      return false;
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    if (config.durability == Durability::kOs) flags |= MDB_NOSYNC;
    if (Tuning(config, "map", "read") == "write") flags |= MDB_WRITEMAP | MDB_MAPASYNC;
    if (!Check(mdb_env_open(env_, config.dir.c_str(), flags, 0644))) return false;
    MDB_txn* txn = nullptr;
    return Check(mdb_txn_begin(env_, nullptr, 0, &txn)) &&
           Check(mdb_dbi_open(txn, nullptr, 0, &dbi_)) && Check(mdb_txn_commit(txn));
  }
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<LmdbSession>(env_, dbi_);
  }
  bool Settle() override { return Check(mdb_env_sync(env_, 1)); }
  bool Compact() override {
    const std::string copy = config_.dir + "/copy.mdb";
    const std::string data = config_.dir + "/data.mdb";
    if (!MakeDirs(copy) || !Check(mdb_env_copy2(env_, copy.c_str(), MDB_CP_COMPACT))) return false;
    Close();
    if (std::rename((copy + "/data.mdb").c_str(), data.c_str()) != 0)
      return Fail("rename of the compacted copy");
    RemoveTree(copy);
    return Open(config_);
  }
  void Close() override {
    if (env_ != nullptr) mdb_env_close(env_);
    env_ = nullptr;
  }

 private:
  bool Check(int rc) { return rc == 0 || Fail(mdb_strerror(rc)); }
  Config config_;
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

std::unique_ptr<Driver> NewDriver() { return std::make_unique<LmdbDriver>(); }

}  // namespace kist::bench
