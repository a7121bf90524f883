// Planted bugs: mistakes that storage engines have shipped, compiled into Kist on request, one at a
// time by number, to show that the tests catch each (tests/fault/planted.py). They exist only where
// KIST_PLANTED_BUGS is defined and KIST_PLANTED names one in the environment; elsewhere Planted is
// the constant false, and a hook compiles to nothing. A header holds no hook, because its inline
// functions must be the same in every object. Threads: any.
#pragma once

#ifdef KIST_PLANTED_BUGS
#include <cstdlib>
#endif

namespace kist {

enum class Bug {
  kAcknowledgeBeforeSync = 1,    // leveldb#193
  kSyncResultIgnored = 2,        // rocksdb#2495
  kNoDirSyncOfSegment = 3,       // leveldb#195
  kNoDirSyncOfManifest = 4,      // rocksdb#10573
  kNoDirSyncOfTables = 5,        // leveldb#189
  kNoSyncOfCurrent = 6,          // leveldb#74
  kNoDirSyncOfCurrent = 7,       // rocksdb#10573
  kFollowersToldOk = 8,          // rocksdb#3096
  kAppendAfterFailedAppend = 9,  // rocksdb#12448
  kTombstoneDroppedEarly = 10,   // badger#2143
  kSnapshotsIgnored = 11,        // rocksdb#9648
  kExpiredUncoversOlder = 12,    // facebook/mysql-5.6#617
  kSequenceReused = 13,          // rocksdb#12873
  kLogRemovedBeforeEdit = 14,    // tidesdb 90c4fd8
  kErrorLooksLikeEnd = 15,       // rocksdb#11782
  kFilterMissesKeys = 16,        // rocksdb#8137
  kMissingCurrentIsNew = 17,     // tikv#19963
  kTornRecordAccepted = 18,      // leveldb#251
  kNewerLogSyncedFirst = 19,     // rocksdb#12489
  kFailedCommitVisible = 20,     // rocksdb#5379
  kNoPoison = 21,                // rocksdb#12995
  kDamageTakenForEnd = 22,       // pebble#453
  kManifestNotSynced = 23,       // leveldb#74
  kTableNotSynced = 24,          // rocksdb#2495
  kTablesRemovedInDoubt = 25,    // rocksdb#6949
  kRangeTombstoneDropped = 26,   // rocksdb#2989
  kWatermarkTooHigh = 27,        // rocksdb#10185
  kBatchOrderLost = 28,          // rocksdb#2989
  kSnapshotOffByOne = 29,        // rocksdb#13155
  kCompactionErrorIsEnd = 30,    // rocksdb#11782
  kFeedGap = 31,                 // litestream#752
  kTtlByWallClock = 32,          // rocksdb HIST 10.9.0
  kKeyspaceResurrected = 33,     // fjall#241
  kTxnRangeMissed = 34,          // tidesdb 928bb18
  kTxnFlushedKeyMissed = 35,     // tidesdb 0c73e95
  kRangeEndIncluded = 36,        // rocksdb#1784
  kRangeTombstoneCutShort = 37,  // rocksdb HIST 6.3
  kBatchHalfReplayed = 38,       // rocksdb#12995
  kOldestTableFirst = 39,        // fjall lsm-tree 42fd6e5e
  kReplayedTtlFromZero = 40,     // apache/kvrocks#2315
  kTableChecksumIgnored = 41,    // pebble#3865
  kFileNumberReused = 42,        // rocksdb#7621
  kFlushOfOneKeyspace = 43,      // rocksdb#13903
  kUpperBoundIncluded = 44,      // rocksdb#3989
  kMemtableRangesIgnored = 45,   // rocksdb HIST 7.0
  kOldLogNeverSynced = 46,       // rocksdb#10560
  kOverlappingTableMissed = 47,  // rocksdb HIST 11.1.0
  kExpiryIgnoresSnapshots = 48,  // slatedb#218
  kRangeReadsForgotten = 49,     // phantom, Berenson 1995
  kGroupConflictMissed = 50,     // lost update, Berenson 1995
  kNoDirSyncOfParent = 51,       // leveldb#195
  kRestoreNotSynced = 52,        // pebble#5825
  kHeadDamageIgnored = 53,       // redb 4.2.0
  kRepairRemovesFirst = 54,      // redb 4.2.0
  kRepairStopsAtDamage = 55,     // leveldb#251
  kFeedRepeats = 56,             // rocksdb#7576
  kHeldNeverRefused = 57,        // memory that grows
  kCoverTooLong = 58,            // rocksdb#1784
  kCopyNotSynced = 59,           // rocksdb#12731
  kGivenUpSegmentStays = 60,     // cockroach#68319
  kNewestLogNotMissed = 61,      // rocksdb#10080
};

#ifdef KIST_PLANTED_BUGS
inline bool Planted(Bug bug) {
  static const int chosen = [] {
    const char* number = getenv("KIST_PLANTED");
    return number == nullptr ? 0 : atoi(number);
  }();
  return chosen == static_cast<int>(bug);
}
#else
constexpr bool Planted(Bug) { return false; }
#endif

}  // namespace kist
