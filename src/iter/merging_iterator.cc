// MergingIterator out of line. See merging_iterator.h for the invariants.
//
// Both directions are one code with the order turned around at compile time. The heap holds the
// prefixes themselves, so that most comparisons touch no key.
#include "iter/merging_iterator.h"

#include <utility>

namespace kist {

MergingIterator::~MergingIterator() { Clear(); }

void MergingIterator::Clear() {
  for (const Source& s : sources_) {
    if (s.owned) delete s.iterator;
  }
  sources_.clear();
  heap_.clear();
  status_ = Status();
  Stop();
}

void MergingIterator::Add(std::unique_ptr<InternalIterator> source) {
  AddBorrowed(source.get());
  source.release();
  sources_.back().owned = true;
}

void MergingIterator::AddBorrowed(InternalIterator* source) {
  heap_.reserve(sources_.size() + 1);
  sources_.push_back({source, 0, static_cast<uint32_t>(sources_.size()), false});
}

template <bool kForward>
inline bool MergingIterator::Before(const Source& a, const Source& b) {
  if (a.prefix != b.prefix) return kForward ? a.prefix < b.prefix : a.prefix > b.prefix;
  const int order =
      CompareEntry(a.iterator->key(), a.iterator->tag(), b.iterator->key(), b.iterator->tag());
  if (order != 0) return kForward ? order < 0 : order > 0;
  return kForward ? a.index < b.index : a.index > b.index;
}

template <bool kForward>
void MergingIterator::SiftDown(size_t at) {
  const size_t n = heap_.size();
  const Source moving = heap_[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= n) break;
    if (child + 1 < n && Before<kForward>(heap_[child + 1], heap_[child])) ++child;
    if (!Before<kForward>(heap_[child], moving)) break;
    heap_[at] = heap_[child];
    at = child;
  }
  heap_[at] = moving;
}

template <bool kForward>
void MergingIterator::PopRunnerUp() {
  leader_ = heap_[0];
  heap_[0] = heap_.back();
  heap_.pop_back();
  if (heap_.size() > 1) SiftDown<kForward>(0);
}

inline void MergingIterator::Take() {
  key_ = leader_.iterator->key();
  value_ = leader_.iterator->value();
  tag_ = leader_.iterator->tag();
  valid_ = true;
}

void MergingIterator::Stop() {
  valid_ = false;
  key_ = value_ = Slice();
}

void MergingIterator::Fail(const Status& status) {
  Stop();
  status_ = status;
}

// Puts a source that was just positioned where it belongs; false where it has failed.
bool MergingIterator::Waits(Source source) {
  if (!source.iterator->valid()) {
    if (source.iterator->status().ok()) return true;
    Fail(source.iterator->status());
    return false;
  }
  source.prefix = Prefix64(source.iterator->key());
  heap_.push_back(source);
  return true;
}

// All sources that have an entry are in the heap's array: orders them and takes the first as
// leader.
template <bool kForward>
void MergingIterator::Enter() {
  forward_ = kForward;
  if (heap_.empty()) return Stop();
  for (size_t at = heap_.size() / 2; at-- > 0;) SiftDown<kForward>(at);
  PopRunnerUp<kForward>();
  Take();
}

// After the leader has moved on.
template <bool kForward>
inline void MergingIterator::Stepped() {
  InternalIterator* const it = leader_.iterator;
  if (__builtin_expect(!it->valid(), 0)) {
    if (!it->status().ok()) return Fail(it->status());
    if (heap_.empty()) return Stop();
    PopRunnerUp<kForward>();
    return Take();
  }
  if (!heap_.empty()) {
    leader_.prefix = Prefix64(it->key());
    if (!Before<kForward>(leader_, heap_[0])) {
      std::swap(leader_, heap_[0]);
      SiftDown<kForward>(0);
    }
  }
  Take();
}

// Changes direction at the current entry, to the neighbour on the other side. Sources added before
// the leader have an equal entry, if any, before the current one, those added after it behind
// (invariant 2). The tag after an entry's in order is one lower. The leader moves last, because
// key_ is its memory.
template <bool kForward>
void MergingIterator::Turn() {
  heap_.clear();
  const Source leader = leader_;
  const Slice key = key_;
  const uint64_t tag = tag_;
  for (const Source& s : sources_) {
    if (s.index == leader.index) continue;
    const bool equal_comes_before = s.index < leader.index && tag != 0;
    const uint64_t boundary = equal_comes_before ? tag - 1 : tag;
    if (kForward) {
      s.iterator->Seek(key, boundary);
    } else {
      s.iterator->SeekBefore(key, boundary);
    }
    if (!Waits(s)) return;
  }
  if (kForward) {
    leader.iterator->Next();
  } else {
    leader.iterator->Prev();
  }
  if (Waits(leader)) Enter<kForward>();
}

void MergingIterator::SeekToFirst() {
  status_ = Status();
  heap_.clear();
  for (const Source& s : sources_) {
    s.iterator->SeekToFirst();
    if (!Waits(s)) return;
  }
  Enter<true>();
}

void MergingIterator::SeekToLast() {
  status_ = Status();
  heap_.clear();
  for (const Source& s : sources_) {
    s.iterator->SeekToLast();
    if (!Waits(s)) return;
  }
  Enter<false>();
}

void MergingIterator::Seek(Slice key, uint64_t tag) {
  status_ = Status();
  heap_.clear();
  for (const Source& s : sources_) {
    s.iterator->Seek(key, tag);
    if (!Waits(s)) return;
  }
  Enter<true>();
}

void MergingIterator::SeekBefore(Slice key, uint64_t tag) {
  status_ = Status();
  heap_.clear();
  for (const Source& s : sources_) {
    s.iterator->SeekBefore(key, tag);
    if (!Waits(s)) return;
  }
  Enter<false>();
}

void MergingIterator::Next() {
  if (__builtin_expect(!forward_, 0)) return Turn<true>();
  leader_.iterator->Next();
  Stepped<true>();
}

void MergingIterator::Prev() {
  if (__builtin_expect(forward_, 0)) return Turn<false>();
  leader_.iterator->Prev();
  Stepped<false>();
}

// The leader's run, up to the runner-up. The leader's prefix is of no use any more once it has
// moved: Stepped sets it anew.
size_t MergingIterator::Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
                            uint64_t* repeats) {
  Slice runner_up;
  if (!heap_.empty()) {
    runner_up = heap_[0].iterator->key();
    if (bound == nullptr || (forward ? runner_up < *bound : runner_up > *bound)) bound = &runner_up;
  }
  const size_t n = leader_.iterator->Run(forward, bound, out, max, repeats);
  Take();
  return n;
}

std::unique_ptr<InternalIterator> NewMergingIterator(
    std::vector<std::unique_ptr<InternalIterator>> sources) {
  if (sources.size() == 1) return std::move(sources[0]);
  auto merging = std::make_unique<MergingIterator>();
  for (auto& s : sources) merging->Add(std::move(s));
  return merging;
}

}  // namespace kist
