// Golden bytes of the packed batch: callers in other languages pack it themselves, logs keep it. It
// never changes.
#include <string>

#include "batch/packed_batch.h"
#include "tests/support/unit_test.h"

using namespace kist;

namespace {

const char kHeader[] = "4b57420106000000";

const char* const kOps[] = {
    // put key = value in keyspace 0
    "010000000000000003000000050000006b657976616c7565",
    // put k = "" in keyspace 258 for a minute
    "0101000002010000010000000000000060ea0000000000006b",
    // delete gone in keyspace 1
    "02000000010000000400000000000000676f6e65",
    // delete range a to c
    "030000000100000001000000010000006163",
    // keyspace 2 created as name
    ("040000000200000004000000100000006e616d65636f6d7072657373696f6e3d"
     "6e6f6e65"),
    // keyspace 2 dropped
    "050000000200000004000000000000006e616d65",
};

std::string Bytes(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string Golden() {
  std::string all = Bytes(kHeader);
  for (const char* op : kOps) all += Bytes(op);
  return all;
}

void packed_batch_golden__built_bytes(void**) {
  BatchBuilder b(40);
  ASSERT_OK(b.Put(0, "key", "value", 0));
  ASSERT_OK(b.Put(258, "k", "", 60000));
  ASSERT_OK(b.Delete(1, "gone"));
  ASSERT_OK(b.DeleteRange(1, "a", "c"));
  ASSERT_OK(b.EngineOp(OpKind::kCreateKeyspace, 2, "name", "compression=none"));
  ASSERT_OK(b.EngineOp(OpKind::kDropKeyspace, 2, "name", ""));
  assert_true(b.data() == Golden());
}

void packed_batch_golden__walks(void**) {
  const std::string bytes = Golden();
  BatchSummary s;
  ASSERT_OK(ValidateBatch(bytes, BatchLimits(), true, &s));
  assert_int_equal(s.count, 6);
  BatchWalker w(bytes);
  Op op;
  for (int kind : {1, 1, 2, 3, 4, 5}) {
    assert_true(w.Next(&op));
    assert_int_equal(static_cast<int>(op.kind), kind);
    if (op.keyspace == 258) assert_int_equal(op.ttl_ms, 60000);
  }
  assert_false(w.Next(&op));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(packed_batch_golden__built_bytes),
      cmocka_unit_test(packed_batch_golden__walks),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
