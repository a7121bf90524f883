// A disk that can lose power, for the log's crash tests: per file, what every reader sees now, what
// is on stable storage, and every content a sector had since its last good sync.
//
// On Crash(kPower): of each unsynced sector any content it had since, or the stable one (of a new
// sector: zeros or garbage); the size is the stable one or any since; of unsynced names any subset.
// On kKill: what readers saw. A failed sync forgets what was unsynced (D4): kept on disk or lost,
// and later syncs succeed. Kill point: after `Arm(n)` the n-th changing call still takes a part,
// then every call fails until Crash.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/unit_test.h"
#include "vfs/vfs.h"

namespace kist::test {

class CrashDisk final : public Vfs {
 public:
  enum class Mode { kKill, kPower };
  static constexpr size_t kSector = 512;

  explicit CrashDisk(Rng* rng) : rng_(rng), clock_(NewMemoryVfs()) {}

  void Arm(uint64_t calls) { left_ = calls; }
  bool dead() const { return dead_; }
  uint64_t calls() const { return calls_; }
  // Chances in a thousand.
  int write_fails = 0, sync_fails = 0, truncate_fails = 0, preallocate_fails = 0;

  void Crash(Mode mode) {
    dead_ = false;
    left_ = UINT64_MAX;
    if (mode == Mode::kKill) return;
    std::map<std::string, std::shared_ptr<Inode>> names = stable_names_;
    std::set<std::string> touched;
    for (const auto& [name, inode] : names_) touched.insert(name);
    for (const auto& [name, inode] : stable_names_) touched.insert(name);
    for (const std::string& name : touched) {
      if (rng_->OneIn(2)) continue;
      const auto now = names_.find(name);
      if (now == names_.end()) {
        names.erase(name);
      } else {
        names[name] = now->second;
      }
    }
    names_ = stable_names_ = names;
    for (auto& [name, inode] : names_) inode->Lose(rng_);
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const auto found = names_.find(path);
    if (dead_) return Dead();
    if (mode == OpenMode::kCreateNew) {
      if (found != names_.end()) return Status::Error(Code::kExists, path);
      if (!Step()) return Dead();
      names_[path] = std::make_shared<Inode>();
    } else if (found == names_.end()) {
      return Status::Error(Code::kMissing, path);
    }
    return std::unique_ptr<File>(new DiskFile(this, names_[path], path));
  }
  Status Remove(const std::string& path) override {
    if (!Step()) return Dead();
    return names_.erase(path) != 0 ? Status() : Status::Error(Code::kMissing, path);
  }
  Status SyncDir(const std::string&) override {
    if (!Step()) return Dead();
    stable_names_ = names_;
    return Status();
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> out;
    for (const auto& [name, inode] : names_) out.push_back(name);
    return out;
  }

  Status Rename(const std::string&, const std::string&) override { return Unused(); }
  Status Link(const std::string&, const std::string&) override { return Unused(); }
  Status MakeDir(const std::string&) override { return Unused(); }
  Status RemoveDir(const std::string&) override { return Unused(); }
  Result<std::vector<std::string>> List(const std::string&) override { return Names(); }
  Result<FileInfo> Stat(const std::string&) override { return Unused(); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string&) override { return Unused(); }
  int64_t WallMs() override { return 0; }
  uint64_t MonotonicUs() override { return 0; }
  void Random(void* buf, size_t n) override {
    const std::string bytes = rng_->Bytes(n);
    std::memcpy(buf, bytes.data(), n);
  }
  void SleepUs(uint64_t) override {}
  Result<std::unique_ptr<Thread>> Start(const char* name, std::function<void()> fn) override {
    return clock_->Start(name, std::move(fn));
  }
  Result<std::unique_ptr<ForkGuard>> MakeForkGuard() override { return Unused(); }

 private:
  struct Inode {
    std::string now;
    std::string stable;
    std::map<uint64_t, std::vector<std::string>> versions;  // by sector, since the last sync
    std::vector<uint64_t> sizes;                            // since the last sync

    static std::string Sector(const std::string& bytes, uint64_t i) {
      std::string s(kSector, '\0');
      if (bytes.size() > i * kSector) {
        const std::string part = bytes.substr(i * kSector, kSector);
        s.replace(0, part.size(), part);
      }
      return s;
    }
    static void SetSector(std::string* bytes, uint64_t i, const std::string& s) {
      if (bytes->size() < (i + 1) * kSector) bytes->resize((i + 1) * kSector);
      bytes->replace(i * kSector, kSector, s);
    }
    void Touch(uint64_t from, uint64_t to) {
      for (uint64_t i = from / kSector; i * kSector < to; ++i) {
        versions[i].push_back(Sector(now, i));
      }
    }
    void Resize(uint64_t size) {
      const uint64_t old = now.size();
      now.resize(size);
      if (size < old) Touch(size, old);
      if (size != old) sizes.push_back(size);
    }
    void Write(uint64_t offset, Slice data) {
      if (now.size() < offset + data.size()) Resize(offset + data.size());
      now.replace(offset, data.size(), data);
      Touch(offset, offset + data.size());
    }
    void Persist() {
      uint64_t size = stable.size();
      for (const auto& [i, v] : versions) SetSector(&stable, i, Sector(now, i));
      if (!sizes.empty() || size < now.size()) size = now.size();
      stable.resize(size);
      Forget();
    }
    void Forget() {
      versions.clear();
      sizes.clear();
    }
    void Lose(Rng* rng) {
      const uint64_t stable_size = stable.size();
      uint64_t size = stable_size;
      if (!sizes.empty() && rng->OneIn(2)) size = sizes[rng->Below(sizes.size())];
      std::string after = stable;
      for (const auto& [i, v] : versions) {
        const bool fresh = i * kSector >= stable_size;
        switch (rng->Below(fresh ? 4 : 2)) {
          case 0:
            break;  // as it was: the stable one, zeros where there is none
          case 3:
            if (rng->OneIn(4)) {
              SetSector(&after, i, rng->Bytes(kSector));
              break;
            }
            [[fallthrough]];
          default:
            SetSector(&after, i, v[rng->Below(v.size())]);
        }
      }
      after.resize(size);
      now = stable = after;
      Forget();
    }
  };

  class DiskFile final : public File {
   public:
    DiskFile(CrashDisk* disk, std::shared_ptr<Inode> inode, std::string path)
        : disk_(disk), inode_(std::move(inode)), path_(std::move(path)) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      if (disk_->dead_) return Dead();
      const std::string& b = inode_->now;
      if (offset >= b.size()) return size_t{0};
      const size_t got = std::min<size_t>(n, b.size() - offset);
      std::memcpy(buf, b.data() + offset, got);
      return got;
    }
    Status Write(uint64_t offset, Slice data) override { return WriteV(offset, &data, 1); }
    Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
      std::string all;
      for (size_t i = 0; i < count; ++i) all.append(parts[i]);
      const bool fails = disk_->Roll(disk_->write_fails);
      bool killed = false;
      if (!disk_->Step(&killed) && !killed) return Dead();
      if (fails || killed) {
        all.resize(disk_->rng_->OneIn(3) ? all.size() : disk_->rng_->Below(all.size() + 1));
      }
      if (!all.empty()) inode_->Write(offset, all);
      if (killed) return Dead();
      return fails ? Status::Error(Code::kNoSpace, "no space for " + path_) : Status();
    }
    Status Sync() override {
      if (disk_->Roll(disk_->sync_fails)) {
        if (!disk_->Step()) return Dead();
        if (disk_->rng_->OneIn(2)) inode_->Persist();
        inode_->Forget();
        return Status::Error(Code::kIo, "sync failed", 0, 5);
      }
      if (!disk_->Step()) return Dead();
      inode_->Persist();
      return Status();
    }
    void StartWriteback(uint64_t, uint64_t) override {}
    Status Truncate(uint64_t size) override {
      if (disk_->Roll(disk_->truncate_fails)) return Status::Error(Code::kIo, "truncate");
      if (!disk_->Step()) return Dead();
      inode_->Resize(size);
      return Status();
    }
    Status Preallocate(uint64_t size) override {
      if (disk_->Roll(disk_->preallocate_fails)) {
        return Status::Bare(disk_->rng_->OneIn(2) ? Code::kUnsupported : Code::kNoSpace);
      }
      if (!disk_->Step()) return Dead();
      if (size > inode_->now.size()) inode_->Resize(size);
      return Status();
    }
    Result<uint64_t> Size() override {
      if (disk_->dead_) return Dead();
      return static_cast<uint64_t>(inode_->now.size());
    }
    Result<uint64_t> NextData(uint64_t offset) override { return offset; }
    void ReadAhead(uint64_t, uint64_t) override {}
    const char* Map(uint64_t) override { return nullptr; }

   private:
    CrashDisk* const disk_;
    const std::shared_ptr<Inode> inode_;
    const std::string path_;
  };

  static Status Dead() { return Status::Error(Code::kIo, "killed"); }
  static Status Unused() { return Status::Bare(Code::kUnsupported); }
  bool Roll(int per_mille) {
    return !dead_ && per_mille != 0 && rng_->Below(1000) < static_cast<uint64_t>(per_mille);
  }
  // False: the process is gone. *killed: it goes with this very call.
  bool Step(bool* killed = nullptr) {
    if (dead_) return false;
    ++calls_;
    if (left_ != UINT64_MAX && --left_ == 0) {
      dead_ = true;
      if (killed != nullptr) *killed = true;
      return false;
    }
    return true;
  }

  Rng* const rng_;
  const std::unique_ptr<Vfs> clock_;
  std::map<std::string, std::shared_ptr<Inode>> names_, stable_names_;
  uint64_t left_ = UINT64_MAX;
  uint64_t calls_ = 0;
  bool dead_ = false;
};

}  // namespace kist::test
