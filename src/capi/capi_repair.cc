// Repair of a damaged database. It works on a path, not on a handle; what it says of losses is
// text that fits the caller's buffer or is cut there.
// Threads: any.
#include "capi/args.h"
#include "db/repair.h"

namespace kist::capi {
namespace {

kist_rc Repair(const char* path, const kist_job* job, char* report, size_t cap, size_t* len_out,
               kist_err* err) {
  SetOut<size_t>(len_out, 0);
  if (report == nullptr && cap != 0) return FailNull(err, "report");
  if (cap != 0) report[0] = '\0';
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  if (path == nullptr) return FailNull(err, "path");
  if (*path == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "path is empty");
  std::string text;
  const Status s = RepairDb(path, nullptr, control, &text);
  if (!s.ok()) return FailWith(err, s);
  return CopyText(text, report, cap, len_out);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_repair(const char* path, const kist_job* job, char* report, size_t cap,
                    size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return Repair(path, job, report, cap, len_out, err); });
}

}  // extern "C"
