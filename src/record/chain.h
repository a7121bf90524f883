// The chain: replaying a log (or manifest) that spans segments, oldest to newest, and judging what
// a crash or damage left of it.
//
// Which segments count is read backwards: the newest segment with a valid chain record names its
// predecessor, how much of it counts and up to which LSN, and so on. Segments off that path were
// given up by an earlier recovery, whose verdict the link is. Then the records are read forwards.
//
// A break (invalid record, missing or swapped segment, one shorter than its successor says) at LSN
// L is
//   damage   where anything authentic behind it shows that an LSN above L was durable: kCorrupt;
//   residue  otherwise: never promised; dropped and counted, and everything behind it with it.
// Threads: one; no state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "record/segment.h"

namespace kist {

// LSNs that an unclean end leaves out: commits that were numbered but left no trace must not lend
// their number to others.
constexpr Sequence kLsnJump = Sequence{1} << 20;

// The order of an opening. The verdict depends on the files alone, and each step keeps it, so an
// opening that is cut short anywhere is repeated with the same result:
//  1. ReplayChain changes nothing on disk;
//  2. SettleChain makes what counts durable and cuts off what does not, in place, repeatably;
//  3. a segment is made with result.next as its link, synced, and its directory too; its link is
//  the verdict now;
//  4. only then result.abandoned may be removed; result.empty, from which nothing can be learned,
//  as soon as 2 is done.
struct ChainSegment {
  uint64_t id = 0;
  std::string path;
};

struct ChainOptions {
  SegmentType type = SegmentType::kLog;
  uint64_t database_id = 0;  // 0: any
  // The oldest segment still needed, as the manifest says; older ones are not looked at. It must be
  // there unless a later segment says that nothing before it counts. 0: the oldest given.
  // Its head and its directory entry must have been synced (SyncHead, SyncDir) before a manifest
  // names it.
  uint64_t first_id = 0;
  std::string first_path;  // for the message when it is missing
  // A segment that was begun, its head and its directory entry synced before (0: unknown): it must
  // be there. Its chain record may be lost.
  uint64_t begun_id = 0;
  std::string begun_path;  // for the message when it is missing
  bool closed = false;     // in order, once: the segment with the last commit was sealed
  Sequence base_lsn = 0;   // everything up to here is in tables; such records are not visited
};

// What counts of one segment.
struct ChainKept {
  uint64_t id = 0;
  std::string path;
  uint64_t nonce = 0;
  uint64_t end = 0;           // file offset where what counts ends
  uint64_t record_bytes = 0;  // the same from the first record on
  Sequence previous_lsn = 0;  // the last LSN that counts before it
  Sequence last_lsn = 0;
  uint64_t records = 0;  // without the chain record
};

struct ChainResult {
  Sequence last_lsn = 0;     // of the last record that counts; base_lsn where that is higher
  Sequence max_lsn = 0;      // the highest LSN seen anywhere, residue included
  Sequence durable_lsn = 0;  // up to here the files themselves show durability
  uint64_t records = 0;      // visited
  uint64_t bytes = 0;        // of records that count
  uint64_t residue_bytes = 0;
  uint64_t residue_records = 0;
  std::string residue_path;  // where it begins; empty: there is none
  uint64_t residue_offset = 0;
  std::string residue_reason;
  bool clean = false;  // closed in order: nothing was dropped, next.start_lsn follows without a gap
  std::vector<ChainKept> kept;
  std::vector<ChainSegment> abandoned;  // hold nothing that counts
  // Of these, without any record, residue included; first_id and begun_id, which must be there, are
  // not among them.
  std::vector<ChainSegment> empty;
  SegmentLink next;  // of the segment that goes on from here
};

// Called for each record above base_lsn in order. Its error ends the replay and is returned.
using ChainVisitor = std::function<Status(const ChainSegment&, const SegmentReader::Record&)>;

// `segments` by ascending id. kCorrupt names file, offset and reason.
Result<ChainResult> ReplayChain(Vfs* vfs, const std::vector<ChainSegment>& segments,
                                const ChainOptions& options, const ChainVisitor& visit);

// Makes what a replay accepted durable before anything is built on it: a record that was read may
// stand in the page cache alone, even where an fsync failed and later ones pass (D4), so whatever
// is not known durable is written once more and synced; then the segment is cut at its end and
// sealed. For writable opens, after ReplayChain and before the next segment is made.
Status SettleChain(Vfs* vfs, const ChainOptions& options, const ChainResult& result);

}  // namespace kist
