// The merging iterator over several sorted runs, driven by any sequence of calls, beside one sorted
// vector. A source may fail when it reaches one of its entries: the merge then ends with that error
// and never looks like an end; until then, and after a new seek, it gives the right entries.
#include <algorithm>
#include <vector>

#include "fuzz_input.h"
#include "iter/merging_iterator.h"
#include "support/vector_iterator.h"

using namespace kist;
using test::Entry;
using test::VectorIterator;

namespace {

class Driver {
 public:
  explicit Driver(fuzz::FuzzInput* input) : input_(input) {
    const int runs = input->Byte() % 6;
    for (int r = 0; r < runs; ++r) {
      std::vector<Entry> run;
      for (int n = input->Byte() % 12; n > 0; --n) run.push_back(OneEntry(r));
      std::stable_sort(run.begin(), run.end(), test::EntryLess);
      run.erase(std::unique(run.begin(), run.end(), Same), run.end());
      const uint8_t how = input->Byte();
      const size_t fail_at = how < 32 ? how % 12 : VectorIterator::kNever;
      may_fail_ |= fail_at < run.size();
      merge_.Add(std::make_unique<VectorIterator>(run, fail_at));
      all_.insert(all_.end(), run.begin(), run.end());
    }
    std::stable_sort(all_.begin(), all_.end(), test::EntryLess);
    at_ = all_.size();
  }

  void Run() {
    while (!input_->empty()) {
      const uint8_t call = input_->Byte() % 8;
      if (call < 4) {
        Seek(call);
      } else if (merge_.valid()) {
        Step(call % 2 == 0);
      }
      Agrees();
    }
  }

 private:
  static bool Same(const Entry& a, const Entry& b) { return a.key == b.key && a.tag == b.tag; }

  Entry OneEntry(int run) {
    Entry e;
    e.key = std::string(1 + input_->Byte() % 2, static_cast<char>('a' + input_->Byte() % 4));
    e.tag = MakeTag(1 + input_->Byte() % 8, EntryKind::kPut);
    e.value = std::to_string(run);
    return e;
  }

  void Seek(uint8_t call) {
    const Entry to = OneEntry(0);
    const auto bound = std::partition_point(all_.begin(), all_.end(),
                                            [&](const Entry& e) { return test::EntryLess(e, to); });
    if (call == 0) merge_.SeekToFirst(), at_ = 0;
    if (call == 1) merge_.SeekToLast(), at_ = all_.size() - 1;
    if (call == 2) merge_.Seek(to.key, to.tag), at_ = static_cast<size_t>(bound - all_.begin());
    if (call == 3)
      merge_.SeekBefore(to.key, to.tag), at_ = static_cast<size_t>(bound - all_.begin()) - 1;
  }

  void Step(bool forward) {
    if (forward) {
      merge_.Next();
      ++at_;
    } else {
      merge_.Prev();
      --at_;
    }
  }

  // Of equal entries only the set must agree, not which of them stands where in it.
  void Agrees() {
    if (!merge_.status().ok()) {
      MUST(may_fail_ && !merge_.valid());
      at_ = all_.size();
      return;
    }
    MUST(merge_.valid() == (at_ < all_.size()));
    if (merge_.valid()) MUST(merge_.key() == all_[at_].key && merge_.tag() == all_[at_].tag);
  }

  fuzz::FuzzInput* const input_;
  MergingIterator merge_;
  std::vector<Entry> all_;
  size_t at_ = 0;
  bool may_fail_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  Driver(&input).Run();
  return 0;
}
