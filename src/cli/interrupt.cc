// The handler does one store and gives the signal its default action back, so the second Ctrl-C
// ends the process; at a prompt it does not.
//
// No SA_RESTART: a read that waits for a terminal or a pipe returns EINTR, and the reader asks
// InterruptPending.
#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace kist::cli {
namespace {

std::atomic<int> g_signal{0};
std::atomic<bool> g_patient{false};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may not take a lock");

void Handle(int signal_number) {
  g_signal.store(signal_number, std::memory_order_relaxed);
  if (signal_number == SIGINT && g_patient.load(std::memory_order_relaxed)) return;
  std::signal(signal_number, SIG_DFL);
}

void Listen(int signal_number) {
  struct sigaction action = {};
  if (sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, nullptr);
}

}  // namespace

void InterruptInstall() {
  Listen(SIGINT);
  Listen(SIGTERM);
  std::signal(SIGPIPE, SIG_IGN);
}

int InterruptPending() { return g_signal.load(std::memory_order_relaxed); }

void InterruptPatient(bool on) { g_patient.store(on, std::memory_order_relaxed); }

void InterruptClear() {
  g_signal.store(0, std::memory_order_relaxed);
  Listen(SIGINT);
  Listen(SIGTERM);
}

}  // namespace kist::cli
