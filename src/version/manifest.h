// The manifest: the durable list of what is alive. A segment file (record/) of type manifest whose
// records are edits; its first edit is the whole state at its creation. CURRENT names the one that
// counts.
//   CURRENT := magic "KISTCUR\0" | u16 version 1 | u16 0 | u32 0 | u64 database id | u64 manifest
//   number | u32 0 | u32 CRC32C of 0..36
//
// Invariants
//  1. Each edit is synced before Append returns, and before anything that relies on it happens;
//  record N therefore carries durable LSN N-1. Behind the sync goes an unsynced mark, which tells
//  damage to the last edit from a torn one, unless a power cut took it.
//  2. A new manifest: file written and synced, directory synced, CURRENT.tmp written and synced,
//  renamed, directory synced; only then is the old one removed (by the caller).
//  3. After a failed Append or Create nothing may be deleted until reopened: broken() stays true.
// Threads: one at a time.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "record/segment.h"
#include "version/edit.h"
#include "vfs/vfs.h"

namespace kist {

// What a manifest's edits add up to.
struct ManifestState {
  struct KeyspaceState {
    std::string name;
    std::string options;
    Sequence lsn = 0;
    std::map<std::pair<int, uint64_t>, TableProperties> tables;  // by level and number
  };
  uint64_t database_id = 0;
  uint64_t manifest_number = 0;
  uint64_t manifest_bytes = 0;
  uint64_t log_number = 0;
  uint64_t newest_log = 0;  // a segment that is there; says nothing where it is below log_number
  uint64_t next_file = 1;
  Sequence flushed_lsn = 0;
  Sequence last_lsn = 0;
  int64_t time_floor_ms = 0;
  uint32_t next_keyspace = 1;
  std::map<uint32_t, KeyspaceState> keyspaces;  // the default one, 0, included
  // Of the manifest as it was read: where it breaks off and why; empty where it ends cleanly. What
  // stands there was torn by a crash, or was a whole edit and is damaged.
  std::string broken_end;
  bool closed = false;  // and whether a close in order sealed it

  // kCorrupt where the edit contradicts the state.
  Status Apply(const Edit& edit);
  Edit Snapshot() const;
  // Files that the state names and that are gone: the edit that is broken may have said so.
  Status Explain(Status s) const {
    return s.Is(Code::kCorrupt) && !broken_end.empty() ? s.Prefixed(broken_end) : s;
  }
};

struct CurrentFile {
  uint64_t database_id = 0;
  uint64_t manifest_number = 0;
};
constexpr size_t kCurrentBytes = 40;
std::string EncodeCurrent(const CurrentFile& current);
Result<CurrentFile> DecodeCurrent(Slice bytes, const std::string& path);
// kMissing where there is no CURRENT.
Result<CurrentFile> ReadCurrent(Vfs* vfs, const std::string& dir);

// Reads CURRENT and the manifest it names; changes nothing.
Result<ManifestState> ReadManifest(Vfs* vfs, const std::string& dir);

class Manifest {
 public:
  // Writes a new manifest whose first edit is `state`'s snapshot, and points CURRENT at it; state
  // gets the new number. *in_doubt, where asked for: whether an error came when CURRENT could name
  // either; else it is as it was.
  static Result<std::unique_ptr<Manifest>> Create(Vfs* vfs, const std::string& dir, uint64_t number,
                                                  ManifestState* state, bool* in_doubt = nullptr);
  Status Append(const Edit& edit);
  // After the last Append: says durably where the edits end, so that damage to the last one, which
  // no later record proves, is told from what a crash tore.
  Status Seal() { return broken_ ? Status() : writer_->Seal(SealKind::kClosed); }
  uint64_t number() const { return number_; }
  uint64_t bytes() const { return writer_->size(); }
  uint64_t first_bytes() const { return first_bytes_; }
  bool broken() const { return broken_; }

 private:
  Manifest() = default;
  Status AppendRecord(const std::string& payload);

  uint64_t number_ = 0;
  uint64_t first_bytes_ = 0;
  std::unique_ptr<SegmentWriter> writer_;
  bool broken_ = false;
};

}  // namespace kist
