// The feed of commits. A kist_feed is a child of its database and has one user at a time. A call
// that waits does so in short turns, each a call of its own, so that kist_close never waits for a
// feed's patience.
// Threads: one at a time, any thread.
#include <algorithm>

#include "capi/args.h"

namespace kist::capi {
namespace {

constexpr int64_t kTurnMs = 50;

kist_rc FeedOpen(kist_db* db, uint64_t from_seq, kist_feed** feed_out, kist_err* err) {
  SetOut<kist_feed*>(feed_out, nullptr);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (feed_out == nullptr) return FailNull(err, "feed_out");
  auto handle = std::make_unique<kist_feed>();
  auto made = db->engine->NewFeed(from_seq);
  if (!made.ok()) {
    const bool beyond = made.status().Is(Code::kInvalid);
    return FailWith(err, made.status(), beyond ? KIST_D_RANGE : KIST_D_NONE);
  }
  handle->feed = made.Take();
  handle->link.state = &handle->state;
  KIST_CHECKED(Register(db, &handle->link, err));
  *feed_out = handle.release();
  return KIST_OK;
}

// One turn; KIST_DONE where nothing came.
kist_rc FeedTurn(kist_feed* feed, int64_t turn_ms, uint64_t* seq_out, int64_t* time_ms_out,
                 kist_slice* packed_out, kist_err* err) {
  Use use(&feed->state, err);
  KIST_CHECKED(use.rc());
  Call call(feed->link, err);
  KIST_CHECKED(call.rc());
  if (!feed->failed.ok()) return FailWith(err, feed->failed);
  FeedCommit commit;
  bool got = false;
  const Status s = feed->feed->Next(turn_ms, &commit, &got);
  if (!s.ok()) {
    feed->failed = s;  // a feed never goes on behind an error
    return FailWith(err, s);
  }
  if (!got) return KIST_DONE;
  SetOut<uint64_t>(seq_out, commit.seq);
  SetOut<int64_t>(time_ms_out, commit.time_ms);
  *packed_out = kist_slice{commit.packed.data(), commit.packed.size()};
  return KIST_OK;
}

kist_rc FeedNext(kist_feed* feed, int64_t timeout_ms, uint64_t* seq_out, int64_t* time_ms_out,
                 kist_slice* packed_out, kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  SetOut<int64_t>(time_ms_out, 0);
  SetOut(packed_out, kist_slice{nullptr, 0});
  if (!Is(feed, kFeedMagic)) return FailHandle(err, "feed");
  if (Unlikely(InForkChild(feed->link.db))) return FailForked(err);
  if (packed_out == nullptr) return FailNull(err, "packed_out");
  Vfs* vfs = feed->link.db->engine->vfs();
  const uint64_t start = vfs->MonotonicUs();
  for (;;) {
    const int64_t waited = static_cast<int64_t>((vfs->MonotonicUs() - start) / 1000);
    const int64_t left = timeout_ms < 0 ? kTurnMs : timeout_ms - std::min(waited, timeout_ms);
    const kist_rc rc =
        FeedTurn(feed, std::min(left, kTurnMs), seq_out, time_ms_out, packed_out, err);
    if (rc != KIST_DONE || (timeout_ms >= 0 && left <= kTurnMs)) return rc;
  }
}

void FeedFree(kist_feed* feed) {
  if (!Is(feed, kFeedMagic)) return;
  if (InForkChild(feed->link.db)) {
    static_cast<void>(feed->feed.release());
  } else if (feed->state.exchange(kRevoked, std::memory_order_acq_rel) == kBusy) {
    return;  // in use: lost rather than torn from under its user
  }
  feed->feed.reset();
  Unregister(&feed->link);
  delete feed;
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_feed_open(kist_db* db, uint64_t from_seq, kist_feed** feed_out, kist_err* err) {
  return Guard(err, [&] { return FeedOpen(db, from_seq, feed_out, err); });
}

kist_rc kist_feed_next(kist_feed* feed, int64_t timeout_ms, uint64_t* seq_out, int64_t* time_ms_out,
                       kist_slice* packed_out, kist_err* err) {
  return Guard(err,
               [&] { return FeedNext(feed, timeout_ms, seq_out, time_ms_out, packed_out, err); });
}

void kist_feed_free(kist_feed* feed) {
  GuardVoid([&] { FeedFree(feed); });
}

}  // extern "C"
