// DropRule: decides for each stored version, fed in internal order, whether a flush or compaction
// keeps it. Pure: it sees no files.
//
// Rules, for the versions of one key, newest first (S: the live snapshots; now: the earliest TTL
// time any reader may use)
//  1. A version is shadowed, and dropped, where a newer version or a covering range tombstone of
//  sequence n exists and no
//     snapshot s has version.seq <= s < n.
//  2. An expired version (expiry <= now) counts as a tombstone of its sequence.
//  3. A tombstone is dropped where no older version can exist below (`bottom`) and no snapshot is
//  older than it.
//  4. At the bottom, a put not newer than the oldest snapshot and under no range tombstone gets
//  sequence 0, which compresses to nothing.
// So the newest version of every key that any snapshot, or any later reader, may see is kept or
// hidden alike. Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "iter/range_tombstones.h"
#include "key/internal_key.h"

namespace kist {

struct DropCounts {
  uint64_t shadowed = 0;
  uint64_t range_deleted = 0;
  uint64_t tombstones = 0;
  uint64_t expired = 0;
  uint64_t total() const { return shadowed + range_deleted + tombstones + expired; }
};

// What the state looked like when the job began, sampled under the lock that snapshots register
// under.
struct Visibility {
  std::vector<Sequence> snapshots;  // ascending; without the newest state
  Sequence newest = 0;              // every later snapshot is at least this
  int64_t ttl_time_ms = 0;          // min over snapshots' times and the database's time
};

enum class Verdict { kKeep, kDrop, kKeepAsDelete };

class DropRule {
 public:
  // tombstones: of all inputs, may be null.
  DropRule(const Visibility& visibility, const RangeTombstoneSet* tombstones);

  // `bottom`: no older version of this key, and no part of it, exists below the output or outside
  // the inputs. value: as stored. kKeep: emit with *tag_out; kKeepAsDelete: emit a delete with
  // *tag_out and no value.
  Verdict Decide(Slice key, uint64_t tag, Slice value, bool bottom, uint64_t* tag_out);
  const DropCounts& counts() const { return counts_; }

  // Whether a range tombstone itself can go: nothing below it and no snapshot older than it.
  bool TombstoneIsDead(const RangeTombstone& tombstone, bool bottom) const;

 private:
  // Whether some reader sees a version of sequence `seq` although one of sequence `newer` exists.
  bool SeenBetween(Sequence seq, Sequence newer) const;
  Sequence OldestReader() const;
  // The oldest state in which a version of sequence `seq` is seen, by a snapshot or from now on.
  Sequence FirstReader(Sequence seq) const;

  const Visibility& visibility_;
  const RangeTombstoneSet* const tombstones_;
  const std::vector<RangeCoverCursor::Part> parts_;
  RangeCoverCursor cursor_{&parts_};
  std::string key_;
  bool has_key_ = false;
  Sequence newer_ = 0;  // sequence of the next newer version of key_
  DropCounts counts_;
};

// The range tombstones that an output must hold so that every reader sees what all of them say:
// between two snapshots the newest at each key hides what the others hide. So an output has fewer
// than twice as many as there are, whatever their nesting.
class NeededTombstones {
 public:
  NeededTombstones(const Visibility& visibility, std::vector<RangeTombstone> tombstones);
  const std::vector<RangeTombstone>& all() const {
    return all_;
  }  // the slices live as long as this

 private:
  std::vector<std::shared_ptr<const RangeTombstoneSet>> sets_;
  std::vector<RangeTombstone> all_;
};

}  // namespace kist
