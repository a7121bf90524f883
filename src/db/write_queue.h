// WriteQueue: makes concurrent writers one at a time, in groups. A word, held_, is the token. A
// writer that finds it free and nobody waiting takes it by one exchange and leads a group of one.
// Otherwise it pushes itself on a stack and waits; whoever holds the token when it leaves hands it
// to the oldest waiter, which leads all who waited by then. Followers get their leader's outcome.
// Invariants
//  1. Whoever holds the token is alone; pending_ belongs to the holder.
//  2. A waiter is completed, or made leader, exactly once, and not touched again after: it stands
//  on
//     its writer's stack.
//  3. Nobody waits while the token is free: Leave looks at waiting_ after freeing it, Join tries
//  the
//     token again after pushing.
// Rejected: a mutex, a deque and a condition variable per writer (two system calls per contended
// write, a broadcast per group). Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "util/futex.h"
#include "util/status.h"

namespace kist {

class WriteQueue {
 public:
  struct Waiter {
    // What the group's leader reads and fills.
    void* request = nullptr;
    bool sleeps = false;  // at once: a group that syncs takes longer than spinning pays
    Status status;
    Waiter* next = nullptr;

   private:
    friend class WriteQueue;
    std::atomic<uint32_t> state{0};
  };

  // Returns true where the caller now holds the token (then TakeGroup, work, Leave); false where a
  // leader has completed it.
  bool Join(Waiter* w) {
    uint32_t free = 0;
    if (waiting_.load(std::memory_order_relaxed) == nullptr &&
        held_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return true;
    }
    return JoinSlow(w);
  }

  // The waiters that the holder may work for together with its own, oldest first, linked by next.
  // `more(request)` says whether the next one still fits the group; the first that does not ends
  // it.
  template <typename More>
  Waiter* TakeGroup(More more) {
    Collect();
    Waiter* first = pending_;
    Waiter** link = &pending_;
    while (*link != nullptr && more((*link)->request)) {
      link = &(*link)->next;
    }
    if (link == &pending_) return nullptr;
    pending_ = *link;
    *link = nullptr;
    return first;
  }

  // How many wait; holder only.
  size_t Waiting() {
    Collect();
    size_t n = 0;
    for (const Waiter* w = pending_; w != nullptr; w = w->next) ++n;
    return n;
  }

  // Completes a follower, whose status was set. It must not be touched after.
  void Complete(Waiter* w) { Signal(w, kDone); }

  // Gives the token on to the oldest waiter, or frees it.
  void Leave();

  // Enter and Leave, also where memory runs out in between.
  class Token {
   public:
    explicit Token(WriteQueue* queue) : queue_(queue) { queue_->Enter(); }
    ~Token() { queue_->Leave(); }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;

   private:
    WriteQueue* const queue_;
  };

  // Takes the token as a writer without a request would, for switching logs and closing.
  void Enter() {
    Waiter w;
    w.request = nullptr;
    while (!Join(&w)) {
    }
  }

 private:
  enum : uint32_t { kWaiting = 0, kSleeping = 1, kDone = 2, kLeader = 3 };
  bool JoinSlow(Waiter* w);
  void Collect();  // waiting_ to the end of pending_, oldest first
  static void Signal(Waiter* w, uint32_t state);

  alignas(64) std::atomic<uint32_t> held_{0};
  Waiter* pending_ = nullptr;  // the holder's
  alignas(64) std::atomic<Waiter*> waiting_{nullptr};
};

}  // namespace kist
