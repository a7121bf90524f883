// RangeTombstoneSet: the range tombstones of one memtable or table of one keyspace, cut into
// fragments that do not overlap, each with its sequences newest first, so that a lookup is one
// binary search. Immutable once built; owns its bytes. Threads: any, concurrently.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "key/internal_key.h"

namespace kist {

class RangeTombstoneSet {
 public:
  struct Fragment {
    Slice begin;
    Slice end;           // empty: past the last key
    uint32_t first_seq;  // into seqs_
    uint32_t seq_count;
  };
  // Copies the bytes.
  static std::shared_ptr<const RangeTombstoneSet> Build(
      const std::vector<RangeTombstone>& tombstones);
  // The highest sequence <= seq that covers key; 0: none.
  Sequence MaxCovering(Slice key, Sequence seq) const;
  // The same, with the fragment that holds it (for skipping); nullptr where none covers.
  const Fragment* Find(Slice key, Sequence seq, Sequence* covering) const;
  const std::vector<Fragment>& fragments() const { return fragments_; }
  const Sequence* seqs(const Fragment& f) const {
    return seqs_.data() + f.first_seq;
  }  // newest first
  size_t memory_bytes() const;

 private:
  class Builder;
  std::vector<Fragment> fragments_;
  std::vector<Sequence> seqs_;
  std::string bytes_;
};

}  // namespace kist
