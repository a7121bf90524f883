// The packed batch: any bytes are refused or walk without a read outside them, and what is accepted
// comes out of the builder as the same bytes. With 2 in the first byte memory runs out, with 64 the
// batch is said to be too large for any.
#include "batch/packed_batch.h"
#include "failing_memory.h"
#include "fuzz_input.h"

using namespace kist;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte();
  const bool engine_ops = mode % 2 == 1;
  const uint8_t memory = (mode & 2) != 0 ? input.Last() : 0;
  const std::string bytes(input.rest());  // on the heap, so that a read past the end is seen
  BatchLimits limits;
  limits.max_key_bytes = 300;
  limits.max_value_bytes = 3000;
  BatchSummary summary;
  // Refused for its length, before anything is read.
  const Slice batch(bytes.data(), (mode & 64) != 0 ? kBatchBytesMax + 1 : bytes.size());
  Status valid;
  fuzz::WithFailingMemory(memory,
                          [&] { valid = ValidateBatch(batch, limits, engine_ops, &summary); });
  if (!valid.ok()) return 0;

  BatchBuilder builder;
  BatchWalker walker(bytes);
  uint32_t count = 0;
  for (Op op; walker.Next(&op); ++count) {
    MUST(op.key.size() <= limits.max_key_bytes + 1 && op.value.size() <= limits.max_value_bytes);
    Status status;
    switch (op.kind) {
      case OpKind::kPut:
        status = builder.Put(op.keyspace, op.key, op.value, op.ttl_ms);
        break;
      case OpKind::kDelete:
        status = builder.Delete(op.keyspace, op.key);
        break;
      case OpKind::kDeleteRange:
        status = builder.DeleteRange(op.keyspace, op.key, op.value);
        break;
      default:
        MUST(engine_ops);
        status = builder.EngineOp(op.kind, op.keyspace, op.key, op.value);
    }
    MUST(status.ok());
  }
  MUST(count == summary.count);
  MUST(count == 0 || builder.data() == bytes);
  return 0;
}
