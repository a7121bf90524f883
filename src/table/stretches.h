// Stretches: how new the entries of a table are, along its keys. A table is a few stretches of
// blocks, each with the newest sequence in it, so that a scan leaps over what a range tombstone
// hides although newer entries stand elsewhere in the same table.
//
//   stretches := stretch{}, ascending keys, to the property's end
//   stretch   := u64 newest sequence | u32 begin bytes | begin
// The first one begins at the empty key. A begin is the shortest key that parts the stretch from
// the one before.
// Invariants
//  1. Every entry of a stretch is as old as its newest sequence, or older.
//  2. At most kMost, merged where that loses least: an old stretch of many blocks stays by itself.
// Threads: built by one; then any, concurrently.
#pragma once

#include <string>
#include <vector>

#include "key/internal_key.h"
#include "util/slice.h"

namespace kist {

class StretchBuilder {
 public:
  // A block begins; `last` is the key before it, `first` its own first one.
  void BeginBlock(Slice last, Slice first);
  void Note(Sequence seq) {
    if (seq > stretches_.back().newest) stretches_.back().newest = seq;
  }
  // Empty where it would say no more than largest_seq, the table's, and of small tables, which are
  // soon walked.
  std::string Finish(Sequence largest_seq);

 private:
  struct Part {
    std::string begin;
    Sequence newest = 0;
    uint64_t blocks = 1;
  };
  void MergeDownTo(size_t count);

  std::vector<Part> stretches_;
};

class Stretches {
 public:
  static constexpr size_t kMost = 32;
  static constexpr uint64_t kLeastBlocks = 8;
  struct Part {
    Slice begin;
    Sequence newest;
  };
  // Takes the bytes over; returns what is wrong, or nullptr. Without any, it knows of nothing.
  const char* Load(Slice payload);
  bool known() const { return !parts_.empty(); }
  size_t count() const { return parts_.size(); }
  const Part& operator[](size_t i) const { return parts_[i]; }
  // The one that key is in; where any is known.
  size_t Find(Slice key) const;
  size_t memory_bytes() const { return bytes_.capacity() + parts_.capacity() * sizeof(Part); }

 private:
  std::string bytes_;
  std::vector<Part> parts_;
};

}  // namespace kist
