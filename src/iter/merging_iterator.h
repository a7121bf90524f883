// MergingIterator: several sources as one, in the order of key/internal_key.h, both ways.
//
// The leading source is followed while its key stays before the runner-up's, so that a step costs
// one comparison with the runner-up, of two cached 8-byte prefixes most of the time; with one
// source left it costs none. The other sources wait in a heap whose top is the runner-up.
//
// Invariants:
//  1. Going forward, every source but the leader stands on its first entry after the current one;
//     going backward, on its last entry before it. A change of direction seeks all of them but the
//     leader.
//  2. Of equal entries (key and tag), the one of the source that was added first comes first.
//  3. An error of any source ends the merge at once: what is behind it in order cannot be known.
// Threads: one at a time. Nothing allocates after the sources are added.
#pragma once

#include <memory>
#include <vector>

#include "iter/internal_iterator.h"

namespace kist {

class MergingIterator final : public InternalIterator {
 public:
  MergingIterator() = default;
  ~MergingIterator() override;

  // For use again with other sources: Clear, then Add each, then Seek*. The vectors keep their
  // memory.
  void Clear();
  void Add(std::unique_ptr<InternalIterator> source);
  void AddBorrowed(InternalIterator* source);  // outlives its use here

  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(Slice key, uint64_t tag) override;
  void SeekBefore(Slice key, uint64_t tag) override;
  void Next() override;
  void Prev() override;
  size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
             uint64_t* repeats) override;

 private:
  struct Source {
    InternalIterator* iterator;
    uint64_t prefix;  // of its current key
    uint32_t index;   // in the order of adding
    bool owned;
  };
  template <bool kForward>
  static bool Before(const Source& a, const Source& b);
  template <bool kForward>
  void SiftDown(size_t at);
  template <bool kForward>
  void PopRunnerUp();
  template <bool kForward>
  void Enter();
  template <bool kForward>
  void Stepped();
  template <bool kForward>
  void Turn();
  bool Waits(Source source);
  void Stop();
  void Fail(const Status& status);
  void Take();

  std::vector<Source> sources_;
  std::vector<Source> heap_;  // valid ones but the leader; the runner-up on top
  Source leader_ = {};
  bool forward_ = true;
};

// Exactly one source is returned as it is.
std::unique_ptr<InternalIterator> NewMergingIterator(
    std::vector<std::unique_ptr<InternalIterator>> sources);

}  // namespace kist
