// What the targets over a whole database share: a database in a given file system, a model beside
// it, writes that an input chooses, and the comparison of all reads with the model. Threads: one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "db/db.h"
#include "fuzz_input.h"
#include "support/wrap_vfs.h"
#include "util/mutex.h"

namespace kist::fuzz {

using Model = std::map<std::string, std::string>;
constexpr char kDbDir[] = "/db";

// The same random numbers in every run: an input means the same files.
class SeededVfs : public test::WrapVfs {
 public:
  explicit SeededVfs(Vfs* base) : WrapVfs(base) {}
  void Random(void* buf, size_t n) override {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < n; ++i) {
      state_ = state_ * 6364136223846793005 + 1442695040888963407;
      static_cast<char*>(buf)[i] = static_cast<char>(state_ >> 40);
    }
  }

 private:
  Mutex mutex_;
  uint64_t state_ KIST_GUARDED_BY(mutex_) = 1;
};

inline std::unique_ptr<Db> OpenDb(Vfs* vfs, const std::string& options, Status* status) {
  OptionSet set;
  MUST(set.Parse("memory_budget=4MiB; cache_size=64KiB; " + options).ok());
  auto db = Db::Open(kDbDir, set, LogSink(), vfs);
  *status = db.status();
  return db.ok() ? db.Take() : nullptr;
}

inline std::string KeyOf(FuzzInput* input) {
  const uint8_t n = input->Byte() % 24;
  return n == 0 ? std::string() : "k" + std::string(1, static_cast<char>('a' + n));
}

// One write, as the database takes it and as it changes the model.
struct OneWrite {
  uint8_t kind = 0;  // 0, 1, 2: put; 3: delete; 4: range delete; 5: a batch of puts
  std::string key, value;
  Durability durability = Durability::kDefault;

  explicit OneWrite(FuzzInput* input) : kind(input->Byte() % 6) {
    key = KeyOf(input);
    if (kind == 4) {
      value = KeyOf(input);
      if (value < key) std::swap(key, value);
    } else {
      const uint8_t size = input->Byte();
      value.assign(size < 250 ? size : size * 40u, static_cast<char>('A' + size % 26));
    }
    durability = static_cast<Durability>(1 + input->Byte() % 3);
  }

  void Apply(Model* model) const {
    if (kind <= 2) (*model)[key] = value;
    if (kind == 3) model->erase(key);
    if (kind == 4)  // an empty end: past the last key
      model->erase(model->lower_bound(key),
                   value.empty() ? model->end() : model->lower_bound(value));
    for (char c = '0'; kind == 5 && c < '4'; ++c) (*model)[key + c] = value;
  }

  Status Write(Db* db, Sequence* seq) const {
    const auto ks = db->DefaultKeyspace();
    if (kind <= 2) return db->Put(ks.get(), durability, key, value, 0, seq);
    if (kind == 3) return db->Delete(ks.get(), durability, key, seq);
    if (kind == 4) return db->DeleteRange(ks.get(), durability, key, value, seq);
    BatchBuilder batch;
    for (char c = '0'; c < '4'; ++c) MUST(batch.Put(0, key + c, value, 0).ok());
    std::string bytes(batch.data());
    WriteRequest request;
    request.durability = durability;
    request.batch = bytes.data();
    request.batch_bytes = bytes.size();
    request.summary = batch.summary();
    return db->Write(&request, seq);
  }
};

// Reads everything forwards; *status tells how that ended.
inline Model Scan(Db* db, const Snapshot* snapshot, bool forward, Status* status) {
  Model model;
  IterOptions options;
  options.snapshot = snapshot;
  auto it = db->NewIterator(db->DefaultKeyspace().get(), options);
  if (!it.ok()) return *status = it.status(), model;
  for (forward ? (*it)->SeekToFirst() : (*it)->SeekToLast(); (*it)->on();
       forward ? (*it)->Next() : (*it)->Prev()) {
    MUST(model.emplace((*it)->key(), (*it)->value()).second);
  }
  *status = (*it)->status();
  return model;
}

// Scans in both directions and gets say what the model says, or end in an error where `may_fail`.
inline void Compare(Db* db, const Snapshot* snapshot, const Model& model, bool may_fail = false) {
  for (const bool forward : {true, false}) {
    Status status;
    const Model held = Scan(db, snapshot, forward, &status);
    MUST(status.ok() || may_fail);
    if (status.ok()) MUST(held == model);
    for (const auto& [key, value] : held) {
      const auto wanted = model.find(key);
      MUST(wanted != model.end() && wanted->second == value);
    }
  }
  const auto ks = db->DefaultKeyspace();
  for (char c = 'a' - 1; c < 'a' + 25; ++c) {
    const std::string key = c < 'a' ? std::string() : "k" + std::string(1, c);
    Epoch::Guard guard(db->epoch());
    ReadFound found;
    const Status s = db->Get(ks.get(), snapshot, key, true, &found);
    MUST(s.ok() || may_fail);
    if (!s.ok()) continue;
    const auto wanted = model.find(key);
    MUST(found.found == (wanted != model.end()));
    if (found.found) MUST(found.value == wanted->second);
  }
}

}  // namespace kist::fuzz
