// The log reader: any bytes as a segment of either type are read, probed, salvaged, scanned and
// replayed as a chain without harm. From 128 on the first byte makes the checksums fit; with 2 in
// it, a call fails (with 16 the file changes its length instead), with 4 a part of the file counts,
// with 8 memory runs out, with 32 the segment is long: reserved blocks follow it, and somewhere
// behind them its last record again.
#include "failing_memory.h"
#include "fuzz_input.h"
#include "odd_vfs.h"
#include "record/chain.h"
#include "repair.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.log";

// The last LSN that was read in order, before anything is skipped.
Sequence ReadAll(SegmentReader* reader) {
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
  return last;
}

// Only what is not zero is written, as a file with reserved blocks has it.
void PutLong(Vfs* vfs, const std::string& bytes) {
  constexpr size_t kPiece = 4096;
  auto file = vfs->Open(kPath, OpenMode::kCreateOrTruncate);
  MUST(file.ok() && (*file)->Truncate(bytes.size()).ok());
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const Slice piece = Slice(bytes).substr(at, kPiece);
    if (codec::AllZero(piece.data(), piece.size())) continue;
    MUST((*file)->Write(at, piece).ok());
  }
}

// `sound`: neither files nor memory fail. Then a salvage reads what the others read at least; only
// a slot's copy of a lost prefix may say that the type is another.
void ReadEach(Vfs* vfs, const fuzz::Oddity& odd, uint64_t limit, bool sound) {
  for (SegmentType type : {SegmentType::kLog, SegmentType::kManifest}) {
    fuzz::OddVfs once(vfs, odd), again(vfs, odd), third(vfs, odd);
    auto opened = SegmentReader::Open(&once, kPath, type);
    Sequence last = opened.ok() ? ReadAll(opened->get()) : 0;
    auto probed = SegmentReader::Probe(&again, kPath, type);
    if (probed.ok()) {
      (*probed)->SetLimit(limit);
      last = std::max(last, ReadAll(probed->get()));
    }
    auto salvaged = SegmentReader::Salvage(&third, kPath, type);
    if (sound) MUST(salvaged.ok() || !probed.ok() || !(*probed)->has_prefix());
    if (!salvaged.ok()) continue;
    const Sequence saved = ReadAll(salvaged->get());
    if (sound) MUST(saved >= last);
  }
}

void Replay(Vfs* vfs) {
  ChainOptions options;
  options.first_id = options.begun_id = 1;
  options.first_path = kPath;
  Sequence last = 0;
  const auto chain =
      ReplayChain(vfs, {{1, kPath}}, options,
                  [&](const ChainSegment&, const SegmentReader::Record& record) -> Status {
                    MUST(record.lsn > last);
                    last = record.lsn;
                    return Status();
                  });
  if (chain.ok() && last != 0) MUST(chain->last_lsn == last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  const uint8_t mode = input.Byte();
  fuzz::Oddity odd;
  odd.nth = (mode & 2) != 0 ? 1 + input.Byte() % 64 : 0;
  const uint64_t limit = (mode & 4) != 0 ? input.Below(65536) : UINT64_MAX;
  const uint8_t memory = (mode & 8) != 0 ? input.Last() : 0;
  if ((mode & 16) != 0) odd = fuzz::TakeOddity(odd.nth, &input);
  const bool is_long = (mode & 32) != 0;
  size_t units = is_long ? input.Last() : 0;
  const size_t far = is_long ? input.Last() : 0;
  if (units != 255) units %= 64;  // up to 2 MiB; a buffer that is not kept takes more, and is slow
  std::string bytes(input.rest());
  if (is_long) {
    constexpr size_t kUnit = size_t{32} << 10;
    const std::string record = bytes.substr(bytes.size() - std::min<size_t>(bytes.size(), 48));
    bytes.resize(std::max(bytes.size(), units * kUnit));
    if (far != 0) bytes.replace(std::min(bytes.size(), far * kUnit / 4), record.size(), record);
  }
  if (mode >= 128) fuzz::RepairSegment(&bytes);
  PutLong(vfs.get(), bytes);
  fuzz::WithFailingMemory(memory, [&] { ReadEach(vfs.get(), odd, limit, odd.nth + memory == 0); });
  Replay(vfs.get());
  auto after = ReadFile(vfs.get(), kPath);
  MUST(after.ok() && *after == bytes);  // a replay changes nothing
  return 0;
}
