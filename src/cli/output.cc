// write(2) until all of it is out; the buffer keeps its memory.
//
// Rejected: stdio, whose error is found out at the end and which cannot tell a reader that went
// away from a full disk.
#include "cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/command.h"

namespace kist::cli {

void Output::Flush() {
  std::string_view left = buffer_;
  while (!left.empty() && ok()) {
    const ssize_t n = write(STDOUT_FILENO, left.data(), left.size());
    if (n >= 0) {
      left.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      closed_ = true;
    } else if (errno != EINTR) {
      failed_ = true;
      console_->Error(std::string("standard output: ") + std::strerror(errno));
    }
  }
  buffer_.clear();
}

int Output::Finish() {
  Flush();
  return failed_ ? kExitIo : kExitOk;
}

}  // namespace kist::cli
