// A reader over bytes that pass their checksums and cannot be, over calls that fail, over large
// records and over what lies behind a break.
#include <functional>

#include "record/codec.h"
#include "tests/unit/record/failing_vfs.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;
using Outcome = SegmentReader::Outcome;

struct Disk {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  std::unique_ptr<SegmentWriter> w;
  explicit Disk(const Strings& datas = {"one", "two", "three"}, uint64_t preallocate = 0) {
    ASSERT_OK(vfs->MakeDir("/db"));
    w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, preallocate));
    if (!datas.empty()) ASSERT_OK(AppendGroup(w.get(), datas));
  }
  std::string bytes() { return FileBytes(vfs.get(), SegmentPath(1)); }
  void set(const std::string& b) { SetFileBytes(vfs.get(), SegmentPath(1), b); }
  std::unique_ptr<SegmentReader> Probe() {
    auto r = SegmentReader::Probe(vfs.get(), SegmentPath(1), SegmentType::kLog);
    ASSERT_OK(r);
    return r.Take();
  }
};

constexpr uint64_t kChain = kSegmentDataStart2;                               // the chain record
constexpr uint64_t kFirst = kChain + kRecordHeaderBytes + codec::kLinkBytes;  // "one"
constexpr uint64_t kRecord = 40;                                              // of a short record

// The bytes with the header at `at` changed, under a checksum that fits.
std::string WithHeader(std::string bytes, uint64_t at,
                       const std::function<void(codec::RecordHeader*)>& change) {
  codec::RecordHeader h = codec::LoadRecordHeader(&bytes[at]);
  change(&h);
  codec::EncodeRecordHeader(h, codec::RecordSeed(1, 7919), at - kSegmentDataStart2, &bytes[at]);
  return bytes;
}

void reader__headers_that_cannot_be(void**) {
  Disk disk;
  const std::string good = disk.bytes();
  using H = codec::RecordHeader;
  struct Case {
    std::function<void(H*)> change;
    const char* reason;
  };
  const Case cases[] = {
      {[](H* h) { h->lsn = kMaxSequence + 1; }, "an impossible field"},
      {[](H* h) { h->data_bytes = 0; }, "an impossible field"},
      {[](H* h) { h->durable_lsn = h->lsn; }, "an impossible field"},
      {[](H* h) { h->lsn += 1; }, "LSN does not follow"},
      {[](H* h) { h->kind = static_cast<uint8_t>(RecordKind::kChain); }, "a second chain record"},
      {[](H* h) { h->data_crc ^= 1; }, "data fails its checksum"},
  };
  for (const Case& c : cases) {
    disk.set(WithHeader(good, kFirst + kRecord, c.change));
    auto r = disk.Probe();
    std::string end;
    assert_true(ReadAll(r.get(), &end) == Strings{"one"});
    assert_string_equal(end.c_str(), "broken");
    if (r->break_reason().find(c.reason) == std::string::npos)
      fail_msg("wanted '%s', got '%s'", c.reason, r->break_reason().c_str());
    // It stays so, and at its place.
    assert_int_equal(r->offset(), kFirst + kRecord);
    assert_true(ReadAll(r.get(), &end).empty());
    assert_string_equal(end.c_str(), "broken");
  }
}

void reader__the_end_stays_the_end(void**) {
  Disk disk;
  auto r = disk.Probe();
  std::string end;
  assert_int_equal(ReadAll(r.get(), &end).size(), 3);
  assert_true(ReadAll(r.get(), &end).empty());
  assert_string_equal(end.c_str(), "end");
}

void reader__damage_below_the_mark_is_told_each_time(void**) {
  Disk disk;
  ASSERT_OK(disk.w->Sync());
  ASSERT_OK(disk.w->WriteMark());
  std::string bytes = disk.bytes();
  bytes[kFirst + kRecord + 33] ^= 1;
  disk.set(bytes);
  auto r = disk.Probe();
  SegmentReader::Record record;
  assert_true(*r->Next(&record) == Outcome::kRecord);
  for (int i = 0; i < 3; ++i) ASSERT_CODE(r->Next(&record), Code::kCorrupt);
  assert_int_equal(r->offset(), kFirst + kRecord);
}

// The first record: of another kind, or with a link that cannot be.
void reader__a_first_record_that_is_no_link(void**) {
  for (const bool marked : {false, true}) {
    Disk disk;
    if (marked) {
      ASSERT_OK(disk.w->Sync());
      ASSERT_OK(disk.w->WriteMark());
    }
    const std::string good = disk.bytes();
    std::string odd = good;
    Store64(&odd[kChain + kRecordHeaderBytes + 16], 7);  // previous_bytes, no multiple of 8
    odd = WithHeader(odd, kChain, [&](codec::RecordHeader* h) {
      h->data_crc = crc32c::Value(&odd[kChain + kRecordHeaderBytes], codec::kLinkBytes);
    });
    const std::string commit = WithHeader(good, kChain, [](codec::RecordHeader* h) {
      h->kind = static_cast<uint8_t>(RecordKind::kCommit);
    });
    for (const std::string& bytes : {odd, commit}) {
      disk.set(bytes);
      ASSERT_CODE(SegmentReader::Open(disk.vfs.get(), SegmentPath(1), SegmentType::kLog),
                  Code::kCorrupt);
      auto r = SegmentReader::Probe(disk.vfs.get(), SegmentPath(1), SegmentType::kLog);
      if (marked) {
        ASSERT_CODE(r, Code::kCorrupt);
        continue;
      }
      ASSERT_OK(r);
      assert_false((*r)->has_link());
      assert_string_equal((*r)->break_reason().c_str(), "the first record is not a chain record");
      ASSERT_OK((*r)->Refresh(kMaxSequence));  // more of it is not believed either
      SegmentReader::Record record;
      assert_true(*(*r)->Next(&record) == Outcome::kBroken);
    }
  }
}

// Without a prefix nothing is read, growing or not.
void reader__without_a_prefix_nothing_is_read(void**) {
  Disk disk;
  std::string bytes = disk.bytes();
  bytes[3] ^= 1;
  disk.set(bytes);
  auto r = disk.Probe();
  SegmentReader::Record record;
  for (int i = 0; i < 2; ++i) {
    assert_false(r->has_prefix());
    assert_true(*r->Next(&record) == Outcome::kBroken);
    ASSERT_OK(r->Refresh(kMaxSequence));
  }
}

void reader__a_limit_in_a_torn_record_is_its_end(void**) {
  Disk disk({"one", std::string(1000, '2')});
  const std::string bytes = disk.bytes();
  disk.set(bytes.substr(0, bytes.size() - 200));
  auto r = disk.Probe();
  r->SetLimit(bytes.size() - 400);
  std::string end;
  assert_true(ReadAll(r.get(), &end) == Strings{"one"});
  assert_string_equal(end.c_str(), "broken");
  disk.set(bytes);
  r = disk.Probe();
  r->SetLimit(bytes.size() - 400);
  assert_true(ReadAll(r.get(), &end) == Strings{"one"});
  assert_true(end.find("of which a part is said to count") != std::string::npos);
}

void reader__large_records_do_not_keep_their_memory(void**) {
  Rng rng(Seed(__func__));
  const Strings datas = {rng.Bytes(5 << 20), rng.Bytes(6 << 20), "small", rng.Bytes(300000), "end"};
  Disk disk(datas);
  std::string end;
  assert_true(ReadAll(disk.Probe().get(), &end) == datas);
  assert_string_equal(end.c_str(), "end");
}

void reader__compressed_data_that_is_none(void**) {
  const Strings none = {std::string("\x80\x80\x80\x80\x80\x80", 6),  // no length
                        std::string("\x40", 1) + "zzzz",             // no body of one
                        std::string("\xff\xff\x03", 3),              // 64 KiB of nothing
                        std::string("\xff\xff\xff\xff\x0f", 5)};     // nearly 4 GiB of it
  for (const std::string& data : none) {
    Disk disk({"one"});
    TestRecord bad(2, data);
    bad.get()->flags = kRecordSnappy;
    ASSERT_OK(disk.w->Append(bad.get(), 1, 0, false));
    auto r = disk.Probe();
    std::string end;
    assert_true(ReadAll(r.get(), &end) == Strings{"one"});
    assert_true(end.find("compressed record") != std::string::npos);
  }
}

// Each look at the file fails in turn; what was read until then is right, and the error is told.
void EveryCall(Disk* disk, const Strings& all) {
  uint64_t n = 0;
  for (bool failed = true; failed;) {
    FailingVfs vfs(disk->vfs.get(), ++n);
    const auto work = [&]() -> Status {
      KIST_TRY_ASSIGN(auto r, SegmentReader::Probe(&vfs, SegmentPath(1), SegmentType::kLog));
      Strings seen;
      SegmentReader::Record record;
      Outcome outcome = Outcome::kRecord;
      const auto read = [&]() -> Status {
        for (;;) {
          KIST_TRY_ASSIGN(outcome, r->Next(&record));
          if (outcome != Outcome::kRecord) return Status();
          seen.emplace_back(record.data);
          assert_true(seen.size() <= all.size() && seen.back() == all[seen.size() - 1]);
        }
      };
      KIST_TRY(read());
      KIST_TRY(r->ScanResidue().status());
      KIST_TRY(r->Refresh(kMaxSequence));
      KIST_TRY(read());
      for (;;) {
        KIST_TRY_ASSIGN(const bool more, r->Resync());
        if (!more) return Status();
        KIST_TRY_ASSIGN(outcome, r->Next(&record));
      }
    };
    const Status s = work();
    failed = vfs.failed();
    if (failed) ASSERT_CODE(s, Code::kIo);
    if (!failed) ASSERT_OK(s);
  }
  assert_true(n > 5);
}

void reader__every_look_at_the_file_fails(void**) {
  const Strings datas = {"one", std::string(600000, '2'), "three"};
  {
    Disk disk(datas);
    EveryCall(&disk, datas);
  }
  {
    Disk reserved(datas, 2 << 20);
    EveryCall(&reserved, datas);
  }
  {
    // Broken in its middle, with whole records behind, zeros, and a stray byte.
    Disk disk({"one", "two", std::string(400000, '3'), "four", "five"});
    std::string bytes = disk.bytes();
    bytes[kFirst + kRecord + 33] ^= 1;
    disk.set(bytes + std::string(400000, '\0') + "x");
    EveryCall(&disk, {"one"});
    auto r = disk.Probe();
    std::string end;
    assert_true(ReadAll(r.get(), &end) == Strings{"one"});
    const auto residue = r->ScanResidue();
    ASSERT_OK(residue);
    assert_int_equal(residue->records, 4);
    assert_int_equal(residue->max_lsn, 5);
  }
  {
    // Without a head, a record is known by its data, which may be more than is read at once.
    Disk disk({"one", std::string(400000, '2'), "three"});
    disk.set(std::string(kSegmentDataStart2, 'h') + disk.bytes().substr(kSegmentDataStart2));
    EveryCall(&disk, {});
    const auto residue = disk.Probe()->ScanResidue();
    ASSERT_OK(residue);
    assert_int_equal(residue->records, 4);
    assert_int_equal(residue->max_lsn, 3);
  }
}

// A live segment that is cut below what it promised, while it is read.
void reader__a_file_that_shrinks_below_its_mark(void**) {
  Disk disk({"one", std::string(300000, '2'), "three"});
  ASSERT_OK(disk.w->Sync());
  ASSERT_OK(disk.w->WriteMark());
  auto r = disk.Probe();
  auto file = disk.vfs->Open(SegmentPath(1), OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Truncate(kFirst + kRecord));
  SegmentReader::Record record;
  assert_true(*r->Next(&record) == Outcome::kRecord);
  ASSERT_CODE(r->Next(&record), Code::kCorrupt);
}

// A live segment that loses its reserved tail, and grows again, at any look at it: each look that
// then fails is told, and what is read is what stands there.
void reader__looks_at_a_live_file_fail(void**) {
  const Strings datas = {"one", std::string(300000, '2'), "three"};
  bool failed = true;
  uint64_t n = 0;
  while (failed) {
    Disk disk(datas, 2 << 20);
    const uint64_t size = disk.w->size();
    FailingVfs vfs(disk.vfs.get(), ++n);
    const auto work = [&]() -> Status {
      KIST_TRY_ASSIGN(auto r, SegmentReader::Probe(&vfs, SegmentPath(1), SegmentType::kLog));
      auto file = disk.vfs->Open(SegmentPath(1), OpenMode::kReadWrite);
      ASSERT_OK(file);
      ASSERT_OK((*file)->Truncate(size));
      Strings seen;
      SegmentReader::Record record;
      for (;;) {
        KIST_TRY_ASSIGN(const Outcome outcome, r->Next(&record));
        if (outcome != Outcome::kRecord) break;
        seen.emplace_back(record.data);
      }
      assert_true(seen == datas);
      assert_int_equal(r->size(), size);
      return Status();
    };
    const Status s = work();
    failed = vfs.failed();
    if (failed) ASSERT_CODE(s, Code::kIo);
    if (!failed) ASSERT_OK(s);
  }
  assert_true(n > 5);
}

// A mark beyond the size that was asked for just before: the size is asked for again.
class Growing : public WrapVfs {
 public:
  Growing(Vfs* base, uint64_t first_size, int good_calls)
      : WrapVfs(base), first_size_(first_size), good_calls_(good_calls) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(new GrowingFile(this, std::move(file)));
  }

 private:
  class GrowingFile : public WrapFile {
   public:
    GrowingFile(Growing* vfs, std::unique_ptr<File> base) : WrapFile(std::move(base)), vfs_(vfs) {}
    Result<uint64_t> Size() override {
      if (calls_++ == 0) return vfs_->first_size_;
      if (calls_ > vfs_->good_calls_) return Status::FromErrno(EIO, "asking for the size of", "x");
      return base_->Size();
    }

   private:
    Growing* const vfs_;
    int calls_ = 0;
  };
  const uint64_t first_size_;
  const int good_calls_;
};

void reader__a_mark_may_be_newer_than_the_size(void**) {
  Disk disk;
  ASSERT_OK(disk.w->Sync());
  ASSERT_OK(disk.w->WriteMark());
  Growing grows(disk.vfs.get(), kFirst, 100);
  auto r = SegmentReader::Probe(&grows, SegmentPath(1), SegmentType::kLog);
  ASSERT_OK(r);
  std::string end;
  assert_int_equal(ReadAll(r->get(), &end).size(), 3);
  assert_string_equal(end.c_str(), "end");
  Growing fails(disk.vfs.get(), kFirst, 1);
  ASSERT_CODE(SegmentReader::Probe(&fails, SegmentPath(1), SegmentType::kLog), Code::kIo);
}

// ---- behind a break

// One record, then these bytes from where the second would begin.
std::unique_ptr<SegmentReader> Behind(Disk* disk, const std::string& behind, bool headless) {
  std::string bytes = disk->bytes().substr(0, kFirst + kRecord) + behind;
  if (headless) std::fill(bytes.begin(), bytes.begin() + kSegmentDataStart2, 'h');
  disk->set(bytes);
  auto r = disk->Probe();
  std::string end;
  ReadAll(r.get(), &end);
  return r;
}

std::string Repeat(const std::string& piece, size_t bytes) {
  std::string s;
  while (s.size() < bytes) s += piece;
  return s;
}

// Every eighth byte may begin a record by what its first look tells: none is one.
void reader__residue_of_look_alikes(void**) {
  const std::string kinds = Repeat(std::string("\x01\0\0\0\0\0\0\0", 8), 200000);
  Disk disk({"one"});
  auto residue = Behind(&disk, kinds, false)->ScanResidue();
  ASSERT_OK(residue);
  assert_int_equal(residue->bytes, 200000);
  assert_int_equal(residue->records, 0);
  // Without a nonce their data would have to match: each is long, so not all are tried.
  const std::string longer = Repeat(std::string("\x01\0\0\0\0\x10\0\0", 8), 200000);
  Disk headless({"one"});
  residue = Behind(&headless, longer, true)->ScanResidue();
  ASSERT_OK(residue);
  assert_int_equal(residue->records, 2);  // the chain record and "one"
}

void reader__residue_fields_that_cannot_be(void**) {
  using H = codec::RecordHeader;
  const std::function<void(H*)> changes[] = {
      [](H*) {},
      [](H* h) { h->data_bytes = 0; },
      [](H* h) { h->lsn = kMaxSequence + 1; },
      [](H* h) { h->durable_lsn = h->lsn + 1; },
  };
  for (const auto& change : changes) {
    for (const bool headless : {false, true}) {
      Disk disk;
      std::string bytes = disk.bytes();
      bytes[kFirst + kRecord + 33] ^= 1;  // "two" is broken
      bytes = WithHeader(bytes, kFirst + 2 * kRecord, change);
      auto r = Behind(&disk, bytes.substr(kFirst + kRecord), headless);
      auto residue = r->ScanResidue();
      ASSERT_OK(residue);
      const bool changed = &change != changes;
      // Bound, a header is enough, and "two" counts. Headless, data must match: the chain record
      // and "one" count.
      assert_int_equal(residue->records, (headless ? 3 : 2) - (changed ? 1 : 0));
    }
  }
}

// A sealed segment that is whole has nothing behind it, whatever stands there; one without its
// chain record has.
void reader__residue_of_sealed_segments(void**) {
  Disk disk;
  ASSERT_OK(disk.w->Seal());
  const std::string good = disk.bytes();
  auto r = disk.Probe();
  std::string end;
  assert_int_equal(ReadAll(r.get(), &end).size(), 3);
  assert_int_equal(r->ScanResidue()->records, 0);
  std::string bytes = good;
  bytes[kChain] ^= 1;
  disk.set(bytes);
  ASSERT_CODE(SegmentReader::Probe(disk.vfs.get(), SegmentPath(1), SegmentType::kLog),
              Code::kCorrupt);
  // With the records gone and the head alone left, there is nothing to count.
  disk.set(std::string(kSegmentDataStart2, 'x') + good.substr(kChain));
  r = disk.Probe();
  assert_int_equal(r->ScanResidue()->records, 4);
  assert_false(*r->Resync());  // it has no nonce
}

// Zeros between a break and the end, reserved or written, are nothing.
void reader__residue_ends_with_its_last_byte(void**) {
  Disk disk({"one"}, 2 << 20);
  auto file = disk.vfs->Open(SegmentPath(1), OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(kFirst + kRecord, "torn record"));
  auto r = disk.Probe();
  std::string end;
  assert_true(ReadAll(r.get(), &end) == Strings{"one"});
  assert_string_equal(end.c_str(), "broken");
  assert_int_equal(r->ScanResidue()->bytes, 16);
  for (const size_t tail : {1, 7, 9, 31, 33}) {
    auto again = Behind(&disk, std::string(tail, 't'), false);
    assert_int_equal(again->ScanResidue()->bytes, tail);
  }
}

// The same while the file's data goes away under the scan: what was there is not looked for.
void reader__residue_of_what_goes_away(void**) {
  Disk disk({"one"}, 2 << 20);
  auto file = disk.vfs->Open(SegmentPath(1), OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(500000, "far behind"));
  auto r = disk.Probe();
  ASSERT_OK((*file)->Truncate(kFirst + kRecord));
  ASSERT_OK((*file)->Preallocate(2 << 20));
  std::string end;
  assert_true(ReadAll(r.get(), &end) == Strings{"one"});
  const auto residue = r->ScanResidue();
  ASSERT_OK(residue);
  assert_int_equal(residue->bytes, 0);
}

// ---- the next whole record behind a break

void reader__resync_passes_over_what_cannot_be(void**) {
  using H = codec::RecordHeader;
  const std::function<void(H*)> changes[] = {
      [](H* h) { h->kind = 4; },
      [](H* h) { h->flags = 4; },
      [](H* h) { h->lsn = 0; },
      [](H* h) { h->data_bytes += 1000; },
      [](H* h) { h->kind = static_cast<uint8_t>(RecordKind::kChain); },
      [](H* h) { h->data_crc ^= 1; },
  };
  const auto resync = [](Disk* disk, const std::string& bytes) {
    disk->set(bytes);
    auto r = disk->Probe();
    std::string end;
    assert_true(ReadAll(r.get(), &end) == Strings{"one"});
    const auto found = r->Resync();
    ASSERT_OK(found);
    return *found ? ReadAll(r.get(), &end) : Strings{"none"};
  };
  Disk disk({"one", "two", "three", "four"});
  std::string bytes = disk.bytes();
  bytes[kFirst + kRecord + 33] ^= 1;  // "two" is broken
  assert_true(resync(&disk, bytes) == (Strings{"three", "four"}));
  for (const auto& change : changes) {
    const std::string odd = WithHeader(bytes, kFirst + 2 * kRecord, change);
    assert_true(resync(&disk, odd) == Strings{"four"});
  }
  // At the end: the beginning of a record with a time, of which less than a header is there.
  std::string begun(kRecordHeaderBytes, 'x');
  begun[25] = static_cast<char>(kRecordTime);
  assert_true(resync(&disk, bytes.substr(0, kFirst + 2 * kRecord) + begun) == Strings{"none"});
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(reader__headers_that_cannot_be),
      cmocka_unit_test(reader__the_end_stays_the_end),
      cmocka_unit_test(reader__damage_below_the_mark_is_told_each_time),
      cmocka_unit_test(reader__a_first_record_that_is_no_link),
      cmocka_unit_test(reader__without_a_prefix_nothing_is_read),
      cmocka_unit_test(reader__a_limit_in_a_torn_record_is_its_end),
      cmocka_unit_test(reader__large_records_do_not_keep_their_memory),
      cmocka_unit_test(reader__compressed_data_that_is_none),
      cmocka_unit_test(reader__every_look_at_the_file_fails),
      cmocka_unit_test(reader__a_file_that_shrinks_below_its_mark),
      cmocka_unit_test(reader__looks_at_a_live_file_fail),
      cmocka_unit_test(reader__a_mark_may_be_newer_than_the_size),
      cmocka_unit_test(reader__residue_of_look_alikes),
      cmocka_unit_test(reader__residue_fields_that_cannot_be),
      cmocka_unit_test(reader__residue_of_sealed_segments),
      cmocka_unit_test(reader__residue_ends_with_its_last_byte),
      cmocka_unit_test(reader__residue_of_what_goes_away),
      cmocka_unit_test(reader__resync_passes_over_what_cannot_be),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
