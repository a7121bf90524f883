// Whole tables against a sorted vector: what went in comes out of point reads, iterators in both
// directions and estimates, for every compression, block size and read mode.
#include "table/table.h"

#include "support/run_check.h"
#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

struct Mode {
  Compression compression;
  uint32_t block_bytes;
  uint32_t filter_bits;
  size_t cache_bytes;
  bool cached;
  size_t readahead;
  bool fill_cache;
};

Mode RandomMode(Rng* rng) {
  Mode m;
  m.compression = static_cast<Compression>(rng->Below(3));
  m.block_bytes = static_cast<uint32_t>(rng->OneIn(4) ? 16384 : 128 << rng->Below(6));
  m.filter_bits = static_cast<uint32_t>(rng->Below(21));
  m.cached = !rng->OneIn(4);
  m.cache_bytes = rng->OneIn(4) ? 0 : size_t{1} << (10 + rng->Below(14));
  m.readahead = rng->OneIn(2) ? 0 : rng->Below(20000);
  m.fill_cache = !rng->OneIn(4);
  return m;
}

void CheckEntry(const InternalIterator& it, const Version& v) {
  assert_true(it.valid());
  ASSERT_SLICE(it.key(), v.key);
  assert_true(it.tag() == v.tag);
  ASSERT_SLICE(it.value(), v.value);
}

void CheckGets(Rng* rng, Table* table, Epoch* epoch, const std::vector<Version>& versions,
               const ReadContext& context) {
  for (int probe = 0; probe < 300; ++probe) {
    std::string key = versions[rng->Below(versions.size())].key;
    if (rng->OneIn(4)) key += "x";
    if (rng->OneIn(6)) key = key.substr(0, rng->Below(key.size() + 1));
    const Sequence seq = rng->OneIn(2) ? kMaxSequence : rng->Below(1000);
    const Version* want = ModelGet(versions, key, seq);
    Epoch::Guard guard(*epoch);
    TableFound found;
    ASSERT_OK(table->Get(key, HashKey(key), seq, context, &found));
    assert_int_equal(found.found, want != nullptr);
    // In either order of filter and index, which follows what the keys before had met.
    assert_int_equal(found.filtered, !table->MayContain(HashKey(key)));
    if (want == nullptr) continue;
    assert_true(found.tag == want->tag);
    ASSERT_SLICE(found.value, want->value);
    assert_non_null(found.block);
  }
}

void CheckWalk(Rng* rng, Table* table, const std::vector<Version>& versions,
               const ReadContext& context) {
  auto it = table->NewIterator(context);
  const int64_t n = static_cast<int64_t>(versions.size());
  int64_t at = 0;
  it->SeekToFirst();
  for (at = 0; at < n; ++at, it->Next()) CheckEntry(*it, versions[at]);
  assert_false(it->valid());
  ASSERT_OK(it->status());
  it->SeekToLast();
  for (at = n - 1; at >= 0; --at, it->Prev()) CheckEntry(*it, versions[at]);
  assert_false(it->valid());
  ASSERT_OK(it->status());
  bool forward = false;
  for (int step = 0; step < 600; ++step) {
    const bool inside = at >= 0 && at < n;
    Version probe = versions[rng->Below(versions.size())];
    if (rng->OneIn(3)) probe.key += "x";
    if (rng->OneIn(3)) probe.tag = rng->OneIn(2) ? kMaxTag : SeekTag(rng->Below(1000));
    const int64_t bound =
        std::lower_bound(versions.begin(), versions.end(), probe, Before) - versions.begin();
    const uint64_t move = rng->Below(24);
    if (move < 20 || !inside) forward = move != 1 && (!inside || move < 12);
    if (move == 0) {
      it->Seek(probe.key, probe.tag);
      at = bound;
    } else if (move == 1) {
      it->SeekBefore(probe.key, probe.tag);
      at = bound - 1;
    } else if (!inside) {
      it->SeekToFirst();
      at = 0;
    } else if (move >= 20) {
      const auto expect = [&](size_t i) {
        return versions[static_cast<size_t>(forward ? at + static_cast<int64_t>(i)
                                                    : at - static_cast<int64_t>(i))];
      };
      const size_t left = static_cast<size_t>(forward ? n - at : at + 1);
      const size_t taken = test::CheckRun(it.get(), forward, probe.key, left, rng, expect);
      at += (forward ? 1 : -1) * static_cast<int64_t>(taken - 1);
    } else if (move < 12) {
      it->Next();
      ++at;
    } else {
      it->Prev();
      --at;
    }
    if (at < 0 || at >= n) {
      assert_false(it->valid());
      ASSERT_OK(it->status());
    } else {
      CheckEntry(*it, versions[at]);
    }
  }
}

void table__equals_a_sorted_vector(void**) {
  Rng rng(Seed("table__equals_a_sorted_vector"));
  for (int round = 0; round < 120; ++round) {
    auto vfs = NewMemoryVfs();
    Epoch epoch;
    Shape shape;
    shape.keys = 1 + rng.Below(400);
    shape.versions_max = 1 + rng.Below(round % 10 == 0 ? 60 : 4);
    shape.sequences = rng.OneIn(4) ? 1 : 1000;
    shape.value_bytes_max = rng.OneIn(8) ? 5000 : 120;
    const std::vector<Version> versions = RandomVersions(&rng, shape);
    const Mode mode = RandomMode(&rng);
    const TableOptions options = OptionsOf(mode.block_bytes, mode.compression, mode.filter_bits);
    Build(vfs.get(), "/t", options, versions);
    BlockCache cache(mode.cache_bytes, &epoch);
    RefPtr<Table> table = OpenTable(vfs.get(), "/t", mode.cached ? &cache : nullptr);
    ReadContext context;
    context.fill_cache = mode.fill_cache;
    context.readahead_bytes = mode.readahead;
    CheckGets(&rng, table.get(), &epoch, versions, context);
    CheckWalk(&rng, table.get(), versions, context);
    ASSERT_OK(VerifyTable(table.get()));
    assert_true(cache.used_bytes() <= mode.cache_bytes);
    table = RefPtr<Table>();
    assert_int_equal(cache.used_bytes(), 0);
  }
}

void table__mapped_equals_a_sorted_vector(void**) {
  Rng rng(Seed("table__mapped_equals_a_sorted_vector"));
  TempDir dir;
  for (int round = 0; round < 20; ++round) {
    Epoch epoch;
    const std::string path = dir.File("t" + std::to_string(round));
    const std::vector<Version> versions = RandomVersions(&rng, Shape());
    const Mode mode = RandomMode(&rng);
    const TableOptions options = OptionsOf(mode.block_bytes, mode.compression, mode.filter_bits);
    Build(PosixVfs(), path, options, versions);
    BlockCache cache(mode.cache_bytes, &epoch);
    RefPtr<Table> table = OpenTable(PosixVfs(), path, mode.cached ? &cache : nullptr, true);
    ReadContext context;
    context.fill_cache = mode.fill_cache;
    CheckGets(&rng, table.get(), &epoch, versions, context);
    CheckWalk(&rng, table.get(), versions, context);
    ASSERT_OK(VerifyTable(table.get()));
  }
}

// A pinned block of a mapped table outlives the table.
void table__mapped_block_outlives_its_table(void**) {
  Rng rng(Seed("table__mapped_block_outlives_its_table"));
  TempDir dir;
  Epoch epoch;
  BlockCache cache(1 << 20, &epoch);
  const std::vector<Version> versions = RandomVersions(&rng, Shape());
  Build(PosixVfs(), dir.File("t"), OptionsOf(512, Compression::kNone), versions);
  RefPtr<Table> table = OpenTable(PosixVfs(), dir.File("t"), &cache, true);
  RefPtr<Block> pinned;
  Slice value;
  {
    Epoch::Guard guard(epoch);
    TableFound found;
    ASSERT_OK(
        table->Get(versions[0].key, HashKey(versions[0].key), kMaxSequence, ReadContext(), &found));
    assert_true(found.found);
    pinned = RefPtr<Block>::Share(found.block);
    value = found.value;
  }
  table = RefPtr<Table>();
  epoch.Drain();
  ASSERT_SLICE(value, versions[0].value);
}

void table__properties_say_what_was_added(void**) {
  Rng rng(Seed("table__properties_say_what_was_added"));
  for (int round = 0; round < 20; ++round) {
    auto vfs = NewMemoryVfs();
    const std::vector<Version> versions = RandomVersions(&rng, Shape());
    const TableProperties built = Build(vfs.get(), "/t", OptionsOf(), versions);
    RefPtr<Table> table = OpenTable(vfs.get(), "/t");
    const TableProperties& p = table->properties();
    TableProperties want;
    want.smallest_seq = kMaxSequence;
    for (const Version& v : versions) {
      want.smallest_seq = std::min(want.smallest_seq, TagSequence(v.tag));
      want.largest_seq = std::max(want.largest_seq, TagSequence(v.tag));
      want.deletes += TagKind(v.tag) == EntryKind::kDelete ? 1 : 0;
      want.raw_key_bytes += v.key.size();
      want.raw_value_bytes += v.value.size();
      if (TagKind(v.tag) != EntryKind::kPutTtl) continue;
      const int64_t ms = static_cast<int64_t>(Load64(v.value.data()));
      if (want.ttl_entries == 0 || ms < want.earliest_expiry_ms) want.earliest_expiry_ms = ms;
      want.latest_expiry_ms = std::max(want.latest_expiry_ms, ms);
      ++want.ttl_entries;
    }
    assert_int_equal(p.entries, versions.size());
    ASSERT_SLICE(p.smallest_key, versions.front().key);
    ASSERT_SLICE(p.largest_key, versions.back().key);
    assert_int_equal(p.smallest_seq, want.smallest_seq);
    assert_int_equal(p.largest_seq, want.largest_seq);
    assert_int_equal(p.deletes, want.deletes);
    assert_int_equal(p.ttl_entries, want.ttl_entries);
    assert_int_equal(p.earliest_expiry_ms, want.earliest_expiry_ms);
    assert_int_equal(p.latest_expiry_ms, want.latest_expiry_ms);
    assert_int_equal(p.raw_key_bytes, want.raw_key_bytes);
    assert_int_equal(p.raw_value_bytes, want.raw_value_bytes);
    assert_int_equal(p.file_bytes, ReadAll(vfs.get(), "/t").size());
    assert_int_equal(p.file_bytes, built.file_bytes);
    assert_int_equal(p.data_blocks, built.data_blocks);
    assert_int_equal(table->identity().keyspace, 3);
    assert_int_equal(table->identity().table_id, 12);
  }
}

void table__holds_range_tombstones(void**) {
  auto vfs = NewMemoryVfs();
  const std::string longest(65536, 'q');
  const std::vector<RangeTombstone> tombstones = {
      {"m", "p", 50}, {"a", "c", 7}, {"n", "", 20}, {longest, "r", 3}};
  const std::vector<Version> one = {{"b", MakeTag(9, EntryKind::kPut), "v"}};
  for (const auto& versions : {std::vector<Version>(), one}) {
    Build(vfs.get(), "/t", OptionsOf(), versions, tombstones);
    RefPtr<Table> table = OpenTable(vfs.get(), "/t");
    const TableProperties& p = table->properties();
    assert_int_equal(p.range_tombstones, 4);
    ASSERT_SLICE(p.smallest_key, "a");
    ASSERT_SLICE(p.tombstone_end, "r");
    assert_true(p.tombstone_unbounded);
    assert_int_equal(p.smallest_seq, 3);
    assert_int_equal(p.largest_seq, 50);
    assert_int_equal(table->range_tombstones()->MaxCovering("b", kMaxSequence), 7);
    assert_int_equal(table->range_tombstones()->MaxCovering("o", kMaxSequence), 50);
    assert_int_equal(table->range_tombstones()->MaxCovering("o", 49), 20);
    assert_int_equal(table->range_tombstones()->MaxCovering("c", kMaxSequence), 0);
    ASSERT_OK(VerifyTable(table.get()));
    Epoch epoch;
    Epoch::Guard guard(epoch);
    TableFound found;
    ASSERT_OK(table->Get("b", HashKey("b"), kMaxSequence, ReadContext(), &found));
    assert_int_equal(found.found, !versions.empty());
  }
}

void table__may_be_empty(void**) {
  auto vfs = NewMemoryVfs();
  Build(vfs.get(), "/t", OptionsOf(), {});
  RefPtr<Table> table = OpenTable(vfs.get(), "/t");
  assert_null(table->range_tombstones());
  auto it = table->NewIterator(ReadContext());
  it->SeekToFirst();
  assert_false(it->valid());
  it->SeekToLast();
  assert_false(it->valid());
  it->Seek("a", kMaxTag);
  assert_false(it->valid());
  it->SeekBefore("a", kMaxTag);
  assert_false(it->valid());
  ASSERT_OK(it->status());
  TableFound found;
  ASSERT_OK(table->Get("a", HashKey("a"), kMaxSequence, ReadContext(), &found));
  assert_false(found.found);
  assert_int_equal(table->ApproximateBytes("", ""), 0);
  ASSERT_OK(VerifyTable(table.get()));
}

void table__holds_keys_and_values_of_any_length(void**) {
  Rng rng(Seed("table__holds_keys_and_values_of_any_length"));
  std::vector<Version> versions = {{"", MakeTag(1, EntryKind::kPut), ""}};
  for (int i = 0; i < 20; ++i) {
    const std::string key = rng.Bytes(65000 + (i % 2 == 0 ? 535 : rng.Below(535)), 'a', 3);
    versions.push_back({key, MakeTag(i, EntryKind::kPut), rng.Bytes(rng.Below(100))});
  }
  versions.push_back({"big", MakeTag(5, EntryKind::kPut), rng.Bytes(10 << 20)});
  versions.push_back({"big2", MakeTag(5, EntryKind::kPut), std::string(10 << 20, 'z')});
  versions.push_back({"small", MakeTag(5, EntryKind::kPut), "s"});
  SortVersions(&versions);
  for (Compression c : {Compression::kNone, Compression::kSnappy, Compression::kAdaptive}) {
    auto vfs = NewMemoryVfs();
    Epoch epoch;
    BlockCache cache(100 << 20, &epoch);
    const TableProperties p = Build(vfs.get(), "/t", OptionsOf(4096, c), versions);
    assert_true(c == Compression::kNone || p.file_bytes < p.raw_value_bytes - (7 << 20));
    RefPtr<Table> table = OpenTable(vfs.get(), "/t", &cache);
    for (int pass = 0; pass < 2; ++pass) {
      for (const Version& v : versions) {
        Epoch::Guard guard(epoch);
        TableFound found;
        ASSERT_OK(table->Get(v.key, HashKey(v.key), kMaxSequence, ReadContext(), &found));
        assert_true(found.found && found.value == v.value);
      }
    }
    CheckWalk(&rng, table.get(), versions, ReadContext());
    ASSERT_OK(VerifyTable(table.get()));
  }
}

void table__refuses_what_is_no_entry(void**) {
  auto vfs = NewMemoryVfs();
  auto file = vfs->Open("/t", OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  const uint64_t put = MakeTag(5, EntryKind::kPut);
  TableBuilder too_long(OptionsOf(), file->get(), "/t");
  ASSERT_CODE(too_long.Add(std::string(65536, 'k'), put, ""), Code::kLimit);
  TableBuilder disorder(OptionsOf(), file->get(), "/t");
  ASSERT_OK(disorder.Add("b", put, ""));
  ASSERT_CODE(disorder.Add("a", put, ""), Code::kInternal);
  ASSERT_CODE(disorder.Add("c", put, ""), Code::kInternal);
  TableProperties properties;
  ASSERT_CODE(disorder.Finish(&properties), Code::kInternal);
  TableBuilder twice(OptionsOf(), file->get(), "/t");
  ASSERT_OK(twice.Add("b", put, ""));
  ASSERT_CODE(twice.Add("b", put, ""), Code::kInternal);
  TableBuilder newer(OptionsOf(), file->get(), "/t");
  ASSERT_OK(newer.Add("b", put, ""));
  ASSERT_CODE(newer.Add("b", put + 256, ""), Code::kInternal);
}

void table__estimates_bytes(void**) {
  auto vfs = NewMemoryVfs();
  std::vector<Version> versions;
  for (int i = 0; i < 20000; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "%08d", i);
    versions.push_back({key, MakeTag(1, EntryKind::kPut), std::string(100, 'v')});
  }
  Build(vfs.get(), "/t", OptionsOf(4096, Compression::kNone), versions);
  RefPtr<Table> table = OpenTable(vfs.get(), "/t");
  const double all = static_cast<double>(table->ApproximateBytes("", ""));
  assert_true(all > 20000 * 108 && all < 20000 * 120);
  const double half = static_cast<double>(table->ApproximateBytes("00005000", "00015000"));
  assert_true(half > all * 0.49 && half < all * 0.51);
  assert_int_equal(table->ApproximateBytes("1", ""), 0);
  assert_int_equal(table->ApproximateBytes("", "00000000"), 0);
  assert_int_equal(table->ApproximateBytes("00000500", "00000500"), 0);
  assert_true(table->ApproximateBytes("00000500", "00000501") < 5000);
}

void table__iterator_hands_left_blocks_to_its_sink(void**) {
  Rng rng(Seed("table__iterator_hands_left_blocks_to_its_sink"));
  auto vfs = NewMemoryVfs();
  Epoch epoch;
  const std::vector<Version> versions = RandomVersions(&rng, Shape());
  for (size_t cache_bytes : {0, 100000, 10000000}) {
    for (size_t readahead : {0, 5000}) {
      Build(vfs.get(), "/t", OptionsOf(256, static_cast<Compression>(rng.Below(3))), versions);
      BlockCache cache(cache_bytes, &epoch);
      RefPtr<Table> table = OpenTable(vfs.get(), "/t", &cache);
      PinSink sink;
      sink.active = true;
      ReadContext context;
      context.sink = &sink;
      context.readahead_bytes = readahead;
      context.fill_cache = rng.OneIn(2);
      auto it = table->NewIterator(context);
      std::vector<std::pair<Slice, Slice>> kept;
      for (it->SeekToFirst(); it->valid(); it->Next()) kept.push_back({it->key(), it->value()});
      cache.SetCapacity(0);
      epoch.Drain();
      assert_int_equal(kept.size(), versions.size());
      for (size_t i = 0; i < kept.size(); ++i) {
        ASSERT_SLICE(kept[i].first, versions[i].key);
        ASSERT_SLICE(kept[i].second, versions[i].value);
      }
      it = nullptr;
      sink.Release();
    }
  }
}

void table__split_versions_are_found_across_blocks(void**) {
  auto vfs = NewMemoryVfs();
  Epoch epoch;
  std::vector<Version> versions;
  for (const char* key : {"a", "key", "key2"}) {
    for (Sequence seq = 2000; seq > 0; seq -= 2) {
      versions.push_back({key, MakeTag(seq, EntryKind::kPut), key + std::to_string(seq)});
    }
  }
  Build(vfs.get(), "/t", OptionsOf(256), versions);
  RefPtr<Table> table = OpenTable(vfs.get(), "/t");
  assert_true(table->properties().data_blocks > 50);
  for (const char* key : {"a", "key", "key2", "b", "key1", "kex"}) {
    for (Sequence seq = 0; seq <= 2001; ++seq) {
      const Version* want = ModelGet(versions, key, seq);
      Epoch::Guard guard(epoch);
      TableFound found;
      ASSERT_OK(table->Get(key, HashKey(key), seq, ReadContext(), &found));
      assert_int_equal(found.found, want != nullptr);
      if (want != nullptr) ASSERT_SLICE(found.value, want->value);
    }
  }
  ASSERT_OK(VerifyTable(table.get()));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table__equals_a_sorted_vector),
      cmocka_unit_test(table__mapped_equals_a_sorted_vector),
      cmocka_unit_test(table__mapped_block_outlives_its_table),
      cmocka_unit_test(table__properties_say_what_was_added),
      cmocka_unit_test(table__holds_range_tombstones),
      cmocka_unit_test(table__may_be_empty),
      cmocka_unit_test(table__holds_keys_and_values_of_any_length),
      cmocka_unit_test(table__refuses_what_is_no_entry),
      cmocka_unit_test(table__estimates_bytes),
      cmocka_unit_test(table__iterator_hands_left_blocks_to_its_sink),
      cmocka_unit_test(table__split_versions_are_found_across_blocks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
