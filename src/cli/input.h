// Input: a file or standard input, line by line, in constant memory (the longest line decides).
//
// Lines may hold any bytes but LF. Reading stops between lines when a signal has come. Thread rule:
// one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kist::cli {

class Input {
 public:
  enum class Result { kLine, kEnd, kInterrupted, kFailed };

  Input() = default;
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // "-" is standard input. False with the reason in error().
  [[nodiscard]] bool Open(const std::string& path);
  // The next line without its LF, valid until the next call.
  Result ReadLine(std::string_view* line);
  // All that is left, at most `max` bytes (kFailed beyond).
  Result ReadAll(std::string* bytes, size_t max);
  // True where the next ReadLine has to ask the operating system for more.
  bool Drained() const;
  // True where Drained, and nothing comes for `ms` milliseconds. Waits so long.
  bool WouldWait(int ms) const;

  const std::string& name() const { return name_; }  // as messages name it
  const std::string& error() const { return error_; }
  uint64_t line() const { return line_; }    // number of the line read last, from 1
  uint64_t bytes() const { return bytes_; }  // consumed
  uint64_t size() const { return size_; }    // of a regular file, else 0

 private:
  Result Fill();

  std::string name_;
  std::string error_;
  int fd_ = -1;
  bool end_ = false;
  std::string buffer_;
  size_t begin_ = 0;  // [begin_, end of buffer_) is not consumed
  uint64_t line_ = 0;
  uint64_t bytes_ = 0;
  uint64_t size_ = 0;
};

}  // namespace kist::cli
