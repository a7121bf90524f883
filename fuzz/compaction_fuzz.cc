// Flushes and compactions over runs that the input writes, with snapshots taken and released
// meanwhile: every snapshot, and the newest state, reads the same before and after each.
#include "db_ops.h"

using namespace kist;
using fuzz::Model;

namespace {

struct Held {
  std::unique_ptr<Snapshot> snapshot;
  Model model;
};

void Check(Db* db, const std::vector<Held>& held, const Model& newest) {
  for (const Held& h : held) fuzz::Compare(db, h.snapshot.get(), h.model);
  fuzz::Compare(db, nullptr, newest);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto memory = NewMemoryVfs();
  fuzz::SeededVfs vfs(memory.get());
  const uint8_t how = input.Byte();
  Status status;
  auto db =
      fuzz::OpenDb(&vfs,
                   std::string("compaction=manual; sync=never; block_size=1KiB; "
                               "target_file_size=64KiB; compression=") +
                       (how % 2 == 0 ? "none" : "snappy") + (how % 4 < 2 ? "; filter_bits=0" : ""),
                   &status);
  MUST(status.ok());
  Model model;
  std::vector<Held> held;
  for (int steps = 0; !input.empty() && steps < 200; ++steps) {
    const uint8_t step = input.Byte() % 16;
    if (step < 10) {
      const fuzz::OneWrite write(&input);
      MUST(write.Write(db.get(), nullptr).ok());
      write.Apply(&model);
    } else if (step < 12) {
      if (held.size() < 6) held.push_back({db->NewSnapshot().Take(), model});
    } else if (step == 12) {
      if (!held.empty()) held.erase(held.begin() + input.Byte() % static_cast<int>(held.size()));
    } else if (step == 13) {
      MUST(db->Flush().ok());
      Check(db.get(), held, model);
    } else {
      const std::string begin = step == 14 ? "" : fuzz::KeyOf(&input);
      const std::string end = step == 14 ? "" : fuzz::KeyOf(&input);
      const Status s = db->Compact(db->DefaultKeyspace().get(), begin, end, JobControl());
      MUST(s.ok() || s.Is(Code::kInvalid));
      Check(db.get(), held, model);
    }
  }
  Check(db.get(), held, model);
  MUST(db->Verify(JobControl()).ok());
  held.clear();
  MUST(db->Close().ok());
  return 0;
}
