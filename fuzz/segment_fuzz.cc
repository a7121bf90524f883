// The log reader: any bytes as a segment of either type are read, probed, scanned and replayed as a
// chain without harm. From 128 on the first byte makes the checksums fit; with 2 in it, a call
// fails, with 4 a part of the file counts.
#include "fuzz_input.h"
#include "record/chain.h"
#include "repair.h"
#include "tests/unit/record/failing_vfs.h"

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
  SegmentReader::Record record;
  if (reader->Refresh(kMaxSequence).ok()) static_cast<void>(reader->Next(&record).ok());
  for (uint64_t at = reader->offset();; at = reader->offset()) {
    const auto more = reader->Resync();
    if (!more.ok() || !*more) break;
    MUST(reader->offset() > at);
    if (!reader->Next(&record).ok()) break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  const uint8_t mode = input.Byte();
  const bool repair = mode >= 128;
  const uint64_t fails = (mode & 2) != 0 ? 1 + input.Byte() % 64 : 0;
  const uint64_t limit = (mode & 4) != 0 ? input.Below(65536) : UINT64_MAX;
  std::string bytes(input.rest());
  if (repair) fuzz::RepairSegment(&bytes);
  fuzz::PutFile(vfs.get(), kPath, bytes);
  for (SegmentType type : {SegmentType::kLog, SegmentType::kManifest}) {
    test::FailingVfs failing(vfs.get(), fails);
    auto opened = SegmentReader::Open(&failing, kPath, type);
    if (opened.ok()) ReadAll(opened->get());
    test::FailingVfs again(vfs.get(), fails);
    auto probed = SegmentReader::Probe(&again, kPath, type);
    if (!probed.ok()) continue;
    (*probed)->SetLimit(limit);
    ReadAll(probed->get());
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
