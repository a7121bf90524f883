// The iterator over one sorted level: the files' iterators end to end. Each file is opened when
// the iterator reaches it, so that a scan that stops early opens little.
// Threads: one.
#include "version/version.h"

namespace kist {
namespace {

class LevelIterator final : public InternalIterator {
 public:
  LevelIterator(std::vector<RefPtr<LiveTable>> files, const ReadContext& context)
      : files_(std::move(files)), context_(context) {}

  void SeekToFirst() override {
    status_ = Status();
    if (Enter(0)) current_->SeekToFirst();
    SkipForward();
  }
  void SeekToLast() override {
    status_ = Status();
    if (Enter(files_.size() - 1)) current_->SeekToLast();
    SkipBackward();
  }
  void Seek(Slice key, uint64_t tag) override {
    status_ = Status();
    if (Enter(FindFile(key))) current_->Seek(key, tag);
    SkipForward();
  }
  void SeekBefore(Slice key, uint64_t tag) override {
    status_ = Status();
    size_t at = FindFile(key);
    if (at == files_.size()) at = files_.size() - 1;
    if (Enter(at)) current_->SeekBefore(key, tag);
    SkipBackward();
  }
  void Next() override {
    current_->Next();
    if (__builtin_expect(current_->valid(), 1)) return Take();
    SkipForward();
  }
  void Prev() override {
    current_->Prev();
    if (__builtin_expect(current_->valid(), 1)) return Take();
    SkipBackward();
  }
  // Files that are older as a whole are not opened.
  void PassUp(Slice end, Sequence seq) override {
    while (valid_ && TagSequence(tag_) < seq && (end.empty() || key_ < end)) {
      size_t at = at_;
      while (at < files_.size() && Older(at, seq) && (end.empty() || Largest(at) < end)) ++at;
      if (at != at_) {
        if (Enter(at)) Older(at, seq) ? current_->Seek(end, kMaxTag) : current_->SeekToFirst();
      } else if (Older(at, seq)) {
        current_->Seek(end, kMaxTag);
      } else {
        current_->PassUp(end, seq);
      }
      SkipForward();
    }
  }
  void PassDown(Slice begin, Sequence seq) override {
    while (valid_ && TagSequence(tag_) < seq && key_ >= begin) {
      size_t behind = at_ + 1;  // of those that are passed
      while (behind > 0 && Older(behind - 1, seq) && Smallest(behind - 1) >= begin) --behind;
      if (behind == 0) {
        valid_ = false;
        current_.reset();
      } else if (behind - 1 != at_) {
        const size_t at = behind - 1;
        if (Enter(at))
          Older(at, seq) ? current_->SeekBefore(begin, kMaxTag) : current_->SeekToLast();
      } else if (Older(at_, seq)) {
        current_->SeekBefore(begin, kMaxTag);
      } else {
        current_->PassDown(begin, seq);
      }
      SkipBackward();
    }
  }
  size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
             uint64_t* repeats) override {
    const size_t n = current_->Run(forward, bound, out, max, repeats);
    Take();
    return n;
  }

 private:
  void Take() {
    key_ = current_->key();
    value_ = current_->value();
    tag_ = current_->tag();
  }
  bool Older(size_t at, Sequence seq) const { return files_[at]->properties().largest_seq < seq; }
  Slice Smallest(size_t at) const { return files_[at]->properties().smallest_key; }
  Slice Largest(size_t at) const { return files_[at]->properties().largest_key; }
  // The first file whose entries do not all come before key.
  size_t FindFile(Slice key) const {
    size_t low = 0, high = files_.size();
    while (low < high) {
      const size_t mid = low + (high - low) / 2;
      const TableProperties& p = files_[mid]->properties();
      if (p.entries == 0 ? Slice(p.smallest_key) < key : Slice(p.largest_key) < key) {
        low = mid + 1;
      } else {
        high = mid;
      }
    }
    return low;
  }
  // Makes files_[at] the current one; false where there is none or it cannot be opened.
  bool Enter(size_t at) {
    valid_ = false;
    if (at >= files_.size()) {
      current_.reset();
      at_ = files_.size();
      return false;
    }
    if (current_ != nullptr && at == at_ && current_->status().ok()) return true;
    current_.reset();
    at_ = at;
    Result<RefPtr<Table>> table = files_[at]->ReaderRef();
    if (!table.ok()) {
      status_ = table.status();
      return false;
    }
    current_ = (*table)->NewIterator(context_);
    return true;
  }
  void SkipForward() {
    while (current_ != nullptr) {
      if (current_->valid()) {
        valid_ = true;
        return Take();
      }
      if (!current_->status().ok()) return Fail();
      if (!Enter(at_ + 1)) return;
      current_->SeekToFirst();
    }
    valid_ = false;
  }
  void SkipBackward() {
    while (current_ != nullptr) {
      if (current_->valid()) {
        valid_ = true;
        return Take();
      }
      if (!current_->status().ok()) return Fail();
      if (at_ == 0) {
        valid_ = false;
        return;
      }
      if (!Enter(at_ - 1)) return;
      current_->SeekToLast();
    }
    valid_ = false;
  }
  void Fail() {
    status_ = current_->status();
    valid_ = false;
  }

  const std::vector<RefPtr<LiveTable>> files_;
  const ReadContext context_;
  std::unique_ptr<InternalIterator> current_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<InternalIterator> NewLevelIterator(std::vector<RefPtr<LiveTable>> files,
                                                   const ReadContext& context) {
  return std::make_unique<LevelIterator>(std::move(files), context);
}

}  // namespace kist
