// The packed batch: what a builder makes validates and walks back; every broken rule of the layout
// is refused by name and op; no bytes whatever lead outside the batch.
#include "batch/packed_batch.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/support/unit_test.h"

using namespace kist;

namespace {

const BatchLimits kLimits{100, 1000};

Status Check(Slice bytes, bool engine = false) {
  // A copy of exact size, so that a sanitizer sees reads past its end.
  std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  BatchSummary summary;
  return ValidateBatch(Slice(copy.get(), bytes.size()), kLimits, engine, &summary);
}

std::string Batch(uint32_t count, const std::string& ops) {
  std::string s("KWB\1", 4);
  Append32(&s, count);
  return s + ops;
}

std::string RawOp(uint8_t kind, uint8_t flags, const std::string& key, const std::string& value,
                  int64_t ttl = 5) {
  std::string s;
  Append8(&s, kind);
  Append8(&s, flags);
  Append16(&s, 0);
  Append32(&s, 7);
  Append32(&s, static_cast<uint32_t>(key.size()));
  Append32(&s, static_cast<uint32_t>(value.size()));
  if ((flags & kOpTtl) != 0) Append64(&s, static_cast<uint64_t>(ttl));
  return s + key + value;
}

void AssertRefused(const std::string& bytes, Code code, const char* text, bool engine = false) {
  const Status s = Check(bytes, engine);
  if (!s.Is(code) || s.message().find(text) == std::string::npos) {
    fail_msg("wanted '%s', got %s", text, s.ToString().c_str());
  }
}

void AssertSame(const BatchSummary& a, const BatchSummary& b) {
  assert_int_equal(a.count, b.count);
  assert_int_equal(a.range_deletes, b.range_deletes);
  assert_int_equal(a.keyspace_ops, b.keyspace_ops);
  assert_int_equal(a.key_bytes, b.key_bytes);
  assert_int_equal(a.value_bytes, b.value_bytes);
  assert_int_equal(a.one_keyspace, b.one_keyspace);
  assert_int_equal(a.first_keyspace, b.first_keyspace);
}

void packed_batch__round_trip(void**) {
  BatchBuilder b(40);
  assert_true(b.data() == Batch(0, ""));
  ASSERT_OK(b.Put(0, "a", "1", 0));
  ASSERT_OK(b.Put(3, "", "", kTtlNever));
  ASSERT_OK(b.Delete(3, std::string("x\0y", 3)));
  ASSERT_OK(b.DeleteRange(9, "b", "d"));
  ASSERT_OK(b.EngineOp(OpKind::kCreateKeyspace, 4, "name", "options"));
  ASSERT_OK(b.EngineOp(OpKind::kDropKeyspace, 4, "name", ""));
  BatchSummary s;
  ASSERT_OK(ValidateBatch(b.data(), kLimits, true, &s));
  assert_int_equal(s.count, 6);
  assert_int_equal(s.range_deletes, 1);
  assert_int_equal(s.keyspace_ops, 2);
  assert_int_equal(s.key_bytes, 6);
  assert_int_equal(s.value_bytes, 1);
  assert_false(s.one_keyspace);
  assert_int_equal(s.first_keyspace, 0);
  AssertSame(s, b.summary());
  BatchWalker w(b.data());
  Op op;
  assert_true(w.Next(&op));
  assert_true(op.kind == OpKind::kPut && op.key == "a" && op.value == "1" && !op.has_ttl);
  assert_true(w.Next(&op));
  assert_true(op.has_ttl && op.ttl_ms == kTtlNever && op.keyspace == 3 && op.key.empty());
  assert_true(w.Next(&op));
  assert_true(op.kind == OpKind::kDelete && op.key.size() == 3 && op.value.empty());
  assert_true(w.Next(&op));
  assert_true(op.kind == OpKind::kDeleteRange && op.key == "b" && op.value == "d");
  assert_true(w.Next(&op));
  assert_true(op.kind == OpKind::kCreateKeyspace && op.key == "name" && op.value == "options");
  assert_true(w.Next(&op));
  assert_true(op.kind == OpKind::kDropKeyspace);
  assert_false(w.Next(&op));
  ASSERT_CODE(Check(b.data()), Code::kInvalid);  // 4 and 5 are not a caller's
}

void packed_batch__broken_rules_are_named(void**) {
  const std::string put = RawOp(1, 0, "k", "v");
  ASSERT_OK(Check(Batch(2, put + put)));
  AssertRefused("KWB", Code::kInvalid, "shorter than its header");
  AssertRefused(std::string("KWB\2\0\0\0\0", 8), Code::kInvalid, "K W B 1");
  AssertRefused(Batch(2, put), Code::kInvalid, "op 1: the batch ends inside its header");
  AssertRefused(Batch(1, put + put), Code::kInvalid, "bytes follow its last op");
  AssertRefused(Batch(1, put.substr(0, 17)), Code::kInvalid, "op 0: the batch ends inside it");
  AssertRefused(Batch(2, put + RawOp(0, 0, "k", "v")), Code::kInvalid, "op 1: unknown kind");
  AssertRefused(Batch(1, RawOp(4, 0, "k", "v")), Code::kInvalid, "unknown kind");
  AssertRefused(Batch(1, RawOp(6, 0, "k", "v")), Code::kInvalid, "unknown kind", true);
  AssertRefused(Batch(1, RawOp(1, 2, "k", "v")), Code::kInvalid, "unknown flag");
  AssertRefused(Batch(1, RawOp(2, 1, "k", "")), Code::kInvalid, "a delete with a flag");
  AssertRefused(Batch(1, RawOp(2, 0, "k", "v")), Code::kInvalid, "a delete with a value");
  AssertRefused(Batch(1, RawOp(3, 1, "a", "b")), Code::kInvalid, "a range delete with a flag");
  AssertRefused(Batch(1, RawOp(5, 0, "a", "b")), Code::kInvalid, "drop with a value", true);
  AssertRefused(Batch(1, RawOp(4, 1, "a", "b")), Code::kInvalid, "keyspace op with a flag", true);
  AssertRefused(Batch(1, RawOp(1, 1, "k", "v", 0)), Code::kInvalid, "ttl is not above 0");
  AssertRefused(Batch(1, RawOp(1, 1, "k", "v", -1)), Code::kInvalid, "ttl is not above 0");
  AssertRefused(Batch(1, RawOp(3, 0, "b", "a")), Code::kInvalid, "begin is above its end");
  ASSERT_OK(Check(Batch(1, RawOp(3, 0, "b", "b"))));
  ASSERT_OK(Check(Batch(1, RawOp(3, 0, "b", ""))));  // past the last key
  std::string reserved = put;
  reserved[2] = 1;
  AssertRefused(Batch(1, reserved), Code::kInvalid, "reserved bytes");
}

void packed_batch__limits_are_exact(void**) {
  const std::string k99(99, 'k'), k100(100, 'k'), k101(101, 'k'), k102(102, 'k');
  ASSERT_OK(Check(Batch(1, RawOp(1, 0, k99, "v"))));
  ASSERT_OK(Check(Batch(1, RawOp(1, 0, k100, "v"))));
  AssertRefused(Batch(1, RawOp(1, 0, k101, "v")), Code::kLimit, "key too long");
  assert_int_equal(Check(Batch(1, RawOp(1, 0, k101, "v"))).aux(), 100);
  ASSERT_OK(Check(Batch(1, RawOp(1, 0, "k", std::string(1000, 'v')))));
  AssertRefused(Batch(1, RawOp(1, 0, "k", std::string(1001, 'v'))), Code::kLimit, "value too long");
  ASSERT_OK(Check(Batch(1, RawOp(3, 0, k101, k101))));  // one byte longer than a key
  AssertRefused(Batch(1, RawOp(3, 0, k102, "")), Code::kLimit, "begin too long");
  AssertRefused(Batch(1, RawOp(3, 0, "", k102)), Code::kLimit, "end too long");
  // Lengths that no buffer holds: refused by limit or by the bytes at hand, never read.
  std::string huge = RawOp(1, 0, "k", "v");
  Store32(huge.data() + 8, UINT32_MAX);
  AssertRefused(Batch(1, huge), Code::kLimit, "key too long");
  BatchSummary s;
  ASSERT_CODE(ValidateBatch(Batch(1, huge), {UINT32_MAX, UINT32_MAX}, false, &s), Code::kInvalid);
}

void packed_batch__any_bytes_are_safe(void**) {
  test::Rng rng(test::Seed(__func__));
  BatchBuilder b;
  for (int i = 0; i < 6; ++i) {
    ASSERT_OK(b.Put(i % 2, rng.Bytes(rng.Below(20)), rng.Bytes(rng.Below(40)), i % 3));
    ASSERT_OK(b.DeleteRange(0, "a" + rng.Bytes(3), ""));
  }
  const std::string good(b.data());
  for (size_t n = 0; n < good.size(); ++n) assert_false(Check(good.substr(0, n)).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      if (!Check(bad, true).ok()) continue;
      BatchWalker w(bad);  // what validates can be walked to its very end
      Op op;
      const char* end = bad.data() + kBatchHeaderBytes;
      while (w.Next(&op)) end = op.value.data() + op.value.size();
      assert_ptr_equal(end, bad.data() + bad.size());
    }
  }
  for (int i = 0; i < 20000; ++i) {
    const Status s = Check(Batch(rng.Below(4), rng.Bytes(rng.Below(80), 0, 5)), true);
    static_cast<void>(s);
  }
}

void packed_batch__savepoint_and_append(void**) {
  BatchBuilder b(40), more;
  ASSERT_OK(b.Put(1, "a", "1", 0));
  const size_t bytes = b.data().size();
  const std::string before(b.data());
  ASSERT_OK(b.DeleteRange(2, "c", "d"));
  ASSERT_OK(b.Put(3, "x", std::string(5000, 'y'), 9));
  assert_false(b.summary().one_keyspace);
  b.TruncateTo(bytes, 1);
  assert_true(b.data() == before);
  assert_true(b.summary().one_keyspace && b.summary().range_deletes == 0 && b.count() == 1);
  ASSERT_OK(more.Delete(5, "q"));
  ASSERT_OK(more.Put(5, "r", "s", 0));
  ASSERT_OK(b.AppendBatch(more.data()));
  assert_int_equal(b.count(), 3);
  BatchSummary s;
  ASSERT_OK(ValidateBatch(b.data(), kLimits, false, &s));
  AssertSame(s, b.summary());
  // Headroom and tailroom are the caller's.
  std::memset(b.mutable_data() - 40, 0xee, 40);
  std::memset(b.mutable_data() + b.data().size(), 0xee, kBatchTailroom);
  ASSERT_OK(ValidateBatch(b.data(), kLimits, false, &s));
  b.Clear();
  assert_true(b.data() == Batch(0, ""));
  b.TruncateTo(kBatchHeaderBytes, 0);
  assert_int_equal(b.count(), 0);
}

void packed_batch__clear_keeps_a_bounded_buffer(void**) {
  BatchBuilder b;
  ASSERT_OK(b.Put(0, "k", std::string(BatchBuilder::kKeptBytes * 2, 'v'), 0));
  const size_t large = b.memory_bytes();
  assert_true(large > BatchBuilder::kKeptBytes);
  b.Clear();
  assert_int_equal(b.memory_bytes(), large);  // the next one may be as large
  assert_true(b.data() == Batch(0, ""));
  ASSERT_OK(b.Put(0, "k", "v", 0));
  b.Clear();
  assert_int_equal(b.memory_bytes(), 0);  // it was not
  ASSERT_OK(b.Put(0, "k", "v", 0));
  const size_t kept = b.memory_bytes();
  b.Clear();
  assert_int_equal(b.memory_bytes(), kept);
  ASSERT_OK(b.Put(0, "k", std::string(BatchBuilder::kKeptUsedBytes, 'v'), 0));
  b.Clear();
  assert_int_equal(b.memory_bytes(), 0);
}

void packed_batch__over_two_gib_is_refused_unchanged(void**) {
  BatchBuilder b;
  ASSERT_OK(b.Put(0, "k", "v", 0));
  const std::string before(b.data());
  const Slice huge("", kBatchBytesMax);  // never read
  ASSERT_CODE(b.Put(0, "k", huge, 0), Code::kLimit);
  ASSERT_CODE(b.Put(0, huge, "", 0), Code::kLimit);
  assert_true(b.data() == before);
}

void packed_batch__speed(void**) {
  BatchBuilder b(40);
  const std::string key(16, 'k'), value(100, 'v');
  const auto since = [](auto t) {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t).count();
  };
  constexpr int kOps = 1000, kRounds = 2000;
  auto t = std::chrono::steady_clock::now();
  for (int r = 0; r < kRounds; ++r) {
    b.Clear();
    for (int i = 0; i < kOps; ++i) ASSERT_OK(b.Put(0, key, value, 0));
  }
  std::printf("build %.1f ns an op\n", since(t) / (kOps * kRounds));
  BatchSummary s;
  t = std::chrono::steady_clock::now();
  for (int r = 0; r < kRounds; ++r) {
    ASSERT_OK(ValidateBatch(b.data(), BatchLimits(), false, &s));
  }
  std::printf("validate %.1f ns an op\n", since(t) / (kOps * kRounds));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(packed_batch__round_trip),
      cmocka_unit_test(packed_batch__broken_rules_are_named),
      cmocka_unit_test(packed_batch__limits_are_exact),
      cmocka_unit_test(packed_batch__any_bytes_are_safe),
      cmocka_unit_test(packed_batch__savepoint_and_append),
      cmocka_unit_test(packed_batch__clear_keeps_a_bounded_buffer),
      cmocka_unit_test(packed_batch__over_two_gib_is_refused_unchanged),
      cmocka_unit_test(packed_batch__speed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
