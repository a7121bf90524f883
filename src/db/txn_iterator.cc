// Following an iterator's position to know which range was looked at. Every key passed over
// counts as read, present or not, and so does the gap up to a bound that was reached.
// Threads: the transaction's.
#include "db/txn_iterator.h"

#include <algorithm>

#include "db/db_impl.h"
#include "db/db_iterator.h"
#include "util/planted.h"

namespace kist {

TxnIterator::TxnIterator(TxnImpl* txn, RefPtr<KeyspaceImpl> keyspace, const IterOptions& o)
    : txn_(txn),
      keyspace_(std::move(keyspace)),
      remembers_(txn->serializable_ || o.for_update),
      options_(o),
      lower_(o.lower),
      upper_(o.upper) {
  NarrowToPrefix(o.prefix, &lower_, &upper_, &options_.has_upper);
  options_.lower = lower_;
  options_.upper = upper_;
  options_.prefix = Slice();
  txn_->iterators_.push_back(this);
}

TxnIterator::~TxnIterator() {
  if (txn_ == nullptr) return;
  Report();
  auto& all = txn_->iterators_;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == this) {
      all.erase(all.begin() + static_cast<ptrdiff_t>(i));
      break;
    }
  }
}

Status TxnIterator::Open() {
  options_.snapshot = txn_->snapshot_.get();
  options_.own = txn_->memtable_.get();
  options_.own_limit = txn_->Limit();
  KIST_TRY_ASSIGN(base_, txn_->db_->NewIterator(keyspace_.get(), options_));
  base_->HoldEntries(holding_);
  hold_max_ = base_->hold_max();
  return Status();
}

void TxnIterator::Detach() {
  txn_ = nullptr;
  key_ = value_ = Slice();
  position_ = Position::kUnpositioned;
}

bool TxnIterator::Alive() {
  if (txn_ != nullptr && !txn_->ended_) return status_.ok();
  if (status_.ok()) status_ = Status::Error(Code::kClosed, "the iterator's transaction has ended");
  base_.reset();
  position_ = Position::kUnpositioned;
  return false;
}

void TxnIterator::Report() {
  if (!tracking_ || txn_ == nullptr || !remembers_) return;
  if (!Planted(Bug::kRangeReadsForgotten))
    txn_->footprint_.AddRange(keyspace_.get(), low_, high_, to_last_);
  tracking_ = false;
}

// A new range, empty yet, which Widen takes the position found into. False where the one before
// takes more memory than there is for it.
bool TxnIterator::Begin(std::string at, bool to_last) {
  Report();
  if (remembers_) status_ = txn_->Charge(0);
  if (!status_.ok()) {
    position_ = Position::kUnpositioned;
    return false;
  }
  tracking_ = true;
  low_ = std::move(at);
  high_ = low_;
  to_last_ = to_last;
  return true;
}

void TxnIterator::Widen() {
  Take();
  if (!tracking_ || !remembers_) return;
  switch (position_) {
    case Position::kOn:
      if (key_ < Slice(low_)) low_.assign(key_.data(), key_.size());
      if (!to_last_ && key_ >= Slice(high_)) {
        high_.assign(key_.data(), key_.size());
        high_.push_back('\0');
      }
      break;
    case Position::kPast:
      if (options_.has_upper) {
        if (!to_last_ && upper_ > high_) high_ = upper_;
      } else {
        to_last_ = true;
      }
      break;
    case Position::kBefore:
      if (lower_ < low_) low_ = lower_;
      break;
    case Position::kUnpositioned:
      break;
  }
}

void TxnIterator::Take() {
  position_ = base_->position();
  key_ = base_->key();
  value_ = base_->value();
  status_ = base_->status();
}

void TxnIterator::SeekToFirst() {
  if (!Alive()) return;
  if (!Begin(lower_, false)) return;
  base_->SeekToFirst();
  Widen();
}

void TxnIterator::SeekToLast() {
  if (!Alive()) return;
  if (!Begin(upper_, !options_.has_upper)) return;
  base_->SeekToLast();
  Widen();
  if (position_ == Position::kOn && tracking_) low_.assign(key_.data(), key_.size());
  if (position_ == Position::kBefore && tracking_) low_ = lower_;
}

void TxnIterator::SeekGe(Slice key) { SeekUp(key, false); }

void TxnIterator::SeekUp(Slice key, bool after) {
  if (!Alive()) return;
  const std::string sought(key);
  std::string from = sought;
  if (after) from.push_back('\0');
  if (!Begin(std::max(from, lower_), false)) return;
  after ? base_->SeekGt(sought) : base_->SeekGe(sought);
  Widen();
}

void TxnIterator::SeekLe(Slice key) { SeekDown(key, true); }

void TxnIterator::SeekDown(Slice key, bool inclusive) {
  if (!Alive()) return;
  const std::string sought(key);
  std::string to = sought;
  if (inclusive) to.push_back('\0');
  if (!Begin(options_.has_upper ? std::min(to, upper_) : to, false)) return;
  inclusive ? base_->SeekLe(sought) : base_->SeekLt(sought);
  Widen();
}

void TxnIterator::StepNext() {
  if (!Alive()) return;
  if (position_ == Position::kUnpositioned || position_ == Position::kBefore) return SeekToFirst();
  base_->Next();
  Widen();
}

void TxnIterator::StepPrev() {
  if (!Alive()) return;
  if (position_ == Position::kUnpositioned || position_ == Position::kPast) return SeekToLast();
  base_->Prev();
  Widen();
}

void TxnIterator::HoldEntries(bool on) {
  holding_ = on;
  if (base_ != nullptr) base_->HoldEntries(on);
}

void TxnIterator::ReleaseHeld() {
  if (base_ != nullptr) base_->ReleaseHeld();
}

Status TxnIterator::Refresh() {
  if (!Alive()) return status_;
  Report();
  key_ = value_ = Slice();
  position_ = Position::kUnpositioned;
  base_.reset();
  status_ = Open();
  return status_;
}

}  // namespace kist
