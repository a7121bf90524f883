// The iterator that memtables, tables, levels and the merge of them share: over stored versions in
// the order of key/internal_key.h. The current entry stands in plain members, so that reading it is
// not a virtual call.
//
// Invariants:
//  1. Where valid() is false, status() tells an end (ok) from an error. An error is sticky until
//     the next Seek*.
//  2. key and value stay valid until the iterator's next positioning call; with a PinSink, until
//     the sink is released.
//  3. Range tombstones are not entries; their owners answer for them apart.
// Threads: one at a time.
#pragma once

#include <new>
#include <vector>

#include "key/internal_key.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

// Keeps what entries point into (blocks) alive after the iterator has moved on.
class PinSink {
 public:
  PinSink() = default;
  ~PinSink() { Release(); }
  PinSink(const PinSink&) = delete;
  PinSink& operator=(const PinSink&) = delete;
  // Where no memory is left to note it, the object goes at once and failed() says so until the next
  // Release: nothing that was handed out since then may be used.
  void Hold(void* object, void (*release)(void*)) noexcept {
    try {
      held_.push_back({object, release});
    } catch (const std::bad_alloc&) {
      failed_ = true;
      release(object);
    }
  }
  bool failed() const { return failed_; }
  void Release() {
    for (const auto& h : held_) h.release(h.object);
    held_.clear();
    failed_ = false;
  }
  bool active = false;  // iterators hand over what they leave only while this is set

 private:
  struct Held {
    void* object;
    void (*release)(void*);
  };
  std::vector<Held> held_;
  bool failed_ = false;
};

// How an iterator (or a point read) treats the cache.
struct ReadContext {
  bool fill_cache = true;
  // Users' hits and misses of the cache are counted; what flushes and compactions read is not what
  // handles hold.
  bool by_user = true;
  size_t readahead_bytes = 0;                // 0: none; compaction reads this much at once
  size_t readahead_max = size_t{256} << 10;  // what a scan that goes on comes to read at once
  PinSink* sink = nullptr;
};

// One version as an iterator gives it.
struct InternalEntry {
  Slice key;
  uint64_t tag;
  Slice value;
};

class InternalIterator {
 public:
  virtual ~InternalIterator() = default;
  bool valid() const { return valid_; }
  Slice key() const { return key_; }
  uint64_t tag() const { return tag_; }
  Slice value() const { return value_; }  // of kPutTtl: with the expiry in front
  const Status& status() const { return status_; }

  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // To the first entry >= (key, tag).
  virtual void Seek(Slice key, uint64_t tag) = 0;
  // To the last entry < (key, tag). With tag kMaxTag: the last entry of an earlier key.
  virtual void SeekBefore(Slice key, uint64_t tag) = 0;
  virtual void Next() = 0;  // only where valid()
  virtual void Prev() = 0;  // only where valid()
  // Only where valid(): to the next entry that is not before `end` (empty: no end) or not older
  // than `seq`; the current one may be it. Faster than steps where the source can tell.
  virtual void PassUp(Slice end, Sequence seq) {
    while (valid_ && TagSequence(tag_) < seq && (end.empty() || key_ < end)) Next();
  }
  // The same downwards: to one before `begin`, or not older than `seq`.
  virtual void PassDown(Slice begin, Sequence seq) {
    while (valid_ && TagSequence(tag_) < seq && key_ >= begin) Prev();
  }
  // The current entry and those behind it, on the way that the last positioning call went, which
  // can be had without leaving what the iterator stands in: 1 to `max` of them. Those behind the
  // current one come before `bound` on that way (key < *bound forwards, > backwards; null: none).
  // The iterator then stands on the last one given, and all stay valid as long as that one.
  // *repeats: bit i is clear where entry i is known to have another key than entry i - 1; bit 0 is
  // set. Only where valid(); max <= kRunMax. Never fails.
  static constexpr size_t kRunMax = 64;
  virtual size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
                     uint64_t* repeats) {
    static_cast<void>(forward), static_cast<void>(bound), static_cast<void>(max);
    out[0] = {key_, tag_, value_};
    *repeats = ~uint64_t{0};
    return 1;
  }

 protected:
  Slice key_;
  Slice value_;
  uint64_t tag_ = 0;
  bool valid_ = false;
  Status status_;
};

}  // namespace kist
