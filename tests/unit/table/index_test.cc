// The block index: for every place in internal order the block that a linear walk would find.
#include "table/index.h"

#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

struct Cut {
  Version first;
  Version last;
};

// Cuts versions into blocks of random length and builds the index over them.
std::vector<Cut> MakeIndex(Rng* rng, const std::vector<Version>& versions, uint64_t most,
                           std::string* payload, uint64_t* bytes) {
  std::vector<Cut> cuts;
  IndexBuilder builder;
  *bytes = 0;
  for (size_t i = 0; i < versions.size();) {
    const size_t end = std::min(versions.size(), i + 1 + rng->Below(most));
    const uint32_t length = 20 + static_cast<uint32_t>(rng->Below(100));
    if (i != 0) {
      assert_true(builder.AddBoundary(versions[i - 1].key, versions[i - 1].tag, versions[i].key));
    }
    assert_true(builder.AddBlock(length, rng->OneIn(2)));
    *bytes += length;
    cuts.push_back({versions[i], versions[end - 1]});
    i = end;
  }
  GrowBuffer out;
  assert_true(builder.Finish(&out));
  assert_int_equal(out.size(), builder.size());
  payload->assign(out.slice());
  return cuts;
}

void index__finds_the_block_of_every_place(void**) {
  Rng rng(Seed("index__finds_the_block_of_every_place"));
  for (int round = 0; round < 300; ++round) {
    Shape shape;
    shape.keys = rng.Below(round % 30 == 0 ? 5000 : 200);
    shape.key_bytes_max = rng.Below(30);
    shape.versions_max = 1 + rng.Below(10);
    std::vector<Version> versions = RandomVersions(&rng, shape);
    std::string payload;
    uint64_t bytes;
    const std::vector<Cut> cuts = MakeIndex(&rng, versions, 1 + rng.Below(10), &payload, &bytes);
    TableIndex index;
    bool no_memory;
    const char* reason = index.Load(payload, bytes, &no_memory);
    if (reason != nullptr) fail_msg("%s", reason);
    assert_int_equal(index.blocks(), cuts.size());
    assert_int_equal(index.data_bytes(), bytes);
    for (int probe = 0; probe < 300 && !cuts.empty(); ++probe) {
      Version v = versions[rng.Below(versions.size())];
      if (rng.OneIn(4)) v.key = v.key.substr(0, rng.Below(v.key.size() + 1));
      if (rng.OneIn(4)) v.key += rng.Bytes(1 + rng.Below(3), 'a', 5);
      if (rng.OneIn(2)) v.tag = rng.OneIn(3) ? kMaxTag : SeekTag(rng.Below(1000));
      const uint32_t found = index.Find(v.key, v.tag);
      // Nothing that is >= v stands in a block before.
      assert_true(found == 0 || Before(cuts[found - 1].last, v));
      // The newest version of the key with a tag <= v.tag, if any, stands in this block.
      const auto it = std::lower_bound(versions.begin(), versions.end(), v, Before);
      if (it != versions.end() && it->key == v.key) {
        assert_false(Before(*it, cuts[found].first));
        assert_false(Before(cuts[found].last, *it));
      }
    }
  }
}

void index__refuses_bytes_that_are_none(void**) {
  Rng rng(Seed("index__refuses_bytes_that_are_none"));
  Shape shape;
  shape.keys = 100;
  shape.versions_max = 4;
  const std::vector<Version> versions = RandomVersions(&rng, shape);
  std::string payload;
  uint64_t bytes;
  MakeIndex(&rng, versions, 3, &payload, &bytes);
  bool no_memory;
  for (size_t n = 0; n < payload.size(); ++n) {
    TableIndex index;
    assert_non_null(index.Load(Slice(payload.data(), n), bytes, &no_memory));
  }
  TableIndex longer;
  assert_non_null(longer.Load(payload + "x", bytes, &no_memory));
  TableIndex elsewhere;
  assert_non_null(elsewhere.Load(payload, bytes + 1, &no_memory));
  for (int round = 0; round < 20000; ++round) {
    std::string bad = payload;
    for (uint64_t n = 1 + rng.Below(3); n > 0; --n) {
      bad[rng.Below(bad.size())] = static_cast<char>(rng.Next());
    }
    TableIndex index;
    if (index.Load(bad, bytes, &no_memory) != nullptr) continue;
    const Version& v = versions[rng.Below(versions.size())];
    assert_true(index.Find(v.key, v.tag) < index.blocks());
  }
}

void index__refuses_a_block_without_a_payload(void**) {
  for (const uint32_t length : {0u, 12u, 13u}) {
    IndexBuilder builder;
    assert_true(builder.AddBlock(40, false));
    assert_true(builder.AddBoundary("a", kMaxTag, "b"));
    assert_true(builder.AddBlock(length, true));
    GrowBuffer out;
    assert_true(builder.Finish(&out));
    TableIndex index;
    bool no_memory;
    assert_int_equal(index.Load(out.slice(), 40 + length, &no_memory) == nullptr, length == 13);
  }
}

void index__cuts_start_keys_short(void**) {
  IndexBuilder builder;
  assert_true(builder.AddBlock(20, false));
  assert_true(builder.AddBoundary("aaaaaaaaaaab", 5, "aaaacccccccc"));
  assert_true(builder.AddBlock(20, true));
  assert_true(builder.AddBoundary("same", MakeTag(9, EntryKind::kPut), "same"));
  assert_true(builder.AddBlock(20, false));
  GrowBuffer out;
  assert_true(builder.Finish(&out));
  TableIndex index;
  bool no_memory;
  assert_null(index.Load(out.slice(), 60, &no_memory));
  ASSERT_SLICE(index.start_key(1), "aaaac");
  assert_true(index.start_tag(1) == kMaxTag);
  assert_true(index.compressed(1) && !index.compressed(0) && !index.compressed(2));
  ASSERT_SLICE(index.start_key(2), "same");
  assert_true(index.start_tag(2) == MakeTag(9, EntryKind::kPut) - 1);
  assert_int_equal(index.Find("same", SeekTag(9)), 1);
  assert_int_equal(index.Find("same", SeekTag(8)), 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(index__finds_the_block_of_every_place),
      cmocka_unit_test(index__refuses_bytes_that_are_none),
      cmocka_unit_test(index__refuses_a_block_without_a_payload),
      cmocka_unit_test(index__cuts_start_keys_short),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
