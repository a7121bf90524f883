// Segment files: framed records behind a fixed header. The log and the manifest both are sequences of them.
//
// Format, little-endian.
//   prefix, 64 bytes, written once
//     0 magic "KISTSEG\0" | 8 u16 version (1, 2) | 10 u8 type (1 log, 2 manifest) | 11 u8 byte order mark 0x01 with
//     12 u32 0x01020304 | 16 u64 segment id | 24 u64 nonce (random, never 0) | 32 u64 database id |
//     40 u32 max key bytes | 44 u32 flags | 48 u64 max value bytes (limits of the writer) | 56 u32 0 | 60 u32 CRC32C of 0..60
//   version 2 only: two slots of 512 bytes at 512 and 1024
//     0 u64 generation | 8 u64 valid_data_end | 16 u64 last LSN below it | 24 u8 sealed | 25.. 0 | 508 u32 CRC32C of 0..508
//     seeded with segment id and nonce. The slot with the higher generation that validates counts; writers alternate.
//   records from 64 (version 1) or 1536 (version 2), each at a multiple of 8, zero-padded to one
//     0 u32 header CRC32C over segment id, nonce, offset of the record, and bytes 4..32(40)
//     4 u32 data bytes, as stored | 8 u64 LSN | 16 u64 durable LSN known when it was written
//     24 u8 kind (never 0) | 25 u8 flags (1 time follows, 2 data is Snappy) | 26 u16 0 | 28 u32 data CRC32C
//     32 [i64 Unix ms] | data
//
// Invariants
//  1. valid_data_end is a lagging lower bound: written only after a Sync that covers it returned. Below it an invalid
//     record is damage; above it reading goes on record by record.
//  2. LSNs are dense inside a segment; the first record (kind kChain) names the LSN that the next record will carry minus one,
//     the predecessor's id, nonce, final size and last LSN (0s where there is none).
//  3. A record is durable at the latest when its LSN <= the durable LSN of some valid record, in this or any later segment.
//     So after a break at LSN L: a later valid record with durable LSN > L proves damage; otherwise what follows is residue.
//  4. All-zero bytes never validate: kind and nonce are not 0.
// Threads: a writer has one user at a time, except Sync*/durable marks (see each). Readers: one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "key/internal_key.h"
#include "vfs/vfs.h"

namespace kist {

enum class SegmentType : uint8_t { kLog = 1, kManifest = 2 };
enum class RecordKind : uint8_t { kChain = 1, kCommit = 2, kEdit = 3 };

constexpr size_t kSegmentPrefixBytes = 64;
constexpr size_t kSegmentSlotBytes = 512;
constexpr size_t kSegmentDataStart1 = 64;
constexpr size_t kSegmentDataStart2 = 1536;
constexpr size_t kRecordHeaderBytes = 32;
constexpr size_t kRecordHeaderMax = 40;  // with its time

struct SegmentInfo {
  uint16_t version = 2;
  SegmentType type = SegmentType::kLog;
  uint64_t id = 0;
  uint64_t nonce = 0;
  uint64_t database_id = 0;
  uint32_t max_key_bytes = 0;
  uint64_t max_value_bytes = 0;
  uint64_t data_start() const { return version == 1 ? kSegmentDataStart1 : kSegmentDataStart2; }
};

// What the first record says of the segment before.
struct SegmentLink {
  uint64_t previous_id = 0;  // 0: none
  uint64_t previous_nonce = 0;
  uint64_t previous_bytes = 0;  // end of its last record; 0: was not known to be complete (after a crash)
  Sequence previous_lsn = 0;    // its last LSN
  Sequence start_lsn = 0;       // the next record of this segment carries start_lsn + 1
};

// A record prepared outside the write lock: the caller's bytes and their checksum. `room` points kRecordHeaderMax bytes before
// `data`, in the same buffer, so that header and data leave in one piece.
struct PreparedRecord {
  char* data = nullptr;
  uint32_t data_bytes = 0;
  uint32_t data_crc = 0;
  RecordKind kind = RecordKind::kCommit;
  uint8_t flags = 0;     // kRecordSnappy where data was compressed
  int64_t time_ms = 0;   // written where flags has kRecordTime
  Sequence lsn = 0;
};
constexpr uint8_t kRecordTime = 1;
constexpr uint8_t kRecordSnappy = 2;

class SegmentWriter {
 public:
  struct Options {
    SegmentInfo info;
    SegmentLink link;
    Sequence durable_lsn = 0;
    uint64_t preallocate_bytes = 0;  // 0: plain appends
  };
  // Creates the file (kCreateNew), writes prefix, slots and chain record. Nothing is synced; the caller syncs file and directory
  // before it relies on them (SyncDir may have been done by a background thread).
  static Result<std::unique_ptr<SegmentWriter>> Create(Vfs* vfs, const std::string& path, const Options& options);
  // Finishes a writer that was created ahead of time, when link and LSN become known: writes the chain record.
  static Result<std::unique_ptr<SegmentWriter>> CreateAhead(Vfs* vfs, const std::string& path, const SegmentInfo& info,
                                                            uint64_t preallocate_bytes);
  Status Start(const SegmentLink& link, Sequence durable_lsn);

  virtual ~SegmentWriter() = default;

  // Appends the records in one write. lsn of each must be set, dense from last_lsn() + 1. On failure nothing of it counts:
  // the segment has been cut back to its old end and that has been synced, and it can be appended to again -- or broken() is true.
  // buffered: keeps a copy in memory instead of writing; a later unbuffered Append, Flush or Seal writes it first.
  virtual Status Append(PreparedRecord* records, size_t count, Sequence durable_lsn, bool buffered) = 0;
  virtual Status Flush() = 0;  // buffered bytes to the operating system
  // Flushed bytes to stable storage. Any thread, beside Append; covers what was flushed before the call. One failed Sync
  // breaks the writer for ever (D4).
  virtual Status Sync() = 0;
  // Records a lagging valid_data_end for what the last good Sync covered; not synced itself. Same thread rule as Sync.
  virtual Status WriteMark() = 0;
  // After the last append: flush, sync, cut the reserved tail off, write a sealed mark. Any thread; no Append may follow.
  virtual Status Seal() = 0;

  virtual uint64_t size() const = 0;          // end of the last record, buffered ones included
  virtual uint64_t flushed_size() const = 0;  // end of the last record handed to the operating system
  virtual uint64_t reserved_bytes() const = 0;
  virtual Sequence last_lsn() const = 0;
  virtual Sequence flushed_lsn() const = 0;
  virtual Sequence synced_lsn() const = 0;
  virtual bool broken() const = 0;
  virtual const SegmentInfo& info() const = 0;
  virtual File* file() = 0;
};

// Reads one segment from its first record on.
class SegmentReader {
 public:
  struct Record {
    uint64_t offset = 0;
    uint64_t end = 0;
    Sequence lsn = 0;
    Sequence durable_lsn = 0;
    RecordKind kind = RecordKind::kCommit;
    bool has_time = false;
    int64_t time_ms = 0;
    Slice data;  // uncompressed; valid until the next call
  };
  enum class Outcome {
    kRecord,
    kEnd,     // a clean end: the sealed end, or only zeros or reserved blocks follow
    kBroken,  // what follows is not a valid record; see break_offset() and break_reason()
  };
  // kCorrupt: not a segment, damaged prefix; kTooNew: unknown version or byte order, by name. A file of 0 bytes or only zeros is kCorrupt
  // with aux 0; recovery tells a crash while creating by it being last.
  static Result<std::unique_ptr<SegmentReader>> Open(Vfs* vfs, const std::string& path, SegmentType type);
  virtual ~SegmentReader() = default;
  // I/O errors as Status; invalid bytes below valid_data_end (or before a sealed end) as kCorrupt with offset.
  virtual Result<Outcome> Next(Record* record) = 0;
  // After kBroken or kEnd: looks on for valid records (skipping reserved blocks) and returns the highest durable LSN and LSN that any
  // of them carries, and how many bytes of residue there are.
  struct Residue {
    Sequence max_lsn = 0;
    Sequence max_durable_lsn = 0;
    uint64_t bytes = 0;
    uint64_t records = 0;
  };
  virtual Result<Residue> ScanResidue() = 0;

  virtual const SegmentInfo& info() const = 0;
  virtual bool has_link() const = 0;  // the chain record was there and valid (read by Open)
  virtual const SegmentLink& link() const = 0;
  virtual uint64_t valid_data_end() const = 0;
  virtual bool sealed() const = 0;
  virtual Sequence mark_lsn() const = 0;
  virtual uint64_t offset() const = 0;
  virtual uint64_t break_offset() const = 0;
  virtual const std::string& break_reason() const = 0;
};

}  // namespace kist
