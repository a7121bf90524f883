// The log under crashes: a small engine (appends of every durability, groups, switches, marks,
// flushes, failing writes and syncs, closes) runs on a disk that loses power or is killed at any
// call, opening included, again and again. After each opening the log must hold a prefix of what
// was written, with everything that was promised and nothing that was refused.
#include <set>

#include "tests/unit/record/crash_disk.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

struct Commit {
  Sequence lsn;
  std::string data;
};

class Engine {
 public:
  explicit Engine(uint64_t seed) : rng_(seed), disk_(&rng_) {}

  void Run(int openings) {
    for (int i = 0; i < openings; ++i) {
      disk_.write_fails = rng_.OneIn(2) ? 30 : 0;
      disk_.sync_fails = rng_.OneIn(3) ? 30 : 0;
      disk_.truncate_fails = rng_.OneIn(3) ? 100 : 0;
      disk_.preallocate_fails = rng_.OneIn(2) ? 300 : 0;
      if (rng_.OneIn(2)) disk_.Arm(1 + rng_.Below(rng_.OneIn(2) ? 20 : 200));
      if (Open()) Work();
      writer_.reset();
      old_.reset();
      const bool power = rng_.OneIn(2);
      disk_.Crash(power ? CrashDisk::Mode::kPower : CrashDisk::Mode::kKill);
      if (power) history_at_least_ = must_power_;
      if (!power) history_at_least_ = std::max(must_kill_, must_power_);
      // What a kill left in the page cache may still be lost by a later power cut.
      must_kill_ = must_power_;
      disk_.write_fails = disk_.sync_fails = disk_.truncate_fails = 0;
    }
  }
  size_t commits = 0, residues = 0, jumps = 0;

 private:
  struct Manifest {  // every change is durable at once, as version/ makes it
    uint64_t first_id = 0, begun_id = 0, last_id = 0;
    Sequence base = 0;
  };
  struct Live {
    uint64_t id;
    Sequence last_lsn;
  };

  std::vector<ChainSegment> Segments() {
    std::set<uint64_t> ids;
    for (const std::string& name : disk_.Names()) ids.insert(std::stoull(name.substr(4)));
    return Chain({ids.begin(), ids.end()});
  }

  bool Open() {
    ChainOptions o;
    o.database_id = 42;
    o.first_id = manifest_.first_id;
    o.first_path = SegmentPath(o.first_id);
    o.begun_id = manifest_.begun_id;
    o.base_lsn = manifest_.base;
    std::vector<Commit> found;
    for (const Commit& c : history_) {
      if (c.lsn <= manifest_.base) found.push_back(c);
    }
    const std::vector<ChainSegment> segments = Segments();
    auto replayed = ReplayChain(&disk_, segments, o,
                                [&found](const ChainSegment&, const SegmentReader::Record& r) {
                                  found.push_back({r.lsn, std::string(r.data)});
                                  return Status();
                                });
    if (!replayed.ok() && disk_.dead()) return false;
    ASSERT_OK(replayed);
    Check(found);
    if (replayed->residue_bytes != 0) ++residues;
    if (!replayed->clean) ++jumps;
    if (closed_) assert_true(replayed->clean);
    assert_true(replayed->next.start_lsn >= last_number_);
    closed_ = false;
    if (!SettleChain(&disk_, o, *replayed).ok()) return false;
    return Continue(*replayed, segments, found.size());
  }

  void Check(const std::vector<Commit>& found) {
    assert_true(found.size() >= history_at_least_);
    assert_true(found.size() <= history_.size());
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i].lsn != history_[i].lsn || found[i].data != history_[i].data) {
        fail_msg("commit %zu: LSN %llu instead of %llu, refused: %d", i,
                 static_cast<unsigned long long>(found[i].lsn),
                 static_cast<unsigned long long>(history_[i].lsn),
                 static_cast<int>(refused_.count(found[i].data)));
      }
    }
  }

  // The segment that goes on from what was found.
  bool Continue(const ChainResult& r, const std::vector<ChainSegment>& segments, size_t found) {
    uint64_t id = manifest_.last_id;
    if (!segments.empty()) id = std::max(id, segments.back().id);
    ++id;
    auto o = OptionsFor(id, r.next, r.last_lsn, rng_.OneIn(2) ? 0 : 4096);
    o.info.nonce = 0;
    auto made = SegmentWriter::Create(&disk_, SegmentPath(id), o);
    if (!made.ok() || !(*made)->Sync().ok() || !disk_.SyncDir("/db").ok()) return false;
    history_.resize(found);
    must_kill_ = must_power_ = found;
    manifest_.begun_id = manifest_.last_id = id;
    if (manifest_.first_id == 0) manifest_.first_id = r.kept.empty() ? id : r.kept.front().id;
    live_.clear();
    for (const ChainKept& k : r.kept) live_.push_back({k.id, k.last_lsn});
    live_.push_back({id, 0});
    durable_ = r.last_lsn;
    writer_ = made.Take();
    for (const ChainSegment& s : r.abandoned) {
      if (!disk_.Remove(s.path).ok()) return false;
    }
    return true;
  }

  void Work() {
    const uint64_t steps = rng_.Below(40);
    bool alive = true;
    for (uint64_t i = 0; i < steps && alive && !disk_.dead(); ++i) {
      switch (rng_.Below(12)) {
        case 0:
          alive = SyncAll();
          break;
        case 1:
          static_cast<void>(writer_->WriteMark());
          break;
        case 2:
          alive = FlushBuffer();
          break;
        case 3:
          if (rng_.OneIn(3)) alive = Switch();
          break;
        case 4:
          if (rng_.OneIn(4)) alive = Retire();
          break;
        default:
          alive = Write();
      }
    }
    if (alive && !disk_.dead() && rng_.OneIn(4)) Close();
  }

  bool Write() {
    std::vector<std::string> group;
    const size_t n = rng_.OneIn(3) ? 1 + rng_.Below(5) : 1;
    const bool buffered = rng_.OneIn(5);
    const size_t before = history_.size();
    for (size_t i = 0; i < n; ++i) {
      group.push_back(std::to_string(++serial_) + ":" + rng_.Bytes(rng_.Below(700)));
      history_.push_back({writer_->last_lsn() + 1 + i, group.back()});
    }
    const Sequence durable = rng_.OneIn(8) ? 0 : durable_;
    const Status s = AppendGroup(writer_.get(), group, durable, buffered);
    if (!s.ok()) {
      if (disk_.dead() || writer_->broken()) {
        last_number_ = std::max(last_number_, history_.back().lsn);
        assert_false(s.Is(Code::kNoSpace));
        return false;  // in doubt
      }
      history_.resize(before);
      for (const std::string& d : group) refused_.insert(d);
      return true;
    }
    commits += n;
    last_number_ = std::max(last_number_, history_.back().lsn);
    if (!buffered) must_kill_ = history_.size();
    return rng_.OneIn(3) ? SyncAll() : true;
  }

  void Promise() {
    durable_ = std::max(durable_, writer_->synced_lsn());
    while (must_power_ < history_.size() && history_[must_power_].lsn <= durable_) ++must_power_;
  }

  bool FlushBuffer() {
    if (!writer_->Flush().ok()) return !writer_->broken() && !disk_.dead();
    must_kill_ = history_.size();
    return true;
  }

  // The old segment is sealed before anything of the new one is synced (rule 4).
  bool SyncAll() {
    if (old_ != nullptr) {
      if (!old_->Seal().ok()) return false;
      durable_ = std::max(durable_, old_->synced_lsn());
      old_.reset();
      Promise();
    }
    if (!writer_->Sync().ok()) return false;
    Promise();
    return true;
  }

  bool Switch() {
    if (old_ != nullptr && !SyncAll()) return false;
    if (!writer_->Flush().ok()) return !writer_->broken() && !disk_.dead();
    must_kill_ = history_.size();
    const uint64_t id = ++manifest_.last_id;
    SegmentInfo info = OptionsFor(id).info;
    info.nonce = 0;
    auto made = SegmentWriter::CreateAhead(&disk_, SegmentPath(id), info, rng_.OneIn(2) ? 0 : 8192);
    if (!made.ok()) return !disk_.dead();
    if (!(*made)->SyncHead().ok()) return false;  // before a manifest can name it
    if (!(*made)->Start(writer_->LinkAfter(), durable_).ok()) return false;
    if (!disk_.SyncDir("/db").ok()) return false;
    live_.back().last_lsn = writer_->last_lsn();
    live_.push_back({id, 0});
    old_ = std::move(writer_);
    writer_ = made.Take();
    return true;
  }

  // Flush of memtables: their segments' commits are in tables, the segments go.
  bool Retire() {
    if (live_.size() < 2) return true;
    const size_t n = 1 + rng_.Below(live_.size() - 1);
    const Sequence base = live_[n - 1].last_lsn;
    if (old_ != nullptr && old_->info().id == live_[n - 1].id) {
      if (old_->broken()) return false;
      old_.reset();
    }
    manifest_.base = std::max(manifest_.base, base);
    manifest_.first_id = live_[n].id;
    durable_ = std::max(durable_, manifest_.base);
    Promise();
    for (size_t i = 0; i < n; ++i) {
      if (!disk_.Remove(SegmentPath(live_[i].id)).ok() && disk_.dead()) return false;
    }
    live_.erase(live_.begin(), live_.begin() + static_cast<int64_t>(n));
    return true;
  }

  void Close() {
    if (!SyncAll() || !FlushBuffer() || !writer_->Seal(SealKind::kClosed).ok()) return;
    must_power_ = must_kill_ = history_.size();
    closed_ = true;
  }

  Rng rng_;
  CrashDisk disk_;
  Manifest manifest_;
  std::unique_ptr<SegmentWriter> writer_, old_;
  std::vector<Live> live_;
  std::vector<Commit> history_;
  std::set<std::string> refused_;
  size_t must_kill_ = 0, must_power_ = 0, history_at_least_ = 0;
  Sequence durable_ = 0, last_number_ = 0;
  uint64_t serial_ = 0;
  bool closed_ = false;
};

void crash__what_was_promised_survives(void**) {
  const uint64_t seed = Seed(__func__);
  size_t commits = 0, residues = 0, jumps = 0;
  const char* runs = std::getenv("KIST_CRASH_RUNS");
  const int n = runs != nullptr ? std::atoi(runs) : 400;
  for (int i = 0; i < n; ++i) {
    if (std::getenv("KIST_VERBOSE") != nullptr) std::printf("run %d\n", i);
    Engine e(seed + static_cast<uint64_t>(i));
    e.Run(25);
    commits += e.commits;
    residues += e.residues;
    jumps += e.jumps;
  }
  std::printf("%d openings, %zu commits, %zu with residue, %zu unclean\n", n * 25, commits,
              residues, jumps);
  if (n >= 100) assert_true(residues > 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(crash__what_was_promised_survives),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
