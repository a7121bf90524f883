// The argument checks that are off the fast path, and every message they give. A message names what
// is wrong and, where there is one, the limit; it never repeats what a caller passed without bound.
// Threads: functions of their arguments.
#include "capi/args.h"

#include <algorithm>

namespace kist::capi {
namespace {

constexpr size_t kNameMax = 255;
// Beyond this, `size` is not a size but an uninitialised struct, and nothing behind it is read.
constexpr uint32_t kStructMax = 65536;

kist_rc FailFlag(kist_err* err, const char* what, unsigned long long value) {
  return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown %s 0x%llx", what, value);
}

}  // namespace

kist_rc FailHandle(kist_err* err, const char* kind) noexcept {
  return Fail(err, KIST_E_MISUSE, {KIST_D_HANDLE}, "not a live %s handle", kind);
}
kist_rc FailForked(kist_err* err) noexcept {
  return Fail(err, KIST_E_FORKED, {}, "the handle belongs to the process that opened it");
}
kist_rc FailClosed(kist_err* err) noexcept {
  return Fail(err, KIST_E_CLOSED, {}, "the database behind this handle has been closed");
}
kist_rc FailDropped(kist_err* err) noexcept {
  return Fail(err, KIST_E_MISSING, {}, "the keyspace has been dropped");
}
kist_rc FailNull(kist_err* err, const char* what) noexcept {
  return Fail(err, KIST_E_INVALID, {KIST_D_NULL}, "%s is NULL", what);
}
kist_rc FailLimit(kist_err* err, int32_t detail, const char* what, size_t size,
                  size_t limit) noexcept {
  return Fail(err, KIST_E_LIMIT, {detail, limit}, "%s of %zu bytes; the limit is %zu", what, size,
              limit);
}

kist_rc Use::FailBusy(uint32_t state, kist_err* err) noexcept {
  if (state == kRevoked) return FailClosed(err);
  return Fail(err, KIST_E_MISUSE, {KIST_D_CONCURRENT}, "the handle is in use by another thread");
}

kist_rc CheckRange(const kist_db* db, const void* begin, size_t begin_len, const void* end,
                   size_t end_len, kist_err* err) {
  KIST_CHECKED(CheckKey(db, begin, begin_len, 1, err, "begin"));
  KIST_CHECKED(CheckKey(db, end, end_len, 1, err, "end"));
  if (end_len != 0 && Bytes(begin, begin_len) > Bytes(end, end_len)) {
    return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "the range's begin is behind its end");
  }
  return KIST_OK;
}

kist_rc CheckName(const char* name, kist_err* err) {
  if (name == nullptr) return FailNull(err, "name");
  const size_t size = std::strlen(name);
  if (size == 0) return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "the name is empty");
  if (size > kNameMax) return FailLimit(err, KIST_D_NAME_SIZE, "name", size, kNameMax);
  return KIST_OK;
}

kist_rc CheckStruct(const void* given, size_t known, const char* what, kist_err* err) {
  uint32_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < known || size > kStructMax) {
    return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT}, "%s.size is %u; its _INIT macro sets %zu",
                what, size, known);
  }
  const char* bytes = static_cast<const char*>(given);
  if (std::any_of(bytes + known, bytes + size, [](char c) { return c != 0; })) {
    return Fail(err, KIST_E_TOO_NEW, {KIST_D_STRUCT},
                "%s asks for something that this version does not know", what);
  }
  return KIST_OK;
}

kist_rc CheckReader(const kist_db* db, uint32_t flags, const kist_snapshot* snapshot, kist_txn* txn,
                    ReadArgs* args, kist_err* err) {
  if ((flags & ~(KIST_READ_NO_CACHE_FILL | KIST_READ_FOR_UPDATE)) != 0)
    return FailFlag(err, "flags", flags);
  if (snapshot != nullptr && txn != nullptr) {
    return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT},
                "a snapshot and a transaction exclude each other");
  }
  if (txn != nullptr) {
    if (!Is(txn, kTxnMagic)) return FailHandle(err, "transaction");
    if (txn->link.db != db) {
      return Fail(err, KIST_E_MISUSE, {KIST_D_OWNER},
                  "the transaction belongs to another database");
    }
    args->txn = txn;
    args->for_update = (flags & KIST_READ_FOR_UPDATE) != 0;
  } else if ((flags & KIST_READ_FOR_UPDATE) != 0) {
    return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "KIST_READ_FOR_UPDATE needs a transaction");
  }
  if (snapshot != nullptr) {
    if (!Is(snapshot, kSnapshotMagic)) return FailHandle(err, "snapshot");
    if (snapshot->link.db != db) {
      return Fail(err, KIST_E_MISUSE, {KIST_D_OWNER}, "the snapshot belongs to another database");
    }
    args->snapshot = snapshot->snapshot.get();
  }
  args->fill_cache = (flags & KIST_READ_NO_CACHE_FILL) == 0;
  return KIST_OK;
}

kist_rc CheckReadOptions(const kist_db* db, const kist_read_options* ro, ReadArgs* args,
                         kist_err* err) {
  KIST_CHECKED(CheckStruct(ro, sizeof *ro, "kist_read_options", err));
  return CheckReader(db, ro->flags, ro->snapshot, ro->txn, args, err);
}

kist_rc CheckWriteOptions(const kist_write_options* wo, bool takes_ttl, WriteArgs* args,
                          kist_err* err) {
  KIST_CHECKED(CheckStruct(wo, sizeof *wo, "kist_write_options", err));
  if (wo->durability > KIST_DURABILITY_SYNC) return FailFlag(err, "durability", wo->durability);
  if (wo->flags != 0) return FailFlag(err, "flags", wo->flags);
  if (wo->ttl_ms < 0) return Fail(err, KIST_E_INVALID, {KIST_D_RANGE}, "a negative TTL");
  if (wo->ttl_ms != 0 && !takes_ttl) {
    return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT},
                "kist_write_options.ttl_ms is for kist_put alone");
  }
  args->durability = static_cast<Durability>(wo->durability);
  args->ttl_ms = wo->ttl_ms;
  return KIST_OK;
}

kist_rc CheckJob(const kist_job* job, JobControl* control, kist_err* err) {
  if (job == nullptr) return KIST_OK;
  KIST_CHECKED(CheckStruct(job, sizeof *job, "kist_job", err));
  if (job->flags != 0) return FailFlag(err, "flags", job->flags);
  if (job->progress != nullptr) {
    control->progress = [job](uint64_t done, uint64_t total) {
      return job->progress(job->ctx, done, total) == 0;
    };
  }
  return KIST_OK;
}

kist_rc FillStruct(const void* filled, size_t known, void* out) {
  uint32_t size = 0;
  std::memcpy(&size, out, sizeof size);
  if (size > kStructMax) return KIST_E_INVALID;
  std::memcpy(out, filled, std::min<size_t>(size, known));
  if (size > known) std::memset(static_cast<char*>(out) + known, 0, size - known);
  return KIST_OK;
}

kist_rc CopyText(Slice text, char* buf, size_t cap, size_t* len_out) {
  SetOut(len_out, text.size());
  if (cap == 0) return KIST_TRUNCATED;
  const size_t n = std::min(text.size(), cap - 1);
  std::memcpy(buf, text.data(), n);
  buf[n] = '\0';
  return n == text.size() ? KIST_OK : KIST_TRUNCATED;
}

}  // namespace kist::capi
