// The chain: what counts over several segments, by hand-made situations: each names a crash or a
// damage that a log can be found in, and the verdict it must get.
#include "record/chain.h"

#include <algorithm>
#include <cstring>

#include "record/codec.h"
#include "tests/unit/record/failing_vfs.h"
#include "tests/unit/record/log_fixture.h"

using namespace kist;
using namespace kist::test;

namespace {

using Strings = std::vector<std::string>;

struct Log {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  std::vector<std::unique_ptr<SegmentWriter>> writers;
  ChainOptions options;
  Strings found;
  std::vector<uint64_t> ids;

  Log() {
    ASSERT_OK(vfs->MakeDir("/db"));
    options.database_id = 42;
  }
  SegmentWriter* Add(uint64_t id, const SegmentLink& link, const Strings& datas,
                     Sequence durable = 0) {
    writers.push_back(MakeSegment(vfs.get(), OptionsFor(id, link, durable)));
    if (!datas.empty()) ASSERT_OK(AppendGroup(writers.back().get(), datas, durable));
    ids.push_back(id);
    return writers.back().get();
  }
  SegmentWriter* AddAfter(uint64_t id, const SegmentWriter* before, const Strings& datas,
                          Sequence durable = 0) {
    return Add(id, before->LinkAfter(), datas, durable);
  }
  Result<ChainResult> Replay() {
    found.clear();
    return ReplayChain(vfs.get(), Chain(ids), options,
                       [this](const ChainSegment&, const SegmentReader::Record& r) {
                         found.emplace_back(r.data);
                         return Status();
                       });
  }
  ChainResult MustReplay(const Strings& expected) {
    auto r = Replay();
    ASSERT_OK(r);
    assert_true(found == expected);
    return r.Take();
  }
  void MustRefuse(uint64_t id, const char* text) {
    const Status s = Replay().status();
    if (!s.Is(Code::kCorrupt) || s.message().find(text) == std::string::npos ||
        s.message().find(SegmentPath(id)) == std::string::npos) {
      fail_msg("wanted '%s' of %s, got %s", text, SegmentPath(id).c_str(), s.ToString().c_str());
    }
  }
  void Damage(uint64_t id, uint64_t offset) {
    std::string bytes = FileBytes(vfs.get(), SegmentPath(id));
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x40);
    SetFileBytes(vfs.get(), SegmentPath(id), bytes);
  }
  void Cut(uint64_t id, uint64_t bytes) {
    SetFileBytes(vfs.get(), SegmentPath(id),
                 FileBytes(vfs.get(), SegmentPath(id)).substr(0, bytes));
  }
  void Remove(uint64_t id) {
    ASSERT_OK(vfs->Remove(SegmentPath(id)));
    ids.erase(std::find(ids.begin(), ids.end(), id));
  }
};

constexpr uint64_t kChainEnd = kSegmentDataStart2 + 64;  // where the first commit begins

void chain__nothing_is_nothing(void**) {
  Log log;
  log.options.base_lsn = 7;
  const ChainResult r = log.MustReplay({});
  assert_int_equal(r.last_lsn, 7);
  assert_int_equal(r.next.previous_id, 0);
  assert_int_equal(r.next.previous_lsn, 7);
  assert_int_equal(r.next.start_lsn, 7 + kLsnJump);
  assert_true(r.kept.empty() && r.abandoned.empty());
}

void chain__segments_follow_each_other(void**) {
  Log log;
  auto* a = log.Add(3, {}, {"1", "2"});
  ASSERT_OK(a->Seal());
  auto* b = log.AddAfter(5, a, {"3"}, 2);
  ASSERT_OK(b->Seal());
  auto* c = log.AddAfter(6, b, {"4", "5"}, 3);
  log.options.first_id = 3;
  ChainResult r = log.MustReplay({"1", "2", "3", "4", "5"});
  assert_int_equal(r.last_lsn, 5);
  assert_int_equal(r.durable_lsn, 3);
  assert_int_equal(r.kept.size(), 3);
  assert_int_equal(r.records, 5);
  assert_int_equal(r.residue_bytes, 0);
  assert_false(r.clean);
  assert_int_equal(r.next.previous_id, 6);
  assert_int_equal(r.next.previous_nonce, c->info().nonce);
  assert_int_equal(r.next.previous_bytes, c->size() - kSegmentDataStart2);
  assert_int_equal(r.next.previous_lsn, 5);
  assert_int_equal(r.next.start_lsn, 5 + kLsnJump);
  // Records that tables hold are passed over; segments that only they need are not looked at.
  log.options.base_lsn = 3;
  log.MustReplay({"4", "5"});
  log.options.first_id = 6;
  log.Damage(3, 100);
  r = log.MustReplay({"4", "5"});
  assert_int_equal(r.kept.size(), 1);
  ASSERT_OK(c->Seal(SealKind::kClosed));
  r = log.MustReplay({"4", "5"});
  assert_true(r.clean);
  assert_int_equal(r.next.start_lsn, 5);
}

void chain__a_torn_tail_is_dropped_and_counted(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2", "3"}, 0);
  const uint64_t two = kChainEnd + 2 * 40;
  log.Damage(1, two + 32);
  ChainResult r = log.MustReplay({"1", "2"});
  assert_int_equal(r.last_lsn, 2);
  assert_int_equal(r.max_lsn, 3);
  assert_int_equal(r.residue_records, 1);
  assert_int_equal(r.residue_bytes, 40);
  assert_string_equal(r.residue_path.c_str(), SegmentPath(1).c_str());
  assert_int_equal(r.residue_offset, two);
  assert_true(r.residue_reason.find("data fails its checksum") != std::string::npos);
  assert_int_equal(r.next.start_lsn, 3 + kLsnJump);
  assert_int_equal(r.next.previous_bytes, two - kSegmentDataStart2);
  static_cast<void>(a);
}

void chain__a_later_record_proves_damage(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2", "3"}, 0);
  ASSERT_OK(Append(a, "4", 2));  // 2 is durable: 3 may be torn
  log.Damage(1, kChainEnd + 2 * 40);
  log.MustReplay({"1", "2"});
  ASSERT_OK(Append(a, "5", 3));  // 3 was durable
  log.MustRefuse(1, "LSN 3 was durable");
}

// tidesdb#591, #645: zeros in place of a record are not the end of the log.
void chain__a_hole_is_not_the_end(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2", "3", "4"}, 0);
  std::string bytes = FileBytes(log.vfs.get(), SegmentPath(1));
  bytes.replace(kChainEnd + 40, 40, std::string(40, '\0'));
  bytes += std::string(9000, '\0');
  SetFileBytes(log.vfs.get(), SegmentPath(1), bytes);
  ChainResult r = log.MustReplay({"1"});
  assert_int_equal(r.residue_records, 2);
  assert_int_equal(r.residue_bytes, 3 * 40);
  assert_int_equal(r.max_lsn, 4);
  ASSERT_OK(Append(a, "5", 2));
  log.MustRefuse(1, "LSN 2 was durable");
}

void chain__damage_in_an_old_segment_is_not_its_end(void**) {
  Log log;  // pebble#453, rocksdb#7701, rocksdb#12488: a bad or cleanly cut log is followed by
            // others
  auto* a = log.Add(1, {}, {"1", "2", "3"});
  ASSERT_OK(a->Sync());
  auto* b = log.AddAfter(2, a, {"4"}, 3);
  const std::string whole = FileBytes(log.vfs.get(), SegmentPath(1));
  log.Cut(1, kChainEnd + 40);
  log.MustRefuse(1, "LSN 3 was durable");
  log.Cut(1, kChainEnd);
  log.MustRefuse(1, "ends here");
  SetFileBytes(log.vfs.get(), SegmentPath(1), whole + std::string(4096, '\0'));
  log.MustReplay({"1", "2", "3", "4"});
  SetFileBytes(log.vfs.get(), SegmentPath(1),
               whole.substr(0, kChainEnd + 40) + std::string(4096, '\0'));
  log.MustRefuse(1, "LSN 3 was durable");
  static_cast<void>(b);
}

void chain__an_unsynced_predecessor_takes_its_successors_along(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2", "3"});
  auto* b = log.AddAfter(2, a, {"4"}, 1);
  log.AddAfter(3, b, {"5", "6"}, 1);
  log.Cut(1, kChainEnd + 40);
  ChainResult r = log.MustReplay({"1"});
  assert_int_equal(r.max_lsn, 6);
  assert_int_equal(r.residue_records, 3);
  assert_int_equal(r.abandoned.size(), 2);
  assert_int_equal(r.next.previous_id, 1);
  // The recovery goes on in segment 4; the others may still be there at the next one, or any of
  // them.
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  log.MustReplay({"1"});
  auto* d = log.Add(4, r.next, {"7"}, 1);
  r = log.MustReplay({"1", "7"});
  assert_int_equal(r.abandoned.size(), 2);
  assert_int_equal(r.last_lsn, 6 + kLsnJump + 1);
  log.Remove(2);
  log.MustReplay({"1", "7"});
  log.Remove(3);
  log.MustReplay({"1", "7"});
  static_cast<void>(d);
}

void chain__missing_and_swapped_segments(void**) {
  for (int durable = 0; durable < 2; ++durable) {
    Log log;
    auto* a = log.Add(1, {}, {"1"});
    auto* b = log.AddAfter(2, a, {"2"}, 1);
    log.AddAfter(3, b, {"3"}, durable == 1 ? 2 : 1);
    const std::string second = FileBytes(log.vfs.get(), SegmentPath(2));
    log.Remove(2);
    if (durable == 1) log.MustRefuse(3, "segment 2 is missing");
    if (durable == 0) assert_int_equal(log.MustReplay({"1"}).residue_records, 1);
    // Another segment of the same number.
    SegmentWriter::Options o = OptionsFor(2, a->LinkAfter());
    o.info.nonce = 12345;
    auto other = MakeSegment(log.vfs.get(), o);
    ASSERT_OK(Append(other.get(), "other"));
    log.ids = {1, 2, 3};
    if (durable == 1) log.MustRefuse(3, "segment 2 is not the one");
    if (durable == 0) log.MustReplay({"1"});
    // Another segment under this name.
    SetFileBytes(log.vfs.get(), SegmentPath(2), FileBytes(log.vfs.get(), SegmentPath(3)));
    log.MustRefuse(2, "holds segment 3");
    SetFileBytes(log.vfs.get(), SegmentPath(2), second);
    log.MustReplay({"1", "2", "3"});
  }
}

void chain__the_first_segment_must_be_there(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  auto* b = log.AddAfter(2, a, {"2"});
  log.options.first_id = 1;
  log.options.first_path = SegmentPath(1);
  log.MustReplay({"1", "2"});
  log.Remove(1);
  log.MustRefuse(1, "segment 1 is missing");
  log.Remove(2);
  log.MustRefuse(1, "segment 1 is missing");
  static_cast<void>(b);
}

// Its head was durable before a manifest named it: a crash does not empty it. Its chain record may
// be lost.
void chain__the_first_segment_keeps_its_head(void**) {
  Log log;
  log.Add(1, {}, {});
  const std::string whole = FileBytes(log.vfs.get(), SegmentPath(1));
  log.options.first_id = 1;
  log.options.first_path = SegmentPath(1);
  log.Cut(1, kSegmentDataStart2);
  const ChainResult r = log.MustReplay({});
  assert_true(r.abandoned.size() == 1 && r.empty.empty());  // what the manifest names must stay
  for (const uint64_t n : {0, 10, 63}) {
    log.Cut(1, n);
    log.MustRefuse(1, "holds no segment");
    SetFileBytes(log.vfs.get(), SegmentPath(1), whole);
  }
  log.Damage(1, 20);
  log.MustRefuse(1, "holds no segment");
}

void chain__the_newest_begun_segment_must_be_there(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  log.AddAfter(2, a, {"2"});
  log.options.first_id = 1;
  log.options.begun_id = 2;
  log.options.begun_path = SegmentPath(2);
  log.MustReplay({"1", "2"});
  log.Damage(2, 20);
  log.MustRefuse(2, "segment 2, which was begun");
  log.Remove(2);
  log.MustRefuse(2, "segment 2, which was begun");
  log.options.first_id = 3;  // of an older manifest: it says nothing
  log.options.first_path = SegmentPath(3);
  log.options.base_lsn = 2;
  log.MustRefuse(3, "segment 3 is missing");
}

void chain__the_newest_begun_segment_may_be_empty(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  log.AddAfter(2, a, {"2"});
  log.options.begun_id = 2;
  log.Cut(2, kSegmentDataStart2);
  assert_int_equal(log.MustReplay({"1"}).empty.size(), 0);
  log.options.begun_id = 0;
  assert_int_equal(log.MustReplay({"1"}).empty.size(), 1);
}

void chain__a_segment_cut_short_while_made_is_residue(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  auto* b = log.AddAfter(2, a, {"2"}, 1);
  const std::string whole = FileBytes(log.vfs.get(), SegmentPath(2));
  for (const uint64_t n : {0, 1, 63, 64, 512, 1024, 1535, 1536, 1540, 1599}) {
    SetFileBytes(log.vfs.get(), SegmentPath(2), whole.substr(0, n));
    const ChainResult r = log.MustReplay({"1"});
    assert_int_equal(r.abandoned.size(), 1);
    SetFileBytes(log.vfs.get(), SegmentPath(2), std::string(n, '\0'));
    assert_int_equal(log.MustReplay({"1"}).residue_bytes, 0);
  }
  // Its prefix lost, its records there (rocksdb: log headers not synced): nothing above 1 was
  // durable ...
  std::string torn = whole;
  std::memset(&torn[0], 0, 512);
  SetFileBytes(log.vfs.get(), SegmentPath(2), torn);
  assert_int_equal(log.MustReplay({"1"}).residue_records, 2);
  SetFileBytes(log.vfs.get(), SegmentPath(2), whole);
  // ... until a record, or a mark, says so; with or without slots to take the nonce from.
  ASSERT_OK(Append(b, "3", 2));
  std::string bytes = FileBytes(log.vfs.get(), SegmentPath(2));
  for (const size_t lost : {512, 1536}) {
    torn = bytes;
    std::memset(&torn[0], 0, lost);
    SetFileBytes(log.vfs.get(), SegmentPath(2), torn);
    log.MustRefuse(2, "LSN 2 was durable");
  }
}

void chain__a_mark_is_a_promise(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2"});
  ASSERT_OK(a->Sync());
  ASSERT_OK(a->WriteMark());
  ASSERT_OK(Append(a, "3"));
  const std::string whole = FileBytes(log.vfs.get(), SegmentPath(1));
  log.Damage(1, kChainEnd + 2 * 40);
  log.MustReplay({"1", "2"});
  SetFileBytes(log.vfs.get(), SegmentPath(1), whole);
  log.Damage(1, kChainEnd + 40);
  log.MustRefuse(1, "below the durable end");
  SetFileBytes(log.vfs.get(), SegmentPath(1), whole.substr(0, kChainEnd + 72));
  log.MustRefuse(1, "ends before its durable end");
}

// Two crashes (rocksdb#9634, redb 4.2.0, cockroach#68319): the second while or after opening.
void chain__openings_that_are_cut_short_repeat(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2", "3"}, 0);
  log.Damage(1, kChainEnd + 40 + 33);
  ChainResult r = log.MustReplay({"1"});
  const SegmentLink link = r.next;
  assert_int_equal(r.max_lsn, 3);
  // The new segment is durable, the old one was not settled: its tail is still there and does not
  // count.
  auto* b = log.Add(2, link, {"4"}, 1);
  r = log.MustReplay({"1", "4"});
  ASSERT_OK(Append(b, "5", b->last_lsn()));
  r = log.MustReplay({"1", "4", "5"});
  assert_int_equal(r.residue_bytes, 0);
  // Settled at last.
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  assert_int_equal(log.vfs->Stat(SegmentPath(1)).Take().bytes, kChainEnd + 40);
  auto settled = OpenSegment(log.vfs.get(), 1);
  assert_true(settled->seal() == SealKind::kRecovered);
  const std::string before = FileBytes(log.vfs.get(), SegmentPath(1));
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  assert_true(before == FileBytes(log.vfs.get(), SegmentPath(1)));
  log.MustReplay({"1", "4", "5"});
  static_cast<void>(a);
}

void chain__crash_loops_do_not_grow_it(void**) {
  Log log;
  log.Add(1, {}, {"1"});
  for (uint64_t id = 2; id < 30; ++id) {
    const ChainResult r = log.MustReplay({"1"});
    assert_int_equal(r.kept.size(), 1);
    assert_int_equal(r.next.previous_id, 1);
    ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
    log.Add(id, r.next, {}, 1);
    for (const ChainSegment& s : r.abandoned) log.Remove(s.id);
    assert_true(log.ids.size() <= 2);
  }
}

void chain__a_close_lends_its_numbers_once(void**) {
  Log log;
  ASSERT_OK(log.Add(1, {}, {"1"})->Seal(SealKind::kClosed));
  ChainResult r = log.MustReplay({"1"});
  assert_true(r.clean);
  assert_int_equal(r.next.start_lsn, 1);
  // An opening for writing that leaves no trace but this must not lend 2, 3, ... a second time.
  ASSERT_OK(SettleChain(log.vfs.get(), log.options, r));
  r = log.MustReplay({"1"});
  assert_false(r.clean);
  assert_int_equal(r.next.start_lsn, 1 + kLsnJump);
}

void chain__links_that_cannot_be_are_corrupt(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2"});
  SegmentLink link = a->LinkAfter();
  const auto with = [&](SegmentLink l, const char* text, uint64_t where) {
    if (log.ids.size() > 1) log.Remove(2);
    log.Add(2, l, {"3"});
    log.MustRefuse(where, text);
  };
  SegmentLink l = link;
  l.previous_lsn = 1;
  with(l, "says that LSN 1 precedes it", 2);
  l = link;
  l.previous_bytes -= 8;
  with(l, "of which a part is said to count", 1);
  l = link;
  l.previous_id = 2;
  with(l, "cannot be", 2);
  ASSERT_OK(a->Sync());
  ASSERT_OK(a->WriteMark());
  l = link;
  l.previous_bytes -= 40;
  with(l, "it was durable up to", 1);
  log.options.first_id = 2;
  with(link, "the tables hold everything up to 0", 2);
  log.options.base_lsn = 2;
  log.MustReplay({"3"});
  log.options.database_id = 43;
  log.MustRefuse(2, "another database");
}

void chain__a_record_is_bound_to_its_place(void**) {
  Log log;  // rocksdb HIST 9.2.0, pebble#567: stale records; tidesdb: holes. Same length, same
            // file, other place.
  auto* a = log.Add(1, {}, {"1", "2", "3"});
  std::string bytes = FileBytes(log.vfs.get(), SegmentPath(1));
  bytes.replace(kChainEnd + 40, 40, bytes.substr(kChainEnd + 80, 40));
  SetFileBytes(log.vfs.get(), SegmentPath(1), bytes);
  log.MustReplay({"1"});
  // The right LSN of the right segment, from elsewhere.
  Log twin;
  twin.Add(1, {}, {"1", std::string(100, '2'), "3"});
  const std::string moved = FileBytes(twin.vfs.get(), SegmentPath(1));
  Log cut;
  cut.Add(1, {}, {"1", "2"});
  SetFileBytes(cut.vfs.get(), SegmentPath(1),
               FileBytes(cut.vfs.get(), SegmentPath(1)) + moved.substr(moved.size() - 40));
  assert_int_equal(cut.MustReplay({"1", "2"}).residue_bytes, 40);
  auto* b = log.AddAfter(2, a, {"2"});
  const std::string theirs = FileBytes(log.vfs.get(), SegmentPath(2));
  bytes.replace(kChainEnd, 40, theirs.substr(kChainEnd, 40));
  SetFileBytes(log.vfs.get(), SegmentPath(1), bytes);
  log.MustReplay({});
  static_cast<void>(b);
}

void chain__a_manifest_is_a_chain_of_one(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/db"));
  SegmentWriter::Options o = OptionsFor(9);
  o.info.type = SegmentType::kManifest;
  auto w = MakeSegment(vfs.get(), o);
  TestRecord one(1, "one", 0, false, RecordKind::kEdit);
  ASSERT_OK(w->Append(one.get(), 1, 0, false));
  TestRecord two(2, "two", 0, false, RecordKind::kEdit);
  ASSERT_OK(w->Append(two.get(), 1, 1, false));
  Strings found;
  const ChainVisitor visit = [&found](const ChainSegment&, const SegmentReader::Record& r) {
    found.emplace_back(r.data);
    return Status();
  };
  ChainOptions options;
  options.type = SegmentType::kManifest;
  ASSERT_OK(ReplayChain(vfs.get(), Chain({9}), options, visit));
  assert_true(found == (Strings{"one", "two"}));
  options.type = SegmentType::kLog;
  ASSERT_CODE(ReplayChain(vfs.get(), Chain({9}), options, visit), Code::kCorrupt);
}

void chain__a_visitors_error_ends_it(void**) {
  Log log;
  log.Add(1, {}, {"1", "2"});
  int seen = 0;
  auto r = ReplayChain(log.vfs.get(), Chain({1}), log.options,
                       [&seen](const ChainSegment&, const SegmentReader::Record&) {
                         ++seen;
                         return Status::Bare(Code::kCancelled);
                       });
  ASSERT_CODE(r, Code::kCancelled);
  assert_int_equal(seen, 1);
}

void chain__a_record_of_another_kind_is_corrupt(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  TestRecord edit(2, "2", 0, false, RecordKind::kEdit);
  ASSERT_OK(a->Append(edit.get(), 1, 0, false));
  log.MustRefuse(1, "a record of another kind");
}

void chain__a_predecessor_below_the_first_cannot_be(void**) {
  Log log;
  SegmentLink link;
  link.previous_id = 2;
  link.previous_nonce = 5;
  log.Add(4, {}, {"1"});
  log.Add(5, link, {"1"});
  log.options.first_id = 4;
  log.MustRefuse(5, "cannot be");
}

// Where the caller does not know the first one, it may begin behind a segment that is gone; not so
// where an older one is there.
void chain__its_beginning_may_be_unknown(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  auto* b = log.AddAfter(2, a, {"2"}, 1);
  auto* c = log.AddAfter(3, b, {"3"}, 2);
  static_cast<void>(c);
  log.MustReplay({"1", "2", "3"});
  log.Remove(2);
  log.MustRefuse(3, "segment 2 is missing");
  log.Remove(1);
  log.MustReplay({"3"});
}

#ifdef NDEBUG  // debug builds abort
void chain__segments_must_ascend(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1"});
  log.AddAfter(2, a, {"2"});
  std::swap(log.ids[0], log.ids[1]);
  ASSERT_CODE(log.Replay(), Code::kInternal);
}
#endif

// Each call fails in turn: told, and never taken for an end.
void chain__every_call_fails(void**) {
  Log log;
  auto* a = log.Add(1, {}, {"1", "2"});
  auto* b = log.AddAfter(2, a, {"3", std::string(300000, '4')}, 2);
  log.AddAfter(3, b, {"5"}, 2);
  for (const bool torn : {false, true}) {
    if (torn) log.Cut(2, kChainEnd + 40 + 100000);  // the third is behind the break
    bool failed = true;
    uint64_t n = 0;
    while (failed) {
      FailingVfs vfs(log.vfs.get(), ++n);
      size_t seen = 0;
      const auto r = ReplayChain(&vfs, Chain(log.ids), log.options,
                                 [&seen](const ChainSegment&, const SegmentReader::Record& r) {
                                   assert_int_equal(r.lsn, ++seen);
                                   return Status();
                                 });
      failed = vfs.failed();
      if (failed) ASSERT_CODE(r, Code::kIo);
      if (!failed) ASSERT_OK(r);
      if (!failed) assert_int_equal(seen, torn ? 3 : 5);
    }
    assert_true(n > 10);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(chain__nothing_is_nothing),
      cmocka_unit_test(chain__segments_follow_each_other),
      cmocka_unit_test(chain__a_torn_tail_is_dropped_and_counted),
      cmocka_unit_test(chain__a_later_record_proves_damage),
      cmocka_unit_test(chain__a_hole_is_not_the_end),
      cmocka_unit_test(chain__damage_in_an_old_segment_is_not_its_end),
      cmocka_unit_test(chain__an_unsynced_predecessor_takes_its_successors_along),
      cmocka_unit_test(chain__missing_and_swapped_segments),
      cmocka_unit_test(chain__the_first_segment_must_be_there),
      cmocka_unit_test(chain__the_first_segment_keeps_its_head),
      cmocka_unit_test(chain__the_newest_begun_segment_must_be_there),
      cmocka_unit_test(chain__the_newest_begun_segment_may_be_empty),
      cmocka_unit_test(chain__a_segment_cut_short_while_made_is_residue),
      cmocka_unit_test(chain__a_mark_is_a_promise),
      cmocka_unit_test(chain__openings_that_are_cut_short_repeat),
      cmocka_unit_test(chain__crash_loops_do_not_grow_it),
      cmocka_unit_test(chain__a_close_lends_its_numbers_once),
      cmocka_unit_test(chain__links_that_cannot_be_are_corrupt),
      cmocka_unit_test(chain__a_record_is_bound_to_its_place),
      cmocka_unit_test(chain__a_manifest_is_a_chain_of_one),
      cmocka_unit_test(chain__a_visitors_error_ends_it),
      cmocka_unit_test(chain__a_record_of_another_kind_is_corrupt),
      cmocka_unit_test(chain__a_predecessor_below_the_first_cannot_be),
      cmocka_unit_test(chain__its_beginning_may_be_unknown),

#ifdef NDEBUG
      cmocka_unit_test(chain__segments_must_ascend),
#endif
      cmocka_unit_test(chain__every_call_fails),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
