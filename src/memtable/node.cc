// The writer's side of a node (publications), and the slow part of its search: runs of equal words,
// where the entries themselves decide. See node.h.
// Threads: publications by the writer, searches by any.
#include "memtable/node.h"

#include <new>

namespace kist {
namespace {

// Byte i holds i.
constexpr uint64_t kIdentity = 0x0706050403020100;
constexpr uint64_t kEveryByte = 0x0101010101010101;

}  // namespace

Node::Node(int slot_count, bool inner) : slots(slot_count) {
  for (int i = 0; i < kNodeSlots / 8; ++i) {
    const uint64_t bytes = kIdentity + kEveryByte * 8 * static_cast<uint64_t>(i);
    order[0][i].store(bytes, std::memory_order_relaxed);
    order[1][i].store(bytes, std::memory_order_relaxed);
  }
  for (int i = 0; i < slots; ++i) {
    new (words() + i) std::atomic<uint64_t>(0);
    new (entries() + i) std::atomic<EntryPtr>(nullptr);
    if (inner) new (children() + i) std::atomic<Node*>(nullptr);
  }
}

void Node::CopyOrder(uint8_t* bytes) const {
  for (int i = 0; i < slots / 8; ++i) {
    const uint64_t w = Order()[i].load(std::memory_order_relaxed);
    std::memcpy(bytes + i * 8, &w, 8);
  }
}

void Node::Publish(const uint8_t* bytes, int count) {
  const uint64_t next = (version.load(std::memory_order_relaxed) >> 8) + 1;
  for (int i = 0; i < slots / 8; ++i) {
    uint64_t w;
    std::memcpy(&w, bytes + i * 8, 8);
    order[next & 1][i].store(w, std::memory_order_release);
  }
  version.store(next << 8 | static_cast<uint64_t>(count), std::memory_order_release);
}

void Node::PublishInsert(int pos, int count) {
  // Moves the byte at `count` to `pos`; those between go up by one.
  const uint64_t next = (version.load(std::memory_order_relaxed) >> 8) + 1;
  const std::atomic<uint64_t>* from = Order();
  std::atomic<uint64_t>* to = order[next & 1];
  uint64_t carry = static_cast<uint64_t>(FreeSlot(count));
  const int first = pos >> 3;
  const int last = count >> 3;
  const auto copy = [from, to](int i, int end) {
    for (; i < end; ++i)
      to[i].store(from[i].load(std::memory_order_relaxed), std::memory_order_release);
  };
  copy(0, first);
  for (int i = first; i <= last; ++i) {
    const uint64_t w = from[i].load(std::memory_order_relaxed);
    const uint64_t below = i == first ? (uint64_t{1} << ((pos & 7) * 8)) - 1 : 0;
    const uint64_t upto = i == last ? ~uint64_t{0} >> ((7 - (count & 7)) * 8) : ~uint64_t{0};
    const uint64_t moving = w & ~below & upto;
    const uint64_t in = i == first ? carry << ((pos & 7) * 8) : carry;
    carry = w >> 56;
    to[i].store((w & (below | ~upto)) | (((moving << 8) | in) & upto), std::memory_order_release);
  }
  copy(last + 1, slots / 8);
  version.store(next << 8 | static_cast<uint64_t>(count + 1), std::memory_order_release);
}

int NodeView::LowerBoundEqual(int at, uint64_t word, const Place& place, size_t skip) const {
  int end = count();
  // Most often the first of them is the answer, or it is the only one of its word.
  for (int i = 0; i < 2; ++i) {
    if (at == end || Word(at) != word) return at;
    const EntryPtr e = Entry(at);
    if (!Current()) return kChanged;
    if (!EntryBefore(e, place, skip)) return at;
    ++at;
  }
  while (at < end) {
    const int mid = at + (end - at) / 2;
    if (Word(mid) == word) {
      const EntryPtr e = Entry(mid);
      if (!Current()) return kChanged;
      if (EntryBefore(e, place, skip)) {
        at = mid + 1;
        continue;
      }
    }
    end = mid;
  }
  return at;
}

}  // namespace kist
