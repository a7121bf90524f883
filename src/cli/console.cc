// Unbuffered: one write(2) a line, so that lines of several processes do not mix.
//
// A status line is never longer than the terminal is wide; a longer one would wrap and could not be
// taken back.
#include "cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/text.h"

namespace kist::cli {
namespace {

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDERR_FILENO, text.data(), text.size());
    if (n < 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) == 1; }
bool StdinIsTerminal() { return isatty(STDIN_FILENO) == 1; }

Console::Console() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

void Console::Line(std::string_view text) {
  ClearStatus();
  std::string line = "kist: ";
  if (!command_.empty()) line += command_ + ": ";
  line += text;
  line += '\n';
  WriteAll(line);
}

void Console::Error(std::string_view text) { Line(text); }

void Console::Note(std::string_view text) {
  if (!quiet_) Line(text);
}

size_t Console::Columns() const {
  struct winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10) return size.ws_col;
  return 80;
}

void Console::Status(std::string_view text) {
  if (!is_terminal_) {  // asked for by --progress: a log, line by line
    WriteAll(std::string(text) + "\n");
    return;
  }
  std::string line = "\r";
  line += text.substr(0, Columns() - 1);
  line += "\x1b[K";
  WriteAll(line);
  status_shown_ = true;
}

void Console::ClearStatus() {
  if (!status_shown_) return;
  status_shown_ = false;
  WriteAll("\r\x1b[K");
}

}  // namespace kist::cli
