// Waiting for the token and handing it on. A waiter spins about as long as an unsynced group
// takes, then sleeps on its own word; whoever hands over wakes exactly that one.
// Threads: any.
#include "db/write_queue.h"

namespace kist {
namespace {

constexpr int kSpins = 200;  // about the time of one unsynced group

}  // namespace

bool WriteQueue::JoinSlow(Waiter* w) {
  w->state.store(kWaiting, std::memory_order_relaxed);
  Waiter* head = waiting_.load(std::memory_order_relaxed);
  do {
    w->next = head;
  } while (!waiting_.compare_exchange_weak(head, w, std::memory_order_seq_cst,
                                           std::memory_order_relaxed));
  // The token may have been freed between the first look and the push: whoever takes it now leads
  // on behalf of the oldest waiter, which may be another one. (Pairs with the order free, then
  // look, in Leave.)
  uint32_t free = 0;
  if (held_.compare_exchange_strong(free, 1, std::memory_order_seq_cst)) Leave();
  for (int i = w->sleeps ? kSpins : 0; i < kSpins; ++i) {
    const uint32_t s = w->state.load(std::memory_order_acquire);  // pairs with Signal
    if (s >= kDone) return s == kLeader;
    CpuRelax();
  }
  uint32_t waiting = kWaiting;
  w->state.compare_exchange_strong(waiting, kSleeping, std::memory_order_acq_rel);
  for (;;) {
    const uint32_t s = w->state.load(std::memory_order_acquire);
    if (s >= kDone) return s == kLeader;
    FutexWait(&w->state, kSleeping);
  }
}

void WriteQueue::Collect() {
  Waiter* newest = waiting_.exchange(nullptr, std::memory_order_acquire);
  if (newest == nullptr) return;
  Waiter* oldest = nullptr;
  while (newest != nullptr) {  // reverses the stack
    Waiter* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  Waiter** link = &pending_;
  while (*link != nullptr) link = &(*link)->next;
  *link = oldest;
}

void WriteQueue::Signal(Waiter* w, uint32_t state) {
  // After the exchange a waiter that was not asleep may be gone: only the address is used, for a
  // wake-up that is then spurious at worst.
  std::atomic<uint32_t>* word = &w->state;
  if (word->exchange(state, std::memory_order_acq_rel) == kSleeping) FutexWake(word, 1);
}

void WriteQueue::Leave() {
  for (;;) {
    Collect();
    if (pending_ != nullptr) {
      Waiter* w = pending_;
      pending_ = w->next;
      w->next = nullptr;
      Signal(w, kLeader);
      return;
    }
    held_.store(0, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) == nullptr) return;
    uint32_t free = 0;
    if (!held_.compare_exchange_strong(free, 1, std::memory_order_seq_cst)) return;
  }
}

}  // namespace kist
