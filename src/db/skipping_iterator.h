// SkippingIterator: a source's iterator that leaps over what range tombstones hide from every
// reader of its view, so that a scan over a dropped range costs a search, not a walk. It only ever
// skips entries that the database's iterator would reject one by one. Threads: one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "iter/internal_iterator.h"
#include "iter/range_tombstones.h"

namespace kist {

class SkippingIterator final : public InternalIterator {
 public:
  // largest_seq: of any entry below; newer tombstones hide all of it. 0: it is not known. What is
  // older than other tombstones the source itself tells.
  SkippingIterator(std::unique_ptr<InternalIterator> base, Sequence largest_seq,
                   const std::vector<RangeCoverCursor::Part>* tombstones)
      : base_(std::move(base)), largest_seq_(largest_seq), cursor_(tombstones) {}

  void SeekToFirst() override {
    base_->SeekToFirst();
    Forward();
  }
  void SeekToLast() override {
    base_->SeekToLast();
    Backward();
  }
  void Seek(Slice key, uint64_t tag) override {
    base_->Seek(key, tag);
    Forward();
  }
  void SeekBefore(Slice key, uint64_t tag) override {
    base_->SeekBefore(key, tag);
    Backward();
  }
  void Next() override {
    base_->Next();
    Forward();
  }
  void Prev() override {
    base_->Prev();
    Backward();
  }

 private:
  void Forward() {
    while (base_->valid()) {
      const Slice key = base_->key();
      const Sequence covering = cursor_.At(key).seq;
      if (covering <= TagSequence(base_->tag())) break;
      if (largest_seq_ == 0 || covering <= largest_seq_) {
        base_->PassUp(cursor_.CoveredUntil(key, covering), covering);
        continue;
      }
      const Slice end = cursor_.CoveredUntil(key, largest_seq_ + 1);
      if (end.empty()) {  // hidden to the last key: past the end
        base_->SeekToLast();
        if (base_->valid()) base_->Next();
        break;
      }
      base_->Seek(end, kMaxTag);
    }
    Take();
  }
  void Backward() {
    while (base_->valid()) {
      const Slice key = base_->key();
      const Sequence covering = cursor_.At(key).seq;
      if (covering <= TagSequence(base_->tag())) break;
      if (largest_seq_ == 0 || covering <= largest_seq_) {
        base_->PassDown(cursor_.CoveredFrom(key, covering), covering);
        continue;
      }
      base_->SeekBefore(cursor_.CoveredFrom(key, largest_seq_ + 1), kMaxTag);
    }
    Take();
  }
  void Take() {
    valid_ = base_->valid();
    if (!valid_) {
      status_ = base_->status();
      return;
    }
    key_ = base_->key();
    value_ = base_->value();
    tag_ = base_->tag();
  }

  const std::unique_ptr<InternalIterator> base_;
  const Sequence largest_seq_;
  RangeCoverCursor cursor_;
};

}  // namespace kist
