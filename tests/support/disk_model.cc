// DiskModel out of line. See disk_model.h.
#include "support/disk_model.h"

#include <algorithm>
#include <cstdlib>

#include "util/hash.h"

namespace kist::test {

namespace {

void Must(const Status& s) {
  if (!s.ok()) std::abort();
}

uint64_t Mix(uint64_t a, uint64_t b) {
  return hash_internal::Fold(a ^ hash_internal::kB, b ^ hash_internal::kC);
}

uint64_t RoundDown(uint64_t n) { return n / kSectorBytes * kSectorBytes; }
uint64_t RoundUp(uint64_t n) { return RoundDown(n + kSectorBytes - 1); }

// Copies [from, end) as `source` holds it; what is behind its size is zeros.
void CopyRange(const MemoryContent& source, uint64_t from, uint64_t end, MemoryContent* target) {
  std::string bytes;
  while (from < end) {
    const uint64_t n = std::min<uint64_t>(end - from, 65536);
    bytes.assign(static_cast<size_t>(n), '\0');
    source.Read(from, bytes.data(), bytes.size());
    Must(target->Write(from, bytes));
    from += n;
  }
}

void ApplyData(const DiskUnit& unit, const Selection& s, size_t index, MemoryContent* content) {
  if (unit.cut) {
    const uint64_t size = content->size();
    if (size > unit.offset) {
      Must(content->Resize(unit.offset));
      Must(content->Resize(size));
    }
    return;
  }
  if (index != s.torn_unit) return CopyRange(unit.after, unit.offset, unit.end, content);
  for (uint64_t i = 0; i < unit.sectors(); ++i) {
    const uint64_t at = unit.offset + i * kSectorBytes;
    if (s.torn_sectors[static_cast<size_t>(i)])
      CopyRange(unit.after, at, at + kSectorBytes, content);
  }
}

}  // namespace

DiskModel::DiskModel(const MemoryNode& base) : root_(base.inode) { Load(base); }

void DiskModel::Load(const MemoryNode& node) {
  Node& loaded = nodes_[node.inode];
  loaded.is_directory = node.is_directory;
  loaded.live = loaded.durable = node.content;
  loaded.durable_print = node.inode;
  for (const auto& child : node.children) {
    loaded.names[child.first] = child.second->inode;
    Load(*child.second);
  }
}

void DiskModel::Apply(const TraceOp& op, size_t index) {
  using Kind = TraceOp::Kind;
  switch (op.kind) {
    case Kind::kCreate:
    case Kind::kMakeDir: {
      Node& made = nodes_[op.node];
      made.is_directory = op.kind == Kind::kMakeDir;
      made.durable_print = op.node;
      return AddNames({{op.dir, op.name, op.node}}, index);
    }
    case Kind::kLink:
      return AddNames({{op.dir, op.name, op.node}}, index);
    case Kind::kRemove:
      return AddNames({{op.dir, op.name, 0}}, index);
    case Kind::kRename:
      return AddNames({{op.dir, op.name, 0}, {op.to_dir, op.to_name, op.node}}, index);
    case Kind::kWrite:
      return AddData(op, index);
    case Kind::kResize:
      return AddResize(op.node, op.size, index);
    case Kind::kReserve:
      if (op.size > nodes_[op.node].live.size()) AddResize(op.node, op.size, index);
      return;
    case Kind::kSync:
      return Sync(op.node);
    case Kind::kSyncDir:
      return SyncDir(op.node);
    case Kind::kMark:
      return;
  }
}

void DiskModel::AddData(const TraceOp& op, size_t index) {
  Node& node = nodes_[op.node];
  const uint64_t before = node.live.size();
  Must(node.live.Write(op.offset, op.data));
  DiskUnit data;
  data.op = index;
  data.node = op.node;
  data.offset = RoundDown(op.offset);
  data.end = RoundUp(op.offset + op.data.size());
  data.after = node.live;
  pending_.push_back(std::move(data));
  if (node.live.size() == before) return;
  DiskUnit size;
  size.kind = DiskUnit::Kind::kSize;
  size.op = index;
  size.node = op.node;
  size.size = node.live.size();
  pending_.push_back(std::move(size));
}

void DiskModel::AddResize(uint64_t node_number, uint64_t to, size_t index) {
  Node& node = nodes_[node_number];
  const uint64_t before = node.live.size();
  if (to == before) return;
  Must(node.live.Resize(to));
  if (to < before) {
    DiskUnit cut;
    cut.op = index;
    cut.node = node_number;
    cut.offset = to;
    cut.end = before;
    cut.cut = true;
    pending_.push_back(std::move(cut));
  }
  DiskUnit size;
  size.kind = DiskUnit::Kind::kSize;
  size.op = index;
  size.node = node_number;
  size.size = to;
  pending_.push_back(std::move(size));
}

void DiskModel::AddNames(std::vector<DiskUnit::Name> names, size_t index) {
  DiskUnit unit;
  unit.kind = DiskUnit::Kind::kNames;
  unit.op = index;
  for (size_t i = 0; i < pending_.size(); ++i) {
    for (const DiskUnit::Name& earlier : pending_[i].names) {
      for (const DiskUnit::Name& name : names) {
        const bool same = earlier.dir == name.dir && earlier.name == name.name;
        if (same && (unit.needs.empty() || unit.needs.back() != i)) unit.needs.push_back(i);
      }
    }
  }
  unit.names = std::move(names);
  pending_.push_back(std::move(unit));
}

// Takes the units that are durable now off the list and renumbers what is left.
void DiskModel::Forget(const std::vector<char>& done) {
  std::vector<size_t> moved(pending_.size());
  size_t kept = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    moved[i] = kept;
    if (done[i]) continue;
    if (kept != i) pending_[kept] = std::move(pending_[i]);
    std::vector<size_t> needs;
    for (const size_t n : pending_[kept].needs) {
      if (!done[n]) needs.push_back(moved[n]);
    }
    pending_[kept].needs = std::move(needs);
    ++kept;
  }
  pending_.resize(kept);
}

void DiskModel::Sync(uint64_t node_number) {
  Node& node = nodes_[node_number];
  std::vector<char> done(pending_.size());
  for (size_t i = 0; i < pending_.size(); ++i) {
    done[i] = pending_[i].kind != DiskUnit::Kind::kNames && pending_[i].node == node_number;
    if (done[i])
      node.durable_print =
          Mix(Mix(node.durable_print, pending_[i].op), static_cast<uint64_t>(pending_[i].kind));
  }
  node.durable = node.live;
  Forget(done);
}

void DiskModel::SyncDir(uint64_t dir) {
  Selection s;
  s.units.assign(pending_.size(), 0);
  for (size_t i = 0; i < pending_.size(); ++i) {
    for (const DiskUnit::Name& n : pending_[i].names) s.units[i] |= n.dir == dir;
  }
  AddNeeds(&s);
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!s.units[i]) continue;
    for (const DiskUnit::Name& n : pending_[i].names) {
      if (n.node == 0) {
        nodes_[n.dir].names.erase(n.name);
      } else {
        nodes_[n.dir].names[n.name] = n.node;
      }
    }
  }
  Forget(s.units);
}

void DiskModel::DropOrphans(Selection* s) const {
  for (size_t i = 0; i < pending_.size(); ++i) {
    for (const size_t n : pending_[i].needs) s->units[i] = s->units[i] && s->units[n];
  }
}

void DiskModel::AddNeeds(Selection* s) const {
  for (size_t i = pending_.size(); i-- > 0;) {
    if (!s->units[i]) continue;
    for (const size_t n : pending_[i].needs) s->units[n] = 1;
  }
}

bool DiskModel::HasNewRegions() const {
  for (const DiskUnit& u : pending_) {
    if (u.kind == DiskUnit::Kind::kData && !u.cut &&
        u.end > RoundUp(nodes_.at(u.node).durable.size()))
      return true;
  }
  return false;
}

MemoryContent DiskModel::ContentOf(uint64_t node_number, const Selection& s) const {
  const Node& node = nodes_.at(node_number);
  MemoryContent content = node.durable;
  uint64_t size = content.size();
  if (s.garbage) {
    const uint64_t old_end = RoundUp(node.durable.size());
    for (size_t i = 0; i < pending_.size(); ++i) {
      const DiskUnit& u = pending_[i];
      if (u.kind != DiskUnit::Kind::kData || u.cut || u.node != node_number || u.end <= old_end)
        continue;
      const uint64_t from = std::max(u.offset, old_end);
      std::string bytes(static_cast<size_t>(u.end - from), '\0');
      for (size_t b = 0; b < bytes.size(); ++b) bytes[b] = static_cast<char>((from + b) * 167 + 91);
      Must(content.Write(from, bytes));
    }
  }
  for (size_t i = 0; i < pending_.size(); ++i) {
    const DiskUnit& u = pending_[i];
    if (!s.units[i] || u.kind == DiskUnit::Kind::kNames || u.node != node_number) continue;
    if (u.kind == DiskUnit::Kind::kSize) {
      size = u.size;
    } else {
      ApplyData(u, s, i, &content);
    }
  }
  Must(content.Resize(size));
  return content;
}

std::map<uint64_t, DiskModel::Names> DiskModel::NamesOf(const Selection& s) const {
  std::map<uint64_t, Names> all;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!s.units[i]) continue;
    for (const DiskUnit::Name& n : pending_[i].names) {
      auto dir = all.find(n.dir);
      if (dir == all.end()) dir = all.emplace(n.dir, nodes_.at(n.dir).names).first;
      if (n.node == 0) {
        dir->second.erase(n.name);
      } else {
        dir->second[n.name] = n.node;
      }
    }
  }
  return all;
}

std::shared_ptr<MemoryNode> DiskModel::Image(const Selection& s) const {
  std::map<uint64_t, bool> dirty;  // files with pending units
  for (const DiskUnit& u : pending_) {
    if (u.kind != DiskUnit::Kind::kNames) dirty[u.node] = true;
  }
  const std::map<uint64_t, Names> changed = NamesOf(s);
  std::map<uint64_t, std::shared_ptr<MemoryNode>> made;
  const std::function<std::shared_ptr<MemoryNode>(uint64_t)> make = [&](uint64_t number) {
    std::shared_ptr<MemoryNode>& slot = made[number];
    if (slot != nullptr) return slot;
    const std::shared_ptr<MemoryNode> out = slot = std::make_shared<MemoryNode>();
    const Node& node = nodes_.at(number);
    out->inode = number;
    out->is_directory = node.is_directory;
    if (!node.is_directory) {
      out->content = dirty.count(number) != 0 ? ContentOf(number, s) : node.durable;
      return out;
    }
    const auto names = changed.find(number);
    for (const auto& n : names == changed.end() ? node.names : names->second)
      out->children[n.first] = make(n.second);
    return out;
  };
  return make(root_);
}

// Of the names and, for each file, the calls that made its content: files that no name reaches do
// not count.
uint64_t DiskModel::Fingerprint(const Selection& s) const {
  std::map<uint64_t, uint64_t> prints;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const DiskUnit& u = pending_[i];
    if (u.kind == DiskUnit::Kind::kNames) continue;
    auto print = prints.find(u.node);
    if (print == prints.end())
      print = prints.emplace(u.node, nodes_.at(u.node).durable_print).first;
    if (s.garbage && !u.cut && u.kind == DiskUnit::Kind::kData)
      print->second = Mix(print->second, u.end);
    if (!s.units[i]) continue;
    print->second = Mix(Mix(print->second, u.op), static_cast<uint64_t>(u.kind));
    if (i != s.torn_unit) continue;
    print->second = Mix(print->second, Hash64(Slice(s.torn_sectors.data(), s.torn_sectors.size())));
  }
  const std::map<uint64_t, Names> changed = NamesOf(s);
  uint64_t sum = s.garbage ? 77 : 0;
  const std::function<void(uint64_t)> visit = [&](uint64_t number) {
    const Node& node = nodes_.at(number);
    const auto names = changed.find(number);
    for (const auto& n : names == changed.end() ? node.names : names->second) {
      const Node& child = nodes_.at(n.second);
      const auto print = prints.find(n.second);
      const uint64_t content = print == prints.end() ? child.durable_print : print->second;
      sum += Mix(Mix(Hash64(n.first, number), n.second), child.is_directory ? 0 : content);
      if (child.is_directory) visit(n.second);
    }
  };
  visit(root_);
  return sum;
}

}  // namespace kist::test
