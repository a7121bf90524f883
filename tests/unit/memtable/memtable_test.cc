// Memtable against std::map: versions, iterators both ways, keyspaces, keys and values of every
// size.
#include "memtable/memtable.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "iter/range_tombstones.h"
#include "tests/support/run_check.h"
#include "tests/support/unit_test.h"
#include "tests/support/vector_iterator.h"
#include "util/coding.h"
#include "util/ref.h"

namespace kist {
namespace {

using test::Rng;
using test::Seed;

RefPtr<Memtable> NewMemtable(size_t bytes = size_t{1} << 20, bool preallocate = false) {
  auto made = Memtable::New(bytes, preallocate);
  ASSERT_OK(made);
  return RefPtr<Memtable>::Adopt(*made);
}

void Put(Memtable* m, uint32_t keyspace, Slice key, Sequence seq, Slice value,
         EntryKind kind = EntryKind::kPut) {
  ASSERT_OK(m->Reserve(1, key.size() + value.size()));
  if (seq % 2 == 0) m->Expect(keyspace, key, seq);
  m->Add(keyspace, key, MakeTag(seq, kind), value);
}

// Entries as a memtable should hold them: by key, newest first.
struct ModelLess {
  bool operator()(const std::pair<std::string, Sequence>& a,
                  const std::pair<std::string, Sequence>& b) const {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  }
};
using Model =
    std::map<std::pair<std::string, Sequence>, std::pair<uint64_t, std::string>, ModelLess>;

void CheckAt(const InternalIterator& it, const Model& model, Model::const_iterator at) {
  assert_true(it.status().ok());
  assert_int_equal(it.valid(), at != model.end());
  if (at == model.end()) return;
  ASSERT_SLICE(it.key(), at->first.first);
  assert_int_equal(it.tag(), at->second.first);
  ASSERT_SLICE(it.value(), at->second.second);
}

Model::const_iterator LastBefore(const Model& model, Model::const_iterator at) {
  return at == model.begin() ? model.end() : std::prev(at);
}

// Keys of several families, so that words, common prefixes and lengths meet in one tree.
std::string SomeKey(Rng* rng, int style) {
  switch (style) {
    case 0:
      return rng->Bytes(rng->Below(4), 0, 2);  // very short, of 0x00 and 0x01
    case 1: {
      char key[32];
      std::snprintf(key, sizeof key, "user%012d", static_cast<int>(rng->Below(3000)));
      return key;
    }
    case 2:
      return rng->Bytes(16);
    case 3:
      return std::string(rng->Below(20), '\xff') + rng->Bytes(rng->Below(2), 0xfe, 2);
    case 4:
      return std::string(40, 'p') + rng->Bytes(rng->Below(12), 'a', 3);
    default:
      return std::string("a\0b", 3) + std::string(rng->Below(12), '\0');
  }
}

void CheckAll(const Memtable& m, uint32_t keyspace, const Model& model) {
  const auto it = m.NewIterator(keyspace);
  assert_int_equal(it != nullptr, !model.empty());
  if (it == nullptr) return;
  it->SeekToFirst();
  for (auto at = model.begin(); at != model.end(); ++at, it->Next()) CheckAt(*it, model, at);
  assert_false(it->valid());
  it->SeekToLast();
  for (auto at = model.rbegin(); at != model.rend(); ++at, it->Prev()) {
    CheckAt(*it, model, std::prev(at.base()));
  }
  assert_false(it->valid());
}

// Any number of keys, some twice: the answers are those of single gets.
void CheckManyGets(const Memtable& m, uint32_t keyspace, Rng* rng, int style, Sequence last) {
  std::vector<std::string> keys(rng->Below(50));
  for (std::string& key : keys) key = SomeKey(rng, style);
  if (rng->OneIn(2)) std::sort(keys.begin(), keys.end());
  const std::vector<Slice> slices(keys.begin(), keys.end());
  const Sequence seq = rng->OneIn(3) ? kMaxSequence : rng->Below(last + 2);
  std::vector<Memtable::Found> found(keys.size());
  m.GetMany(keyspace, slices.data(), slices.size(), seq, found.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    Memtable::Found one;
    const bool there = m.Get(keyspace, keys[i], seq, &one);
    assert_int_equal(found[i].tag, there ? one.tag : 0);
    if (there) assert_ptr_equal(found[i].value.data(), one.value.data());
    if (there) assert_int_equal(found[i].value.size(), one.value.size());
  }
}

void CheckGets(const Memtable& m, uint32_t keyspace, const Model& model, Rng* rng, int style,
               Sequence last) {
  for (int i = 0; i < 200; ++i) {
    const std::string key = SomeKey(rng, style);
    const Sequence seq = rng->OneIn(3) ? kMaxSequence : rng->Below(last + 2);
    const auto at = model.lower_bound({key, seq});
    const bool want = at != model.end() && at->first.first == key;
    Memtable::Found found;
    assert_int_equal(m.Get(keyspace, key, seq, &found), want);
    if (want) {
      assert_int_equal(found.tag, at->second.first);
      ASSERT_SLICE(found.value, at->second.second);
    }
    const auto newest = model.lower_bound({key, kMaxSequence});
    const bool any = newest != model.end() && newest->first.first == key;
    assert_int_equal(m.LatestSequence(keyspace, key), any ? newest->first.second : 0);
    if (i % 40 == 0) CheckManyGets(m, keyspace, rng, style, last);
  }
}

// A random walk of one iterator, which stays in use while entries are added.
void Walk(InternalIterator* it, const Model& model, Rng* rng, int style, Sequence last) {
  auto at = model.end();
  bool forward = true;
  if (it->valid()) it->Next();
  if (it->valid()) at = model.find({std::string(it->key()), TagSequence(it->tag())});
  for (int i = 0; i < 50; ++i) {
    const std::string key = SomeKey(rng, style);
    const Sequence seq = rng->Below(last + 2);
    const uint64_t low_byte = rng->OneIn(2) ? 0xff : 0;
    // What has a kind of 0 stands behind the entry of its sequence.
    auto place = model.lower_bound({key, seq});
    if (low_byte == 0 && place != model.end() && place->first.first == key &&
        place->first.second == seq) {
      ++place;
    }
    const uint64_t what = rng->Below(at == model.end() ? 4 : 15);
    if (what < 12) forward = what == 0 || what == 2 || (what > 3 && what < 8);
    switch (what) {
      case 0:
        it->SeekToFirst();
        at = model.begin();
        break;
      case 1:
        it->SeekToLast();
        at = LastBefore(model, model.end());
        break;
      case 2:
        it->Seek(key, seq << 8 | low_byte);
        at = place;
        break;
      case 3:
        it->SeekBefore(key, seq << 8 | low_byte);
        at = LastBefore(model, place);
        break;
      case 4:
      case 5:
      case 6:
      case 7:
        it->Next();
        ++at;
        break;
      case 12:
      case 13:
      case 14: {
        const auto expect = [&](size_t n) {
          const auto found = std::next(at, forward ? static_cast<int>(n) : -static_cast<int>(n));
          return test::Entry{found->first.first, found->second.first, found->second.second};
        };
        const auto distance =
            forward ? std::distance(at, model.end()) : std::distance(model.begin(), at) + 1;
        const size_t n =
            test::CheckRun(it, forward, key, static_cast<size_t>(distance), rng, expect);
        at = std::next(at, (forward ? 1 : -1) * static_cast<int>(n - 1));
        break;
      }
      default:
        it->Prev();
        at = LastBefore(model, at);
        break;
    }
    CheckAt(*it, model, at);
  }
}

void memtable__agrees_with_a_map(void**) {
  Rng rng(Seed(__func__));
  for (int style = 0; style < 6; ++style) {
    const auto m = NewMemtable();
    Model model;
    std::unique_ptr<InternalIterator> kept;
    Sequence seq = 0;
    for (int round = 0; round < 60; ++round) {
      for (int i = 0; i < 100; ++i) {
        if (!rng.OneIn(4)) ++seq;
        const std::string key =
            SomeKey(&rng, rng.OneIn(20) ? static_cast<int>(rng.Below(6)) : style);
        const EntryKind kind = rng.OneIn(5) ? EntryKind::kDelete : EntryKind::kPut;
        const std::string value = kind == EntryKind::kPut ? rng.Bytes(rng.Below(40)) : "";
        Put(m.get(), 0, key, seq, value, kind);
        model[{key, seq}] = {MakeTag(seq, kind), value};
      }
      assert_int_equal(m->entries(), model.size());
      CheckGets(*m, 0, model, &rng, style, seq);
      if (kept == nullptr) kept = m->NewIterator(0);
      Walk(kept.get(), model, &rng, style, seq);
    }
    CheckAll(*m, 0, model);
  }
}

void memtable__many_versions_of_one_key(void**) {
  const auto m = NewMemtable();
  Model model;
  for (Sequence seq = 1; seq <= 5000; ++seq) {
    for (const char* key : {"before", "hot", "hotter"}) {
      if (key[0] == 'b' && seq % 100 != 0) continue;
      const std::string value = key + std::to_string(seq);
      Put(m.get(), 0, key, seq, value);
      model[{key, seq}] = {MakeTag(seq, EntryKind::kPut), value};
    }
  }
  CheckAll(*m, 0, model);
  for (Sequence seq = 0; seq <= 5001; ++seq) {
    Memtable::Found found;
    const bool got = m->Get(0, "hot", seq, &found);
    assert_int_equal(got, seq > 0);
    if (got) assert_int_equal(TagSequence(found.tag), std::min<Sequence>(seq, 5000));
  }
}

void memtable__the_last_of_equal_sequence_wins(void**) {
  const auto m = NewMemtable();
  for (int i = 0; i < 300; ++i) Put(m.get(), 0, std::to_string(i), 7, "first");
  for (int i = 0; i < 300; ++i) Put(m.get(), 0, std::to_string(i), 7, "", EntryKind::kDelete);
  for (int i = 0; i < 300; ++i) Put(m.get(), 0, std::to_string(i), 7, "last");
  assert_int_equal(m->entries(), 300);
  int n = 0;
  const auto it = m->NewIterator(0);
  for (it->SeekToFirst(); it->valid(); it->Next(), ++n) ASSERT_SLICE(it->value(), "last");
  assert_int_equal(n, 300);
}

void memtable__orders_runs_up_down_and_between(void**) {
  // Ascending, descending, and two ascending runs among other keys.
  for (int kind = 0; kind < 3; ++kind) {
    const auto m = NewMemtable();
    Model model;
    Sequence seq = 0;
    for (int i = 0; i < 20000; ++i) {
      char key[32];
      const int number = kind == 1 ? 20000 - i : i;
      std::snprintf(key, sizeof key, "%s%09d", kind == 2 && i % 2 == 0 ? "lane/a/" : "lane/b/",
                    number);
      Put(m.get(), 0, key, ++seq, "v");
      model[{key, seq}] = {MakeTag(seq, EntryKind::kPut), "v"};
    }
    CheckAll(*m, 0, model);
    // Runs leave full leaves behind: 16 bytes of slots per entry, and not twice that.
    assert_true(m->used_bytes() < 20000 * (14 + 16 + 1 + 24));
  }
}

void memtable__holds_the_longest_keys_and_large_values(void**) {
  const auto m = NewMemtable();
  Model model;
  Rng rng(Seed(__func__));
  Sequence seq = 0;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{255},
                            size_t{65534}, size_t{65535}}) {
    for (int i = 0; i < 40; ++i) {
      std::string key(size, 'k');
      if (size > 0) key[size - 1 - rng.Below(std::min<size_t>(size, 12))] = static_cast<char>(i);
      const std::string value = rng.Bytes(rng.Below(300));
      Put(m.get(), 0, key, ++seq, value);
      model[{key, seq}] = {MakeTag(seq, EntryKind::kPut), value};
    }
  }
  for (const size_t size : {size_t{1} << 20, size_t{5} << 20, size_t{33} << 20}) {
    const std::string value(size, 'x');
    const size_t used = m->used_bytes();
    Put(m.get(), 0, "large", ++seq, value);
    assert_true(m->used_bytes() >= used + size);
    assert_true(m->memory_bytes() >= m->used_bytes());
    model[{"large", seq}] = {MakeTag(seq, EntryKind::kPut), value};
  }
  CheckAll(*m, 0, model);
  assert_true(m->memory_bytes() < size_t{39 + 2 + 22} << 20);
}

void memtable__keyspaces_are_apart(void**) {
  const auto m = NewMemtable();
  assert_true(m->empty());
  assert_true(m->Keyspaces().empty());
  std::map<uint32_t, Model> models;
  Rng rng(Seed(__func__));
  Sequence seq = 0;
  std::vector<uint32_t> ids = {0, 1, 2, 0xffffffff};
  for (int i = 0; i < 1000; ++i) ids.push_back(static_cast<uint32_t>(rng.Next()));
  for (int i = 0; i < 8000; ++i) {
    const uint32_t id = i < 1004 ? ids[static_cast<size_t>(i)] : ids[rng.Below(ids.size())];
    const std::string key = std::to_string(rng.Below(30));
    Put(m.get(), id, key, ++seq, std::to_string(id));
    models[id][{key, seq}] = {MakeTag(seq, EntryKind::kPut), std::to_string(id)};
  }
  std::vector<uint32_t> want;
  for (const auto& [id, model] : models) {
    want.push_back(id);
    CheckAll(*m, id, model);
  }
  assert_true(m->Keyspaces() == want);
  assert_null(m->NewIterator(12345).get());
  Memtable::Found found;
  assert_false(m->Get(12345, "1", kMaxSequence, &found));
}

void memtable__a_keyspace_costs_little(void**) {
  const auto m = NewMemtable();
  for (uint32_t id = 0; id < 1000; ++id) Put(m.get(), id, "key", id + 1, "value");
  assert_true(m->used_bytes() < 1000 * 700);
}

void memtable__stores_expiries_in_front_of_values(void**) {
  const auto m = NewMemtable();
  ASSERT_OK(m->Reserve(2, 10));
  m->AddTtl(0, "k", 5, -1234567890123, "value");
  m->AddTtl(0, "e", 6, 99, "");
  Memtable::Found found;
  assert_true(m->Get(0, "k", 5, &found));
  assert_int_equal(found.tag, MakeTag(5, EntryKind::kPutTtl));
  assert_int_equal(static_cast<int64_t>(Load64(found.value.data())), -1234567890123);
  ASSERT_SLICE(found.value.substr(8), "value");
  assert_true(m->Get(0, "e", 6, &found));
  assert_int_equal(found.value.size(), 8);
}

void memtable__range_tombstones_answer_for_keys(void**) {
  const auto m = NewMemtable();
  assert_int_equal(m->MaxCovering(0, "k", kMaxSequence), 0);
  assert_null(m->RangeTombstones(0).get());
  ASSERT_OK(m->Reserve(3, 20, 2));
  m->AddRangeTombstone(0, "b", "d", 3);
  m->AddRangeTombstone(0, "c", "", 5);
  m->AddRangeTombstone(9, "a", "z", 7);
  Put(m.get(), 0, "c", 4, "v");
  assert_int_equal(m->MaxCovering(0, "a", 9), 0);
  assert_int_equal(m->MaxCovering(0, "b", 9), 3);
  assert_int_equal(m->MaxCovering(0, "b", 2), 0);
  assert_int_equal(m->MaxCovering(0, "c", 9), 5);
  assert_int_equal(m->MaxCovering(0, "c", 4), 3);
  assert_int_equal(m->MaxCovering(0, "\xff", 9), 5);
  assert_int_equal(m->MaxCovering(9, "c", 9), 7);
  assert_int_equal(m->LatestSequence(0, "c"), 5);
  assert_int_equal(m->LatestSequence(0, "bb"), 3);
  assert_null(m->NewIterator(9).get());
  assert_true((m->Keyspaces() == std::vector<uint32_t>{0, 9}));
  const auto set = m->RangeTombstones(0);
  assert_non_null(set.get());
  assert_int_equal(set->MaxCovering("c", 4), 3);
  assert_true(m->RangeTombstones(0) == set);
  ASSERT_OK(m->Reserve(1, 2));
  m->AddRangeTombstone(0, "a", "b", 8);
  assert_int_equal(m->RangeTombstones(0)->MaxCovering("a", 9), 8);
  assert_int_equal(set->MaxCovering("a", 9), 0);
}

void memtable__an_only_range_tombstone_makes_it_not_empty(void**) {
  const auto m = NewMemtable();
  ASSERT_OK(m->Reserve(1, 2));
  m->AddRangeTombstone(4, "a", "b", 1);
  assert_false(m->empty());
  assert_int_equal(m->entries(), 0);
}

void memtable__preallocates_what_it_was_asked_for(void**) {
  const size_t bytes = size_t{8} << 20;
  const auto m = NewMemtable(bytes, true);
  Sequence seq = 1;
  Put(m.get(), 0, "0", seq, "value");
  const size_t reserved = m->memory_bytes();
  assert_true(reserved >= bytes && reserved < bytes + 4096);
  while (m->used_bytes() < bytes / 4 * 3) {
    ++seq;
    Put(m.get(), 0, std::to_string(seq), seq, "value");
  }
  assert_int_equal(m->memory_bytes(), reserved);
}

// Beyond a few keys a filter answers for most absent ones. It must deny none that is there: not of
// those that came before it, nor of any keyspace, nor with an expiry, nor what was replaced.
void memtable__finds_every_key_whatever_its_filter_denies(void**) {
  for (const size_t arena : {size_t{64} << 10, size_t{512} << 10, size_t{3} << 20}) {
    const auto m = NewMemtable(arena);
    const std::string value(40, 'v');
    Sequence seq = 0;
    while (m->used_bytes() < arena) {
      const std::string key = std::to_string(++seq * 2654435761);
      ASSERT_OK(m->Reserve(1, key.size() + value.size() + 8));
      if (seq % 3 == 0) {
        m->AddTtl(static_cast<uint32_t>(seq % 2), key, seq, 1000, value);
      } else {
        m->Add(static_cast<uint32_t>(seq % 2), key, MakeTag(seq, EntryKind::kPut), value);
      }
      if (seq % 97 != 0) continue;
      for (Sequence s = 1; s <= seq; s += 1 + s % 7) {
        const std::string wanted = std::to_string(s * 2654435761);
        const Slice keys[] = {wanted, "absent", wanted};
        Memtable::Found found[4];
        const auto keyspace = static_cast<uint32_t>(s % 2);
        assert_true(m->Get(keyspace, wanted, kMaxSequence, &found[3]));
        assert_int_equal(TagSequence(found[3].tag), s);
        m->GetMany(keyspace, keys, 3, kMaxSequence, found);
        assert_int_equal(TagSequence(found[0].tag), s);
        assert_int_equal(found[1].tag, 0);
        assert_int_equal(TagSequence(found[2].tag), s);
        assert_int_equal(m->LatestSequence(keyspace, wanted), s);
        assert_false(m->Get(1 - keyspace, wanted, kMaxSequence, &found[3]));
      }
    }
  }
}

void memtable__takes_little_memory_while_it_holds_little(void**) {
  const auto m = NewMemtable(size_t{1} << 30);
  Put(m.get(), 0, "k", 1, "v");
  assert_true(m->memory_bytes() < 100 << 10);
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const CMUnitTest tests[] = {
      cmocka_unit_test(memtable__agrees_with_a_map),
      cmocka_unit_test(memtable__many_versions_of_one_key),
      cmocka_unit_test(memtable__the_last_of_equal_sequence_wins),
      cmocka_unit_test(memtable__orders_runs_up_down_and_between),
      cmocka_unit_test(memtable__holds_the_longest_keys_and_large_values),
      cmocka_unit_test(memtable__keyspaces_are_apart),
      cmocka_unit_test(memtable__a_keyspace_costs_little),
      cmocka_unit_test(memtable__stores_expiries_in_front_of_values),
      cmocka_unit_test(memtable__range_tombstones_answer_for_keys),
      cmocka_unit_test(memtable__an_only_range_tombstone_makes_it_not_empty),
      cmocka_unit_test(memtable__preallocates_what_it_was_asked_for),
      cmocka_unit_test(memtable__finds_every_key_whatever_its_filter_denies),
      cmocka_unit_test(memtable__takes_little_memory_while_it_holds_little),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
