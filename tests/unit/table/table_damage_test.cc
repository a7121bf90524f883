// Damage to table files: whatever is changed, Verify finds it, and no read returns bytes that were
// not written.
#include <cstring>

#include "table/format.h"
#include "table/table.h"
#include "table_testing.h"
#include "util/crc32c.h"

using namespace kist;
using namespace kist::test;

namespace {

struct Fixture {
  std::unique_ptr<Vfs> vfs = NewMemoryVfs();
  std::vector<Version> versions;
  std::string bytes;
};

void MakeFixture(Rng* rng, Compression compression, size_t keys, Fixture* f) {
  Shape shape;
  shape.keys = keys;
  shape.value_bytes_max = 30;
  f->versions = RandomVersions(rng, shape);
  Build(f->vfs.get(), "/t", OptionsOf(256, compression), f->versions,
        {{"b", "c", 17}, {"d", "", 4}});
  f->bytes = ReadAll(f->vfs.get(), "/t");
}

// Reads everything; every entry that comes out must be one that went in.
void CheckNoWrongBytes(Fixture* f, Table* table, bool* failed) {
  auto it = table->NewIterator(ReadContext());
  size_t at = 0;
  for (it->SeekToFirst(); it->valid(); it->Next(), ++at) {
    assert_true(at < f->versions.size());
    assert_true(it->key() == f->versions[at].key && it->tag() == f->versions[at].tag &&
                it->value() == f->versions[at].value);
  }
  if (!it->status().ok()) {
    assert_true(it->status().Is(Code::kCorrupt));
    *failed = true;
  } else {
    assert_int_equal(at, f->versions.size());
  }
  Epoch epoch;
  for (const Version& v : f->versions) {
    Epoch::Guard guard(epoch);
    TableFound found;
    const Status status =
        table->Get(v.key, HashKey(v.key), TagSequence(v.tag), ReadContext(), &found);
    if (!status.ok()) {
      assert_true(status.Is(Code::kCorrupt));
      assert_true(status.message().find("/t") != std::string::npos);
      *failed = true;
      continue;
    }
    const Version* want = ModelGet(f->versions, v.key, TagSequence(v.tag));
    assert_true(found.found && found.value == want->value && found.tag == want->tag);
  }
}

// The damage must be found by Open or by Verify.
void CheckFound(Fixture* f, const std::string& bad, bool reads) {
  WriteAll(f->vfs.get(), "/t", bad);
  auto table = TryOpen(f->vfs.get(), "/t", nullptr, f->bytes.size());
  if (!table.ok()) {
    assert_true(table.status().Is(Code::kCorrupt));
    assert_true(table.status().message().find("/t") != std::string::npos);
    return;
  }
  const Status verified = VerifyTable(table->get());
  assert_true(verified.Is(Code::kCorrupt));
  bool failed = false;
  if (reads) CheckNoWrongBytes(f, table->get(), &failed);
}

void table_damage__every_flipped_byte_is_found(void**) {
  Rng rng(Seed("table_damage__every_flipped_byte_is_found"));
  for (Compression c : {Compression::kNone, Compression::kSnappy}) {
    Fixture f;
    MakeFixture(&rng, c, 60, &f);
    for (size_t at = 0; at < f.bytes.size(); ++at) {
      std::string bad = f.bytes;
      bad[at] = static_cast<char>(bad[at] ^ (1 << rng.Below(8)));
      CheckFound(&f, bad, rng.OneIn(4));
      bad[at] = static_cast<char>(f.bytes[at] ^ 0xff);
      CheckFound(&f, bad, false);
      if (f.bytes[at] == 0) continue;
      bad[at] = 0;
      CheckFound(&f, bad, false);
    }
  }
}

void table_damage__zeroed_stretches_are_found(void**) {
  Rng rng(Seed("table_damage__zeroed_stretches_are_found"));
  Fixture f;
  MakeFixture(&rng, Compression::kNone, 300, &f);
  for (int round = 0; round < 300; ++round) {
    std::string bad = f.bytes;
    const size_t n = 1 + rng.Below(600);
    const size_t at = rng.Below(bad.size());
    for (size_t i = at; i < bad.size() && i < at + n; ++i) bad[i] = 0;
    if (bad == f.bytes) continue;
    CheckFound(&f, bad, true);
  }
  CheckFound(&f, std::string(f.bytes.size(), 0), false);
}

void table_damage__wrong_sizes_are_named(void**) {
  Rng rng(Seed("table_damage__wrong_sizes_are_named"));
  Fixture f;
  MakeFixture(&rng, Compression::kAdaptive, 60, &f);
  for (uint64_t known : {uint64_t{0}, static_cast<uint64_t>(f.bytes.size())}) {
    for (size_t n = 0; n < f.bytes.size(); ++n) {
      WriteAll(f.vfs.get(), "/t", Slice(f.bytes.data(), n));
      const auto table = TryOpen(f.vfs.get(), "/t", nullptr, known);
      ASSERT_CODE(table, Code::kCorrupt);
      if (n == 0) assert_non_null(strstr(table.status().message().c_str(), "empty"));
    }
    for (size_t n : {1, 7, 104, 4096}) {
      WriteAll(f.vfs.get(), "/t", f.bytes + rng.Bytes(n));
      ASSERT_CODE(TryOpen(f.vfs.get(), "/t", nullptr, known), Code::kCorrupt);
      WriteAll(f.vfs.get(), "/t", f.bytes + std::string(n, 0));
      ASSERT_CODE(TryOpen(f.vfs.get(), "/t", nullptr, known), Code::kCorrupt);
      WriteAll(f.vfs.get(), "/t", f.bytes + f.bytes.substr(f.bytes.size() - 104));
      ASSERT_CODE(TryOpen(f.vfs.get(), "/t", nullptr, known), Code::kCorrupt);
    }
  }
}

void table_damage__swapped_blocks_are_found(void**) {
  Rng rng(Seed("table_damage__swapped_blocks_are_found"));
  // Fixed sizes, so that all blocks but the last have the same length.
  Fixture f;
  for (int i = 100; i < 200; ++i) {
    f.versions.push_back({"key" + std::to_string(i), MakeTag(0, EntryKind::kPut), "0123456789"});
  }
  const TableProperties p =
      Build(f.vfs.get(), "/t", OptionsOf(256, Compression::kNone), f.versions);
  f.bytes = ReadAll(f.vfs.get(), "/t");
  const size_t block = kBlockHeaderBytes + DecodeBlockHeader(f.bytes.data()).payload_bytes;
  for (size_t a = 0; a + 1 < p.data_blocks; ++a) {
    for (size_t b = a + 1; b + 1 < p.data_blocks; ++b) {
      std::string bad = f.bytes;
      bad.replace(a * block, block, f.bytes, b * block, block);
      CheckFound(&f, bad, true);
      bad.replace(b * block, block, f.bytes, a * block, block);
      CheckFound(&f, bad, true);
    }
  }
}

void table_damage__blocks_of_other_tables_are_found(void**) {
  Fixture f;
  for (int i = 100; i < 200; ++i) {
    f.versions.push_back({"key" + std::to_string(i), MakeTag(0, EntryKind::kPut), "0123456789"});
  }
  Build(f.vfs.get(), "/t", OptionsOf(256, Compression::kNone), f.versions);
  f.bytes = ReadAll(f.vfs.get(), "/t");
  TableOptions other_table = OptionsOf(256, Compression::kNone);
  other_table.table_id = 13;
  TableOptions other_database = OptionsOf(256, Compression::kNone);
  other_database.database_id ^= 1;
  for (const TableOptions& options : {other_table, other_database}) {
    Build(f.vfs.get(), "/other", options, f.versions);
    const std::string other = ReadAll(f.vfs.get(), "/other");
    assert_int_equal(other.size(), f.bytes.size());
    const size_t block = kBlockHeaderBytes + DecodeBlockHeader(other.data()).payload_bytes;
    CheckFound(&f, other, false);  // the whole file
    std::string bad = f.bytes;
    bad.replace(block, block, other, block, block);
    CheckFound(&f, bad, true);
  }
}

void table_damage__newer_version_is_too_new(void**) {
  Rng rng(Seed("table_damage__newer_version_is_too_new"));
  Fixture f;
  MakeFixture(&rng, Compression::kNone, 20, &f);
  std::string newer = f.bytes;
  char* tail = newer.data() + newer.size() - kFooterTailBytes;
  tail[8] = 2;
  WriteAll(f.vfs.get(), "/t", newer);
  // Its checksum does not hold: that is damage.
  ASSERT_CODE(TryOpen(f.vfs.get(), "/t"), Code::kCorrupt);
  const char* footer = newer.data() + newer.size() - kFooterBytes;
  const uint32_t crc =
      crc32c::Extend(crc32c::Value(footer, kFooterBytes - 20), tail + 8, kFooterTailBytes - 8);
  Store32(tail + 4, crc);
  WriteAll(f.vfs.get(), "/t", newer);
  ASSERT_CODE(TryOpen(f.vfs.get(), "/t"), Code::kTooNew);
}

// A crash of a read is an error of that read; the next seek may work.
void table_damage__iterator_errors_stick_until_a_seek(void**) {
  Rng rng(Seed("table_damage__iterator_errors_stick_until_a_seek"));
  for (size_t readahead : {0, 100000}) {
    Fixture f;
    MakeFixture(&rng, Compression::kNone, 300, &f);
    const size_t first = kBlockHeaderBytes + DecodeBlockHeader(f.bytes.data()).payload_bytes;
    std::string bad = f.bytes;
    bad[first + 20] ^= 1;  // in the second block
    WriteAll(f.vfs.get(), "/t", bad);
    RefPtr<Table> table = OpenTable(f.vfs.get(), "/t");
    ReadContext context;
    context.readahead_bytes = readahead;
    auto it = table->NewIterator(context);
    size_t n = 0;
    for (it->SeekToFirst(); it->valid(); it->Next()) ++n;
    assert_true(n > 0 && n < f.versions.size());
    ASSERT_CODE(it->status(), Code::kCorrupt);
    ASSERT_CODE(it->status(), Code::kCorrupt);
    it->SeekToLast();
    assert_true(it->valid());
    ASSERT_OK(it->status());
    while (it->valid()) it->Prev();
    ASSERT_CODE(it->status(), Code::kCorrupt);
    it->Seek(f.versions[0].key, kMaxTag);
    assert_true(it->valid());
  }
}

size_t CountIn(const std::vector<Version>& all, const std::vector<Version>& some) {
  size_t n = 0;
  for (const Version& v : some) {
    const auto it = std::lower_bound(all.begin(), all.end(), v, Before);
    assert_true(it != all.end() && it->key == v.key && it->tag == v.tag && it->value == v.value);
    ++n;
  }
  return n;
}

void table_damage__salvage_skips_bad_blocks_only(void**) {
  Rng rng(Seed("table_damage__salvage_skips_bad_blocks_only"));
  for (int round = 0; round < 60; ++round) {
    Fixture f;
    MakeFixture(&rng, static_cast<Compression>(rng.Below(3)), 200, &f);
    std::string bad = f.bytes;
    const bool with_footer = rng.OneIn(2);
    const size_t data_end = Load64(f.bytes.data() + f.bytes.size() - kFooterBytes + 24);
    if (!with_footer) {
      for (size_t i = data_end + rng.Below(200); i < bad.size(); ++i) {
        bad[i] = static_cast<char>(rng.Next());
      }
    }
    const uint64_t damages = rng.Below(4);
    for (uint64_t i = 0; i < damages; ++i) bad[rng.Below(data_end)] ^= 0x10;
    WriteAll(f.vfs.get(), "/t", bad);
    std::vector<Version> found;
    size_t told = 0;
    size_t tombstones = 0;
    const auto entry = [&](Slice key, uint64_t tag, Slice value) {
      found.push_back({std::string(key), tag, std::string(value)});
      return Status();
    };
    const auto damage = [&](uint64_t, const std::string&) { ++told; };
    auto table = TryOpen(f.vfs.get(), "/t");
    if (table.ok() && rng.OneIn(2)) {
      ASSERT_OK((*table)->Salvage(entry, damage));
      tombstones = 2;
    } else {
      auto file = f.vfs->Open("/t", OpenMode::kRead);
      ASSERT_OK(file);
      Table::Salvaging to;
      to.entry = entry;
      to.tombstone = [&](const RangeTombstone&) { return ++tombstones, Status(); };
      to.damage = damage;
      const uint64_t table_id = with_footer && rng.OneIn(2) ? 0 : 12;
      const uint64_t database_id = table_id == 0 ? 0 : 0x1122334455667788;
      ASSERT_OK(Table::SalvageFile(file->get(), "/t", table_id, database_id, to));
    }
    const size_t good = CountIn(f.versions, found);
    assert_int_equal(good, found.size());
    if (damages == 0) assert_int_equal(good, f.versions.size());
    if (damages != 0) assert_true(told > 0 || good == f.versions.size());
    assert_true(good + damages * 60 >= f.versions.size());
    if (with_footer) assert_int_equal(tombstones, 2);
  }
}

// Twenty MiB of nothing that a table has: each stretch read is told of, once, and may be the last.
void table_damage__salvage_of_garbage_can_be_stopped(void**) {
  const std::string garbage(size_t{20} << 20, 'x');
  auto vfs = NewMemoryVfs();
  WriteAll(vfs.get(), "/t", garbage);
  auto file = vfs->Open("/t", OpenMode::kRead);
  ASSERT_OK(file);
  size_t stop = 0, calls = 0;
  uint64_t told = 0;
  Table::Salvaging to;
  to.entry = [](Slice, uint64_t, Slice) { return Status::Bare(Code::kCorrupt); };
  to.tombstone = [](const RangeTombstone&) { return Status::Bare(Code::kCorrupt); };
  to.damage = [](uint64_t, const std::string&) {};
  to.progress = [&](uint64_t bytes) {
    told += bytes;
    return ++calls == stop ? Status::Bare(Code::kCancelled) : Status();
  };
  ASSERT_OK(Table::SalvageFile(file->get(), "/t", 12, 13, to));
  assert_true(calls >= 5);
  assert_in_range(told, garbage.size() - kBlockHeaderBytes, garbage.size());
  for (stop = 1; stop <= 3; ++stop) {
    calls = 0;
    ASSERT_CODE(Table::SalvageFile(file->get(), "/t", 12, 13, to), Code::kCancelled);
    assert_int_equal(calls, stop);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(table_damage__every_flipped_byte_is_found),
      cmocka_unit_test(table_damage__zeroed_stretches_are_found),
      cmocka_unit_test(table_damage__wrong_sizes_are_named),
      cmocka_unit_test(table_damage__swapped_blocks_are_found),
      cmocka_unit_test(table_damage__blocks_of_other_tables_are_found),
      cmocka_unit_test(table_damage__newer_version_is_too_new),
      cmocka_unit_test(table_damage__iterator_errors_stick_until_a_seek),
      cmocka_unit_test(table_damage__salvage_skips_bad_blocks_only),
      cmocka_unit_test(table_damage__salvage_of_garbage_can_be_stopped),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
