// Reading record headers out of a range through a window. A record whose header does not check out
// is damage: ranges hold whole records only.
// Threads: one.
#include "backup/range_reader.h"

#include <algorithm>

#include "record/codec.h"

namespace kist {
namespace {

constexpr size_t kWindowBytes = size_t{256} << 10;

}  // namespace

Status RangeReader::Next(Record* record, bool* got) {
  *got = false;
  if (at_ == header_.payload_bytes) return Status();
  const size_t need = std::min<uint64_t>(kRecordHeaderMax, header_.payload_bytes - at_);
  if (at_ < window_at_ || at_ + need > window_at_ + window_.size()) {
    window_.resize(std::min<uint64_t>(kWindowBytes, header_.payload_bytes - at_));
    KIST_TRY_ASSIGN(const size_t n,
                    target_->Get(name_, kRangeHeaderBytes + at_, window_.data(), window_.size()));
    if (n != window_.size())
      return Status::Corrupt(target_->NameOf(name_), kRangeHeaderBytes + at_ + n, "cut short");
    window_at_ = at_;
  }
  const char* p = window_.data() + (at_ - window_at_);
  const uint64_t position = header_.position + at_;
  const uint32_t seed = codec::RecordSeed(header_.segment.id, header_.segment.nonce);
  const auto bad = [&](const char* why) {
    return Status::Corrupt(target_->NameOf(name_), kRangeHeaderBytes + at_, why);
  };
  if (need < kRecordHeaderBytes || (codec::HasTimeFlag(p) && need < kRecordHeaderMax))
    return bad("ends inside a record");
  const codec::RecordHeader h = codec::LoadRecordHeader(p);
  if (!codec::Authentic(p, h, seed, position)) return bad("not a record of its segment");
  if (h.padded_bytes() > header_.payload_bytes - at_) return bad("ends inside a record");
  record->is_chain = h.kind == static_cast<uint8_t>(RecordKind::kChain);
  if (record->is_chain) {
    // Behind its header; the first window of a range holds it.
    const size_t left = window_.size() - (at_ - window_at_);
    if (h.bytes() > left ||
        !codec::DecodeLink(Slice(p + h.header_bytes(), h.data_bytes), h.lsn, &record->link))
      return bad("not a chain record");
  }
  at_ += h.padded_bytes();
  record->lsn = h.lsn;
  record->has_time = (h.flags & kRecordTime) != 0;
  record->time_ms = record->has_time ? h.time_ms : 0;
  record->end = header_.position + at_;
  *got = true;
  return Status();
}

}  // namespace kist
