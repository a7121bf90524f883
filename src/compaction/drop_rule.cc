// The drop rule's decisions, in the order of the rules in drop_rule.h: shadowed versions first,
// then range tombstones, then expiry, then tombstones at the bottom.
// Threads: one.
#include "compaction/drop_rule.h"

#include <algorithm>

#include "util/coding.h"
#include "util/planted.h"

namespace kist {

DropRule::DropRule(const Visibility& visibility, const RangeTombstoneSet* tombstones)
    : visibility_(visibility),
      tombstones_(tombstones),
      parts_(1, RangeCoverCursor::Part{tombstones, kMaxSequence}) {}

bool DropRule::SeenBetween(Sequence seq, Sequence newer) const {
  const auto& s = visibility_.snapshots;
  const auto it =
      std::lower_bound(s.begin(), s.end(), seq + (Planted(Bug::kSnapshotOffByOne) ? 1 : 0));
  if (it != s.end() && *it < newer && !Planted(Bug::kSnapshotsIgnored)) return true;
  // The newest state, and every later snapshot, sees at least visibility_.newest.
  return newer > visibility_.newest;
}

Sequence DropRule::OldestReader() const {
  return visibility_.snapshots.empty()
             ? visibility_.newest
             : std::min(visibility_.snapshots.front(), visibility_.newest);
}

Sequence DropRule::FirstReader(Sequence seq) const {
  const auto& s = visibility_.snapshots;
  const auto it = std::lower_bound(s.begin(), s.end(), seq);
  return it == s.end() || Planted(Bug::kSnapshotsIgnored) ? visibility_.newest : *it;
}

bool DropRule::TombstoneIsDead(const RangeTombstone& t, bool bottom) const {
  return (bottom || Planted(Bug::kRangeTombstoneDropped)) && t.seq <= OldestReader();
}

NeededTombstones::NeededTombstones(const Visibility& v, std::vector<RangeTombstone> tombstones) {
  std::sort(tombstones.begin(), tombstones.end(),
            [](const auto& a, const auto& b) { return a.seq < b.seq; });
  auto snapshot = v.snapshots.begin();
  for (size_t i = 0; i < tombstones.size();) {
    while (snapshot != v.snapshots.end() && *snapshot < tombstones[i].seq) ++snapshot;
    // Above the newest state a later snapshot may see any one of them: each stays.
    Sequence last = std::max(tombstones[i].seq, v.newest);
    if (snapshot != v.snapshots.end()) last = *snapshot;
    std::vector<RangeTombstone> between;
    for (; i < tombstones.size() && tombstones[i].seq <= last; ++i)
      between.push_back(tombstones[i]);
    sets_.push_back(RangeTombstoneSet::Build(std::move(between)));
    const std::vector<RangeTombstone> newest = sets_.back()->Newest();
    all_.insert(all_.end(), newest.begin(), newest.end());
  }
}

Verdict DropRule::Decide(Slice key, uint64_t tag, Slice value, bool bottom, uint64_t* tag_out) {
  const Sequence seq = TagSequence(tag);
  const bool first = !has_key_ || Slice(key_) != key;
  if (first) {
    key_.assign(key.data(), key.size());
    has_key_ = true;
  } else if (!SeenBetween(seq, newer_)) {
    newer_ = seq;
    ++counts_.shadowed;
    return Verdict::kDrop;
  }
  newer_ = seq;
  bool under_tombstone = false;
  if (tombstones_ != nullptr) {
    under_tombstone = cursor_.At(key).seq != 0;
    if (under_tombstone && tombstones_->MaxCovering(key, FirstReader(seq)) > seq) {
      ++counts_.range_deleted;
      return Verdict::kDrop;
    }
  }
  EntryKind kind = TagKind(tag);
  bool expired = false;
  if (kind == EntryKind::kPutTtl) {
    const int64_t expiry = value.size() >= 8 ? static_cast<int64_t>(Load64(value.data())) : 0;
    if (expiry <= visibility_.ttl_time_ms || Planted(Bug::kExpiryIgnoresSnapshots)) {
      kind = EntryKind::kDelete;
      expired = true;
    }
  }
  const bool everyone = seq <= OldestReader();
  if (kind == EntryKind::kDelete) {
    bottom |= Planted(expired ? Bug::kExpiredUncoversOlder : Bug::kTombstoneDroppedEarly);
    if (bottom && everyone) {
      ++(expired ? counts_.expired : counts_.tombstones);
      return Verdict::kDrop;
    }
    *tag_out = MakeTag(seq, EntryKind::kDelete);
    return expired ? Verdict::kKeepAsDelete : Verdict::kKeep;
  }
  // A range tombstone over the key, though older, may live on in the output: sequence 0 would fall
  // below it.
  *tag_out = bottom && everyone && !under_tombstone ? MakeTag(0, kind) : tag;
  return Verdict::kKeep;
}

}  // namespace kist
