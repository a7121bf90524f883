// Sequences of calls through kist.h alone, on a database in memory: with handles that live, that
// are NULL or of another kind, with any flags, sizes and names. Every call returns a code that its
// documentation can mean, sets its outputs to nothing where it fails, and nothing crashes or leaks,
// whatever the order of closing.
#include <kist/kist.h>

#include <cstring>
#include <vector>

#include "fuzz_input.h"

namespace {

using kist::Slice;
using kist::fuzz::FuzzInput;

class Driver {
 public:
  explicit Driver(FuzzInput* input) : input_(input) { Open(); }

  ~Driver() {
    FreeChildren();
    kist_close(db_, KIST_CLOSE_STRICT, nullptr);
    for (kist_batch* b : batches_) kist_batch_free(b);
    for (kist_pin& p : pins_) kist_pin_release(&p);
  }

  void Run() {
    for (int steps = 0; !input_->empty() && steps < 300; ++steps) Step();
  }

 private:
  void Step() {
    static void (Driver::*const calls[])() = {
        &Driver::Put,      &Driver::Put,      &Driver::Delete,   &Driver::DeleteRange,
        &Driver::Get,      &Driver::Pin,      &Driver::Exists,   &Driver::MultiGet,
        &Driver::NewBatch, &Driver::BatchOp,  &Driver::Write,    &Driver::Packed,
        &Driver::NewSnap,  &Driver::FreeSnap, &Driver::NewIter,  &Driver::Seek,
        &Driver::Walk,     &Driver::Walk,     &Driver::FreeIter, &Driver::NewTxn,
        &Driver::TxnOp,    &Driver::EndTxn,   &Driver::Keyspace, &Driver::Maintain,
        &Driver::Texts,    &Driver::NewFeed,  &Driver::Close,    &Driver::Entries};
    (this->*calls[input_->Byte() % (sizeof calls / sizeof *calls)])();
  }

  // ---- what calls are given
  void Open() {
    kist_options* options = nullptr;
    MUST(kist_options_new(&options) == KIST_OK);
    MUST(kist_options_parse(options, "memory_budget=8MiB; sync=never", nullptr) == KIST_OK);
    MUST(kist_open(":memory:", options, &db_, nullptr) == KIST_OK && db_ != nullptr);
    kist_options_free(options);
    keyspaces_.assign(1, kist_default(db_));
  }
  Slice Bytes() {
    const uint8_t n = input_->Byte();
    if (n < 250) return input_->Bytes(n % 10);
    long_.assign(65530 + n % 10, 'x');
    return long_;
  }
  template <typename T>
  T* Pick(const std::vector<T*>& live) {
    const uint8_t n = input_->Byte();
    if (n == 255 || live.empty()) return nullptr;
    return live[n % live.size()];
  }
  // Now and then a handle of another kind.
  kist_keyspace* Ks() {
    if (input_->Byte() == 254) return reinterpret_cast<kist_keyspace*>(db_);
    return Pick(keyspaces_);
  }
  kist_db* Db() {
    const uint8_t n = input_->Byte();
    if (n == 255) return nullptr;
    return n == 254 ? reinterpret_cast<kist_db*>(keyspaces_[0]) : db_;
  }
  const kist_write_options* Writing() {
    wo_ = KIST_WRITE_OPTIONS_INIT;
    const uint8_t n = input_->Byte();
    wo_.durability = n % 5;
    wo_.ttl_ms = n < 200 ? 0 : n < 220 ? 1000 : n < 240 ? KIST_TTL_NEVER : -1;
    if (n >= 250) wo_.flags = n;
    if (n == 249) wo_.size = 3;
    return n % 7 == 0 ? nullptr : &wo_;
  }
  const kist_read_options* Reading() {
    ro_ = KIST_READ_OPTIONS_INIT;
    const uint8_t n = input_->Byte();
    if (n % 4 == 1) ro_.snapshot = Pick(snapshots_);
    if (n % 4 == 2) ro_.txn = Pick(txns_);
    if (n >= 200) ro_.flags = n % 8;
    return n % 4 == 0 ? nullptr : &ro_;
  }

  // ---- what they return
  void Sane(kist_rc rc) {
    MUST(rc >= -22 && rc <= KIST_TRUNCATED);
    MUST(rc != KIST_E_INTERNAL && rc != KIST_E_CORRUPT && rc != KIST_E_IO &&
         rc != KIST_E_POISONED && rc != KIST_E_FORKED && rc != KIST_E_NOMEM);
    MUST(std::strcmp(kist_rc_name(rc), "KIST_E_UNKNOWN") != 0);
    if (rc < 0 && err_.code != 0) MUST(err_.code == rc && err_.message[0] != 0);
    err_ = KIST_ERR_INIT;
  }

  // ---- calls
  void Put() {
    kist_keyspace* ks = Ks();
    const kist_write_options* wo = Writing();
    const std::string key(Bytes());
    const Slice value = Bytes();
    Sane(kist_put(ks, wo, key.data(), key.size(), value.data(), value.size(), &err_));
  }
  void Delete() {
    kist_keyspace* ks = Ks();
    const kist_write_options* wo = Writing();
    const Slice key = Bytes();
    Sane(kist_delete(ks, wo, key.data(), key.size(), &err_));
  }
  void DeleteRange() {
    kist_keyspace* ks = Ks();
    const kist_write_options* wo = Writing();
    const std::string begin(Bytes());
    const Slice end = Bytes();
    Sane(kist_delete_range(ks, wo, begin.data(), begin.size(), end.data(), end.size(), &err_));
  }
  void Get() {
    kist_keyspace* ks = Ks();
    const kist_read_options* ro = Reading();
    const Slice key = Bytes();
    char buffer[64];
    size_t length = 7;
    const kist_rc rc =
        kist_get(ks, ro, key.data(), key.size(), buffer, input_->Byte() % 65, &length, &err_);
    if (rc < 0) MUST(length == 0);
    Sane(rc);
    void* copy = &length;
    const kist_rc copied = kist_get_copy(ks, ro, key.data(), key.size(), &copy, &length, &err_);
    MUST(copied == KIST_OK ? copy != nullptr : copy == nullptr);
    Sane(copied);
    kist_free(copy);
  }
  void Pin() {
    kist_keyspace* ks = Ks();
    const kist_read_options* ro = Reading();
    const Slice key = Bytes();
    kist_pin pin = {};
    const kist_rc rc = kist_get_pin(ks, ro, key.data(), key.size(), &pin, &err_);
    MUST(rc == KIST_OK || pin.data == nullptr);
    Sane(rc);
    if (rc != KIST_OK) return;
    if (pins_.size() < 8) return pins_.push_back(pin);
    std::string read(static_cast<const char*>(pins_[0].data), pins_[0].len);
    kist_pin_release(&pins_[0]);
    pins_[0] = pin;
  }
  void Exists() {
    kist_keyspace* ks = Ks();
    const kist_read_options* ro = Reading();
    const Slice key = Bytes();
    int64_t left = 0;
    Sane(kist_exists(ks, ro, key.data(), key.size(), &err_));
    Sane(kist_ttl(ks, ro, key.data(), key.size(), &left, &err_));
  }
  void MultiGet();
  void NewBatch() {
    if (batches_.size() >= 4) {
      kist_batch_free(batches_.back());
      batches_.pop_back();
      return;
    }
    kist_batch* batch = nullptr;
    MUST(kist_batch_new(&batch) == KIST_OK);
    batches_.push_back(batch);
  }
  void BatchOp() {
    kist_batch* batch = Pick(batches_);
    kist_keyspace* ks = Ks();
    const std::string key(Bytes());
    const Slice value = Bytes();
    const uint8_t how = input_->Byte() % 8;
    if (how < 4)
      Sane(kist_batch_put(batch, ks, key.data(), key.size(), value.data(), value.size(),
                          how == 3 ? -1 : how * 1000, &err_));
    if (how == 4) Sane(kist_batch_delete(batch, ks, key.data(), key.size(), &err_));
    if (how == 5 || how == 6)
      Sane(kist_batch_delete_range(batch, ks, key.data(), key.size(), value.data(), value.size(),
                                   &err_));
    if (how == 7 && input_->Byte() % 4 == 0) kist_batch_clear(batch);
    static_cast<void>(kist_batch_count(batch));
  }
  void Write() {
    kist_db* db = Db();
    const kist_write_options* wo = Writing();
    Sane(kist_write(db, wo, Pick(batches_), &seq_, &err_));
  }
  void Packed() {
    kist_db* db = Db();
    const kist_write_options* wo = Writing();
    const void* data = nullptr;
    size_t length = 0;
    kist_batch* batch = Pick(batches_);
    std::string bytes;
    if (batch != nullptr && kist_batch_data(batch, &data, &length) == KIST_OK)
      bytes.assign(static_cast<const char*>(data), length);
    for (int n = input_->Byte() % 4; n > 0 && !bytes.empty(); --n)
      bytes[input_->Below(65536) % bytes.size()] ^= static_cast<char>(input_->Byte());
    Sane(kist_write_packed(db, wo, bytes.data(), bytes.size(), &seq_, &err_));
  }
  void NewSnap() {
    if (snapshots_.size() >= 6) return FreeSnap();
    kist_snapshot* snapshot = nullptr;
    Sane(kist_snapshot_new(Db(), &snapshot, &err_));
    if (snapshot == nullptr) return;
    MUST(kist_snapshot_seq(snapshot) == kist_last_seq(db_));
    snapshots_.push_back(snapshot);
  }
  void FreeSnap() { Free(&snapshots_, kist_snapshot_free); }
  void NewIter() {
    if (iters_.size() >= 6) return FreeIter();
    kist_iter_options io = KIST_ITER_OPTIONS_INIT;
    const uint8_t n = input_->Byte();
    if (n % 4 == 1) io.snapshot = Pick(snapshots_);
    if (n % 4 == 2) io.txn = Pick(txns_);
    if (n >= 160) io.flags = n >= 250 ? n : KIST_ITER_KEYS_ONLY;
    const std::string lower(n % 8 == 3 ? Bytes() : Slice()), upper(n % 8 == 4 ? Bytes() : Slice());
    const std::string prefix(n % 8 >= 6 ? Bytes() : Slice());
    io.lower = {lower.data(), lower.size()};
    io.upper = {upper.data(), upper.size()};
    io.prefix = {prefix.data(), prefix.size()};
    kist_iter* iter = nullptr;
    Sane(kist_iter_new(Ks(), n % 16 == 0 ? nullptr : &io, &iter, &err_));
    if (iter != nullptr) iters_.push_back(iter);
  }
  void Seek() {
    kist_iter* iter = Pick(iters_);
    const Slice key = Bytes();
    Sane(kist_iter_seek(iter, input_->Byte() % 7, key.data(), key.size(), &err_));
    if (input_->Byte() % 8 == 0) Sane(kist_iter_refresh(iter, &err_));
  }
  void Walk() {
    kist_iter* iter = Pick(iters_);
    for (int n = input_->Byte() % 8; n > 0; --n) {
      Sane(n % 3 == 0 ? kist_iter_prev(iter, &err_) : kist_iter_next(iter, &err_));
      kist_slice key = {"", 1}, value = {"", 1};
      const kist_rc rc = kist_iter_entry(iter, &key, &value);
      MUST(rc == KIST_OK || (key.data == nullptr && value.data == nullptr));
      Sane(rc);
      if (rc == KIST_OK) sum_ += std::string(static_cast<const char*>(key.data), key.len).size();
    }
  }
  void Entries() {
    kist_iter* iter = Pick(iters_);
    kist_entry entries[4];
    char buffer[256];
    size_t count = 9, used = 9;
    const int32_t dir = input_->Byte() % 3 - 1;
    Sane(kist_iter_entries(iter, dir, entries, input_->Byte() % 5, &count, &err_));
    MUST(count <= 4);
    size_t need = 0;
    Sane(kist_iter_chunk(iter, dir, buffer, input_->Byte(), input_->Byte() % 5, &used, &count,
                         &need, &err_));
    MUST(count <= 4 && used <= sizeof buffer);
  }
  void FreeIter() { Free(&iters_, kist_iter_free); }
  void NewTxn() {
    if (txns_.size() >= 4) return EndTxn();
    kist_txn* txn = nullptr;
    Sane(kist_txn_begin(Db(), input_->Byte() % 3, &txn, &err_));
    if (txn != nullptr) txns_.push_back(txn);
  }
  void TxnOp() {
    kist_txn* txn = Pick(txns_);
    kist_keyspace* ks = Ks();
    const std::string key(Bytes());
    const Slice value = Bytes();
    const uint8_t how = input_->Byte() % 8;
    if (how < 3)
      Sane(kist_txn_put(txn, ks, key.data(), key.size(), value.data(), value.size(), how * 500,
                        &err_));
    if (how == 3) Sane(kist_txn_delete(txn, ks, key.data(), key.size(), &err_));
    if (how == 4)
      Sane(kist_txn_delete_range(txn, ks, key.data(), key.size(), value.data(), value.size(),
                                 &err_));
    if (how == 5 || how == 6) Sane(kist_txn_savepoint(txn, &err_));
    if (how == 7) Sane(kist_txn_rollback_to(txn, &err_));
  }
  void EndTxn() {
    if (txns_.empty()) return;
    const uint8_t n = input_->Byte();
    kist_txn* txn = txns_[n % txns_.size()];
    if (n < 128) Sane(kist_txn_commit(txn, Writing(), &seq_, &err_));
    if (n % 3 == 0) return;  // stays, ended
    kist_txn_free(txn);
    txns_.erase(txns_.begin() + static_cast<long>(n % txns_.size()));
  }
  void Keyspace();
  void Maintain();
  void Texts();
  void NewFeed();
  void Close();
  void FreeChildren();

  template <typename T>
  void Free(std::vector<T*>* live, void (*free_it)(T*)) {
    if (live->empty()) return free_it(nullptr);
    const size_t at = input_->Byte() % live->size();
    free_it((*live)[at]);
    live->erase(live->begin() + static_cast<long>(at));
  }

  FuzzInput* const input_;
  kist_db* db_ = nullptr;
  std::vector<kist_keyspace*> keyspaces_;  // the default one first
  std::vector<kist_batch*> batches_;
  std::vector<kist_snapshot*> snapshots_;
  std::vector<kist_iter*> iters_;
  std::vector<kist_txn*> txns_;
  std::vector<kist_feed*> feeds_;
  std::vector<kist_pin> pins_;
  kist_err err_ = KIST_ERR_INIT;
  kist_write_options wo_ = KIST_WRITE_OPTIONS_INIT;
  kist_read_options ro_ = KIST_READ_OPTIONS_INIT;
  std::string long_;
  uint64_t seq_ = 0;
  size_t sum_ = 0;
};

void Driver::MultiGet() {
  kist_keyspace* ks = Ks();
  const kist_read_options* ro = Reading();
  std::vector<std::string> keys;
  for (int n = input_->Byte() % 5; n > 0; --n) keys.emplace_back(Bytes());
  std::vector<kist_slice> slices;
  for (const std::string& k : keys) slices.push_back({k.data(), k.size()});
  std::vector<kist_pin> pins(keys.size());
  std::vector<kist_rc> codes(keys.size());
  Sane(kist_multi_get(ks, ro, keys.size(), slices.data(), pins.data(), codes.data(), &err_));
  for (kist_pin& pin : pins) kist_pin_release(&pin);
}

void Driver::Keyspace() {
  const uint8_t n = input_->Byte();
  const char* names[] = {"one", "two", "default", "", "three"};
  const char* name = names[n % 5];
  kist_keyspace* ks = nullptr;
  if (n % 4 == 0) {
    Sane(kist_keyspace_drop(Db(), name, &err_));
  } else if (n % 4 == 1 && keyspaces_.size() > 1) {
    kist_keyspace_free(keyspaces_.back());
    keyspaces_.pop_back();
  } else if (keyspaces_.size() < 6) {
    Sane(kist_keyspace_open(Db(), name, n / 4 % 4, nullptr, &ks, &err_));
    if (ks != nullptr) keyspaces_.push_back(ks);
  }
  char list[64];
  size_t length = 0;
  Sane(kist_keyspace_list(Db(), list, n % 65, &length, &err_));
  static_cast<void>(kist_keyspace_id(Pick(keyspaces_)));
}

void Driver::Maintain() {
  const uint8_t n = input_->Byte();
  const std::string begin(Bytes());
  const Slice end = Bytes();
  uint64_t bytes = 0;
  if (n % 8 == 0) Sane(kist_flush(Db(), &err_));
  if (n % 8 == 1)
    Sane(kist_compact(Ks(), begin.data(), begin.size(), end.data(), end.size(), nullptr, &err_));
  if (n % 8 == 2) Sane(kist_wait_idle(Db(), n % 3, &err_));
  if (n % 8 == 3) Sane(kist_verify(Db(), nullptr, &err_));
  if (n % 8 == 4)
    Sane(kist_approximate_size(Ks(), begin.data(), begin.size(), end.data(), end.size(), &bytes,
                               &err_));
  if (n % 8 == 5) Sane(kist_sync(Db(), &err_));
  if (n % 8 == 6) Sane(kist_wait_durable(Db(), kist_durable_seq(db_) + n % 3, n % 5, &err_));
  if (n % 8 == 7) Sane(kist_set_option(Db(), "sync", n > 100 ? "never" : "every_n:2", &err_));
}

void Driver::Texts() {
  const uint8_t n = input_->Byte();
  char buffer[128];
  size_t length = 0;
  uint64_t value = 0;
  const std::string name(Bytes());
  Sane(kist_stats(Db(), n % 4, buffer, n % 129, &length, &err_));
  Sane(kist_stat(Db(), n % 2 == 0 ? "flushes" : name.c_str(), &value, &err_));
  kist_options* options = nullptr;
  MUST(kist_options_new(&options) == KIST_OK);
  Sane(kist_options_set(options, name.c_str(), "1", &err_));
  Sane(kist_options_parse(options, name.c_str(), &err_));
  Sane(kist_options_get(options, "sync", buffer, n % 129, &length, &err_));
  kist_options_free(options);
}

void Driver::NewFeed() {
  if (feeds_.size() >= 2) return Free(&feeds_, kist_feed_free);
  kist_feed* feed = nullptr;
  Sane(kist_feed_open(Db(), input_->Byte() % 8, &feed, &err_));
  if (feed == nullptr) return;
  feeds_.push_back(feed);
  for (int n = input_->Byte() % 4; n > 0; --n) {
    int64_t time_ms = 0;
    kist_slice packed = {nullptr, 0};
    Sane(kist_feed_next(feed, 0, &seq_, &time_ms, &packed, &err_));
  }
}

void Driver::FreeChildren() {
  for (kist_iter* i : iters_) kist_iter_free(i);
  for (kist_txn* t : txns_) kist_txn_free(t);
  for (kist_snapshot* s : snapshots_) kist_snapshot_free(s);
  for (kist_feed* f : feeds_) kist_feed_free(f);
  while (keyspaces_.size() > 1) {
    kist_keyspace_free(keyspaces_.back());
    keyspaces_.pop_back();
  }
  iters_.clear();
  txns_.clear();
  snapshots_.clear();
  feeds_.clear();
}

// Closes in some mode; what lives on says that it is closed, until it is freed.
void Driver::Close() {
  const uint8_t n = input_->Byte();
  if (n < 200) return Sane(kist_close(nullptr, n % 4, &err_));
  const size_t children =
      iters_.size() + txns_.size() + snapshots_.size() + feeds_.size() + keyspaces_.size() - 1;
  const uint32_t mode = n % 3;
  const kist_rc rc = kist_close(db_, mode, &err_);
  if (mode == KIST_CLOSE_STRICT && children > 0) {
    MUST(rc == KIST_E_BUSY && err_.aux == children);
    return Sane(rc);
  }
  MUST(rc == KIST_OK);
  Sane(rc);
  if (mode == KIST_CLOSE_REVOKE) {
    for (kist_iter* i : iters_) MUST(kist_iter_next(i, nullptr) == KIST_E_CLOSED);
  }
  FreeChildren();
  Open();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  Driver(&input).Run();
  return 0;
}
