// The log reader: any bytes as a segment of either type are read, probed, scanned and replayed as a
// chain without harm. From 128 on the first byte makes the checksums fit.
#include "fuzz_input.h"
#include "record/chain.h"
#include "repair.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.log";

void ReadAll(SegmentReader* reader) {
  Sequence last = reader->last_lsn();
  for (SegmentReader::Record record;;) {
    auto outcome = reader->Next(&record);
    if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) break;
    MUST(record.lsn == last + 1 && record.end > record.offset && record.end <= reader->size());
    last = record.lsn;
  }
  const auto residue = reader->ScanResidue();
  if (residue.ok()) MUST(residue->bytes <= reader->size());
  if (reader->Refresh(kMaxSequence).ok()) {
    SegmentReader::Record record;
    static_cast<void>(reader->Next(&record).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  const bool repair = input.Byte() >= 128;
  std::string bytes(input.rest());
  if (repair) fuzz::RepairSegment(&bytes);
  fuzz::PutFile(vfs.get(), kPath, bytes);
  for (SegmentType type : {SegmentType::kLog, SegmentType::kManifest}) {
    auto opened = SegmentReader::Open(vfs.get(), kPath, type);
    if (opened.ok()) ReadAll(opened->get());
    auto probed = SegmentReader::Probe(vfs.get(), kPath, type);
    if (probed.ok()) ReadAll(probed->get());
  }
  ChainOptions options;
  options.first_id = options.durable_id = 1;
  options.first_path = kPath;
  Sequence last = 0;
  const auto chain =
      ReplayChain(vfs.get(), {{1, kPath}}, options,
                  [&](const ChainSegment&, const SegmentReader::Record& record) -> Status {
                    MUST(record.lsn > last);
                    last = record.lsn;
                    return Status();
                  });
  if (chain.ok() && last != 0) MUST(chain->last_lsn == last);
  auto after = ReadFile(vfs.get(), kPath);
  MUST(after.ok() && *after == bytes);  // a replay changes nothing
  return 0;
}
