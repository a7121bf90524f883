// Building, merging and decoding of a table's stretches; see stretches.h. A builder keeps up to
// twice as many as are written, and merges them down whenever that is full.
// Threads: as there.
#include "table/stretches.h"

#include <algorithm>

#include "util/coding.h"

namespace kist {
namespace {

// A longer key parts nothing: the block goes to the stretch before it.
constexpr size_t kBeginBytesMax = 256;
constexpr size_t kPendingMost = 2 * Stretches::kMost;

}  // namespace

void StretchBuilder::BeginBlock(Slice last, Slice first) {
  if (stretches_.empty()) {
    stretches_.reserve(kPendingMost);
    stretches_.emplace_back();
    return;
  }
  // Equal keys, of several versions, have no key between them.
  const size_t begin_bytes = CommonPrefixLength(last, first) + 1;
  if (begin_bytes > std::min(first.size(), kBeginBytesMax)) {
    ++stretches_.back().blocks;
    return;
  }
  if (stretches_.size() == kPendingMost) MergeDownTo(Stretches::kMost);
  stretches_.emplace_back();
  stretches_.back().begin.assign(first.data(), begin_bytes);
}

// What a merge loses: how much newer the older one seems, for each of its blocks.
void StretchBuilder::MergeDownTo(size_t count) {
  while (stretches_.size() > count) {
    size_t best = 0;
    double least = 0;
    for (size_t i = 0; i + 1 < stretches_.size(); ++i) {
      const Part& a = stretches_[i];
      const Part& b = stretches_[i + 1];
      const double loss =
          a.newest < b.newest
              ? static_cast<double>(b.newest - a.newest) * static_cast<double>(a.blocks)
              : static_cast<double>(a.newest - b.newest) * static_cast<double>(b.blocks);
      if (i == 0 || loss < least) {
        best = i;
        least = loss;
      }
    }
    Part& into = stretches_[best];
    const Part& from = stretches_[best + 1];
    into.newest = std::max(into.newest, from.newest);
    into.blocks += from.blocks;
    stretches_.erase(stretches_.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

std::string StretchBuilder::Finish(Sequence largest_seq) {
  MergeDownTo(Stretches::kMost);
  std::string out;
  uint64_t blocks = 0;
  for (const Part& s : stretches_) blocks += s.blocks;
  const bool says_more = blocks >= Stretches::kLeastBlocks &&
                         std::any_of(stretches_.begin(), stretches_.end(),
                                     [&](const Part& s) { return s.newest < largest_seq; });
  if (!says_more) return out;
  for (const Part& s : stretches_) {
    Append64(&out, s.newest);
    AppendBytes(&out, s.begin);
  }
  return out;
}

const char* Stretches::Load(Slice payload) {
  bytes_.assign(payload.data(), payload.size());
  parts_.clear();
  Decoder in((Slice(bytes_)));
  while (in.ok() && !in.done()) {
    Part part;
    part.newest = in.Take64();
    part.begin = in.TakeBytes();
    if (!in.ok()) break;
    if (part.newest > kMaxSequence) return "a stretch with an impossible sequence";
    if (parts_.empty() ? !part.begin.empty() : part.begin <= parts_.back().begin)
      return "stretches out of order";
    parts_.push_back(part);
  }
  if (!in.ok()) return "stretches of another length";
  parts_.shrink_to_fit();
  return nullptr;
}

size_t Stretches::Find(Slice key) const {
  const auto behind = std::upper_bound(parts_.begin(), parts_.end(), key,
                                       [](Slice k, const Part& p) { return k < p.begin; });
  return static_cast<size_t>(behind - parts_.begin()) - 1;
}

}  // namespace kist
