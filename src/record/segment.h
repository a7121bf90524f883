// Segment files: framed records behind a fixed header. The log and the manifest are sequences of
// them.
//
// Format, little-endian.
//   prefix, 64 bytes, written once
//     0 magic "KISTSEG\0" | 8 u16 version (1, 2) | 10 u8 type (1 log, 2 manifest) | 11 u8 0x01 |
//     12 u32 0x01020304 (byte order) | 16 u64 segment id | 24 u64 nonce (random, never 0) |
//     32 u64 database id | 40 u32 max key bytes | 44 u32 flags, 0 | 48 u64 max value bytes (limits
//     of the writer) | 56 u32 0 | 60 u32 CRC32C of 0..60
//   version 2 only: two slots of 512 bytes at 512 and 1024
//     0 u64 generation, from 1 | 8 u64 valid_data_end | 16 u64 LSN of the last record below it (0:
//     none) | 24 u8 sealed (SealKind) | 25 zeros | 64 copy of the prefix | 128 zeros |
//     508 u32 CRC32C of 0..508
//     The valid slot of the higher generation counts; writers alternate and never begin a slot
//     before a Sync has covered the other one, so a torn one loses nothing. The copy lets recovery
//     judge a segment whose first sector is damaged.
//   records from 64 (version 1) or 1536 (version 2), each at a multiple of 8, zero-padded to one
//     0 u32 CRC32C over segment id, nonce, position and bytes 4..32(40) of this header
//     4 u32 data bytes, as stored | 8 u64 LSN | 16 u64 durable LSN known when it was written |
//     24 u8 kind (never 0) | 25 u8 flags (1 time follows, 2 data is Snappy) | 26 u16 0 |
//     28 u32 CRC32C of the data as stored | 32 [i64 Unix ms] | data
//     Position: bytes from the segment's first record, so that records move between versions 1 and
//     2 as they are.
//   chain record, the first one: LSN = start_lsn, data = u64 previous id | u64 its nonce | u64
//   bytes
//     of its records that count | u64 its last LSN that counts
// Version 1 is exact-size and sealed (shipped segments): its end is the file's size. Segments of
// the log are never appended to again once a writer has gone; recovery starts a new one.
//
// Invariants
//  1. valid_data_end is a lagging lower bound: written only after a Sync that covers it returned.
//     Below it, or before a sealed end, an invalid record is damage; above it reading goes on.
//  2. LSNs are dense inside a segment: the record after the chain record carries start_lsn + 1.
//  3. A record's durable LSN was durable when the record was written. So after a break at LSN L a
//  later
//     authentic header with durable LSN > L proves damage; otherwise what follows is residue.
//  4. All-zero bytes never validate: kind and nonce are not 0.
//  5. A record refused by Append is not in the file when Append returns, nor will it be after a
//  crash
//     (see SegmentWriter::CutBack), unless the writer is broken().
// Threads: see each class.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "key/internal_key.h"
#include "util/alloc.h"
#include "util/memory_budget.h"
#include "util/mutex.h"
#include "vfs/vfs.h"

namespace kist {

// On disk; values never change.
enum class SegmentType : uint8_t { kLog = 1, kManifest = 2 };
enum class RecordKind : uint8_t { kChain = 1, kCommit = 2, kEdit = 3 };
enum class SealKind : uint8_t {
  kNone = 0,
  kSwitched = 1,   // another segment follows
  kRecovered = 2,  // by the recovery that replayed it
  kClosed = 3,     // the database was closed in order; no commit was ever numbered beyond it
};

constexpr size_t kSegmentPrefixBytes = 64;
constexpr size_t kSegmentSlotBytes = 512;
constexpr size_t kSegmentDataStart1 = kSegmentPrefixBytes;
constexpr size_t kSegmentDataStart2 = 3 * kSegmentSlotBytes;
constexpr size_t kRecordHeaderBytes = 32;
constexpr size_t kRecordHeaderMax = 40;  // with its time
constexpr size_t kRecordTailroom = 8;    // the padding needs up to 7
constexpr uint64_t kRecordDataMax = (uint64_t{2} << 30) + 4096;
constexpr uint8_t kRecordTime = 1;
constexpr uint8_t kRecordSnappy = 2;

struct SegmentInfo {
  uint16_t version = 2;
  SegmentType type = SegmentType::kLog;
  uint64_t id = 0;
  uint64_t nonce = 0;  // 0: Create draws one
  uint64_t database_id = 0;
  uint32_t max_key_bytes = 0;
  uint64_t max_value_bytes = 0;
  uint64_t data_start() const { return version == 1 ? kSegmentDataStart1 : kSegmentDataStart2; }
};

// What the first record says of the segment before. Where a segment follows a crash, the link holds
// the verdict of the recovery that made it: how much of which segment counts. Everything else that
// was written between that cut and this segment does not count, whatever it looks like later.
struct SegmentLink {
  uint64_t previous_id = 0;  // 0: nothing before this segment counts but what is in tables
  uint64_t previous_nonce = 0;
  uint64_t previous_bytes = 0;  // of its records, the chain record included
  Sequence previous_lsn = 0;    // the last LSN that counts before this segment
  Sequence start_lsn = 0;       // >= previous_lsn; beyond everything ever seen, after a crash
};

// A record prepared outside the write lock: the caller's bytes and their checksum (over the bytes
// as they stand in `data`, after compression). In the same buffer kRecordHeaderMax bytes before
// `data` and kRecordTailroom behind it belong to the record and are overwritten: header, data and
// padding leave in one piece.
struct PreparedRecord {
  char* data = nullptr;
  uint32_t data_bytes = 0;
  uint32_t data_crc = 0;
  RecordKind kind = RecordKind::kCommit;
  uint8_t flags = 0;    // kRecordTime, kRecordSnappy
  int64_t time_ms = 0;  // written where flags has kRecordTime
  Sequence lsn = 0;
};

// Appends to one segment. Threads: Create, Start, Append, Flush and LinkAfter have one user at a
// time; Sync, WriteMark, the getters marked so, and Seal after the last Append may come from any
// thread beside them.
class SegmentWriter {
 public:
  struct Options {
    SegmentInfo info;
    SegmentLink link;
    Sequence durable_lsn = 0;
    uint64_t preallocate_bytes = 0;  // 0: plain appends
  };
  // Creates the file (kExists where there is one) and writes prefix, slot and chain record. Nothing
  // is synced; before anything relies on it the caller calls Sync and Vfs::SyncDir. Where blocks
  // cannot be reserved, appends are plain. On an error no file is left.
  static Result<std::unique_ptr<SegmentWriter>> Create(Vfs* vfs, const std::string& path,
                                                       const Options& options);
  // The same without the chain record, for a segment that is made ready ahead of time; Start
  // finishes it when its predecessor's end is known.
  static Result<std::unique_ptr<SegmentWriter>> CreateAhead(Vfs* vfs, const std::string& path,
                                                            const SegmentInfo& info,
                                                            uint64_t preallocate_bytes);
  Status Start(const SegmentLink& link, Sequence durable_lsn);
  // The buffer counts in the budget from now on.
  void CountBuffer(MemoryBudget* budget) {
    buffer_charge_ = MemoryCharge(budget, MemoryBudget::kBuffers, buffer_capacity_);
  }
  ~SegmentWriter();  // closes; buffered bytes are lost, nothing is synced
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  // Appends the records in one write. Their LSNs go on from last_lsn(); durable_lsn is the largest
  // LSN known durable in the whole database. On failure nothing of them counts: kNoSpace or another
  // code where the segment was durably cut back to its old end and can be appended to again; kIo
  // with broken() where that failed too, and the records may or may not be there after a crash.
  // buffered: keeps a copy in memory instead; a later unbuffered Append, Flush or Seal writes it
  // first. Buffered records stay when such a write fails.
  Status Append(PreparedRecord* records, size_t count, Sequence durable_lsn, bool buffered);
  Status Flush();  // buffered bytes to the operating system
  // What was flushed before the call to stable storage. A failed one breaks the writer for ever
  // (D4).
  Status Sync();
  // The file to stable storage without a promise about its records: nothing counts as synced by it.
  // For a segment whose predecessor is not durable yet, before something names it.
  Status SyncHead();
  // Moves valid_data_end up to what the last good Sync covered; the next Sync makes that durable.
  Status WriteMark();
  // Flushes, syncs, cuts the reserved tail off, writes a sealed mark, syncs. No Append may follow.
  Status Seal(SealKind kind = SealKind::kSwitched);
  // What the next segment names as its predecessor. Flush this one before anything is appended
  // there.
  SegmentLink LinkAfter() const;

  uint64_t size() const { return size_; }  // end of the last record, buffered ones included
  Sequence last_lsn() const { return last_lsn_; }
  // Any thread:
  uint64_t flushed_size() const { return flushed_end_.load(std::memory_order_acquire); }
  Sequence flushed_lsn() const { return flushed_lsn_.load(std::memory_order_acquire); }
  Sequence synced_lsn() const { return synced_lsn_.load(std::memory_order_acquire); }
  uint64_t reserved_bytes() const { return reserved_.load(std::memory_order_relaxed); }
  bool broken() const { return broken_.load(std::memory_order_acquire); }
  const SegmentInfo& info() const { return info_; }
  const std::string& path() const { return path_; }
  File* file() { return file_.get(); }

 private:
  SegmentWriter(std::string&& path, const SegmentInfo& info, std::unique_ptr<File>&& file) noexcept;
  Status WriteHead(uint64_t preallocate_bytes);
  Status AppendFramed(PreparedRecord* records, size_t count, Sequence durable_lsn, bool buffered);
  Status AppendOne(PreparedRecord* record, Sequence durable_lsn);
  Status AppendMany(PreparedRecord* records, size_t count, Sequence durable_lsn);
  Status AppendBuffered(PreparedRecord* records, size_t count, Sequence durable_lsn);
  Slice Frame(PreparedRecord* record, uint64_t offset, Sequence durable_lsn) const;
  void Publish(uint64_t end, Sequence lsn);
  void Reserve(uint64_t end);
  Status CutBack(Status cause);
  Status SyncHeld(bool force) KIST_REQUIRES(sync_mutex_);
  Status WriteSlot(uint64_t end, Sequence lsn, SealKind seal) KIST_REQUIRES(sync_mutex_);
  Status Refused() const;

  // Constant after construction.
  const std::string path_;
  const SegmentInfo info_;
  const std::unique_ptr<File> file_;
  const uint32_t crc_seed_;

  // The appending user's.
  SegmentLink link_;
  bool started_ = false;
  bool sealed_ = false;
  uint64_t size_ = 0;
  Sequence last_lsn_ = 0;
  Buffer buffer_;  // records from flushed_end_ to size_
  size_t buffer_bytes_ = 0;
  size_t buffer_capacity_ = 0;
  MemoryCharge buffer_charge_;
  uint64_t reserve_at_ = UINT64_MAX;  // an append that ends beyond this reserves a further stretch
  uint64_t reserve_step_ = 0;

  // Self-synchronised. Publish stores version (odd), end, LSN, version (even); SyncHeld retries
  // until it has read one pair.
  std::atomic<uint64_t> flushed_version_{0};
  std::atomic<uint64_t> flushed_end_{0};
  std::atomic<Sequence> flushed_lsn_{0};
  std::atomic<Sequence> synced_lsn_{0};
  std::atomic<uint64_t> reserved_{0};
  std::atomic<bool> broken_{false};

  Mutex sync_mutex_;
  uint64_t synced_end_ KIST_GUARDED_BY(sync_mutex_) = 0;
  uint64_t marked_end_ KIST_GUARDED_BY(sync_mutex_) = 0;
  uint64_t generation_ KIST_GUARDED_BY(sync_mutex_) = 1;
  bool mark_unsynced_ KIST_GUARDED_BY(sync_mutex_) = false;
};

// Reads one segment from its first record on. Threads: one at a time; a live segment may grow and
// lose its reserved tail meanwhile, see Refresh.
class SegmentReader {
 public:
  struct Record {
    uint64_t offset = 0;
    uint64_t end = 0;  // where the next one begins
    Sequence lsn = 0;
    Sequence durable_lsn = 0;
    RecordKind kind = RecordKind::kCommit;
    bool has_time = false;
    int64_t time_ms = 0;
    Slice data;  // uncompressed
    Slice raw;   // header, data as stored, padding
    // Both are valid until the next call.
  };
  enum class Outcome {
    kRecord,
    kEnd,  // a clean end: the sealed end, the limit, or nothing but zeros or reserved blocks follow
    kBroken,  // what follows is not a valid record; see break_offset() and break_reason()
  };
  // kCorrupt: not a segment, another type, a damaged prefix, a file shorter than valid_data_end, or
  // a damaged chain record below it. kTooNew: unknown version or foreign byte order, by name.
  static Result<std::unique_ptr<SegmentReader>> Open(Vfs* vfs, const std::string& path,
                                                     SegmentType type);
  // For recovery, which must judge what a crash during creation left: no error where prefix or
  // chain record are invalid and no mark says that they were durable. See has_prefix() and
  // has_link().
  static Result<std::unique_ptr<SegmentReader>> Probe(Vfs* vfs, const std::string& path,
                                                      SegmentType type);
  // For repair, which wants every record that is whole: kCorrupt for another type alone. A damaged
  // prefix is taken from a slot's copy; a file that ends too early, valid_data_end() > size(), is
  // read as far as it goes.
  static Result<std::unique_ptr<SegmentReader>> Salvage(Vfs* vfs, const std::string& path,
                                                        SegmentType type);
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // The next record after the chain record. I/O errors as Status; invalid bytes below
  // valid_data_end or a sealed end as kCorrupt with their offset; kTooNew for an authentic record
  // of a kind unknown here.
  Result<Outcome> Next(Record* record);
  // Records end here: reading stops cleanly at `end` and does not look behind it.
  void SetLimit(uint64_t end) { limit_ = end; }
  // On a live segment: takes notice of what was appended and cut off since. Records above `horizon`
  // may still be taken back (their write fails) and others put in their place: Next ends before
  // them. The caller names an LSN that was visible before this call.
  Status Refresh(Sequence horizon);

  // What lies behind the end or break: how many bytes (up to the last word that is not 0), and what
  // the authentic record headers among them say. Reserved blocks are skipped.
  struct Residue {
    Sequence max_lsn = 0;
    Sequence max_durable_lsn = 0;
    uint64_t bytes = 0;
    uint64_t records = 0;
  };
  Result<Residue> ScanResidue();
  // After an end, a break or damage, for repair: goes on at the next whole record behind it. False
  // where there is none.
  Result<bool> Resync();
  // Names the nonce (from a successor's link) of a segment whose prefix is lost, for ScanResidue.
  void Bind(uint64_t id, uint64_t nonce);

  const std::string& path() const { return path_; }
  const SegmentInfo& info() const { return info_; }
  bool has_prefix() const { return has_prefix_; }
  bool has_link() const { return has_link_; }
  const SegmentLink& link() const { return link_; }
  Sequence link_durable_lsn() const { return link_durable_lsn_; }
  uint64_t valid_data_end() const { return valid_data_end_; }  // version 1: the size
  bool sealed() const { return seal_ != SealKind::kNone; }     // version 1: true
  SealKind seal() const { return seal_; }
  Sequence mark_lsn() const { return mark_lsn_; }
  uint64_t mark_generation() const { return mark_generation_; }
  uint64_t size() const { return size_; }
  uint64_t offset() const { return offset_; }      // end of the last good record
  Sequence last_lsn() const { return last_lsn_; }  // its LSN
  uint64_t break_offset() const { return offset_; }
  const std::string& break_reason() const { return break_reason_; }
  // How many parts of the head (the gap behind the prefix, the slots) hold bytes that no writer
  // wrote. They cost no data and no crash leaves them behind in a segment that was synced:
  // verification reports them.
  uint32_t head_damage() const { return head_damage_; }

 private:
  SegmentReader(std::string&& path, std::unique_ptr<File>&& file) noexcept;
  enum class How { kStrict, kProbe, kSalvage };
  static Result<std::unique_ptr<SegmentReader>> OpenFor(How how, Vfs* vfs, const std::string& path,
                                                        SegmentType type);
  Status ReadHead(SegmentType type, How how);
  Status FindDataEnd();
  Status ReadSlots(const char* head, size_t bytes, How how);
  Status ReadChain(How how);
  // `need` bytes at `offset`, which the file has; more are read along.
  Result<const char*> Window(uint64_t offset, uint64_t need);
  Result<Outcome> ReadRecord(Record* record, bool chain);
  Result<Outcome> ReadRecordOnce(Record* record, bool chain);
  Result<Outcome> Broken(const char* reason);
  Outcome Ended(const char* reason);
  Result<Outcome> AtZeros();
  Status CheckMark(uint64_t end, Sequence lsn) const;
  Status Uncompress(Record* record);
  Result<uint64_t> NextNonZero(uint64_t offset);
  Status ScanStretch(uint64_t at, uint64_t n, uint64_t* last, Residue* residue);
  Status Consider(uint64_t offset, const char* p, Residue* residue);
  uint64_t end() const;

  const std::string path_;
  const std::unique_ptr<File> file_;
  SegmentInfo info_;
  SegmentLink link_;
  Sequence link_durable_lsn_ = 0;
  bool has_prefix_ = false;
  bool bound_ = false;  // crc_seed_ is this segment's
  bool has_link_ = false;
  uint32_t crc_seed_ = 0;
  uint64_t size_ = 0;
  uint64_t data_end_ = 0;  // behind it the file has reserved blocks alone
  uint64_t limit_ = UINT64_MAX;
  Sequence horizon_ = kMaxSequence;
  uint64_t valid_data_end_ = 0;
  Sequence mark_lsn_ = 0;
  uint64_t mark_generation_ = 0;
  SealKind seal_ = SealKind::kNone;
  uint32_t head_damage_ = 0;

  uint64_t offset_ = 0;
  Sequence last_lsn_ = 0;
  bool done_ = false;
  Outcome outcome_ = Outcome::kRecord;
  std::string break_reason_;

  Buffer window_;
  size_t window_capacity_ = 0;
  uint64_t window_offset_ = 0;
  size_t window_bytes_ = 0;
  Buffer plain_;  // the last uncompressed data
  size_t plain_capacity_ = 0;
  uint64_t crc_budget_ = 0;
};

}  // namespace kist
