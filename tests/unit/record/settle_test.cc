// SettleChain: what it makes durable and seals, that it can be cut short at every call, and that it
// refuses a log that is no more what was replayed.
#include <algorithm>
#include <functional>

#include "record/codec.h"
#include "tests/unit/record/failing_vfs.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

constexpr uint64_t kFirst = kSegmentDataStart2 + kRecordHeaderBytes + codec::kLinkBytes;
constexpr uint64_t kRecord = 40;  // of a short record

// Two segments: the first switched and sealed, the second unsynced, with a torn tail.
struct Log {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  ChainOptions options;
  Strings all;
  std::string torn;

  explicit Log(const Strings& second = {"three", "four"}) {
    ASSERT_OK(vfs->MakeDir("/db"));
    options.database_id = 42;
    auto a = MakeSegment(vfs.get(), OptionsFor(1));
    ASSERT_OK(AppendGroup(a.get(), {"one", "two"}));
    ASSERT_OK(a->Seal());
    auto b = MakeSegment(vfs.get(), OptionsFor(2, a->LinkAfter(), 2));
    ASSERT_OK(AppendGroup(b.get(), second, 2));
    all = {"one", "two"};
    all.insert(all.end(), second.begin(), second.end());
    torn = FileBytes(vfs.get(), SegmentPath(2)) + "torn";
    SetFileBytes(vfs.get(), SegmentPath(2), torn);
  }
  ChainResult MustReplay(const Strings& expected) {
    Strings found;
    auto r = ReplayChain(vfs.get(), Chain({1, 2}), options,
                         [&found](const ChainSegment&, const SegmentReader::Record& record) {
                           found.emplace_back(record.data);
                           return Status();
                         });
    ASSERT_OK(r);
    assert_true(found == expected);
    return r.Take();
  }
  void MustBeSettled() {
    const ChainResult r = MustReplay(all);
    assert_int_equal(r.residue_bytes, 0);
    auto reader = OpenSegment(vfs.get(), 2);
    assert_true(reader->seal() == SealKind::kRecovered);
    assert_int_equal(reader->valid_data_end(), reader->size());
  }
};

void settle__cuts_seals_and_repeats(void**) {
  Log log;
  const ChainResult r = log.MustReplay(log.all);
  assert_int_equal(r.residue_bytes, 4);
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  log.MustBeSettled();
  const std::string settled = FileBytes(log.vfs.get(), SegmentPath(2));
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, log.MustReplay(log.all)));
  assert_true(FileBytes(log.vfs.get(), SegmentPath(2)) == settled);
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, ChainResult()));  // of nothing
}

// Of a log that was closed in order the seal alone changes: what follows must not take it for one
// whose numbers end there.
void settle__a_closed_one_is_sealed_again(void**) {
  Log log;
  ASSERT_OK(log.vfs->Remove(SegmentPath(2)));
  auto before = OpenSegment(log.vfs.get(), 1);
  SegmentLink link;
  link.previous_id = 1;
  link.previous_nonce = before->info().nonce;
  link.previous_bytes = before->size() - kSegmentDataStart2;
  link.previous_lsn = link.start_lsn = 2;
  auto b = MakeSegment(log.vfs.get(), OptionsFor(2, link, 2));
  ASSERT_OK(AppendGroup(b.get(), {"three", "four"}, 2));
  ASSERT_OK(b->Seal(SealKind::kClosed));
  ChainResult r = log.MustReplay(log.all);
  assert_true(r.clean);
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  r = log.MustReplay(log.all);
  assert_false(r.clean);
  log.MustBeSettled();
}

// Cut short at each call it has lost nothing, and done again it is done.
void settle__each_call_fails(void**) {
  Rng rng(Seed(__func__));
  const Strings large = {rng.Bytes(700000), rng.Bytes(700000), "end"};
  for (const Strings& second : {Strings{"three", "four"}, large}) {
    bool failed = true;
    for (uint64_t n = 1; failed; ++n) {
      Log log(second);
      const ChainResult r = log.MustReplay(log.all);
      FailingVfs vfs(log.vfs.get(), n);
      const Status s = SettleChain(&vfs, log.options, r);
      failed = vfs.failed();
      if (failed) ASSERT_CODE(s, Code::kIo);
      if (!failed) ASSERT_OK(s);
      ASSERT_OK(SettleChain(log.vfs.get(), log.options, log.MustReplay(log.all)));
      log.MustBeSettled();
    }
  }
}

// Version 1 is as it was shipped, for ever.
void settle__leaves_version_1_alone(void**) {
  Log log;
  const std::string v2 = FileBytes(log.vfs.get(), SegmentPath(1));
  SegmentInfo info = OpenSegment(log.vfs.get(), 1)->info();
  info.version = 1;
  std::string v1(kSegmentPrefixBytes, '\0');
  codec::EncodePrefix(info, v1.data());
  v1 += v2.substr(kSegmentDataStart2);
  SetFileBytes(log.vfs.get(), SegmentPath(1), v1);
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, log.MustReplay(log.all)));
  assert_true(FileBytes(log.vfs.get(), SegmentPath(1)) == v1);
  log.MustBeSettled();
}

void settle__refuses_what_changed_since(void**) {
  const std::function<void(Log*)> changes[] = {
      [](Log* log) {  // shorter
        SetFileBytes(log->vfs.get(), SegmentPath(2), log->torn.substr(0, kFirst + kRecord));
      },
      [](Log* log) {  // another segment
        ASSERT_OK(log->vfs->Remove(SegmentPath(2)));
        auto o = OptionsFor(2);
        o.info.nonce = 5;
        auto b = MakeSegment(log->vfs.get(), o);
        ASSERT_OK(AppendGroup(b.get(), {"three", "four", "five"}));
      },
      [](Log* log) {  // its chain record
        std::string bytes = log->torn;
        bytes[kSegmentDataStart2 + 40] ^= 1;
        SetFileBytes(log->vfs.get(), SegmentPath(2), bytes);
      },
      [](Log* log) {  // sealed, at an earlier end
        ASSERT_OK(log->vfs->Remove(SegmentPath(2)));
        SegmentLink link;
        link.previous_id = 1;
        link.previous_lsn = link.start_lsn = 2;
        auto b = MakeSegment(log->vfs.get(), OptionsFor(2, link));
        ASSERT_OK(AppendGroup(b.get(), {"three"}));
        ASSERT_OK(b->Seal());
        SetFileBytes(log->vfs.get(), SegmentPath(2),
                     FileBytes(log->vfs.get(), SegmentPath(2)) + std::string(kRecord, 'x'));
      },
      [](Log* log) {  // a record
        std::string bytes = log->torn;
        bytes[kFirst + kRecord + 33] ^= 1;
        SetFileBytes(log->vfs.get(), SegmentPath(2), bytes);
      },
  };
  for (const auto& change : changes) {
    Log log;
    const ChainResult r = log.MustReplay(log.all);
    change(&log);
    const std::string changed = FileBytes(log.vfs.get(), SegmentPath(2));
    const Status s = SettleChain(log.vfs.get(), log.options, r);
    ASSERT_CODE(s, Code::kCorrupt);
    assert_true(s.message().find("changed while") != std::string::npos);
    assert_true(s.message().find(SegmentPath(2)) != std::string::npos);
    assert_true(FileBytes(log.vfs.get(), SegmentPath(2)) == changed);  // nothing is cut
  }
}

// A head that another hand cuts between two looks.
class ShortHead : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    if (mode != OpenMode::kReadWrite) return file;
    return std::unique_ptr<File>(new Short(std::move(file)));
  }

 private:
  class Short : public WrapFile {
   public:
    using WrapFile::WrapFile;
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      return base_->Read(offset, buf, n - 1);
    }
  };
};

void settle__refuses_a_head_that_became_shorter(void**) {
  Log log;
  const ChainResult r = log.MustReplay(log.all);
  ShortHead vfs(log.vfs.get());
  ASSERT_CODE(SettleChain(&vfs, log.options, r), Code::kCorrupt);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(settle__cuts_seals_and_repeats),
      cmocka_unit_test(settle__a_closed_one_is_sealed_again),
      cmocka_unit_test(settle__each_call_fails),
      cmocka_unit_test(settle__leaves_version_1_alone),
      cmocka_unit_test(settle__refuses_what_changed_since),
      cmocka_unit_test(settle__refuses_a_head_that_became_shorter),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
