// Streams. A kist_stream is a child of its database that any thread may use. A call that waits does
// so in short turns, each a call of its own, so that kist_close never waits for a stream's
// patience; closing the database under a stream ends its threads first. Threads: any, concurrently;
// kist_stream_stop not beside another call.
#include <algorithm>

#include "capi/args.h"

namespace kist::capi {
namespace {

constexpr int64_t kTurnMs = 50;

kist_rc CheckStream(const kist_stream* stream, kist_err* err) {
  if (!Is(stream, kStreamMagic)) return FailHandle(err, "stream");
  if (Unlikely(InForkChild(stream->link.db))) return FailForked(err);
  return KIST_OK;
}

StreamOptions OptionsOf(const DbOptions& db, const OptionSet& given) {
  StreamOptions o = db.stream;
  if (given.IsSet("stream_interval")) o.interval_us = given.values().stream.interval_us;
  if (given.IsSet("stream_log_max")) o.log_bytes_max = given.values().stream.log_bytes_max;
  if (given.IsSet("stream_base_percent")) o.base_percent = given.values().stream.base_percent;
  return o;
}

kist_rc StreamStart(kist_db* db, const char* url, const kist_options* options,
                    kist_stream** stream_out, kist_err* err) {
  SetOut<kist_stream*>(stream_out, nullptr);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  OptionSet given;
  if (options != nullptr) {
    if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
    Use use(&const_cast<kist_options*>(options)->state, err);
    KIST_CHECKED(use.rc());
    given = options->set;
  }
  if (stream_out == nullptr) return FailNull(err, "stream_out");
  if (url == nullptr) return FailNull(err, "target");
  if (*url == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "target is empty");
  auto target = OpenTarget(PosixVfs(), url, true);
  if (!target.ok()) return FailWith(err, target.status());
  auto handle = std::make_unique<kist_stream>();
  auto made =
      Stream::Start(db->engine.get(), target.Take(), OptionsOf(db->engine->options(), given));
  if (!made.ok()) return FailWith(err, made.status());
  handle->stream = made.Take();
  handle->link.stream = handle->stream.get();
  KIST_CHECKED(Register(db, &handle->link, err));
  *stream_out = handle.release();
  return KIST_OK;
}

kist_rc StreamStatus(kist_stream* stream, kist_stream_info* info_out, kist_err* err) {
  KIST_CHECKED(CheckStream(stream, err));
  if (info_out == nullptr) return FailNull(err, "info_out");
  kist_stream_info filled{};
  filled.size = info_out->size;
  Call call(stream->link, err);
  if (call.rc() == KIST_OK) {
    const Stream::Info info = stream->stream->GetInfo();
    filled.state = static_cast<uint32_t>(info.state);
    filled.shipped_seq = info.shipped_seq;
    filled.lag_bytes = info.lag_bytes;
    filled.lag_ms = info.lag_ms;
    filled.shipped_bytes = info.shipped_bytes;
    filled.errors = info.errors;
  }
  const kist_rc rc = FillStruct(&filled, sizeof filled, info_out);
  return call.rc() != KIST_OK ? call.rc() : rc;
}

// One turn of waiting: KIST_E_TIMEOUT is not yet an error of the caller's call. why: what is being
// retried, if anything is.
kist_rc WaitTurn(kist_stream* stream, uint64_t seq, uint64_t turns, int64_t turn_ms,
                 std::string* why, kist_err* err) {
  Call call(stream->link, err);
  KIST_CHECKED(call.rc());
  const Status s = stream->stream->Wait(seq, turn_ms, turns);
  if (!s.Is(Code::kTimeout)) return Finish(err, s);
  *why = stream->stream->Trouble();
  return KIST_E_TIMEOUT;
}

kist_rc StreamWait(kist_stream* stream, uint64_t seq, uint64_t turns, int64_t timeout_ms,
                   kist_err* err) {
  KIST_CHECKED(CheckStream(stream, err));
  Vfs* vfs = stream->link.db->engine->vfs();
  const uint64_t start = vfs->MonotonicUs();
  for (;;) {
    const int64_t waited = static_cast<int64_t>((vfs->MonotonicUs() - start) / 1000);
    const int64_t left = timeout_ms < 0 ? kTurnMs : timeout_ms - std::min(waited, timeout_ms);
    std::string why;
    const kist_rc rc = WaitTurn(stream, seq, turns, std::min(left, kTurnMs), &why, err);
    if (rc != KIST_E_TIMEOUT) return rc;
    if (timeout_ms < 0 || left > kTurnMs) continue;
    return Fail(err, KIST_E_TIMEOUT, {}, "commit %llu is not shipped yet%s%s",
                static_cast<unsigned long long>(seq),
                why.empty() ? "" : "; tried again: ", why.c_str());
  }
}

kist_rc StreamStop(kist_stream* stream, int64_t timeout_ms, kist_err* err) {
  KIST_CHECKED(CheckStream(stream, err));
  kist_rc rc = KIST_OK;
  if (timeout_ms != 0) {
    uint64_t seq = 0, turns = 0;
    {
      Call call(stream->link, err);
      rc = call.rc();
      if (rc == KIST_OK) {
        seq = stream->link.db->engine->last_seq();
        turns = stream->stream->TurnsAfterNow();
      }
    }
    if (rc == KIST_OK) rc = StreamWait(stream, seq, turns, timeout_ms, err);
    if (rc == KIST_E_TIMEOUT) return rc;
  }
  stream->stream.reset();
  Unregister(&stream->link);
  delete stream;
  return rc;
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

kist_rc kist_stream_wait(kist_stream* stream, uint64_t seq, int64_t timeout_ms, kist_err* err) {
  return Guard(err, [&] { return StreamWait(stream, seq, 0, timeout_ms, err); });
}

kist_rc kist_stream_stop(kist_stream* stream, int64_t timeout_ms, kist_err* err) {
  return Guard(err, [&] { return StreamStop(stream, timeout_ms, err); });
}

}  // extern "C"
