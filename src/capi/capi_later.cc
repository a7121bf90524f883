// Copies, streams and repair: the functions of kist.h whose engine is not in this version. They
// check what they are given and set their outputs as the rest does, then return
// KIST_E_UNSUPPORTED by their name.
// Threads: any.
#include "capi/args.h"

namespace kist::capi {
namespace {

kist_rc Unsupported(kist_err* err, const char* function) {
  return Fail(err, KIST_E_UNSUPPORTED, {}, "%s is not in this version", function);
}

// A function of a handle that no call of this version hands out.
kist_rc OnHandle(const void* handle, const char* kind, kist_err* err, const char* function) {
  return handle == nullptr ? FailHandle(err, kind) : Unsupported(err, function);
}

kist_rc OnText(const char* text, const char* what, kist_err* err, const char* function) {
  if (text == nullptr) return FailNull(err, what);
  if (*text == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "%s is empty", what);
  return Unsupported(err, function);
}

kist_rc StreamStart(kist_db* db, const char* target, const kist_options* options,
                    kist_stream** stream_out, kist_err* err) {
  SetOut<kist_stream*>(stream_out, nullptr);
  KIST_CHECKED(CheckDb(db, err));
  if (options != nullptr && !Is(options, kOptionsMagic)) return FailHandle(err, "options");
  if (stream_out == nullptr) return FailNull(err, "stream_out");
  return OnText(target, "target", err, "kist_stream_start");
}

kist_rc StreamStatus(kist_stream* stream, kist_stream_info* info_out, kist_err* err) {
  if (stream == nullptr) return FailHandle(err, "stream");
  if (info_out == nullptr) return FailNull(err, "info_out");
  kist_stream_info info{};
  info.size = info_out->size;
  KIST_CHECKED(FillStruct(&info, sizeof info, info_out));
  return Unsupported(err, "kist_stream_status");
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

kist_rc kist_stream_start(kist_db* db, const char* target, const kist_options* options,
                          kist_stream** stream_out, kist_err* err) {
  return Guard(err, [&] { return StreamStart(db, target, options, stream_out, err); });
}

kist_rc kist_stream_status(kist_stream* stream, kist_stream_info* info_out, kist_err* err) {
  return Guard(err, [&] { return StreamStatus(stream, info_out, err); });
}

kist_rc kist_stream_wait(kist_stream* stream, uint64_t, int64_t, kist_err* err) {
  return Guard(err, [&] { return OnHandle(stream, "stream", err, "kist_stream_wait"); });
}

kist_rc kist_stream_stop(kist_stream* stream, int64_t, kist_err* err) {
  return Guard(err, [&] { return OnHandle(stream, "stream", err, "kist_stream_stop"); });
}

kist_rc kist_repair(const char* path, const kist_job* job, char* report, size_t cap,
                    size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return Repair(path, job, report, cap, len_out, err); });
}

}  // extern "C"
