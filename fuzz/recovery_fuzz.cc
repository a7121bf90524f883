// Recovery from crash images: a database is written as the input says, the machine crashes at a
// call and leaves a state of the disk that the crash model allows (support/crash_states.h), perhaps
// again during the recovery. What is recovered is a prefix of the commits at or after the last one
// that was promised. In the last mode bytes of the image are damaged too: then opening may be
// refused as corrupt, but what opens still reads as a prefix.
#include "db_ops.h"
#include "support/crash_states.h"

using namespace kist;
using fuzz::Model;

namespace {

class Driver {
 public:
  explicit Driver(fuzz::FuzzInput* input) : input_(input) {}

  void Run() {
    const uint8_t how = input_->Byte();
    options_ = std::string("block_size=1KiB; sync=") + (how % 2 == 0 ? "never" : "every_n:3") +
               (how % 4 < 2 ? "" : "; wal_compression=snappy") +
               (how % 8 < 4 ? "; wal_preallocate=false" : "");
    const uint64_t boundary = input_->Below(65536);
    const uint64_t inner = input_->Below(65536);
    const uint64_t pick = input_->Below(65536);
    Write();
    mark_ = 0;
    Crash(vfs_, boundary, pick, how >= 128 ? &inner : nullptr, how % 16 == 15);
  }

 private:
  void Write() {
    fuzz::SeededVfs seeded(&vfs_);
    Status status;
    auto db = fuzz::OpenDb(&seeded, options_, &status);
    MUST(status.ok());
    vfs_.Mark(1, 1);
    Model model;
    for (int steps = 0; !input_->empty() && steps < 60; ++steps) {
      const uint8_t step = input_->Byte() % 16;
      if (step < 12) {
        const fuzz::OneWrite write(input_);
        MUST(write.Write(db.get(), nullptr).ok());
        write.Apply(&model);
        models_.push_back(model);
        if (write.durability == Durability::kSync) vfs_.Mark(models_.size());
        continue;
      }
      if (step == 12) MUST(db->Flush().ok());
      if (step == 13)
        MUST(db->Compact(db->DefaultKeyspace().get(), Slice(), Slice(), JobControl()).ok());
      if (step == 14) MUST(db->Sync().ok());
      if (step == 15) {
        MUST(db->Close().ok());
        db = fuzz::OpenDb(&seeded, options_, &status);
        MUST(status.ok());
      }
      if (step != 13) vfs_.Mark(models_.size());
    }
  }

  // The state that `pick` chooses at about the boundary.
  void Crash(const test::RecordingVfs& vfs, uint64_t boundary, uint64_t pick, const uint64_t* inner,
             bool damage) {
    const test::Trace trace = vfs.GetTrace();
    test::CrashOptions options;
    options.seed = pick;
    options.first_boundary = options.last_boundary = boundary % (trace.ops.size() + 1);
    options.units_max = 8;
    options.torn_max = 4;
    options.garbage = true;
    const uint64_t total =
        test::CrashStates(trace, options).ForEach([](const test::CrashState&) { return true; });
    if (total == 0) return;  // a mark follows
    options.shards = static_cast<uint32_t>(total);
    options.shard = static_cast<uint32_t>(pick % total);
    test::CrashStates(trace, options).ForEach([&](const test::CrashState& state) {
      mark_ = std::max(mark_, state.mark());
      auto image = state.MakeRecording();
      if (damage) DamageOne(image->memory());
      Judge(image.get(), damage);
      if (inner != nullptr) Crash(*image, *inner, pick, nullptr, false);
      return false;
    });
  }

  void DamageOne(Vfs* vfs) {
    auto names = vfs->List(fuzz::kDbDir);
    if (!names.ok() || names->empty()) return;
    const std::string path = JoinPath(fuzz::kDbDir, (*names)[input_->Byte() % names->size()]);
    damaged_ |= fuzz::Damage(vfs, path, input_);
  }

  void Judge(Vfs* vfs, bool damaged) {
    fuzz::SeededVfs seeded(vfs);
    Status status;
    auto db = fuzz::OpenDb(&seeded, options_, &status);
    if (db == nullptr) {
      MUST(damaged && (status.Is(Code::kCorrupt) || status.Is(Code::kTooNew)));
      return;
    }
    const Model held = fuzz::Scan(db.get(), nullptr, true, &status);
    MUST(status.ok() || (damaged && status.Is(Code::kCorrupt)));
    if (!status.ok()) return;
    uint64_t commit = models_.size() + 1;
    while (commit-- > 0) {
      if (held == (commit == 0 ? Model() : models_[commit - 1])) break;
    }
    MUST(commit <= models_.size());    // a prefix
    MUST(commit >= mark_ || damaged);  // with all that was promised
    if (!damaged) MUST(db->Verify(JobControl()).ok());
  }

  fuzz::FuzzInput* const input_;
  test::RecordingVfs vfs_;
  std::string options_;
  std::vector<Model> models_;  // after commit n + 1
  uint64_t mark_ = 0;
  bool damaged_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  Driver(&input).Run();
  return 0;
}
