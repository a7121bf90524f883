// SkippingIterator: a table's or level's iterator that leaps over what range tombstones of newer
// sources hide from every reader of its view, so that a scan over a dropped range costs a search,
// not a walk. It only ever skips entries that the database's iterator would reject one by one.
// Threads: one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "iter/internal_iterator.h"
#include "iter/range_tombstones.h"

namespace kist {

class SkippingIterator final : public InternalIterator {
 public:
  // largest_seq: of any entry below. Tombstones with a sequence in (largest_seq, seq] hide all of
  // it.
  SkippingIterator(std::unique_ptr<InternalIterator> base, Sequence largest_seq, Sequence seq,
                   const std::vector<const RangeTombstoneSet*>* sets)
      : base_(std::move(base)), largest_seq_(largest_seq), seq_(seq), sets_(sets) {}

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
  const RangeTombstoneSet::Fragment* Hiding(Slice key) const {
    for (const RangeTombstoneSet* set : *sets_) {
      Sequence covering = 0;
      const RangeTombstoneSet::Fragment* f = set->Find(key, seq_, &covering);
      if (f != nullptr && covering > largest_seq_) return f;
    }
    return nullptr;
  }
  void Forward() {
    while (base_->valid()) {
      const RangeTombstoneSet::Fragment* f = Hiding(base_->key());
      if (f == nullptr) break;
      if (f->end.empty()) {  // hidden to the last key: past the end
        base_->SeekToLast();
        if (base_->valid()) base_->Next();
        break;
      }
      base_->Seek(f->end, kMaxTag);
    }
    Take();
  }
  void Backward() {
    while (base_->valid()) {
      const RangeTombstoneSet::Fragment* f = Hiding(base_->key());
      if (f == nullptr) break;
      base_->SeekBefore(f->begin, kMaxTag);
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
  const Sequence seq_;
  const std::vector<const RangeTombstoneSet*>* const sets_;  // the database iterator's
};

}  // namespace kist
