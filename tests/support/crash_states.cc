// CrashStates out of line: which selections of the pending units are tried at each boundary. See
// crash_states.h.
#include "support/crash_states.h"

#include <algorithm>
#include <random>
#include <unordered_set>

#include "support/disk_model.h"
#include "util/hash.h"

namespace kist::test {

std::string CrashState::ToString() const {
  std::string text =
      "state " + std::to_string(index_) + ", boundary " + std::to_string(boundary_) + " after '" +
      (last_op_ == nullptr ? std::string("nothing") : last_op_->ToString()) + "', " + what_;
  if (selection_->garbage) text += ", garbage in new regions";
  text += "; persisted:";
  const auto& units = model_->pending();
  for (size_t i = 0; i < units.size(); ++i) {
    static const char* const kinds[] = {"data", "size", "names"};
    text += " ";
    if (!selection_->units[i]) text += "-";
    text += std::to_string(units[i].op) + "." + kinds[static_cast<int>(units[i].kind)];
    if (i != selection_->torn_unit) continue;
    text += "[";
    const auto& sectors = selection_->torn_sectors;
    for (size_t from = 0, to = 0; from < sectors.size(); from = to) {  // runs, as a value has many
      while (to < sectors.size() && sectors[to] == sectors[from]) ++to;
      text += (sectors[from] ? " +" : " -") + std::to_string(to - from);
    }
    text += " sectors]";
  }
  return text;
}

uint64_t ContentHash(const MemoryNode& node) {
  uint64_t hash = node.content.size();
  std::string bytes(MemoryContent::kChunkBytes, '\0');
  const std::string zeros = bytes;
  for (uint64_t at = node.content.NextData(0); at < node.content.size();
       at = node.content.NextData(at + bytes.size())) {
    const Slice part(bytes.data(), node.content.Read(at, bytes.data(), bytes.size()));
    if (part != Slice(zeros).substr(0, part.size())) hash = Hash64(part, hash + at);
  }
  for (const auto& [name, child] : node.children)
    hash = Hash64(name, hash ^ ContentHash(*child) * 0x9e3779b97f4a7c15);
  return hash;
}

std::shared_ptr<MemoryNode> CrashState::Image() const { return model_->Image(*selection_); }

class CrashStates::Walk {
 public:
  Walk(const Trace& trace, const CrashOptions& options,
       const std::function<bool(const CrashState&)>& visit)
      : trace_(trace), options_(options), visit_(visit), model_(*trace.base), rng_(options.seed) {
    state_.model_ = &model_;
  }

  uint64_t Run() {
    for (size_t b = 0;; ++b) {
      const bool last = b == trace_.ops.size();
      // A mark changes no disk and only adds to what must hold: the boundary behind it says all.
      const bool mark_follows = !last && trace_.ops[b].kind == TraceOp::Kind::kMark;
      const bool wanted = b >= options_.first_boundary && b <= options_.last_boundary;
      if (wanted && !mark_follows && !Boundary(b)) return visited_;
      if (last || b >= options_.last_boundary) return visited_;
      const TraceOp& op = trace_.ops[b];
      model_.Apply(op, b);
      if (op.kind == TraceOp::Kind::kMark) {
        uint64_t& mark = state_.marks_[op.mark_kind];
        mark = std::max(mark, op.mark);
      }
      state_.last_op_ = &op;
    }
  }

 private:
  bool Boundary(size_t b) {
    state_.boundary_ = b;
    const size_t n = model_.pending().size();
    Selection s;
    s.units.assign(n, 0);
    if (!Try(s, "nothing unsynced")) return false;
    if (n == 0) return true;
    s.units.assign(n, 1);
    if (!Try(s, "all")) return false;
    const size_t step = std::max<size_t>(1, n / options_.units_max);
    for (size_t i = step > 1 ? rng_() % step : 0; n > 1 && i < n; i += step) {
      s.units.assign(n, 1);
      s.units[i] = 0;
      model_.DropOrphans(&s);
      if (!Try(s, "one missing")) return false;
      s.units.assign(n, 0);
      s.units[i] = 1;
      model_.AddNeeds(&s);
      if (!Try(s, "one alone")) return false;
    }
    return Torn() && Random();
  }

  // The last data unit in parts, all the rest there.
  bool Torn() {
    const auto& units = model_.pending();
    Selection s;
    s.units.assign(units.size(), 1);
    for (s.torn_unit = units.size(); s.torn_unit-- > 0;) {
      if (units[s.torn_unit].kind == DiskUnit::Kind::kData) break;
    }
    if (s.torn_unit >= units.size() || units[s.torn_unit].sectors() < 2) return true;
    const auto n = static_cast<size_t>(units[s.torn_unit].sectors());
    const size_t step = std::max<size_t>(1, n / options_.torn_max);
    for (size_t i = step > 1 ? rng_() % step : 0; i < n; i += step) {
      s.torn_sectors.assign(n, 0);
      std::fill(s.torn_sectors.begin(), s.torn_sectors.begin() + static_cast<ptrdiff_t>(i), 1);
      if (i > 0 && !Try(s, "torn: the front persisted")) return false;
      for (char& c : s.torn_sectors) c = !c;
      if (i > 0 && !Try(s, "torn: the back persisted")) return false;
      s.torn_sectors.assign(n, 1);
      s.torn_sectors[i] = 0;
      if (!Try(s, "torn: one sector missing")) return false;
    }
    return true;
  }

  bool Random() {
    const auto& units = model_.pending();
    for (int r = 0; r < options_.random_subsets; ++r) {
      Selection s;
      s.units.assign(units.size(), 0);
      // From few to most: a crash soon after the sync, or just before the next.
      const uint64_t chance = 1 + rng_() % 7;
      for (char& u : s.units) u = rng_() % 8 < chance;
      model_.DropOrphans(&s);
      const size_t torn = rng_() % units.size();
      if (units[torn].sectors() > 1) {
        s.torn_unit = torn;
        s.units[torn] = 1;
        for (uint64_t i = 0; i < units[torn].sectors(); ++i)
          s.torn_sectors.push_back(rng_() % 8 < chance);
      }
      if (!Try(s, "random subset")) return false;
    }
    return true;
  }

  bool Try(Selection& s, const char* what) {
    if (!TryOne(s, what)) return false;
    if (!options_.garbage || !model_.HasNewRegions()) return true;
    s.garbage = true;
    const bool more = TryOne(s, what);
    s.garbage = false;
    return more;
  }

  bool TryOne(const Selection& s, const char* what) {
    uint64_t print = model_.Fingerprint(s);
    for (const uint64_t m : state_.marks_)
      print = Hash64(reinterpret_cast<const char*>(&m), sizeof m, print);
    if (!seen_.insert(print).second) return true;
    state_.index_ = index_++;
    if (options_.shards > 1 && state_.index_ % options_.shards != options_.shard) return true;
    state_.what_ = what;
    state_.selection_ = &s;
    ++visited_;
    return visit_(state_);
  }

  const Trace& trace_;
  const CrashOptions& options_;
  const std::function<bool(const CrashState&)>& visit_;
  DiskModel model_;
  std::mt19937_64 rng_;
  CrashState state_;
  std::unordered_set<uint64_t> seen_;
  uint64_t index_ = 0;
  uint64_t visited_ = 0;
};

uint64_t CrashStates::ForEach(const std::function<bool(const CrashState&)>& visit) {
  return Walk(trace_, options_, visit).Run();
}

}  // namespace kist::test
