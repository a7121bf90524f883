// ReplayChain: find the path, walk it, judge the break. See chain.h for the rules.
//
// Evidence: an LSN that was durable, by a mark, or by any authentic record header (each carries the
// durable LSN of its time). All segments behind a break are asked, those off the path too: what was
// durable once counts for ever.
#include "record/chain.h"

#include <algorithm>

#include "util/check.h"
#include "util/planted.h"

namespace kist {
namespace {

struct Node {
  ChainSegment segment;
  std::unique_ptr<SegmentReader> reader;
  bool looked_at = false;
  uint64_t records = 0;  // found in it, residue included, once it was looked at
  bool valid() const { return reader->has_link(); }
  uint64_t id() const { return segment.id; }
  const SegmentLink& link() const { return reader->link(); }
  uint64_t start() const { return reader->info().data_start(); }
};

// One segment of the path and how much of it counts.
struct Step {
  Node* node = nullptr;
  uint64_t cut = UINT64_MAX;  // file offset; from the successor's link
  std::string gap;            // why what its link names before it is not there; empty: it is
};

class ChainWalk {
 public:
  ChainWalk(Vfs* vfs, const ChainOptions& options, const ChainVisitor& visit)
      : vfs_(vfs), options_(options), visit_(visit) {}

  Result<ChainResult> Run(const std::vector<ChainSegment>& segments) {
    KIST_TRY(Load(segments));
    KIST_TRY(FindPath());
    bool broke = false;
    KIST_TRY(Walk(&broke));
    if (!broke) KIST_TRY(Trailing());
    Finish(broke);
    KIST_TRY(CheckLast());
    return std::move(result_);
  }

 private:
  struct Evidence {
    Sequence durable_lsn = 0;
    std::string path;  // who shows it
  };

  Status Load(const std::vector<ChainSegment>& segments);
  Status FindPath();
  Status FindPredecessor(Step* step, Step* before);
  Status CheckBegun() const;
  Status CheckFirst() const;
  Status CheckLast() const;
  Status Walk(bool* broke);
  Status EnterStep(size_t i);
  Status ReadStep(size_t i, bool* broke);
  Status Trailing();
  Status Judge(const Step& step, size_t first_behind, uint64_t offset, const std::string& reason);
  Status Weigh(Node* node, Evidence* evidence);
  void Finish(bool broke);

  Node* Find(uint64_t id) {
    for (Node& n : nodes_) {
      if (n.id() == id) return &n;
    }
    return nullptr;
  }
  Node* NewestValidBelow(uint64_t id) {
    for (auto n = nodes_.rbegin(); n != nodes_.rend(); ++n) {
      if (n->id() < id && n->valid()) return &*n;
    }
    return nullptr;
  }
  size_t IndexAbove(uint64_t id) const {
    size_t i = 0;
    while (i < nodes_.size() && nodes_[i].id() <= id) ++i;
    return i;
  }
  void Saw(Sequence lsn) { result_.max_lsn = std::max(result_.max_lsn, lsn); }
  void Durable(Sequence lsn) { result_.durable_lsn = std::max(result_.durable_lsn, lsn); }

  Vfs* const vfs_;
  const ChainOptions& options_;
  const ChainVisitor& visit_;
  std::vector<Node> nodes_;  // ascending
  std::vector<Step> path_;   // oldest first
  Sequence reached_ = 0;     // everything up to here counts
  ChainResult result_;
};

Status ChainWalk::Load(const std::vector<ChainSegment>& segments) {
  uint64_t before = 0;
  for (const ChainSegment& segment : segments) {
    KIST_CHECK(segment.id > before);
    before = segment.id;
    if (segment.id < options_.first_id) continue;
    Node node;
    node.segment = segment;
    auto probed = SegmentReader::Probe(vfs_, segment.path, options_.type);
    if (probed.status().Is(Code::kMissing))
      return Status::Corrupt(segment.path, 0, "a name without a file");
    KIST_TRY_ASSIGN(node.reader, std::move(probed));
    const SegmentInfo& info = node.reader->info();
    if (node.reader->has_prefix() && info.id != segment.id) {
      return Status::Corrupt(segment.path, 16, "holds segment " + std::to_string(info.id));
    }
    if (node.reader->has_prefix() && options_.database_id != 0 &&
        info.database_id != options_.database_id) {
      return Status::Corrupt(segment.path, 32, "belongs to another database");
    }
    nodes_.push_back(std::move(node));
  }
  reached_ = options_.base_lsn;
  Saw(options_.base_lsn);
  return Status();
}

Status ChainWalk::FindPath() {
  KIST_TRY(CheckBegun());
  Step step;
  step.node = NewestValidBelow(UINT64_MAX);
  while (step.node != nullptr) {
    Step before;
    KIST_TRY(FindPredecessor(&step, &before));
    path_.push_back(std::move(step));
    step = std::move(before);
  }
  std::reverse(path_.begin(), path_.end());
  return CheckFirst();
}

Status ChainWalk::CheckBegun() const {
  if (options_.begun_id == 0 || options_.begun_id < options_.first_id) return Status();
  for (const Node& n : nodes_) {
    if (n.id() == options_.begun_id && n.reader->has_prefix()) return Status();
  }
  return Status::Corrupt(
      options_.begun_path, 0,
      "segment " + std::to_string(options_.begun_id) + ", which was begun, is missing or damaged");
}

// Leaves before->node empty where the path ends. Across a gap it goes on with what must have stood
// before the lost segment if it is there at all: the newest valid one below.
Status ChainWalk::FindPredecessor(Step* step, Step* before) {
  Node& node = *step->node;
  const SegmentLink& link = node.link();
  if (link.previous_id == 0 || node.id() == options_.first_id) return Status();
  const std::string name = "segment " + std::to_string(link.previous_id);
  if (link.previous_id >= node.id() || link.previous_id < options_.first_id) {
    return Status::Corrupt(node.segment.path, node.start(),
                           "names " + name + " as its predecessor, which cannot be");
  }
  Node* previous = Find(link.previous_id);
  if (previous == nullptr) {
    // Where the caller does not know the first one, the chain may begin behind it.
    if (options_.first_id == 0 && NewestValidBelow(node.id()) == nullptr) return Status();
    step->gap = name + " is missing";
  } else if (!previous->valid()) {
    step->gap = name + " is damaged: " + previous->reader->break_reason();
    if (!previous->reader->has_prefix()) {
      previous->reader->Bind(link.previous_id, link.previous_nonce);
    }
  } else if (previous->reader->info().nonce != link.previous_nonce) {
    step->gap = name + " is not the one that stood there";
  }
  if (step->gap.empty()) {
    before->node = previous;
    before->cut = previous->start() + link.previous_bytes;
  } else {
    before->node = NewestValidBelow(link.previous_id);
  }
  return Status();
}

Status ChainWalk::CheckFirst() const {
  if (options_.first_id == 0) return Status();
  const bool present = !nodes_.empty() && nodes_.front().id() == options_.first_id;
  const bool root =
      !path_.empty() && path_.front().gap.empty() && path_.front().node->link().previous_id == 0;
  // Its head was durable before the manifest named it.
  const SegmentReader* first = present ? nodes_.front().reader.get() : nullptr;
  if (present && !root && (!first->has_prefix() || first->size() < nodes_.front().start())) {
    return Status::Corrupt(
        options_.first_path, 0,
        "holds no segment, though segment " + std::to_string(options_.first_id) + " was durable");
  }
  if (present || root) return Status();
  return Status::Corrupt(options_.first_path, 0,
                         "segment " + std::to_string(options_.first_id) + " is missing");
}

// Nothing else tells of a last segment that is gone. An opening that was cut short has sealed the
// one that it found last, before it made its own.
Status ChainWalk::CheckLast() const {
  if (!options_.closed || result_.kept.empty()) return Status();
  const ChainKept& last = result_.kept.back();
  for (const Step& step : path_) {
    const SealKind seal = step.node->reader->seal();
    if (step.node->id() >= last.id && (seal == SealKind::kClosed || seal == SealKind::kRecovered))
      return Status();
  }
  return Status::Corrupt(last.path, last.end,
                         "the segment that follows, which was closed in order, is missing");
}

Status ChainWalk::Walk(bool* broke) {
  for (size_t i = 0; i < path_.size() && !*broke; ++i) {
    const Step& step = path_[i];
    if (!step.gap.empty()) {
      *broke = true;
      const uint64_t below = i == 0 ? 0 : path_[i - 1].node->id();
      return Judge(step, IndexAbove(below), step.node->start(), "its predecessor, " + step.gap);
    }
    KIST_TRY(EnterStep(i));
    KIST_TRY(ReadStep(i, broke));
  }
  return Status();
}

// Takes the chain record in.
Status ChainWalk::EnterStep(size_t i) {
  Node& node = *path_[i].node;
  SegmentReader& reader = *node.reader;
  if (i == 0 && options_.first_id != 0 && node.link().previous_lsn > options_.base_lsn) {
    return Status::Corrupt(node.segment.path, node.start(),
                           "begins after LSN " + std::to_string(node.link().previous_lsn) +
                               ", the tables hold everything up to " +
                               std::to_string(options_.base_lsn));
  }
  if (i != 0 && node.link().previous_lsn != reached_) {
    return Status::Corrupt(node.segment.path, node.start(),
                           "says that LSN " + std::to_string(node.link().previous_lsn) +
                               " precedes it, it is " + std::to_string(reached_));
  }
  reached_ = node.link().start_lsn;
  Saw(reached_);
  Durable(reader.link_durable_lsn());
  if (reader.mark_generation() > 1) Durable(reader.mark_lsn());
  const uint64_t cut = path_[i].cut;
  if (cut != UINT64_MAX) {
    if (reader.info().version != 1 && cut < reader.valid_data_end()) {
      return Status::Corrupt(node.segment.path, cut,
                             "its successor counts it up to here, it was durable up to " +
                                 std::to_string(reader.valid_data_end()));
    }
    reader.SetLimit(cut);
  }
  ChainKept kept;
  kept.id = node.id();
  kept.path = node.segment.path;
  kept.nonce = reader.info().nonce;
  kept.previous_lsn = node.link().previous_lsn;
  kept.last_lsn = reached_;
  result_.kept.push_back(std::move(kept));
  return Status();
}

Status ChainWalk::ReadStep(size_t i, bool* broke) {
  const Step& step = path_[i];
  Node& node = *step.node;
  SegmentReader& reader = *node.reader;
  const RecordKind wanted =
      options_.type == SegmentType::kLog ? RecordKind::kCommit : RecordKind::kEdit;
  ChainKept& kept = result_.kept.back();
  SegmentReader::Record record;
  SegmentReader::Outcome outcome;
  for (;;) {
    KIST_TRY_ASSIGN(outcome, reader.Next(&record));
    if (outcome != SegmentReader::Outcome::kRecord) break;
    if (record.kind != wanted) {
      return Status::Corrupt(node.segment.path, record.offset, "a record of another kind");
    }
    if (record.lsn > options_.base_lsn) {
      KIST_TRY(visit_(node.segment, record));
      ++result_.records;
    }
    ++kept.records;
    Durable(record.durable_lsn);
    reached_ = record.lsn;
  }
  Saw(reached_);
  node.looked_at = true;
  node.records += kept.records;
  kept.end = reader.offset();
  kept.record_bytes = kept.end - node.start();
  kept.last_lsn = reached_;
  result_.bytes += kept.record_bytes;
  const size_t behind = IndexAbove(node.id());
  if (outcome == SegmentReader::Outcome::kBroken) {
    *broke = true;
    return Judge(step, behind, kept.end, reader.break_reason());
  }
  if (step.cut != UINT64_MAX && kept.end < step.cut) {
    *broke = true;
    return Judge(step, behind, kept.end,
                 "ends here, its successor counts it up to " + std::to_string(step.cut));
  }
  return Status();
}

// Segments newer than the path's last one have no valid chain record: made ahead of time, or cut
// short while they were made, or damaged.
Status ChainWalk::Trailing() {
  const size_t behind = path_.empty() ? 0 : IndexAbove(path_.back().node->id());
  if (behind == nodes_.size()) return Status();
  Step step;
  step.node = &nodes_[behind];
  KIST_TRY(Judge(step, behind, step.node->start(), step.node->reader->break_reason()));
  if (result_.residue_bytes == 0) result_.residue_path.clear();
  return Status();
}

// Everything from the break on: damage or residue. nodes_[first_behind..] lie wholly behind it;
// where the break is inside step.node, what is left of that too.
Status ChainWalk::Judge(const Step& step, size_t first_behind, uint64_t offset,
                        const std::string& reason) {
  Evidence evidence;
  Node* const self = step.node;
  if (first_behind >= nodes_.size() || nodes_[first_behind].id() > self->id()) {
    KIST_TRY(Weigh(self, &evidence));
  }
  for (size_t i = first_behind; i < nodes_.size(); ++i) KIST_TRY(Weigh(&nodes_[i], &evidence));
  if (evidence.durable_lsn > reached_ && !Planted(Bug::kDamageTakenForEnd)) {
    return Status::Corrupt(self->segment.path, offset,
                           reason + "; LSN " + std::to_string(evidence.durable_lsn) +
                               " was durable (" + evidence.path + "), the log is whole up to " +
                               std::to_string(reached_));
  }
  result_.residue_path = self->segment.path;
  result_.residue_offset = offset;
  result_.residue_reason = reason;
  return Status();
}

// What a segment says of LSNs that were durable, from where its reader stands.
Status ChainWalk::Weigh(Node* node, Evidence* evidence) {
  SegmentReader& reader = *node->reader;
  KIST_TRY_ASSIGN(SegmentReader::Residue residue, reader.ScanResidue());
  result_.residue_bytes += residue.bytes;
  result_.residue_records += residue.records;
  node->looked_at = true;
  node->records += residue.records;
  Sequence durable = residue.max_durable_lsn;
  Saw(residue.max_lsn);
  if (reader.has_link()) {
    durable = std::max(durable, reader.link_durable_lsn());
    Saw(reader.link().start_lsn);
  }
  if (reader.mark_generation() > 1) durable = std::max(durable, reader.mark_lsn());
  Saw(durable);
  if (durable > evidence->durable_lsn) {
    evidence->durable_lsn = durable;
    evidence->path = node->segment.path;
  }
  return Status();
}

void ChainWalk::Finish(bool broke) {
  ChainResult& r = result_;
  // Segments at the end that hold no record are passed over by the next link, so that opening again
  // and again does not make the chain longer. The first one stays: the manifest names it.
  while (r.kept.size() > 1 && r.kept.back().records == 0) r.kept.pop_back();
  for (const Node& n : nodes_) {
    const bool kept = std::any_of(r.kept.begin(), r.kept.end(),
                                  [&n](const ChainKept& k) { return k.id == n.id(); });
    if (!kept) r.abandoned.push_back(n.segment);
    if (kept || !n.looked_at || n.records != 0) continue;
    if (n.id() != options_.first_id && n.id() != options_.begun_id) r.empty.push_back(n.segment);
  }
  r.last_lsn = options_.base_lsn;
  r.next.previous_lsn = options_.base_lsn;
  if (!r.kept.empty()) {
    const ChainKept& last = r.kept.back();
    if (last.records != 0) r.last_lsn = std::max(r.last_lsn, last.last_lsn);
    r.next.previous_id = last.id;
    r.next.previous_nonce = last.nonce;
    r.next.previous_bytes = last.record_bytes;
    r.next.previous_lsn = last.last_lsn;
  }
  Saw(r.next.previous_lsn);
  r.clean = !broke && r.residue_bytes == 0 && !path_.empty() &&
            path_.back().node->reader->seal() == SealKind::kClosed;
  const Sequence jump = kMaxSequence - r.max_lsn < kLsnJump ? kMaxSequence - r.max_lsn : kLsnJump;
  r.next.start_lsn = r.clean ? r.max_lsn : r.max_lsn + jump;
  if (Planted(Bug::kSequenceReused)) r.next.start_lsn = r.next.previous_lsn;
}

}  // namespace

Result<ChainResult> ReplayChain(Vfs* vfs, const std::vector<ChainSegment>& segments,
                                const ChainOptions& options, const ChainVisitor& visit) {
  return ChainWalk(vfs, options, visit).Run(segments);
}

}  // namespace kist
