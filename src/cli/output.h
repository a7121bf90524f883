// Output: standard output with a buffer of its own. A reader that went away (`kist scan | head`) is
// not an error: it ends the output, and ok() tells the producer to stop. Any other failure is said
// once.
#pragma once

#include <string>
#include <string_view>

#include "cli/console.h"

namespace kist::cli {

class Output {
 public:
  explicit Output(Console* console) : console_(console) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // The buffer; append to it, then call Spill, which writes where enough has come together.
  std::string& buffer() { return buffer_; }
  void Append(std::string_view text) {
    buffer_ += text;
    Spill();
  }
  void Spill() {
    if (buffer_.size() >= kFlushAt) Flush();
  }
  void Flush();
  bool ok() const { return !closed_ && !failed_; }
  bool closed() const { return closed_; }  // the reader went away
  // Flushes; 0 or the exit code after having said why. A reader that went away is no failure.
  int Finish();

 private:
  static constexpr size_t kFlushAt = 64 * 1024;

  Console* const console_;
  std::string buffer_;
  bool closed_ = false;
  bool failed_ = false;
};

}  // namespace kist::cli
