// Repair: the function of kist.h whose engine is not in this version. It checks what it is given
// and sets its outputs as the rest does, then returns KIST_E_UNSUPPORTED by its name.
// Threads: any.
#include "capi/args.h"

namespace kist::capi {
namespace {

kist_rc Unsupported(kist_err* err, const char* function) {
  return Fail(err, KIST_E_UNSUPPORTED, {}, "%s is not in this version", function);
}

kist_rc OnText(const char* text, const char* what, kist_err* err, const char* function) {
  if (text == nullptr) return FailNull(err, what);
  if (*text == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "%s is empty", what);
  return Unsupported(err, function);
}

kist_rc Repair(const char* path, const kist_job* job, char* report, size_t cap, size_t* len_out,
               kist_err* err) {
  SetOut<size_t>(len_out, 0);
  if (report == nullptr && cap != 0) return FailNull(err, "report");
  if (cap != 0) report[0] = '\0';
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  return OnText(path, "path", err, "kist_repair");
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
