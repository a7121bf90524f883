// One stored version of a key: (user key, tag, value). The tag is sequence << 8 | kind. Order: user
// key ascending by memcmp (the shorter first where one is a prefix of the other), then tag
// descending, so that the newest version of a key comes first.
#pragma once

#include <cstdint>

#include "util/slice.h"

namespace kist {

// The number of a commit: every operation of a batch carries its commit's number. Dense within a
// run of the database; jumps ahead at each open.
using Sequence = uint64_t;
constexpr Sequence kMaxSequence = (uint64_t{1} << 56) - 1;

// Stored on disk in tables; values never change. 3 is what a range delete is called in packed
// batches (it is never an entry); 6 and up are free; 7 is kept for merge operands, 8 for values
// stored apart.
enum class EntryKind : uint8_t {
  kPut = 1,
  kDelete = 2,
  kPutTtl = 6,  // the value is preceded by its expiry: i64 Unix milliseconds, little-endian
};
constexpr uint64_t kMaxTag = ~uint64_t{0};

inline uint64_t MakeTag(Sequence seq, EntryKind kind) {
  return seq << 8 | static_cast<uint64_t>(kind);
}
inline Sequence TagSequence(uint64_t tag) { return tag >> 8; }
inline EntryKind TagKind(uint64_t tag) { return static_cast<EntryKind>(tag & 0xff); }
// The tag to seek with for the newest version visible at `seq`: not less than any tag of seq.
inline uint64_t SeekTag(Sequence seq) { return seq << 8 | 0xff; }

inline int CompareEntry(Slice a_key, uint64_t a_tag, Slice b_key, uint64_t b_tag) {
  const int c = a_key.compare(b_key);
  if (c != 0) return c;
  return a_tag > b_tag ? -1 : a_tag < b_tag ? 1 : 0;
}

// Deletes every version with a sequence below `seq` of the keys in [begin, end). An empty end
// reaches past the last key.
struct RangeTombstone {
  Slice begin;
  Slice end;
  Sequence seq = 0;
  bool Covers(Slice key) const { return begin <= key && (end.empty() || key < end); }
};

}  // namespace kist
