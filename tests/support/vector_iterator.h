// VectorIterator: an InternalIterator over entries in memory, for tests of what merges or filters
// iterators. Its keys and values move with every step, so that a user who keeps a slice too long is
// seen under AddressSanitizer. It can be told to fail when it reaches an entry.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "iter/internal_iterator.h"

namespace kist::test {

struct Entry {
  std::string key;
  uint64_t tag = 0;
  std::string value;
};

inline bool EntryLess(const Entry& a, const Entry& b) {
  return CompareEntry(a.key, a.tag, b.key, b.tag) < 0;
}

class VectorIterator final : public InternalIterator {
 public:
  static constexpr size_t kNever = static_cast<size_t>(-1);

  // Sorts the entries. Reaching entry `fail_at` is an I/O error.
  explicit VectorIterator(std::vector<Entry> entries, size_t fail_at = kNever)
      : entries_(std::move(entries)), fail_at_(fail_at) {
    std::stable_sort(entries_.begin(), entries_.end(), EntryLess);
  }

  void SeekToFirst() override { Set(0); }
  void SeekToLast() override { Set(entries_.size() - 1); }
  void Seek(Slice key, uint64_t tag) override { Set(LowerBound(key, tag)); }
  void SeekBefore(Slice key, uint64_t tag) override { Set(LowerBound(key, tag) - 1); }
  void Next() override {
    if (!valid_) std::abort();
    Set(at_ + 1);
  }
  void Prev() override {
    if (!valid_) std::abort();
    Set(at_ - 1);
  }
  size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
             uint64_t* repeats) override {
    size_t n = 0;
    *repeats = 1;
    for (size_t at = at_; n < max && at < entries_.size() && at != fail_at_;
         forward ? ++at : --at) {
      const Entry& e = entries_[at];
      if (n > 0 && bound != nullptr && (forward ? e.key >= *bound : e.key <= *bound)) break;
      if (n > 0 && out[n - 1].key == Slice(e.key)) *repeats |= uint64_t{1} << n;
      out[n++] = {e.key, e.tag, e.value};
      at_ = at;
    }
    key_ = out[n - 1].key;
    tag_ = out[n - 1].tag;
    value_ = out[n - 1].value;
    return n;
  }
  uint64_t steps() const { return steps_; }

 private:
  size_t LowerBound(Slice key, uint64_t tag) const {
    return static_cast<size_t>(std::partition_point(entries_.begin(), entries_.end(),
                                                    [&](const Entry& e) {
                                                      return CompareEntry(e.key, e.tag, key, tag) <
                                                             0;
                                                    }) -
                               entries_.begin());
  }
  void Set(size_t at) {
    ++steps_;
    at_ = at;
    status_ = Status();
    valid_ = at < entries_.size() && at != fail_at_;
    current_.reset();
    key_ = value_ = Slice();
    if (at < entries_.size() && at == fail_at_) status_ = Status::FromErrno(5, "read", "entry");
    if (!valid_) return;
    current_ = std::make_unique<Entry>(entries_[at]);
    key_ = current_->key;
    tag_ = current_->tag;
    value_ = current_->value;
  }

  std::vector<Entry> entries_;
  const size_t fail_at_;
  size_t at_ = 0;
  uint64_t steps_ = 0;
  std::unique_ptr<Entry> current_;
};

}  // namespace kist::test
