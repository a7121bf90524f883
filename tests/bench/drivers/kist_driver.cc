// Kist behind the benchmark's driver interface, through include/kist/kist.h and nothing else.
//
// Durability: kOs is KIST_DURABILITY_OS, kSync is KIST_DURABILITY_SYNC, given with every write; the
// database's own policy is sync=never, so that no other sync falls into a row. Cache, write buffer
// and compression are set as for the peers; the memory budget is what cache, three write buffers,
// indexes and filters need, and the peak-memory row holds Kist to it. Tuning: get=copy uses
// kist_get into a buffer, get=pin (standard) kist_get_pin; budget_mib; any other name=value is
// handed to kist_options_set, so that experiments need no rebuild.
#include <kist/kist.h>

#include <cstdlib>
#include <vector>

#include "driver.h"

namespace kist::bench {

namespace {

class KistSession : public Session {
 public:
  KistSession(kist_db* db, bool sync, bool pin)
      : db_(db), ks_(kist_default(db)), pin_reads_(pin), buffer_(size_t{64} << 10) {
    write_.durability = sync ? KIST_DURABILITY_SYNC : KIST_DURABILITY_OS;
    kist_batch_new(&batch_);
  }
  ~KistSession() override {
    kist_pin_release(&pin_);
    kist_iter_free(seeker_);
    kist_batch_free(batch_);
  }

  bool Put(std::string_view key, std::string_view value) override {
    return Check(kist_put(ks_, &write_, key.data(), key.size(), value.data(), value.size(), &err_));
  }
  bool PutBatch(const KeyValue* entries, size_t count) override {
    kist_batch_clear(batch_);
    for (size_t i = 0; i < count; ++i) {
      const KeyValue& e = entries[i];
      if (!Check(kist_batch_put(batch_, ks_, e.key.data(), e.key.size(), e.value.data(),
                                e.value.size(), 0, &err_)))
        return false;
    }
    return Check(kist_write(db_, &write_, batch_, nullptr, &err_));
  }
  bool Delete(std::string_view key) override {
    return Check(kist_delete(ks_, &write_, key.data(), key.size(), &err_));
  }
  Found Get(std::string_view key, std::string_view* value) override {
    kist_rc rc;
    if (pin_reads_) {
      kist_pin_release(&pin_);
      rc = kist_get_pin(ks_, nullptr, key.data(), key.size(), &pin_, &err_);
      *value = {static_cast<const char*>(pin_.data), pin_.len};
    } else {
      size_t len = 0;
      rc = kist_get(ks_, nullptr, key.data(), key.size(), buffer_.data(), buffer_.size(), &len,
                    &err_);
      *value = {buffer_.data(), len};
    }
    if (rc == KIST_OK) return Found::kYes;
    if (rc == KIST_NOT_FOUND) return Found::kNo;
    Check(rc);
    return Found::kError;
  }
  bool Scan(bool forward, EntryCheck* check) override {
    kist_iter* it = nullptr;
    if (!Check(kist_iter_new(ks_, nullptr, &it, &err_))) return false;
    kist_rc rc = kist_iter_seek(it, forward ? KIST_SEEK_FIRST : KIST_SEEK_LAST, nullptr, 0, &err_);
    while (rc == KIST_OK) {
      Show(it, check);
      rc = forward ? kist_iter_next(it, &err_) : kist_iter_prev(it, &err_);
    }
    kist_iter_free(it);
    return rc == KIST_DONE || Check(rc);
  }
  bool ScanMany(EntryCheck* check) override {
    kist_iter* it = nullptr;
    if (!Check(kist_iter_new(ks_, nullptr, &it, &err_))) return false;
    kist_rc rc = KIST_OK;
    while (rc == KIST_OK) {
      size_t count = 0;
      rc = kist_iter_entries(it, 1, entries_, kEntries, &count, &err_);
      for (size_t i = 0; i < count; ++i) ShowEntry(entries_[i], check);
    }
    kist_iter_free(it);
    return rc == KIST_DONE || Check(rc);
  }
  bool SeekScan(std::string_view key, size_t count, EntryCheck* check) override {
    if (seeker_ == nullptr) {
      if (!Check(kist_iter_new(ks_, nullptr, &seeker_, &err_))) return false;
    } else if (!static_) {
      if (!Check(kist_iter_refresh(seeker_, &err_))) return false;
    }
    kist_rc rc = kist_iter_seek(seeker_, KIST_SEEK_GE, key.data(), key.size(), &err_);
    for (size_t i = 0; rc == KIST_OK; rc = kist_iter_next(seeker_, &err_)) {
      Show(seeker_, check);
      if (++i == count) break;
    }
    return rc == KIST_OK || rc == KIST_DONE || Check(rc);
  }
  void StaticReads(bool on) override {
    static_ = on;
    kist_iter_free(seeker_);
    seeker_ = nullptr;
  }

 private:
  static constexpr size_t kEntries = 256;
  bool Check(kist_rc rc) {
    return rc == KIST_OK || Fail(std::string(kist_rc_name(rc)) + ": " + err_.message);
  }
  static void ShowEntry(const kist_entry& e, EntryCheck* check) {
    check->Add(static_cast<const char*>(e.key.data), e.key.len,
               static_cast<const char*>(e.val.data), e.val.len);
  }
  static void Show(const kist_iter* it, EntryCheck* check) {
    kist_entry e;
    kist_iter_entry(it, &e.key, &e.val);
    ShowEntry(e, check);
  }
  kist_db* db_;
  kist_keyspace* ks_;
  kist_err err_ = KIST_ERR_INIT;
  kist_write_options write_ = KIST_WRITE_OPTIONS_INIT;
  kist_pin pin_ = {};
  kist_batch* batch_ = nullptr;
  kist_iter* seeker_ = nullptr;
  bool pin_reads_;
  bool static_ = false;
  std::vector<char> buffer_;
  kist_entry entries_[kEntries];
};

class KistDriver : public Driver {
 public:
  std::string Version() override { return std::string("Kist ") + kist_version_string(); }
  bool Open(const Config& config) override {
    sync_ = config.durability == Durability::kSync;
    pin_ = true;
    // Filters take 1.25 bytes an entry, index and hashes somewhat more than that.
    const uint64_t per_entry = 4 * (config.data_bytes / config.record_bytes);
    budget_ = config.cache_bytes + 3 * config.write_buffer_bytes + per_entry + (uint64_t{32} << 20);
    const std::string wanted = Tuning(config, "budget_mib", "");
    if (!wanted.empty()) budget_ = std::strtoull(wanted.c_str(), nullptr, 10) << 20;

    kist_options* options = nullptr;
    bool ok = Check(kist_options_new(&options)) && Set(options, "cache_size", config.cache_bytes) &&
              Set(options, "write_buffer_size", config.write_buffer_bytes) &&
              Set(options, "memory_budget", budget_) &&
              SetText(options, "compression", config.compression ? "adaptive" : "none") &&
              SetText(options, "sync", "never") &&
              SetText(options, "mmap_reads", config.mapped_reads ? "true" : "false") &&
              SetTuning(options, config.tuning);
    ok = ok && Check(kist_open(config.dir.c_str(), options, &db_, &err_));
    kist_options_free(options);
    return ok;
  }
  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<KistSession>(db_, sync_, pin_);
  }
  bool Settle() override {
    return Check(kist_flush(db_, &err_)) && Check(kist_wait_idle(db_, 600000, &err_));
  }
  bool Compact() override {
    return Check(kist_compact(kist_default(db_), nullptr, 0, nullptr, 0, nullptr, &err_)) &&
           Check(kist_wait_idle(db_, 600000, &err_));
  }
  void Close() override {
    kist_close(db_, KIST_CLOSE_REVOKE, nullptr);
    db_ = nullptr;
  }
  uint64_t MemoryBudget() override { return budget_; }

 private:
  bool Check(kist_rc rc) {
    return rc == KIST_OK || Fail(std::string(kist_rc_name(rc)) + ": " + err_.message);
  }
  bool Set(kist_options* options, const char* name, uint64_t value) {
    return Check(kist_options_set_u64(options, name, value, &err_));
  }
  bool SetText(kist_options* options, const char* name, const char* value) {
    return Check(kist_options_set(options, name, value, &err_));
  }
  bool SetTuning(kist_options* options, const std::string& tuning) {
    for (size_t at = 0; at < tuning.size();) {
      const size_t end = std::min(tuning.find(',', at), tuning.size());
      const std::string pair = tuning.substr(at, end - at);
      const size_t equal = pair.find('=');
      const std::string name = pair.substr(0, equal);
      const std::string value = equal == std::string::npos ? "1" : pair.substr(equal + 1);
      at = end + 1;
      if (name == "budget_mib") continue;
      if (name == "get") {
        pin_ = value != "copy";
      } else if (!SetText(options, name.c_str(), value.c_str())) {
        return false;
      }
    }
    return true;
  }
  kist_db* db_ = nullptr;
  kist_err err_ = KIST_ERR_INIT;
  uint64_t budget_ = 0;
  bool sync_ = false;
  bool pin_ = true;
};

}  // namespace

std::unique_ptr<Driver> NewDriver() { return std::make_unique<KistDriver>(); }

}  // namespace kist::bench
