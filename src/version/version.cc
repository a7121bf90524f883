// Building versions and searching their levels. A level is searched by eight bytes of its files'
// ends; full keys decide only where those are equal.
// Threads: any; versions never change.
#include "version/version.h"

#include <algorithm>

#include "util/planted.h"

namespace kist {
namespace {

// The end of what a file spans. False where it is unbounded.
bool EndKey(const TableProperties& p, Slice* end) {
  if (p.range_tombstones > 0 && p.tombstone_unbounded) return false;
  *end = p.entries > 0 ? Slice(p.largest_key) : Slice();
  if (p.range_tombstones > 0) *end = std::max(*end, Slice(p.tombstone_end));
  return true;
}

// Whether everything that the file spans is before key.
bool EndsBefore(const LiveTable& f, Slice key) {
  const TableProperties& p = f.properties();
  if (p.entries > 0 && Slice(p.largest_key) >= key) return false;
  if (p.range_tombstones == 0) return true;
  return !p.tombstone_unbounded && Slice(p.tombstone_end) <= key;
}

}  // namespace

Level::Level(Files files, bool sorted) : files_(std::move(files)) {
  if (sorted) {
    std::sort(files_.begin(), files_.end(),
              [](const auto& a, const auto& b) { return a->smallest() < b->smallest(); });
  } else {
    std::sort(files_.begin(), files_.end(), [](const auto& a, const auto& b) {
      const uint64_t x = a->properties().largest_seq, y = b->properties().largest_seq;
      if (Planted(Bug::kOldestTableFirst)) return x < y;
      return x != y ? x > y : a->number() > b->number();
    });
  }
  for (size_t i = 0; i < files_.size(); ++i) {
    const TableProperties& p = files_[i]->properties();
    const Slice first(p.smallest_key);
    if (i == 0) shared_ = p.smallest_key;
    shared_.resize(CommonPrefixLength(shared_, first));
    Slice end;
    if (EndKey(p, &end)) shared_.resize(CommonPrefixLength(shared_, end));
  }
  first_.reserve(files_.size());
  last_.reserve(files_.size());
  for (const auto& f : files_) {
    Slice end;
    first_.push_back(Rank(f->smallest()));
    last_.push_back(EndKey(f->properties(), &end) ? Rank(end) : ~uint64_t{0});
    bytes_ += f->bytes();
  }
}

size_t Level::FindFile(Slice key, uint64_t rank) const {
  size_t i = std::lower_bound(last_.begin(), last_.end(), rank) - last_.begin();
  if (__builtin_expect(i == last_.size() || last_[i] != rank, 1)) return i;
  // Equal numbers decide nothing; a binary search by full keys over the run of them.
  size_t run = std::upper_bound(last_.begin() + i, last_.end(), rank) - last_.begin();
  while (i < run) {
    const size_t mid = i + (run - i) / 2;
    if (EndsBefore(*files_[mid], key)) {
      i = mid + 1;
    } else {
      run = mid;
    }
  }
  return i;
}

uint64_t KeyspaceVersion::bytes() const {
  uint64_t n = 0;
  for (const Level& l : levels) n += l.bytes();
  return n;
}

size_t KeyspaceVersion::files() const {
  size_t n = 0;
  for (const Level& l : levels) n += l.size();
  return n;
}

int KeyspaceVersion::last_level() const {
  for (int i = kLevels - 1; i > 0; --i) {
    if (!levels[i].empty()) return i;
  }
  return 0;
}

bool KeyspaceVersion::MayExistBelow(int level, Slice key, size_t* cursor) const {
  for (int l = level + 1; l < kLevels; ++l) {
    const Level::Files& files = levels[l].files();
    size_t& at = cursor[l];
    while (at < files.size() && EndsBefore(*files[at], key)) ++at;
    if (at < files.size() && files[at]->MayHold(key)) return true;
  }
  return false;
}

Result<RefPtr<KeyspaceVersion>> ApplyToKeyspace(
    const KeyspaceVersion* base, uint32_t id,
    const std::vector<std::pair<int, RefPtr<LiveTable>>>& added,
    const std::vector<std::pair<int, uint64_t>>& removed) {
  Level::Files files[kLevels];
  if (base != nullptr) {
    for (int l = 0; l < kLevels; ++l) files[l] = base->levels[l].files();
  }
  for (const auto& [level, number] : removed) {
    if (level < 0 || level >= kLevels)
      return Status::Error(Code::kCorrupt, "an edit names an impossible level");
    auto& v = files[level];
    const uint64_t n = number;
    auto it = std::find_if(v.begin(), v.end(), [n](const auto& f) { return f->number() == n; });
    if (it == v.end()) {
      return Status::Error(Code::kCorrupt, "an edit removes table " + std::to_string(number) +
                                               " from level " + std::to_string(level) +
                                               ", which does not hold it");
    }
    v.erase(it);
  }
  for (const auto& [level, file] : added) {
    if (level < 0 || level >= kLevels)
      return Status::Error(Code::kCorrupt, "an edit names an impossible level");
    files[level].push_back(file);
  }
  auto kv = RefPtr<KeyspaceVersion>::Adopt(new KeyspaceVersion(id));
  for (int l = 0; l < kLevels; ++l) {
    kv->levels[l] = Level(std::move(files[l]), l > 0);
    if (l > 0 && !kv->levels[l].empty()) kv->sorted_levels |= 1u << l;
    const Level::Files& sorted = kv->levels[l].files();
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i]->properties().range_tombstones > 0) kv->has_range_tombstones = true;
      if (l > 0 && i > 0 && !EndsBefore(*sorted[i - 1], sorted[i]->smallest())) {
        return Status::Error(Code::kCorrupt, "tables " + std::to_string(sorted[i - 1]->number()) +
                                                 " and " + std::to_string(sorted[i]->number()) +
                                                 " of level " + std::to_string(l) + " overlap");
      }
    }
  }
  return kv;
}

}  // namespace kist
