// Database operations beside a model, in a file system that fails where the input says: once or for
// ever, with the errno it names, with a write cut short. A write that is refused is wholly absent;
// one that failed otherwise is wholly there or wholly absent after the next open; reads are right
// or errors; what was acknowledged stays.
#include <cerrno>

#include "db_ops.h"
#include "support/fault_vfs.h"

using namespace kist;
using fuzz::Model;

namespace {

constexpr int kErrors[] = {EIO, ENOSPC, EDQUOT, EFBIG, EMFILE, EACCES, ENOMEM, EROFS};

class Driver {
 public:
  explicit Driver(fuzz::FuzzInput* input)
      : input_(input), memory_(NewMemoryVfs()), seeded_(memory_.get()), vfs_(&seeded_) {}

  void Run() {
    Reopen();
    for (int steps = 0; !input_->empty() && steps < 150; ++steps) Step();
    vfs_.Heal();
    Reopen();
    MUST(db_ != nullptr);
    MUST(db_->Verify(JobControl()).ok());
    fuzz::Compare(db_.get(), nullptr, model_);
    MUST(db_->Close().ok());
  }

 private:
  void Step() {
    const uint8_t step = input_->Byte() % 16;
    if (step == 15) {
      Arm();
    } else if (step == 14) {
      vfs_.Heal();
    } else if (step == 13) {
      Reopen();
    } else if (db_ == nullptr) {
      return;
    } else if (step == 12) {
      static_cast<void>(db_->Flush().ok());
    } else if (step == 11) {
      static_cast<void>(
          db_->Compact(db_->DefaultKeyspace().get(), Slice(), Slice(), JobControl()).ok());
    } else if (step == 10) {
      if (db_->Sync().ok()) possible_ = {model_};
    } else {
      Write();
    }
    if (db_ != nullptr) Read();
  }

  void Arm() {
    test::Fault fault;
    fault.calls = 1u << input_->Byte() % 15;
    fault.nth = 1 + input_->Byte() % 20;
    const uint8_t how = input_->Byte();
    fault.error = kErrors[how % 8];
    fault.for_ever = how % 16 >= 8;
    fault.partial_bytes = how / 16;
    vfs_.Fail(fault);
  }

  void Write() {
    const fuzz::OneWrite write(input_);
    const Status s = write.Write(db_.get(), nullptr);
    if (s.ok()) {
      write.Apply(&model_);
      // What was handed to the operating system takes all before it along.
      if (write.durability != Durability::kBuffered) possible_.clear();
      possible_.push_back(model_);
      return;
    }
    // Refused for space or memory, or poisoned: absent for ever. In doubt otherwise: wholly there
    // or not after the next open.
    MUST(!s.Is(Code::kCorrupt) && !s.Is(Code::kInternal) && !s.Is(Code::kInvalid));
    if (s.Is(Code::kNoSpace) || s.Is(Code::kNoMem) || s.Is(Code::kPoisoned)) return;
    Model with = model_;
    write.Apply(&with);
    possible_.push_back(with);
  }

  void Read() {
    Status status;
    const Model held = fuzz::Scan(db_.get(), nullptr, true, &status);
    if (status.ok()) MUST(held == model_);
    fuzz::Compare(db_.get(), nullptr, model_, true);
  }

  // Without a kill, so that what the operating system was given is still there, synced or not.
  void Reopen() {
    if (db_ != nullptr) {
      static_cast<void>(db_->Close().ok());
      db_.reset();
    }
    Status status;
    for (int tries = 0; tries < 2; ++tries) {
      db_ = fuzz::OpenDb(&vfs_, "sync=never; block_size=1KiB", &status);
      if (db_ != nullptr) break;
      MUST(!status.Is(Code::kCorrupt) && !status.Is(Code::kInternal));
      if (tries == 0 && input_->Byte() % 2 == 0) return;
      vfs_.Heal();
    }
    if (db_ == nullptr) return;
    const Model held = fuzz::Scan(db_.get(), nullptr, true, &status);
    if (!status.ok()) {  // still failing: compare when it reads
      vfs_.Heal();
      return Reopen();
    }
    bool known = false;
    for (const Model& model : possible_) known |= held == model;
    MUST(known);
    model_ = held;
    possible_ = {held};
  }

  fuzz::FuzzInput* const input_;
  const std::unique_ptr<Vfs> memory_;
  fuzz::SeededVfs seeded_;
  test::FaultVfs vfs_;
  std::unique_ptr<Db> db_;
  Model model_;                         // what is visible
  std::vector<Model> possible_ = {{}};  // what the next open may find
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  Driver(&input).Run();
  return 0;
}
