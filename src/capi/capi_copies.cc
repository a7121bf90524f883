// Copies of a database: checkpoints. What is made is on the operating system's file system, also
// where the database is in memory.
// Threads: any, concurrently.
#include "backup/checkpoint.h"
#include "capi/args.h"

namespace kist::capi {
namespace {

kist_rc CheckText(const char* text, const char* what, kist_err* err) {
  if (text == nullptr) return FailNull(err, what);
  if (*text == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "%s is empty", what);
  return KIST_OK;
}

kist_rc Checkpoint(kist_db* db, const char* path, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckText(path, "path", err));
  return Finish(err, MakeCheckpoint(db->engine.get(), PosixVfs(), path, nullptr));
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_checkpoint(kist_db* db, const char* path, kist_err* err) {
  return Guard(err, [&] { return Checkpoint(db, path, err); });
}

}  // extern "C"
