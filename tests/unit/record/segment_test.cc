// One segment, written and read back: framing, groups, buffering, preallocation, marks, seals,
// limits, and what is refused by name.
#include "record/segment.h"

#include <atomic>
#include <cstring>
#include <thread>

#include "record/codec.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

std::unique_ptr<Vfs> NewDisk() {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  return vfs;
}

void segment__records_come_back_as_they_went(void**) {
  auto vfs = NewDisk();
  Rng rng(Seed(__func__));
  SegmentLink link;
  link.previous_id = 3;
  link.previous_nonce = 99;
  link.previous_bytes = 800;
  link.previous_lsn = 17;
  link.start_lsn = 20;
  auto w = MakeSegment(vfs.get(), OptionsFor(4, link, 15));
  Strings written;
  std::vector<int64_t> times;
  for (int i = 0; i < 300; ++i) {
    std::string data =
        rng.Bytes(1 + rng.Below(i % 50 == 0 ? 600000 : 300), 'a', i % 3 == 0 ? 2 : 26);
    const int64_t time = i % 2 == 0 ? 0 : 1700000000000 + i;
    TestRecord r(w->last_lsn() + 1, data, time, i % 3 == 0);
    ASSERT_OK(w->Append(r.get(), 1, 15, false));
    written.push_back(data);
    times.push_back(time);
  }
  auto r = OpenSegment(vfs.get(), 4);
  assert_true(r->has_link());
  assert_int_equal(r->link().previous_id, 3);
  assert_int_equal(r->link().previous_nonce, 99);
  assert_int_equal(r->link().previous_bytes, 800);
  assert_int_equal(r->link().previous_lsn, 17);
  assert_int_equal(r->link().start_lsn, 20);
  assert_int_equal(r->link_durable_lsn(), 15);
  assert_int_equal(r->info().database_id, 42);
  for (size_t i = 0; i < written.size(); ++i) {
    SegmentReader::Record record;
    auto outcome = r->Next(&record);
    ASSERT_OK(outcome);
    assert_true(*outcome == SegmentReader::Outcome::kRecord);
    assert_int_equal(record.lsn, 21 + i);
    assert_int_equal(record.durable_lsn, 15);
    assert_true(record.has_time == (times[i] != 0) && record.time_ms == times[i]);
    ASSERT_SLICE(record.data, written[i]);
    assert_int_equal(record.offset % 8, 0);
  }
  std::string end;
  assert_int_equal(ReadAll(r.get(), &end).size(), 0);
  assert_string_equal(end.c_str(), "end");
  assert_int_equal(r->offset(), w->size());
  assert_int_equal(r->head_damage(), 0);
}

void segment__groups_and_buffers_leave_in_order(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  Strings all;
  const auto make = [&all](size_t n) {
    Strings g;
    for (size_t i = 0; i < n; ++i) g.push_back("record " + std::to_string(all.size() + i));
    all.insert(all.end(), g.begin(), g.end());
    return g;
  };
  ASSERT_OK(AppendGroup(w.get(), make(1), 0, true));
  ASSERT_OK(AppendGroup(w.get(), make(70), 0, true));
  assert_int_equal(w->flushed_lsn(), 0);
  assert_int_equal(w->last_lsn(), 71);
  assert_true(w->size() > w->flushed_size());
  ASSERT_OK(AppendGroup(w.get(), make(2)));  // the buffer goes first
  assert_int_equal(w->flushed_lsn(), 73);
  assert_int_equal(w->size(), w->flushed_size());
  ASSERT_OK(AppendGroup(w.get(), make(63)));
  ASSERT_OK(AppendGroup(w.get(), make(64)));
  ASSERT_OK(AppendGroup(w.get(), make(65)));
  ASSERT_OK(AppendGroup(w.get(), make(300)));
  ASSERT_OK(AppendGroup(w.get(), make(64), 0, true));
  ASSERT_OK(AppendGroup(w.get(), make(64)));
  ASSERT_OK(AppendGroup(w.get(), make(3), 0, true));
  std::string end;
  assert_int_equal(ReadAll(OpenSegment(vfs.get(), 1).get(), &end).size(), all.size() - 3);
  ASSERT_OK(w->Flush());
  ASSERT_OK(w->Flush());
  assert_true(ReadAll(OpenSegment(vfs.get(), 1).get(), &end) == all);
  assert_string_equal(end.c_str(), "end");
}

void segment__reserved_space_is_a_clean_end_and_grows(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, 1 << 20));
  assert_int_equal(w->reserved_bytes(), 1 << 20);
  Strings all;
  for (int i = 0; i < 40; ++i) {
    all.push_back(std::string(50000, static_cast<char>('a' + i % 26)));
    ASSERT_OK(Append(w.get(), all.back()));
    std::string end;
    if (i % 10 == 0) {
      assert_true(ReadAll(OpenSegment(vfs.get(), 1).get(), &end) == all);
      assert_string_equal(end.c_str(), "end");
    }
  }
  assert_true(w->reserved_bytes() > w->size());
  assert_true(w->reserved_bytes() < w->size() + (1 << 20));
  ASSERT_OK(w->Seal());
  assert_int_equal(vfs->Stat(SegmentPath(1)).Take().bytes, w->size());
  auto r = OpenSegment(vfs.get(), 1);
  assert_true(r->sealed() && r->seal() == SealKind::kSwitched);
  assert_int_equal(r->valid_data_end(), w->size());
  assert_int_equal(r->mark_lsn(), 40);
  std::string end;
  assert_true(ReadAll(r.get(), &end) == all);
#ifdef NDEBUG  // debug builds abort
  assert_false(Append(w.get(), "no append follows a seal").ok());
#endif
}

void segment__marks_follow_syncs(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(Append(w.get(), "one"));
  ASSERT_OK(w->WriteMark());  // nothing synced: nothing to say
  assert_int_equal(OpenSegment(vfs.get(), 1)->mark_generation(), 1);
  ASSERT_OK(w->Sync());
  const uint64_t first = w->size();
  ASSERT_OK(Append(w.get(), "two", 1));
  ASSERT_OK(w->WriteMark());
  auto r = OpenSegment(vfs.get(), 1);
  assert_int_equal(r->mark_generation(), 2);
  assert_int_equal(r->valid_data_end(), first);
  assert_int_equal(r->mark_lsn(), 1);
  ASSERT_OK(w->WriteMark());  // no second one before a Sync
  assert_int_equal(OpenSegment(vfs.get(), 1)->mark_generation(), 2);
  ASSERT_OK(w->Sync());
  ASSERT_OK(w->WriteMark());
  assert_int_equal(OpenSegment(vfs.get(), 1)->mark_generation(), 3);
  // A torn newest slot loses nothing: the other one stands.
  std::string bytes = FileBytes(vfs.get(), SegmentPath(1));
  std::memset(&bytes[codec::SlotOffset(3)], 0xaa, 100);
  SetFileBytes(vfs.get(), SegmentPath(1), bytes);
  r = OpenSegment(vfs.get(), 1);
  assert_int_equal(r->mark_generation(), 2);
  assert_int_equal(r->head_damage(), 1);
  std::string end;
  assert_int_equal(ReadAll(r.get(), &end).size(), 2);
}

void segment__a_mark_that_contradicts_its_records_is_corrupt(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(w.get(), {"one", "two", "three"}));
  ASSERT_OK(w->Sync());
  ASSERT_OK(w->WriteMark());
  const std::string good = FileBytes(vfs.get(), SegmentPath(1));
  for (int change = 0; change < 3; ++change) {
    std::string bytes = good;
    codec::Slot slot;
    char* at = &bytes[codec::SlotOffset(2)];
    assert_true(codec::DecodeSlot(Slice(at, kSegmentSlotBytes), &slot));
    if (change == 0) slot.valid_data_end -= 8;
    if (change == 1) slot.lsn -= 1;
    if (change == 2) slot.valid_data_end += 8;
    codec::EncodeSlot(slot, at);
    SetFileBytes(vfs.get(), SegmentPath(1), bytes);
    std::string end;
    auto r = SegmentReader::Open(vfs.get(), SegmentPath(1), SegmentType::kLog);
    if (!r.ok()) continue;
    ReadAll(r->get(), &end);
    assert_true(end != "end" && end != "broken");
  }
}

// The sealed, exact-size form that ships: the same records behind a bare prefix.
void segment__version_1_is_read(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(6));
  ASSERT_OK(AppendGroup(w.get(), {"one", "two", "three"}));
  const std::string v2 = FileBytes(vfs.get(), SegmentPath(6));
  SegmentInfo info = w->info();
  info.version = 1;
  char prefix[kSegmentPrefixBytes];
  codec::EncodePrefix(info, prefix);
  const std::string v1 = std::string(prefix, sizeof prefix) + v2.substr(kSegmentDataStart2);
  SetFileBytes(vfs.get(), SegmentPath(6), v1);
  auto r = OpenSegment(vfs.get(), 6);
  assert_int_equal(r->info().version, 1);
  assert_true(r->sealed());
  assert_int_equal(r->valid_data_end(), v1.size());
  std::string end;
  assert_true(ReadAll(r.get(), &end) == (Strings{"one", "two", "three"}));
  assert_string_equal(end.c_str(), "end");
  // It has one size only: a cut inside a record is damage.
  SetFileBytes(vfs.get(), SegmentPath(6), v1.substr(0, v1.size() - 8));
  assert_int_equal(ReadAll(OpenSegment(vfs.get(), 6).get(), &end).size(), 2);
  assert_true(end.find("ends inside a record") != std::string::npos);
}

void segment__foreign_files_are_refused_by_name(void**) {
  auto vfs = NewDisk();
  const std::string path = SegmentPath(1);
  const auto refused = [&](const std::string& bytes, Code code, const char* text) {
    SetFileBytes(vfs.get(), path, bytes);
    auto r = SegmentReader::Open(vfs.get(), path, SegmentType::kLog);
    if (!r.status().Is(code) || r.status().message().find(text) == std::string::npos ||
        r.status().message().find(path) == std::string::npos) {
      fail_msg("wanted '%s', got %s", text, r.status().ToString().c_str());
    }
  };
  ASSERT_OK(MakeSegment(vfs.get(), OptionsFor(1))->Sync());
  const std::string good = FileBytes(vfs.get(), path);
  refused("", Code::kCorrupt, "empty");
  refused(std::string(5000, '\0'), Code::kCorrupt, "only zeros");
  refused("SQLite format 3 and so on, and so on, and so on, and so on, and so on", Code::kCorrupt,
          "not a segment file");
  std::string bytes = good;
  bytes[17] ^= 1;
  refused(bytes, Code::kCorrupt, "fails its checksum");
  bytes = good;
  Store32(&bytes[12], 0x04030201);
  refused(bytes, Code::kTooNew, "byte order");
  bytes = good;
  bytes[8] = 3;
  Store32(&bytes[60], crc32c::Value(bytes.data(), 60));
  refused(bytes, Code::kTooNew, "version that this library does not know, 3");
  SetFileBytes(vfs.get(), path, good);
  auto other = SegmentReader::Open(vfs.get(), path, SegmentType::kManifest);
  ASSERT_CODE(other, Code::kCorrupt);
  ASSERT_CODE(SegmentReader::Open(vfs.get(), SegmentPath(9), SegmentType::kLog), Code::kMissing);
  ASSERT_CODE(SegmentWriter::Create(vfs.get(), path, OptionsFor(1)), Code::kExists);
}

void segment__unknown_kinds_and_flags_are_newer(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(Append(w.get(), "one"));
  const std::string good = FileBytes(vfs.get(), SegmentPath(1));
  const uint64_t at = w->size() - 40;
  for (int change = 0; change < 2; ++change) {
    std::string bytes = good;
    codec::RecordHeader h = codec::LoadRecordHeader(&bytes[at]);
    if (change == 0) h.kind = 9;
    if (change == 1) h.flags = 4;
    codec::EncodeRecordHeader(h, codec::RecordSeed(1, 7919), at - kSegmentDataStart2, &bytes[at]);
    SetFileBytes(vfs.get(), SegmentPath(1), bytes);
    SegmentReader::Record record;
    ASSERT_CODE(OpenSegment(vfs.get(), 1)->Next(&record), Code::kTooNew);
  }
}

// A length that an attacker or a flipped bit made large is never allocated: the header's checksum
// or the file's size refuses it; an impossible uncompressed length too.
void segment__lengths_are_checked_first(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(Append(w.get(), "one"));
  const std::string good = FileBytes(vfs.get(), SegmentPath(1));
  const uint64_t at = w->size() - 40;
  std::string bytes = good;
  codec::RecordHeader h = codec::LoadRecordHeader(&bytes[at]);
  h.data_bytes = UINT32_MAX;
  codec::EncodeRecordHeader(h, codec::RecordSeed(1, 7919), at - kSegmentDataStart2, &bytes[at]);
  SetFileBytes(vfs.get(), SegmentPath(1), bytes);
  std::string end;
  auto r = OpenSegment(vfs.get(), 1);
  ReadAll(r.get(), &end);
  assert_string_equal(end.c_str(), "broken");
  assert_string_equal(r->break_reason().c_str(), "the file ends inside a record");

  SetFileBytes(vfs.get(), SegmentPath(1), good);
  TestRecord bomb(2, std::string("\xff\xff\xff\xff\x07 nothing", 13));  // says 2 GiB
  bomb.get()->flags = kRecordSnappy;
  ASSERT_OK(w->Append(bomb.get(), 1, 0, false));
  assert_int_equal(ReadAll(OpenSegment(vfs.get(), 1).get(), &end).size(), 1);
  assert_true(end.find("impossible length") != std::string::npos);
}

void segment__headroom_and_tailroom_are_all_it_needs(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  for (size_t n = 1; n < 40; ++n) {
    std::string bytes(8 + kRecordHeaderMax + n + kRecordTailroom + 8, '#');
    PreparedRecord r;
    r.data = &bytes[8 + kRecordHeaderMax];
    r.data_bytes = static_cast<uint32_t>(n);
    r.data_crc = crc32c::Value(r.data, n);
    r.flags = kRecordTime;
    r.time_ms = -5;
    r.lsn = n;
    ASSERT_OK(w->Append(&r, 1, 0, false));
    assert_true(bytes.substr(0, 8) == "########");
    assert_true(bytes.substr(bytes.size() - 8) == "########");
    assert_int_equal(w->size() % 8, 0);
  }
  std::string end;
  assert_int_equal(ReadAll(OpenSegment(vfs.get(), 1).get(), &end).size(), 39);
}

void segment__a_limit_ends_cleanly_and_growth_is_seen(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, 1 << 20));
  ASSERT_OK(AppendGroup(w.get(), {"one", "two"}));
  const uint64_t two = w->size();
  ASSERT_OK(Append(w.get(), "three"));
  auto r = OpenSegment(vfs.get(), 1);
  r->SetLimit(two);
  std::string end;
  assert_true(ReadAll(r.get(), &end) == (Strings{"one", "two"}));
  assert_string_equal(end.c_str(), "end");
  ASSERT_OK(Append(w.get(), "four"));
  r->SetLimit(w->flushed_size());
  ASSERT_OK(r->Refresh(kMaxSequence));
  assert_true(ReadAll(r.get(), &end) == (Strings{"three", "four"}));
}

// Sealing cuts the reserved tail off, which a reader that looked before expects to be there still.
void segment__a_reserved_tail_may_go_while_it_is_read(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, 1 << 20));
  ASSERT_OK(AppendGroup(w.get(), {"one", std::string(300000, 'x')}));
  auto r = OpenSegment(vfs.get(), 1);
  const uint64_t size = r->size();
  ASSERT_OK(w->Seal(SealKind::kSwitched));
  assert_true(w->size() < size);
  std::string end;
  assert_int_equal(ReadAll(r.get(), &end).size(), 2);
  assert_string_equal(end.c_str(), "end");
  assert_true(r->size() == w->size());
}

// A record above the horizon may be cut off after it was read, and another one take its place and
// its LSN.
void segment__nothing_above_the_horizon_is_believed(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(w.get(), {"one", "two"}));
  auto r = OpenSegment(vfs.get(), 1);
  std::string end;
  ASSERT_OK(r->Refresh(0));
  assert_int_equal(ReadAll(r.get(), &end).size(), 0);
  assert_string_equal(end.c_str(), "end");
  ASSERT_OK(r->Refresh(1));
  assert_true(ReadAll(r.get(), &end) == (Strings{"one"}));
  auto other = NewDisk();
  auto again = MakeSegment(other.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(again.get(), {"one", "TWO", "three"}));
  auto bytes = ReadFile(other.get(), SegmentPath(1));
  ASSERT_OK(bytes);
  auto file = vfs->Open(SegmentPath(1), OpenMode::kReadWrite);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, *bytes));
  assert_int_equal(ReadAll(r.get(), &end).size(), 0);
  ASSERT_OK(r->Refresh(2));
  assert_true(ReadAll(r.get(), &end) == (Strings{"TWO"}));
  ASSERT_OK(r->Refresh(3));
  assert_true(ReadAll(r.get(), &end) == (Strings{"three"}));
}

// A segment made ahead of time takes its link when its predecessor's end is known.
void segment__ahead_then_started(void**) {
  auto vfs = NewDisk();
  auto before = MakeSegment(vfs.get(), OptionsFor(1));
  ASSERT_OK(AppendGroup(before.get(), {"one", "two"}));
  auto made = SegmentWriter::CreateAhead(vfs.get(), SegmentPath(2), OptionsFor(2).info, 1 << 20);
  ASSERT_OK(made);
  auto w = made.Take();
  ASSERT_OK(w->Sync());
  auto r = SegmentReader::Open(vfs.get(), SegmentPath(2), SegmentType::kLog);
  ASSERT_OK(r);
  assert_false((*r)->has_link());
#ifdef NDEBUG  // debug builds abort
  assert_false(Append(w.get(), "too early").ok());
#endif
  ASSERT_OK(w->Start(before->LinkAfter(), 1));
  assert_int_equal(w->last_lsn(), 2);
  ASSERT_OK(Append(w.get(), "three", 1));
  auto opened = OpenSegment(vfs.get(), 2);
  assert_int_equal(opened->link().previous_id, 1);
  assert_int_equal(opened->link().previous_nonce, 7919);
  assert_int_equal(opened->link().previous_bytes, before->size() - kSegmentDataStart2);
  std::string end;
  assert_true(ReadAll(opened.get(), &end) == Strings{"three"});
}

// After a jump no record may promise LSNs of the gap: they would promise the chain record itself.
void segment__durable_lsn_is_clamped_over_a_jump(void**) {
  auto vfs = NewDisk();
  SegmentLink link;
  link.previous_lsn = 10;
  link.start_lsn = 1000;
  auto w = MakeSegment(vfs.get(), OptionsFor(1, link, 1000));
  ASSERT_OK(Append(w.get(), "one", 1000));
  ASSERT_OK(Append(w.get(), "two", 1001));
  auto r = OpenSegment(vfs.get(), 1);
  assert_int_equal(r->link_durable_lsn(), 10);
  SegmentReader::Record record;
  ASSERT_OK(r->Next(&record));
  assert_int_equal(record.durable_lsn, 10);
  ASSERT_OK(r->Next(&record));
  assert_int_equal(record.durable_lsn, 1001);
#ifdef NDEBUG                                         // debug builds abort
  assert_false(Append(w.get(), "three", 1003).ok());  // not yet written, so not durable
#endif
}

void segment__sync_and_marks_beside_append(void**) {
  auto vfs = NewDisk();
  auto w = MakeSegment(vfs.get(), OptionsFor(1, {}, 0, 1 << 20));
  std::atomic<bool> stop{false};
  std::thread syncer([&] {
    Sequence last = 0;
    while (!stop.load()) {
      ASSERT_OK(w->Sync());
      assert_true(w->synced_lsn() >= last);
      last = w->synced_lsn();
      ASSERT_OK(w->WriteMark());
    }
  });
  const std::string data(100, 'x');
  for (int i = 0; i < 20000; ++i) {
    ASSERT_OK(Append(w.get(), data, w->synced_lsn()));
    assert_true(w->synced_lsn() <= w->flushed_lsn());
  }
  stop.store(true);
  syncer.join();
  ASSERT_OK(w->Seal(SealKind::kClosed));
  std::string end;
  auto r = OpenSegment(vfs.get(), 1);
  assert_int_equal(ReadAll(r.get(), &end).size(), 20000);  // marks were consistent all the way
  assert_true(r->seal() == SealKind::kClosed);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(segment__records_come_back_as_they_went),
      cmocka_unit_test(segment__groups_and_buffers_leave_in_order),
      cmocka_unit_test(segment__reserved_space_is_a_clean_end_and_grows),
      cmocka_unit_test(segment__marks_follow_syncs),
      cmocka_unit_test(segment__a_mark_that_contradicts_its_records_is_corrupt),
      cmocka_unit_test(segment__version_1_is_read),
      cmocka_unit_test(segment__foreign_files_are_refused_by_name),
      cmocka_unit_test(segment__unknown_kinds_and_flags_are_newer),
      cmocka_unit_test(segment__lengths_are_checked_first),
      cmocka_unit_test(segment__headroom_and_tailroom_are_all_it_needs),
      cmocka_unit_test(segment__a_limit_ends_cleanly_and_growth_is_seen),
      cmocka_unit_test(segment__a_reserved_tail_may_go_while_it_is_read),
      cmocka_unit_test(segment__nothing_above_the_horizon_is_believed),
      cmocka_unit_test(segment__ahead_then_started),
      cmocka_unit_test(segment__durable_lsn_is_clamped_over_a_jump),
      cmocka_unit_test(segment__sync_and_marks_beside_append),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
