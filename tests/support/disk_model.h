// DiskModel: what a disk durably holds and what is on its way to it, call by call; the machinery of
// crash_states.h.
//
// Pending units stand in one list in the order of their calls. A selection says for each whether it
// persisted; of a data unit, which of its sectors. Applying the selected units in order gives a
// state of rule (a): each sector ends as it was after the last selected write to it, earlier bytes
// of the same sector included.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/recording_vfs.h"

namespace kist::test {

constexpr uint64_t kSectorBytes = 512;

struct DiskUnit {
  enum class Kind { kData, kSize, kNames };
  struct Name {
    uint64_t dir;
    std::string name;
    uint64_t node;  // 0: removed
  };
  Kind kind = Kind::kData;
  size_t op = 0;      // its call's place in the trace
  uint64_t node = 0;  // kData, kSize
  // kData: [offset, end) whole sectors, as `after` holds them.
  uint64_t offset = 0;
  uint64_t end = 0;
  bool cut = false;  // by a resize: what is behind `offset` reads as zeros
  MemoryContent after;
  uint64_t size = 0;          // kSize
  std::vector<Name> names;    // kNames
  std::vector<size_t> needs;  // kNames: earlier pending units on the same names, as indexes
  uint64_t sectors() const {
    return kind == Kind::kData && !cut ? (end - offset) / kSectorBytes : 1;
  }
};

struct Selection {
  std::vector<char> units;  // by index of DiskModel::pending()
  // One data unit in parts: only the sectors that are set persisted.
  size_t torn_unit = static_cast<size_t>(-1);
  std::vector<char> torn_sectors;
  bool garbage = false;
};

class DiskModel {
 public:
  explicit DiskModel(const MemoryNode& base);
  void Apply(const TraceOp& op, size_t index);

  const std::vector<DiskUnit>& pending() const { return pending_; }
  // Takes away names whose earlier units on the same names are missing.
  void DropOrphans(Selection* s) const;
  // Adds the earlier units on the same names.
  void AddNeeds(Selection* s) const;
  // Equal for equal states.
  uint64_t Fingerprint(const Selection& s) const;
  bool HasNewRegions() const;
  std::shared_ptr<MemoryNode> Image(const Selection& s) const;

 private:
  using Names = std::map<std::string, uint64_t>;
  struct Node {
    bool is_directory = false;
    MemoryContent live;
    MemoryContent durable;
    Names names;  // of a directory: durable
    uint64_t durable_print = 0;
  };
  void Load(const MemoryNode& node);
  void AddData(const TraceOp& op, size_t index);
  void AddResize(uint64_t node, uint64_t size, size_t index);
  void AddNames(std::vector<DiskUnit::Name> names, size_t index);
  void Sync(uint64_t node);
  void SyncDir(uint64_t dir);
  void Forget(const std::vector<char>& done);
  MemoryContent ContentOf(uint64_t node, const Selection& s) const;
  std::map<uint64_t, Names> NamesOf(const Selection& s) const;

  uint64_t root_ = 0;
  std::map<uint64_t, Node> nodes_;
  std::vector<DiskUnit> pending_;
};

}  // namespace kist::test
