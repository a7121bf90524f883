// Versions of the on-disk formats, in one place. A file whose major version is higher than the
// number here is refused as too new and left unchanged; every version from the lowest on stays
// readable. src/FORMAT.md tells what changed with each number, tests/format holds golden bytes of
// each. Threads: constants.
#pragma once

#include <cstdint>

namespace kist {

// Log and manifest segments: 1 has no valid_data_end (its end is the file's size), 2 is
// preallocated.
constexpr uint16_t kSegmentVersionMin = 1;
constexpr uint16_t kSegmentVersion = 2;

constexpr uint16_t kTableVersionMin = 1;
constexpr uint16_t kTableVersion = 1;

// The edits inside a manifest.
constexpr uint16_t kEditVersionMin = 1;
constexpr uint16_t kEditVersion = 1;

// Packed batches: their fourth byte, after K W B.
constexpr uint8_t kBatchVersion = 1;

// Sizes that formats and limits rest on.
constexpr uint32_t kPowerLossBytes = 512;  // what a device writes whole or not at all

}  // namespace kist
