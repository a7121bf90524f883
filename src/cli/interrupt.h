// Interrupt: Ctrl-C and SIGTERM as a question that loops ask, so that long work ends between two
// steps and can say how far it came. The second signal ends the process at once, as it always did.
//
// A signal handler reaches nothing but an object with static storage; the flag in interrupt.cc is
// the one such object of the tool.
#pragma once

namespace kist::cli {

// Takes over SIGINT and SIGTERM, ignores SIGPIPE (a write then fails with EPIPE instead). A signal
// that the parent process ignores (nohup) stays ignored.
void InterruptInstall();
int InterruptPending();  // the signal's number, 0: none
void InterruptClear();   // forgets it and listens again

}  // namespace kist::cli
