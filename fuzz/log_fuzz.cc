// A log's round trip: segments are written as a chain, with syncs, marks, seals, times and
// compression as the input says; then sectors are zeroed, swapped, put back to what they were
// before, written to another place, or bytes flipped and cut. What a replay accepts is then a
// prefix of what was written, byte for byte; without damage, all of it.
#include <vector>

#include "fuzz_input.h"
#include "record/chain.h"
#include "record/compressor.h"

using namespace kist;

namespace {

constexpr size_t kSector = 512;

class Log {
 public:
  explicit Log(fuzz::FuzzInput* input) : input_(input), vfs_(NewMemoryVfs()) {}

  void Write() {
    Create();
    for (int n = input_->Byte() % 24; n > 0; --n) {
      Append();
      const uint8_t how = input_->Byte();
      if (how % 4 == 0) MUST(writer_->Sync().ok() && writer_->WriteMark().ok());
      if (how % 8 == 7) Switch();
    }
    if (input_->Byte() % 4 == 1) MUST(writer_->Seal(SealKind::kClosed).ok());
    MUST(writer_->Flush().ok() || input_->empty());
    writer_.reset();
  }

  // Returns whether any byte changed.
  bool DamageSectors() {
    const std::string path = segments_[input_->Byte() % segments_.size()].path;
    std::string bytes = ReadFile(vfs_.get(), path).Take();
    const std::string before = bytes;
    for (int n = input_->Byte() % 4; n > 0 && bytes.size() >= 2 * kSector; --n) {
      const size_t sectors = bytes.size() / kSector;
      const size_t a = input_->Below(65536) % sectors * kSector;
      const size_t b = input_->Below(65536) % sectors * kSector;
      const std::string from = bytes.substr(a, kSector), to = bytes.substr(b, kSector);
      switch (input_->Byte() % 5) {
        case 0:
          bytes.replace(a, kSector, kSector, '\0');
          break;
        case 1:
          bytes.replace(a, kSector, to).replace(b, kSector, from);
          break;
        case 2:
          bytes.replace(b, kSector, from);
          break;
        case 3: {  // stale: as it was at an earlier moment
          const std::string& old = stale_[input_->Byte() % stale_.size()];
          if (old.size() >= a + kSector) bytes.replace(a, kSector, old, a, kSector);
          break;
        }
        default:
          bytes[a + input_->Below(kSector)] ^= static_cast<char>(1 << input_->Byte() % 8);
      }
    }
    fuzz::PutFile(vfs_.get(), path, bytes);
    const bool more = input_->Byte() % 4 == 0 && fuzz::Damage(vfs_.get(), path, input_);
    return more || bytes != before;
  }

  void Replay(bool damaged) {
    ChainOptions options;
    options.first_id = 1;
    options.first_path = segments_[0].path;
    options.database_id = 5;
    size_t count = 0;
    const auto chain =
        ReplayChain(vfs_.get(), segments_, options,
                    [&](const ChainSegment&, const SegmentReader::Record& record) -> Status {
                      MUST(count < wanted_.size());
                      MUST(record.data == wanted_[count].data && record.lsn == count + 1);
                      MUST(record.has_time == (wanted_[count].time != 0));
                      if (record.has_time) MUST(record.time_ms == wanted_[count].time);
                      ++count;
                      return Status();
                    });
    if (!damaged) MUST(chain.ok() && count == wanted_.size());
    if (!chain.ok()) return;
    MUST(chain->last_lsn == count && chain->next.start_lsn >= count);
    // What a recovery then makes of it: the same again.
    if (!SettleChain(vfs_.get(), options, *chain).ok()) return;
    size_t again = 0;
    const auto settled =
        ReplayChain(vfs_.get(), segments_, options,
                    [&](const ChainSegment&, const SegmentReader::Record&) -> Status {
                      ++again;
                      return Status();
                    });
    MUST(settled.ok() && again == count);
  }

 private:
  struct Wanted {
    std::string data;
    int64_t time;
  };

  void Create() {
    SegmentWriter::Options options;
    options.info.id = segments_.size() + 1;
    options.info.nonce = 77 + segments_.size();  // fixed: an input means the same in every run
    options.info.database_id = 5;
    options.info.max_key_bytes = 100;
    options.info.max_value_bytes = 1000;
    options.preallocate_bytes = input_->Byte() % 2 == 1 ? 16384 : 0;
    if (writer_ != nullptr) options.link = writer_->LinkAfter();
    options.durable_lsn = writer_ != nullptr ? writer_->synced_lsn() : 0;
    const std::string path = "/" + std::to_string(options.info.id) + ".log";
    segments_.push_back({options.info.id, path});
    auto created = SegmentWriter::Create(vfs_.get(), path, options);
    MUST(created.ok());
    writer_ = created.Take();
    MUST(writer_->SyncHead().ok());
  }

  void Append() {
    Wanted w;
    const uint8_t how = input_->Byte();
    w.data.assign(1 + input_->Below(2000), static_cast<char>(input_->Byte()));
    for (size_t i = 0; i < w.data.size() && how % 3 == 0; ++i)
      w.data[i] = static_cast<char>(i * i * 131 >> 3);  // does not compress
    w.time = how % 2 == 0 ? 1000 + how : 0;
    std::string buffer(kRecordHeaderMax, 0);
    buffer += w.data + std::string(kRecordTailroom, 0);
    PreparedRecord record;
    record.data = buffer.data() + kRecordHeaderMax;
    record.data_bytes = static_cast<uint32_t>(w.data.size());
    record.flags = w.time != 0 ? kRecordTime : 0;
    record.time_ms = w.time;
    compressor_.Prepare(&record, how % 5 < 2);
    record.lsn = writer_->last_lsn() + 1;
    MUST(writer_->Append(&record, 1, writer_->synced_lsn(), how % 7 == 0).ok());
    wanted_.push_back(std::move(w));
    if (wanted_.size() % 4 == 1)
      stale_.push_back(ReadFile(vfs_.get(), segments_.back().path).Take());
  }

  void Switch() {
    MUST(writer_->Flush().ok());
    if (input_->Byte() % 2 == 0) MUST(writer_->Seal().ok());
    Create();
  }

  fuzz::FuzzInput* const input_;
  const std::unique_ptr<Vfs> vfs_;
  std::unique_ptr<SegmentWriter> writer_;
  RecordCompressor compressor_;
  std::vector<ChainSegment> segments_;
  std::vector<Wanted> wanted_;
  std::vector<std::string> stale_ = {std::string(kSector * 4, '\0')};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  Log log(&input);
  log.Write();
  const bool damaged = log.DamageSectors();
  log.Replay(damaged);
  return 0;
}
