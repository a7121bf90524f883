// One buffer: what is left of it moves to the front before the next read, so that a line is always
// contiguous. It grows only for lines longer than itself.
//
// Rejected: mapping the file, which cannot read a pipe and dies where the file is cut meanwhile.
#include "cli/input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/interrupt.h"

namespace kist::cli {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
// A value has up to 1 GiB, and an escaped byte four characters.
constexpr size_t kLineBytesMax = (size_t{4} << 30) + (size_t{1} << 20);

}  // namespace

Input::~Input() {
  if (fd_ > STDIN_FILENO) close(fd_);
}

bool Input::Open(const std::string& path) {
  const bool standard = path == "-";
  name_ = standard ? "(standard input)" : path;
  fd_ = standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    error_ = std::strerror(errno);
    return false;
  }
  if (S_ISDIR(status.st_mode)) {
    error_ = "is a directory";
    return false;
  }
  if (S_ISREG(status.st_mode)) size_ = static_cast<uint64_t>(status.st_size);
  return true;
}

Input::Result Input::Fill() {
  if (end_) return Result::kEnd;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const size_t held = buffer_.size();
  if (held > kLineBytesMax) {
    error_ = "a line of more than 4 GiB";
    return Result::kFailed;
  }
  // Doubling keeps long lines linear.
  const size_t room = held > kReadBytes ? held : kReadBytes;
  buffer_.resize(held + room);
  ssize_t n = -1;
  while (InterruptPending() == 0) {
    n = read(fd_, buffer_.data() + held, room);
    if (n >= 0 || errno != EINTR) break;
  }
  const int saved = errno;
  buffer_.resize(held + (n > 0 ? static_cast<size_t>(n) : 0));
  if (n > 0) return Result::kLine;
  if (n == 0) {
    end_ = true;
    return Result::kEnd;
  }
  if (InterruptPending() != 0) return Result::kInterrupted;
  error_ = std::strerror(saved);
  return Result::kFailed;
}

Input::Result Input::ReadLine(std::string_view* line) {
  size_t searched = 0;
  for (;;) {
    const size_t held = buffer_.size() - begin_;
    const char* const data = buffer_.data() + begin_;
    const void* const lf =
        held > searched ? std::memchr(data + searched, '\n', held - searched) : nullptr;
    if (lf != nullptr) {
      const size_t length = static_cast<size_t>(static_cast<const char*>(lf) - data);
      *line = std::string_view(data, length);
      begin_ += length + 1;
      bytes_ += length + 1;
      ++line_;
      return Result::kLine;
    }
    searched = held;
    const Result result = Fill();
    if (result == Result::kLine) continue;
    if (result != Result::kEnd || held == 0) return result;
    *line = std::string_view(buffer_).substr(begin_);  // the last line, without LF
    begin_ = buffer_.size();
    bytes_ += held;
    ++line_;
    return Result::kLine;
  }
}

Input::Result Input::ReadAll(std::string* bytes, size_t max) {
  for (;;) {
    if (buffer_.size() - begin_ > max) {
      error_ = "holds more than a value can";
      return Result::kFailed;
    }
    const Result result = Fill();
    if (result == Result::kLine) continue;
    if (result != Result::kEnd) return result;
    bytes->assign(buffer_, begin_);
    begin_ = buffer_.size();
    return Result::kLine;
  }
}

bool Input::Drained() const {
  const size_t held = buffer_.size() - begin_;
  return !end_ && (held == 0 || std::memchr(buffer_.data() + begin_, '\n', held) == nullptr);
}

bool Input::WouldWait(int ms) const {
  if (!Drained()) return false;
  struct pollfd poll_fd = {fd_, POLLIN, 0};
  return poll(&poll_fd, 1, ms) == 0;
}

}  // namespace kist::cli
