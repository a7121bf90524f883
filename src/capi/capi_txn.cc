// Transactions. A kist_txn is a child of its database and has one user at a time; reads and
// iterators reach it through kist_read_options.txn and kist_iter_options.txn (capi_read.cc,
// capi_iter.cc). Its iterators may outlive it: they answer KIST_E_CLOSED.
// Threads: one at a time, any thread.
#include <optional>

#include "capi/args.h"
#include "db/op_stats.h"

namespace kist::capi {
namespace {

// A call on a transaction that has not ended: handle, fork, user, closing.
class TxnCall {
 public:
  TxnCall(kist_txn* txn, kist_err* err) {
    if (!Is(txn, kTxnMagic)) {
      rc_ = FailHandle(err, "transaction");
      return;
    }
    if (Unlikely(InForkChild(txn->link.db))) {
      rc_ = FailForked(err);
      return;
    }
    use_.emplace(txn->state.get(), err);
    rc_ = use_->rc();
    if (rc_ == KIST_OK) call_.emplace(txn->link, err);
    if (rc_ == KIST_OK) rc_ = call_->rc();
    if (rc_ == KIST_OK && txn->ended) {
      rc_ = Fail(err, KIST_E_MISUSE, {KIST_D_STATE},
                 "the transaction was committed; only kist_txn_free is left");
    }
  }
  kist_rc rc() const { return rc_; }

 private:
  std::optional<Use> use_;
  std::optional<Call> call_;
  kist_rc rc_ = KIST_OK;
};

kist_rc CheckTxnKeyspace(const kist_txn* txn, const kist_keyspace* ks, kist_err* err) {
  KIST_CHECKED(CheckKeyspace(ks, err));
  if (ks->link.db != txn->link.db) {
    return Fail(err, KIST_E_MISUSE, {KIST_D_OWNER},
                "the keyspace belongs to another database than the transaction");
  }
  if (ks->keyspace->dropped()) return FailDropped(err);
  return KIST_OK;
}

kist_rc TxnBegin(kist_db* db, uint32_t isolation, kist_txn** txn_out, kist_err* err) {
  SetOut<kist_txn*>(txn_out, nullptr);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (isolation > KIST_TXN_SERIALIZABLE)
    return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown isolation %u", isolation);
  if (txn_out == nullptr) return FailNull(err, "txn_out");
  auto handle = std::make_unique<kist_txn>();
  auto made = db->engine->NewTxn(isolation == KIST_TXN_SERIALIZABLE);
  if (!made.ok()) return FailWith(err, made.status());
  OpStats::Count(&db->ops->txns);
  handle->txn = made.Take();
  handle->link.state = handle->state.get();
  KIST_CHECKED(Register(db, &handle->link, err));
  *txn_out = handle.release();
  return KIST_OK;
}

kist_rc CheckWritable(const kist_txn* txn, kist_err* err) {
  if (!txn->link.db->engine->options().read_only) return KIST_OK;
  return Fail(err, KIST_E_READONLY, {}, "the database is open read-only");
}

// Keys and values were looked at: a limit that is left is the transaction's own.
kist_rc Wrote(kist_err* err, const Status& status) {
  if (Likely(status.ok())) return KIST_OK;
  return FailWith(err, status, status.Is(Code::kLimit) ? KIST_D_BATCH_SIZE : KIST_D_NONE);
}

kist_rc TxnPut(kist_txn* txn, kist_keyspace* ks, const void* key, size_t key_len, const void* val,
               size_t val_len, int64_t ttl_ms, kist_err* err) {
  TxnCall call(txn, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckTxnKeyspace(txn, ks, err));
  KIST_CHECKED(CheckKey(txn->link.db, key, key_len, 0, err));
  KIST_CHECKED(CheckValue(txn->link.db, val, val_len, err));
  if (ttl_ms < 0) return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "a negative TTL");
  KIST_CHECKED(CheckWritable(txn, err));
  return Wrote(err,
               txn->txn->Put(ks->keyspace.get(), Bytes(key, key_len), Bytes(val, val_len), ttl_ms));
}

kist_rc TxnDelete(kist_txn* txn, kist_keyspace* ks, const void* key, size_t key_len,
                  kist_err* err) {
  TxnCall call(txn, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckTxnKeyspace(txn, ks, err));
  KIST_CHECKED(CheckKey(txn->link.db, key, key_len, 0, err));
  KIST_CHECKED(CheckWritable(txn, err));
  return Wrote(err, txn->txn->Delete(ks->keyspace.get(), Bytes(key, key_len)));
}

kist_rc TxnDeleteRange(kist_txn* txn, kist_keyspace* ks, const void* begin, size_t begin_len,
                       const void* end, size_t end_len, kist_err* err) {
  TxnCall call(txn, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckTxnKeyspace(txn, ks, err));
  KIST_CHECKED(CheckRange(txn->link.db, begin, begin_len, end, end_len, err));
  KIST_CHECKED(CheckWritable(txn, err));
  return Wrote(
      err, txn->txn->DeleteRange(ks->keyspace.get(), Bytes(begin, begin_len), Bytes(end, end_len)));
}

kist_rc TxnSavepoint(kist_txn* txn, bool roll_back, kist_err* err) {
  TxnCall call(txn, err);
  KIST_CHECKED(call.rc());
  return Finish(err, roll_back ? txn->txn->RollbackTo() : txn->txn->Savepoint());
}

kist_rc TxnCommit(kist_txn* txn, const kist_write_options* wo, uint64_t* seq_out, kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  TxnCall call(txn, err);
  KIST_CHECKED(call.rc());
  WriteArgs args;
  if (wo != nullptr) KIST_CHECKED(CheckWriteOptions(wo, false, &args, err));
  txn->ended = true;
  Sequence seq = 0;
  OpStats* ops = txn->link.db->ops;
  OpTimer timer(ops, OpStats::kTxnCommit);
  const Status s = txn->txn->Commit(args.durability, &seq);
  if (s.Is(Code::kConflict)) OpStats::Count(&ops->txn_conflicts);
  if (!s.ok()) return FailWith(err, s);
  OpStats::Count(&ops->txn_commits);
  SetOut<uint64_t>(seq_out, seq);
  return KIST_OK;
}

void TxnFree(kist_txn* txn) {
  if (!Is(txn, kTxnMagic)) return;
  if (InForkChild(txn->link.db)) {
    static_cast<void>(txn->txn.release());
  } else {
    uint32_t found = kIdle;
    txn->state->compare_exchange_strong(found, kBusy, std::memory_order_acquire);
    if (found == kBusy) return;  // in use: lost rather than torn from under its user
  }
  txn->txn.reset();
  txn->state->store(kRevoked, std::memory_order_release);  // for its iterators
  Unregister(&txn->link);
  delete txn;
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_txn_begin(kist_db* db, uint32_t isolation, kist_txn** txn_out, kist_err* err) {
  return Guard(err, [&] { return TxnBegin(db, isolation, txn_out, err); });
}

kist_rc kist_txn_put(kist_txn* txn, kist_keyspace* ks, const void* key, size_t key_len,
                     const void* val, size_t val_len, int64_t ttl_ms, kist_err* err) {
  return Guard(err, [&] { return TxnPut(txn, ks, key, key_len, val, val_len, ttl_ms, err); });
}

kist_rc kist_txn_delete(kist_txn* txn, kist_keyspace* ks, const void* key, size_t key_len,
                        kist_err* err) {
  return Guard(err, [&] { return TxnDelete(txn, ks, key, key_len, err); });
}

kist_rc kist_txn_delete_range(kist_txn* txn, kist_keyspace* ks, const void* begin, size_t begin_len,
                              const void* end, size_t end_len, kist_err* err) {
  return Guard(err, [&] { return TxnDeleteRange(txn, ks, begin, begin_len, end, end_len, err); });
}

kist_rc kist_txn_savepoint(kist_txn* txn, kist_err* err) {
  return Guard(err, [&] { return TxnSavepoint(txn, false, err); });
}

kist_rc kist_txn_rollback_to(kist_txn* txn, kist_err* err) {
  return Guard(err, [&] { return TxnSavepoint(txn, true, err); });
}

kist_rc kist_txn_commit(kist_txn* txn, const kist_write_options* wo, uint64_t* seq_out,
                        kist_err* err) {
  return Guard(err, [&] { return TxnCommit(txn, wo, seq_out, err); });
}

void kist_txn_free(kist_txn* txn) {
  GuardVoid([&] { TxnFree(txn); });
}

}  // extern "C"
