// Interrupt: Ctrl-C and SIGTERM as a question that loops ask, so that long work ends between two
// steps and can say how far it came. The second signal ends the process at once, as it always did.
//
// A signal handler reaches nothing but objects with static storage; the flags in interrupt.cc are
// the only such objects of the tool.
#pragma once

namespace kist::cli {

// Takes over SIGINT and SIGTERM, ignores SIGPIPE (a write then fails with EPIPE instead). A signal
// that the parent process ignores (nohup) stays ignored.
void InterruptInstall();
int InterruptPending();  // the signal's number, 0: none
void InterruptClear();   // forgets it and listens again
// While set, no number of Ctrl-C ends the process: at a prompt they give up the line, and a line
// editor may pass each of them on more than once.
void InterruptPatient(bool on);

}  // namespace kist::cli
