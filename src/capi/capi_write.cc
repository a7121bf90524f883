// Writes: single ones, batches, packed batches, and waiting for durability. The path of kist_put:
// handle, fork, gate, arguments, Db::Put; nothing allocates here.
// Invariant: a batch belongs to the open database of the first keyspace that it names, known by its
// random id, until it is cleared.
// Threads: any; a batch has one user at a time.
#include "capi/args.h"
#include "db/op_stats.h"

namespace kist::capi {
namespace {

kist_rc Put(kist_keyspace* ks, const kist_write_options* wo, const void* key, size_t key_len,
            const void* val, size_t val_len, kist_err* err) {
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, true, &args, err));
  KIST_CHECKED(CheckKey(db, key, key_len, 0, err));
  KIST_CHECKED(CheckValue(db, val, val_len, err));
  Sequence seq = 0;
  OpTimer timer(db->ops, OpStats::kPut, call.number());
  return Finish(err, db->engine->Put(ks->keyspace.get(), args.durability, Bytes(key, key_len),
                                     Bytes(val, val_len), args.ttl_ms, &seq));
}

kist_rc Delete(kist_keyspace* ks, const kist_write_options* wo, const void* key, size_t key_len,
               kist_err* err) {
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, false, &args, err));
  KIST_CHECKED(CheckKey(db, key, key_len, 0, err));
  Sequence seq = 0;
  OpTimer timer(db->ops, OpStats::kPut, call.number());
  return Finish(err,
                db->engine->Delete(ks->keyspace.get(), args.durability, Bytes(key, key_len), &seq));
}

// A range that is empty by its ends deletes nothing and makes no commit.
bool NothingInRange(size_t begin_len, const void* begin, size_t end_len, const void* end) {
  return end_len != 0 && Bytes(begin, begin_len) == Bytes(end, end_len);
}

kist_rc DeleteRange(kist_keyspace* ks, const kist_write_options* wo, const void* begin,
                    size_t begin_len, const void* end, size_t end_len, kist_err* err) {
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, false, &args, err));
  KIST_CHECKED(CheckRange(db, begin, begin_len, end, end_len, err));
  if (db->engine->options().read_only)
    return Fail(err, KIST_E_READONLY, {}, "the database is open read-only");
  Sequence seq = 0;
  OpTimer timer(db->ops, OpStats::kPut, call.number());
  return Finish(err, db->engine->DeleteRange(ks->keyspace.get(), args.durability,
                                             Bytes(begin, begin_len), Bytes(end, end_len), &seq));
}

// ---- batches

kist_rc BatchNew(kist_batch** batch_out) {
  if (batch_out == nullptr) return KIST_E_INVALID;
  *batch_out = nullptr;
  *batch_out = new kist_batch();
  return KIST_OK;
}

void BatchFree(kist_batch* batch) {
  if (!Is(batch, kBatchMagic)) return;
  Use use(&batch->state, nullptr);
  if (use.rc() != KIST_OK) return;  // in use: lost rather than torn from under its user
  use.Keep();
  delete batch;
}

// What an operation on a batch checks of its keyspace; the batch is in use.
kist_rc BatchKeyspace(const kist_batch* batch, const kist_keyspace* ks, kist_err* err) {
  KIST_CHECKED(CheckKeyspace(ks, err));
  if (ks->link.db->closed.load(std::memory_order_acquire)) return FailClosed(err);
  if (ks->keyspace->dropped()) return FailDropped(err);
  if (batch->db_id != 0 && batch->db_id != ks->link.db->id) {
    return Fail(err, KIST_E_MISUSE, {KIST_D_OWNER},
                "the batch holds operations on another database");
  }
  return KIST_OK;
}

// Binds the batch to the database of its first operation.
kist_rc BatchAdded(kist_batch* batch, const kist_keyspace* ks, const Status& status,
                   kist_err* err) {
  if (!status.ok())
    return FailWith(err, status, status.Is(Code::kLimit) ? KIST_D_BATCH_SIZE : KIST_D_NONE);
  batch->db_id = ks->link.db->id;
  return KIST_OK;
}

kist_rc BatchPut(kist_batch* batch, const kist_keyspace* ks, const void* key, size_t key_len,
                 const void* val, size_t val_len, int64_t ttl_ms, kist_err* err) {
  if (!Is(batch, kBatchMagic)) return FailHandle(err, "batch");
  Use use(&batch->state, err);
  KIST_CHECKED(use.rc());
  KIST_CHECKED(BatchKeyspace(batch, ks, err));
  KIST_CHECKED(CheckKey(ks->link.db, key, key_len, 0, err));
  KIST_CHECKED(CheckValue(ks->link.db, val, val_len, err));
  if (ttl_ms < 0) return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "a negative TTL");
  const Status s =
      batch->builder.Put(ks->keyspace->id(), Bytes(key, key_len), Bytes(val, val_len), ttl_ms);
  return BatchAdded(batch, ks, s, err);
}

kist_rc BatchDelete(kist_batch* batch, const kist_keyspace* ks, const void* key, size_t key_len,
                    kist_err* err) {
  if (!Is(batch, kBatchMagic)) return FailHandle(err, "batch");
  Use use(&batch->state, err);
  KIST_CHECKED(use.rc());
  KIST_CHECKED(BatchKeyspace(batch, ks, err));
  KIST_CHECKED(CheckKey(ks->link.db, key, key_len, 0, err));
  return BatchAdded(batch, ks, batch->builder.Delete(ks->keyspace->id(), Bytes(key, key_len)), err);
}

kist_rc BatchDeleteRange(kist_batch* batch, const kist_keyspace* ks, const void* begin,
                         size_t begin_len, const void* end, size_t end_len, kist_err* err) {
  if (!Is(batch, kBatchMagic)) return FailHandle(err, "batch");
  Use use(&batch->state, err);
  KIST_CHECKED(use.rc());
  KIST_CHECKED(BatchKeyspace(batch, ks, err));
  KIST_CHECKED(CheckRange(ks->link.db, begin, begin_len, end, end_len, err));
  if (NothingInRange(begin_len, begin, end_len, end)) return KIST_OK;
  const Status s =
      batch->builder.DeleteRange(ks->keyspace->id(), Bytes(begin, begin_len), Bytes(end, end_len));
  return BatchAdded(batch, ks, s, err);
}

void BatchClear(kist_batch* batch) {
  if (!Is(batch, kBatchMagic)) return;
  Use use(&batch->state, nullptr);
  if (use.rc() != KIST_OK) return;
  batch->builder.Clear();
  batch->db_id = 0;
}

// Using a batch changes its state word alone, hence the cast.
std::atomic<uint32_t>* StateOf(const kist_batch* batch) {
  return &const_cast<kist_batch*>(batch)->state;
}

size_t BatchCount(const kist_batch* batch) {
  if (!Is(batch, kBatchMagic)) return 0;
  Use use(StateOf(batch), nullptr);
  return use.rc() == KIST_OK ? batch->builder.count() : 0;
}

kist_rc BatchData(const kist_batch* batch, const void** data_out, size_t* len_out) {
  SetOut<const void*>(data_out, nullptr);
  SetOut<size_t>(len_out, 0);
  if (!Is(batch, kBatchMagic)) return KIST_E_MISUSE;
  Use use(StateOf(batch), nullptr);
  KIST_CHECKED(use.rc());
  if (data_out == nullptr) return KIST_E_INVALID;
  const Slice data = batch->builder.data();
  *data_out = data.data();
  SetOut(len_out, data.size());
  return KIST_OK;
}

// `invalid`: the detail of KIST_E_INVALID.
kist_rc Commit(kist_db* db, WriteRequest* request, int32_t invalid, uint64_t* seq_out,
               kist_err* err) {
  Sequence seq = 0;
  const Status s = db->engine->Write(request, &seq);
  if (Unlikely(!s.ok())) return FailWith(err, s, s.Is(Code::kInvalid) ? invalid : KIST_D_NONE);
  SetOut<uint64_t>(seq_out, seq);
  return KIST_OK;
}

kist_rc Write(kist_db* db, const kist_write_options* wo, const kist_batch* batch, uint64_t* seq_out,
              kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, false, &args, err));
  if (!Is(batch, kBatchMagic)) return FailHandle(err, "batch");
  Use use(StateOf(batch), err);
  KIST_CHECKED(use.rc());
  if (batch->db_id != 0 && batch->db_id != db->id) {
    return Fail(err, KIST_E_MISUSE, {KIST_D_OWNER},
                "the batch holds operations on another database");
  }
  // The engine writes its record header into the headroom; the packed form stays as it is.
  BatchBuilder& builder = const_cast<kist_batch*>(batch)->builder;
  WriteRequest request;
  request.durability = args.durability;
  request.batch = builder.mutable_data();
  request.batch_bytes = builder.data().size();
  request.has_headroom = true;
  request.summary = builder.summary();
  OpTimer timer(db->ops, OpStats::kBatch);
  const kist_rc rc = Commit(db, &request, KIST_D_NONE, seq_out, err);
  // What the builder made is well formed: a keyspace that it names has been dropped since.
  return rc == KIST_E_INVALID ? FailDropped(err) : rc;
}

kist_rc WritePacked(kist_db* db, const kist_write_options* wo, const void* data, size_t len,
                    uint64_t* seq_out, kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, false, &args, err));
  if (data == nullptr) return FailNull(err, "data");
  if (len > kBatchBytesMax) return FailLimit(err, KIST_D_BATCH_SIZE, "batch", len, kBatchBytesMax);
  WriteRequest request;
  const Status s = ValidateBatch(Bytes(data, len), db->engine->limits(), false, &request.summary);
  if (!s.ok()) return FailWith(err, s, KIST_D_PACKED);
  request.durability = args.durability;
  request.batch = const_cast<char*>(static_cast<const char*>(data));
  request.batch_bytes = len;
  OpTimer timer(db->ops, OpStats::kBatch);
  return Commit(db, &request, KIST_D_PACKED, seq_out, err);
}

// ---- durability

kist_rc Sync(kist_db* db, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  return Finish(err, db->engine->Sync());
}

kist_rc WaitDurable(kist_db* db, uint64_t seq, int64_t timeout_ms, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  const Sequence last = db->engine->last_seq();
  if (seq > last) {
    return Fail(err, KIST_E_INVALID, {KIST_D_RANGE},
                "sequence %llu is beyond the last commit, %llu",
                static_cast<unsigned long long>(seq), static_cast<unsigned long long>(last));
  }
  return Finish(err, db->engine->WaitDurable(seq, timeout_ms));
}

uint64_t SeqOf(kist_db* db, Sequence (Db::*seq)() const) {
  Call call(db, nullptr);
  return call.rc() == KIST_OK ? (db->engine.get()->*seq)() : 0;
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_put(kist_keyspace* ks, const kist_write_options* wo, const void* key, size_t key_len,
                 const void* val, size_t val_len, kist_err* err) {
  return Guard(err, [&] { return Put(ks, wo, key, key_len, val, val_len, err); });
}

kist_rc kist_delete(kist_keyspace* ks, const kist_write_options* wo, const void* key,
                    size_t key_len, kist_err* err) {
  return Guard(err, [&] { return Delete(ks, wo, key, key_len, err); });
}

kist_rc kist_delete_range(kist_keyspace* ks, const kist_write_options* wo, const void* begin,
                          size_t begin_len, const void* end, size_t end_len, kist_err* err) {
  return Guard(err, [&] { return DeleteRange(ks, wo, begin, begin_len, end, end_len, err); });
}

kist_rc kist_batch_new(kist_batch** batch_out) {
  return Guard(nullptr, [&] { return BatchNew(batch_out); });
}

void kist_batch_free(kist_batch* batch) {
  GuardVoid([&] { BatchFree(batch); });
}

kist_rc kist_batch_put(kist_batch* batch, const kist_keyspace* ks, const void* key, size_t key_len,
                       const void* val, size_t val_len, int64_t ttl_ms, kist_err* err) {
  return Guard(err, [&] { return BatchPut(batch, ks, key, key_len, val, val_len, ttl_ms, err); });
}

kist_rc kist_batch_delete(kist_batch* batch, const kist_keyspace* ks, const void* key,
                          size_t key_len, kist_err* err) {
  return Guard(err, [&] { return BatchDelete(batch, ks, key, key_len, err); });
}

kist_rc kist_batch_delete_range(kist_batch* batch, const kist_keyspace* ks, const void* begin,
                                size_t begin_len, const void* end, size_t end_len, kist_err* err) {
  return Guard(err,
               [&] { return BatchDeleteRange(batch, ks, begin, begin_len, end, end_len, err); });
}

void kist_batch_clear(kist_batch* batch) {
  GuardVoid([&] { BatchClear(batch); });
}

size_t kist_batch_count(const kist_batch* batch) { return BatchCount(batch); }

kist_rc kist_batch_data(const kist_batch* batch, const void** data_out, size_t* len_out) {
  return Guard(nullptr, [&] { return BatchData(batch, data_out, len_out); });
}

kist_rc kist_write(kist_db* db, const kist_write_options* wo, const kist_batch* batch,
                   uint64_t* seq_out, kist_err* err) {
  return Guard(err, [&] { return Write(db, wo, batch, seq_out, err); });
}

kist_rc kist_write_packed(kist_db* db, const kist_write_options* wo, const void* data, size_t len,
                          uint64_t* seq_out, kist_err* err) {
  return Guard(err, [&] { return WritePacked(db, wo, data, len, seq_out, err); });
}

kist_rc kist_sync(kist_db* db, kist_err* err) {
  return Guard(err, [&] { return Sync(db, err); });
}

uint64_t kist_last_seq(kist_db* db) { return SeqOf(db, &kist::Db::last_seq); }

uint64_t kist_durable_seq(kist_db* db) { return SeqOf(db, &kist::Db::durable_seq); }

kist_rc kist_wait_durable(kist_db* db, uint64_t seq, int64_t timeout_ms, kist_err* err) {
  return Guard(err, [&] { return WaitDurable(db, seq, timeout_ms, err); });
}

}  // extern "C"
