// Every byte of small logs flipped, every truncation, every sector lost, overwritten or swapped,
// every file gone: the outcome is a prefix that holds everything the undamaged rest shows to have
// been durable, or kCorrupt; never other data, never a crash. Random bytes in place of whole files
// too.
#include <algorithm>
#include <cstring>
#include <map>

#include "record/codec.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

// Bytes that, while whole, show that everything up to `lsn` was durable.
struct Evidence {
  uint64_t id;
  uint64_t begin, end;
  Sequence lsn;
};

struct Change {
  uint64_t id = 0;
  uint64_t begin = 0, end = 0;  // what was changed; a missing or shorter file: from where on
};

class Subject {
 public:
  Subject() : vfs_(NewMemoryVfs()) { ASSERT_OK(vfs_->MakeDir("/db")); }

  SegmentWriter* Add(uint64_t id, const SegmentLink& link, Sequence durable, uint64_t reserve = 0) {
    writers_.push_back(MakeSegment(vfs_.get(), OptionsFor(id, link, durable, reserve)));
    return writers_.back().get();
  }
  void Write(SegmentWriter* w, const std::string& data, Sequence durable, int64_t time = 0,
             bool compress = false) {
    TestRecord r(w->last_lsn() + 1, data, time, compress);
    ASSERT_OK(w->Append(r.get(), 1, durable, false));
  }
  Vfs* vfs() { return vfs_.get(); }

  // Reads what is there as the truth to compare with.
  void Freeze(const std::vector<uint64_t>& ids) {
    options_.database_id = 42;
    options_.first_id = ids.front();
    options_.first_path = SegmentPath(ids.front());
    for (const uint64_t id : ids) {
      files_[id] = FileBytes(vfs_.get(), SegmentPath(id));
      AddMarks(id);
    }
    ASSERT_OK(Replay());
    lsns_ = found_lsns_;
    datas_ = found_;
    for (const uint64_t id : ids) AddHeaders(id);
  }

  void Try(const Change& change) {
    ++tries;
    auto r = Replay();
    if (!r.ok()) {
      if (!r.status().Is(Code::kCorrupt)) fail_msg("%s", r.status().ToString().c_str());
      ++refused;
      return;
    }
    Sequence floor = 0;
    for (const Evidence& e : evidence_) {
      const bool hit = e.id == change.id && e.begin < change.end && change.begin < e.end;
      if (!hit) floor = std::max(floor, e.lsn);
    }
    const size_t n = found_.size();
    assert_true(n <= datas_.size());
    for (size_t i = 0; i < n; ++i) {
      assert_int_equal(found_lsns_[i], lsns_[i]);
      assert_true(found_[i] == datas_[i]);
    }
    if (n < datas_.size() && lsns_[n] <= floor) {
      fail_msg("segment %llu, bytes %llu to %llu: LSN %llu was durable, the log ends before it",
               static_cast<unsigned long long>(change.id),
               static_cast<unsigned long long>(change.begin),
               static_cast<unsigned long long>(change.end), static_cast<unsigned long long>(floor));
    }
  }

  void TryAll(Rng* rng) {
    for (const auto& [id, bytes] : files_) {
      for (uint64_t i = 0; i < bytes.size(); ++i) {
        for (const int mask : {1 << rng->Below(8), 0xff}) {
          std::string bad = bytes;
          bad[i] = static_cast<char>(bad[i] ^ mask);
          TryFile(id, bad, {id, i, i + 1});
        }
      }
      for (uint64_t n = 0; n < bytes.size(); ++n) {
        TryFile(id, bytes.substr(0, n), {id, n, UINT64_MAX});
      }
      TrySectors(id, bytes, rng);
      TryFile(id, bytes + std::string(700, '\0'), {id, bytes.size(), UINT64_MAX});
      TryFile(id, bytes + rng->Bytes(700), {id, bytes.size(), UINT64_MAX});
      ASSERT_OK(vfs_->Remove(SegmentPath(id)));
      Try({id, 0, UINT64_MAX});
      SetFileBytes(vfs_.get(), SegmentPath(id), bytes);
    }
    for (const auto& [id, bytes] : files_) {
      for (const auto& [other, theirs] : files_) TryFile(id, theirs, {id, 0, UINT64_MAX});
    }
  }

  size_t tries = 0, refused = 0;

 private:
  void TryFile(uint64_t id, const std::string& bytes, const Change& change) {
    SetFileBytes(vfs_.get(), SegmentPath(id), bytes);
    Try(change);
    SetFileBytes(vfs_.get(), SegmentPath(id), files_[id]);
  }

  void TrySectors(uint64_t id, const std::string& bytes, Rng* rng) {
    for (uint64_t at = 0; at < bytes.size(); at += 512) {
      const uint64_t n = std::min<uint64_t>(512, bytes.size() - at);
      std::string bad = bytes;
      std::memset(&bad[at], 0, n);
      TryFile(id, bad, {id, at, at + n});
      bad.replace(at, n, rng->Bytes(n));
      TryFile(id, bad, {id, at, at + n});
      const uint64_t from = rng->Below(bytes.size() - n + 1);  // misdirected
      bad.replace(at, n, bytes.substr(from, n));
      TryFile(id, bad, {id, at, at + n});
    }
  }

  Result<ChainResult> Replay() {
    found_.clear();
    found_lsns_.clear();
    std::vector<uint64_t> ids;
    for (const auto& [id, bytes] : files_) {
      if (vfs_->Stat(SegmentPath(id)).ok()) ids.push_back(id);
    }
    return ReplayChain(vfs_.get(), Chain(ids), options_,
                       [this](const ChainSegment&, const SegmentReader::Record& r) {
                         found_.emplace_back(r.data);
                         found_lsns_.push_back(r.lsn);
                         return Status();
                       });
  }

  void AddMarks(uint64_t id) {
    for (uint64_t i = 1; i <= 2; ++i) {
      codec::Slot slot;
      const uint64_t at = codec::SlotOffset(i);
      if (codec::DecodeSlot(Slice(files_[id]).substr(at, 512), &slot) && slot.generation > 1) {
        evidence_.push_back({id, at, at + 512, slot.lsn});
      }
    }
  }

  void AddHeaders(uint64_t id) {
    auto r = OpenSegment(vfs_.get(), id);
    evidence_.push_back({id, kSegmentDataStart2, kSegmentDataStart2 + 64, r->link_durable_lsn()});
    SegmentReader::Record record;
    for (;;) {
      auto outcome = r->Next(&record);
      if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) return;
      evidence_.push_back(
          {id, record.offset, record.offset + (record.has_time ? 40 : 32), record.durable_lsn});
    }
  }

  std::unique_ptr<Vfs> vfs_;
  std::vector<std::unique_ptr<SegmentWriter>> writers_;
  std::map<uint64_t, std::string> files_;
  ChainOptions options_;
  std::vector<Evidence> evidence_;
  std::vector<std::string> datas_, found_;
  std::vector<Sequence> lsns_, found_lsns_;
};

void Report(const char* name, const Subject& s) {
  std::printf("%s: %zu damages, %zu refused, the rest a right prefix\n", name, s.tries, s.refused);
}

void damage__a_log_of_three_segments(void**) {
  Rng rng(Seed(__func__));
  Subject s;
  auto* a = s.Add(1, {}, 0);
  s.Write(a, "first", 0, 1700000000000);
  s.Write(a, std::string(300, 'z'), 1, 0, true);
  ASSERT_OK(a->Sync());
  ASSERT_OK(a->WriteMark());
  s.Write(a, rng.Bytes(200), 2);
  ASSERT_OK(a->Seal());
  auto* b = s.Add(2, a->LinkAfter(), 3);
  s.Write(b, rng.Bytes(30), 3, 1700000000001);
  s.Write(b, rng.Bytes(500), 4);
  ASSERT_OK(b->Seal());
  auto* c = s.Add(5, b->LinkAfter(), 5);
  s.Write(c, rng.Bytes(60), 5);
  s.Write(c, rng.Bytes(7), 6);
  ASSERT_OK(c->Sync());
  ASSERT_OK(c->WriteMark());
  s.Write(c, rng.Bytes(100), 7);
  s.Write(c, rng.Bytes(100), 7);
  s.Write(c, rng.Bytes(100), 8);
  s.Write(c, rng.Bytes(100), 8);
  s.Freeze({1, 2, 5});
  s.TryAll(&rng);
  Report(__func__, s);
}

void damage__a_log_that_nobody_synced(void**) {
  Rng rng(Seed(__func__));
  Subject s;
  auto* a = s.Add(1, {}, 0);
  for (int i = 0; i < 4; ++i) s.Write(a, rng.Bytes(50), 0);
  auto* b = s.Add(2, a->LinkAfter(), 0);
  for (int i = 0; i < 4; ++i) s.Write(b, rng.Bytes(50), 0);
  s.Freeze({1, 2});
  s.TryAll(&rng);
  Report(__func__, s);
}

void damage__a_log_that_crashed_twice(void**) {
  Rng rng(Seed(__func__));
  Subject s;
  auto* a = s.Add(1, {}, 0);
  s.Write(a, rng.Bytes(50), 0);
  s.Write(a, rng.Bytes(50), 1);
  const uint64_t cut = a->size();
  s.Write(a, rng.Bytes(50), 1);
  s.Write(s.Add(2, a->LinkAfter(), 1), rng.Bytes(40), 1);
  const std::string torn = FileBytes(s.vfs(), SegmentPath(1)).substr(0, cut + 50);
  SetFileBytes(s.vfs(), SegmentPath(1), torn);
  const ChainVisitor ignore = [](const ChainSegment&, const SegmentReader::Record&) {
    return Status();
  };
  auto r = ReplayChain(s.vfs(), Chain({1, 2}), ChainOptions(), ignore);
  ASSERT_OK(r);
  assert_int_equal(r->last_lsn, 2);
  ASSERT_OK(SettleChain(s.vfs(), ChainOptions(), *r));
  auto* c = s.Add(3, r->next, 2);  // and segment 2 is not removed yet
  s.Write(c, rng.Bytes(40), 2);
  s.Write(c, rng.Bytes(40), c->last_lsn());
  s.Write(c, rng.Bytes(40), c->last_lsn());
  ASSERT_OK(c->Seal(SealKind::kClosed));
  s.Freeze({1, 2, 3});
  s.TryAll(&rng);
  Report(__func__, s);
}

void damage__any_bytes_are_safe(void**) {
  Rng rng(Seed(__func__));
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(w.get(), {"one", "two", "three"}));
  const std::string good = FileBytes(vfs.get(), SegmentPath(1));
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    const uint64_t changes = 1 + rng.Below(8);
    for (uint64_t k = 0; k < changes; ++k) {
      const uint64_t at = rng.Below(bytes.size());
      const uint64_t n = std::min<uint64_t>(rng.Below(64), bytes.size() - at);
      bytes.replace(at, n, rng.Bytes(n, 0, rng.OneIn(2) ? 4 : 256));
    }
    if (rng.OneIn(4)) bytes.resize(rng.Below(bytes.size() * 2));
    SetFileBytes(vfs.get(), SegmentPath(1), bytes);
    std::vector<std::string> found;
    auto r = ReplayChain(vfs.get(), Chain({1}), ChainOptions(),
                         [&found](const ChainSegment&, const SegmentReader::Record& record) {
                           found.emplace_back(record.data);
                           return Status();
                         });
    const std::vector<std::string> all = {"one", "two", "three"};
    assert_true(found.size() <= 3 && std::equal(found.begin(), found.end(), all.begin()));
    static_cast<void>(r);
  }
}

// What verification asks: does any change of a sealed segment stay unseen?
void damage__every_byte_of_a_sealed_segment_is_checked(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(w.get(), {"one", std::string(100, '2'), "three"}));
  ASSERT_OK(w->Seal());
  const std::string good = FileBytes(vfs.get(), SegmentPath(1));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    SetFileBytes(vfs.get(), SegmentPath(1), bad);
    auto r = SegmentReader::Open(vfs.get(), SegmentPath(1), SegmentType::kLog);
    if (!r.ok()) continue;
    std::string end;
    ReadAll(r->get(), &end);
    if (end == "end" && (*r)->head_damage() == 0) fail_msg("byte %zu", i);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(damage__a_log_of_three_segments),
      cmocka_unit_test(damage__a_log_that_nobody_synced),
      cmocka_unit_test(damage__a_log_that_crashed_twice),
      cmocka_unit_test(damage__any_bytes_are_safe),
      cmocka_unit_test(damage__every_byte_of_a_sealed_segment_is_checked),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
