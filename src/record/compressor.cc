// RecordCompressor. See compressor.h.
//
// The checksum is over the stored bytes, so that it is tested before anything is decompressed.
#include "record/compressor.h"

#include <snappy.h>

#include "util/crc32c.h"

namespace kist {
namespace {

constexpr size_t kLeast = 64;  // below, Snappy gains nothing worth a call
constexpr size_t kKept = size_t{1} << 20;

}  // namespace

void RecordCompressor::Prepare(PreparedRecord* record, bool compress) {
  if (capacity_ > kKept) {
    buffer_.reset();
    capacity_ = 0;
  }
  if (compress && record->data_bytes >= kLeast) {
    const size_t need =
        kRecordHeaderMax + snappy::MaxCompressedLength(record->data_bytes) + kRecordTailroom;
    if (need > capacity_) {
      buffer_ = AllocateBuffer(need);
      capacity_ = buffer_ == nullptr ? 0 : need;
    }
    if (buffer_ != nullptr) {
      size_t stored = 0;
      char* to = buffer_.get() + kRecordHeaderMax;
      snappy::RawCompress(record->data, record->data_bytes, to, &stored);
      if (stored + stored / 7 < record->data_bytes) {
        record->data = to;
        record->data_bytes = static_cast<uint32_t>(stored);
        record->flags |= kRecordSnappy;
      }
    }
  }
  record->data_crc = crc32c::Value(record->data, record->data_bytes);
}

}  // namespace kist
