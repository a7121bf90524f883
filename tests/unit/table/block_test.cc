// Data blocks: what the builder lays out is what accessors and searches give back, and bytes that
// are not a block are refused without being trusted.
#include "table/block.h"

#include "table/block_builder.h"
#include "table/hash_match.h"
#include "table_testing.h"

using namespace kist;
using namespace kist::test;

namespace {

RefPtr<Block> Decode(Slice payload, const char** reason) {
  RefPtr<Block> block = RefPtr<Block>::Adopt(Block::New(payload.size()));
  std::memcpy(block->mutable_payload(), payload.data(), payload.size());
  *reason = block->Init();
  return block;
}

RefPtr<Block> Make(const std::vector<Version>& versions, std::string* payload = nullptr) {
  BlockBuilder builder;
  uint64_t size = 0;
  for (const Version& v : versions) {
    size = builder.SizeWith(v.key, v.tag, v.value);
    assert_true(builder.Add(v.key, HashKey(v.key), v.tag, v.value));
    assert_int_equal(size, builder.size());
    ASSERT_SLICE(builder.last_key(), v.key);
  }
  const Slice built = builder.Finish();
  assert_int_equal(size, built.size());
  if (payload != nullptr) payload->assign(built);
  const char* reason;
  RefPtr<Block> block = Decode(built, &reason);
  if (reason != nullptr) fail_msg("%s", reason);
  return block;
}

void CheckSame(const Block& block, const std::vector<Version>& versions) {
  assert_int_equal(block.entries(), versions.size());
  for (uint32_t i = 0; i < block.entries(); ++i) {
    ASSERT_SLICE(block.key(i), versions[i].key);
    ASSERT_SLICE(block.value(i), versions[i].value);
    assert_true(block.tag(i) == versions[i].tag);
  }
}

void CheckSearch(const Block& block, const std::vector<Version>& versions, const Version& probe) {
  const auto it = std::lower_bound(versions.begin(), versions.end(), probe, Before);
  const uint32_t want = static_cast<uint32_t>(it - versions.begin());
  assert_int_equal(block.LowerBound(probe.key, probe.tag), want);
  const bool there = it != versions.end() && it->key == probe.key;
  assert_int_equal(block.Find(probe.key, HashKey(probe.key), probe.tag),
                   there ? want : block.entries());
}

void block__gives_back_what_was_built(void**) {
  Rng rng(Seed("block__gives_back_what_was_built"));
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    shape.keys = 1 + rng.Below(round % 20 == 0 ? 3000 : 60);
    shape.key_bytes_max = rng.Below(40);
    shape.alphabet = 1 + static_cast<unsigned>(rng.Below(5));
    shape.value_bytes_max = rng.Below(100);
    shape.sequences = uint64_t{1} << rng.Below(50);
    const std::vector<Version> versions = RandomVersions(&rng, shape);
    RefPtr<Block> block = Make(versions);
    CheckSame(*block, versions);
    for (int probe = 0; probe < 200; ++probe) {
      Version v = versions[rng.Below(versions.size())];
      if (rng.OneIn(3)) v.key = v.key.substr(0, rng.Below(v.key.size() + 1));
      if (rng.OneIn(3)) v.key += rng.Bytes(1 + rng.Below(3), 'a', 5);
      if (rng.OneIn(8) && !v.key.empty()) v.key[rng.Below(v.key.size())] ^= 1;
      if (rng.OneIn(2)) v.tag = rng.OneIn(3) ? kMaxTag : SeekTag(rng.Below(shape.sequences));
      CheckSearch(*block, versions, v);
    }
  }
}

void block__holds_one_entry_of_any_shape(void**) {
  const std::string long_key(65535, 'k');
  const std::string big_value(3 << 20, 'v');
  for (const std::string& key : {std::string(), std::string("k"), long_key}) {
    for (const std::string& value : {std::string(), std::string("v"), big_value}) {
      const std::vector<Version> one = {{key, MakeTag(7, EntryKind::kPut), value}};
      RefPtr<Block> block = Make(one);
      CheckSame(*block, one);
      CheckSearch(*block, one, one[0]);
      CheckSearch(*block, one, {key, 0, ""});
      CheckSearch(*block, one, {key + "x", kMaxTag, ""});
    }
  }
}

void block__holds_many_versions_of_one_key(void**) {
  std::vector<Version> versions;
  for (uint64_t seq = 3000; seq > 0; --seq) {
    versions.push_back({"key", MakeTag(seq * 1000000007, EntryKind::kPut), std::to_string(seq)});
  }
  RefPtr<Block> block = Make(versions);
  CheckSame(*block, versions);
  for (uint64_t seq = 0; seq <= 3001; ++seq) {
    CheckSearch(*block, versions, {"key", SeekTag(seq * 1000000007), ""});
  }
}

void block__omits_what_all_entries_share(void**) {
  std::vector<Version> versions;
  for (int i = 10; i < 60; ++i) {
    versions.push_back({"key" + std::to_string(i), MakeTag(0, EntryKind::kPut), "value"});
  }
  std::string payload;
  Make(versions, &payload);
  // Header, hash byte and start per entry, the end, keys and values: no tags, no key lengths.
  assert_int_equal(payload.size(), kDataHeaderBytes + 50 * 3 + 2 + 50 * 10);
}

void block__refuses_bytes_that_are_none(void**) {
  Rng rng(Seed("block__refuses_bytes_that_are_none"));
  Shape shape;
  shape.keys = 20;
  std::string payload;
  const std::vector<Version> versions = RandomVersions(&rng, shape);
  Make(versions, &payload);
  const char* reason;
  for (size_t n = 0; n < payload.size(); ++n) {
    Decode(Slice(payload.data(), n), &reason);
    assert_non_null(reason);
  }
  Decode(std::string(100, 0), &reason);
  assert_non_null(reason);
  Decode(payload + "x", &reason);
  assert_non_null(reason);
  // What passes all the same is at least safe to use (the sanitizers watch).
  for (int round = 0; round < 20000; ++round) {
    std::string bad = payload;
    for (uint64_t n = 1 + rng.Below(4); n > 0; --n) {
      const size_t at = rng.OneIn(2) ? rng.Below(payload.size()) : rng.Below(200) % payload.size();
      bad[at] = static_cast<char>(rng.OneIn(3) ? 0xff : rng.Next());
    }
    RefPtr<Block> block = Decode(bad, &reason);
    if (reason != nullptr) continue;
    size_t bytes = 0;
    for (uint32_t i = 0; i < block->entries(); ++i) {
      bytes += std::string(block->key(i)).size() + std::string(block->value(i)).size();
      block->tag(i);
    }
    assert_true(bytes <= bad.size());
    const Version& v = versions[rng.Below(versions.size())];
    block->LowerBound(v.key, v.tag);
    block->Find(v.key, HashKey(v.key), v.tag);
  }
}

void block__refuses_entries_that_cannot_be(void**) {
  const char* reason;
  std::string payload;
  Make({{"k", MakeTag(1, EntryKind::kPut), "value"}}, &payload);
  payload[8] = 9;  // the kind
  Decode(payload, &reason);
  assert_string_equal(reason, "data block with an unknown kind of entry");
  payload[8] = static_cast<char>(EntryKind::kDelete);
  Decode(payload, &reason);
  assert_string_equal(reason, "data block with a tombstone that has a value");
  payload[8] = static_cast<char>(EntryKind::kPutTtl);
  Decode(payload, &reason);
  assert_string_equal(reason, "data block with an entry without its expiry");
}

void block__hash_match_agrees_with_the_portable_form(void**) {
  Rng rng(Seed("block__hash_match_agrees_with_the_portable_form"));
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes = rng.Bytes(16, 0, round % 2 == 0 ? 3 : 256);
    const uint8_t hash = static_cast<uint8_t>(round % 2 == 0 ? rng.Below(3) : rng.Next());
    uint32_t want = 0;
    for (int i = 0; i < 16; ++i) want |= (static_cast<uint8_t>(bytes[i]) == hash ? 1u : 0) << i;
    assert_int_equal(MatchHash16(bytes.data(), hash), want);
    assert_int_equal(MatchHash16Portable(bytes.data(), hash), want);
  }
}

void block__neighbour_match_agrees_with_the_portable_form(void**) {
  Rng rng(Seed("block__neighbour_match_agrees_with_the_portable_form"));
  for (int round = 0; round < 20000; ++round) {
    const std::string a = rng.Bytes(16, 0, round % 2 == 0 ? 3 : 256);
    const std::string b = rng.Bytes(16, 0, round % 2 == 0 ? 3 : 256);
    uint32_t want = 0;
    for (size_t i = 0; i < 16; ++i) want |= (a[i] == b[i] ? 1u : 0) << i;
    assert_int_equal(MatchBytes16(a.data(), b.data()), want);
    assert_int_equal(MatchBytes16Portable(a.data(), b.data()), want);
  }
}

// Every stretch of a block, both ways: a bit stands where two neighbours have one key, and hardly
// anywhere else.
void block__entries_say_which_may_repeat_a_key(void**) {
  Rng rng(Seed("block__entries_say_which_may_repeat_a_key"));
  std::vector<Version> versions;
  for (int key = 100; key < 230; ++key) {
    for (uint64_t seq = rng.OneIn(4) ? 3 : 1; seq > 0; --seq) {
      versions.push_back({"key" + std::to_string(key), MakeTag(seq, EntryKind::kPut), "v"});
    }
  }
  RefPtr<Block> block = Make(versions);
  const auto count = static_cast<uint32_t>(versions.size());
  uint64_t told = 0, distinct = 0;
  InternalEntry out[64];
  for (uint32_t first = 0; first < count; ++first) {
    for (const int step : {1, -1}) {
      const size_t left = step > 0 ? count - first : first + 1;
      for (size_t n = 1; n <= std::min<size_t>(left, 64); ++n) {
        const uint64_t repeats = block->Entries(first, step, n, out);
        assert_true(n == 64 || repeats >> n == 0);
        for (size_t k = 1; k < n; ++k) {
          const Version& v = versions[step > 0 ? first + k : first - k];
          ASSERT_SLICE(out[k].key, v.key);
          const bool bit = (repeats >> k & 1) != 0;
          if (out[k].key == out[k - 1].key) {
            assert_true(bit);
          } else {
            ++distinct;
            if (bit) ++told;
          }
        }
      }
    }
  }
  assert_true(told * 20 < distinct);
}

void block__view_keeps_its_bytes_alive(void**) {
  class Bytes : public BlockBytes {
   public:
    explicit Bytes(bool* gone) : gone_(gone) {}
    ~Bytes() override { *gone_ = true; }
    std::string bytes;

   private:
    bool* gone_;
  };
  bool gone = false;
  Bytes* owner = new Bytes(&gone);
  const std::vector<Version> one = {{"key", MakeTag(1, EntryKind::kPut), "value"}};
  Make(one, &owner->bytes);
  const size_t n = owner->bytes.size();
  owner->bytes.append(kBlockPadding, 0);
  RefPtr<Block> view = RefPtr<Block>::Adopt(Block::NewView(owner->bytes.data(), n, owner));
  assert_null(view->Init());
  owner->Unref();
  assert_false(gone);
  CheckSame(*view, one);
  view = RefPtr<Block>();
  assert_true(gone);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(block__gives_back_what_was_built),
      cmocka_unit_test(block__holds_one_entry_of_any_shape),
      cmocka_unit_test(block__holds_many_versions_of_one_key),
      cmocka_unit_test(block__omits_what_all_entries_share),
      cmocka_unit_test(block__refuses_bytes_that_are_none),
      cmocka_unit_test(block__refuses_entries_that_cannot_be),
      cmocka_unit_test(block__hash_match_agrees_with_the_portable_form),
      cmocka_unit_test(block__neighbour_match_agrees_with_the_portable_form),
      cmocka_unit_test(block__entries_say_which_may_repeat_a_key),
      cmocka_unit_test(block__view_keeps_its_bytes_alive),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
