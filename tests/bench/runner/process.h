// Starting a worker and reading its lines.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace kist::bench {

// Runs program with args, each line of its standard output to on_line, until it ends. `preload`
// (may be empty) goes to LD_PRELOAD. Returns the exit code, 128 + signal where one ended it, or -1
// where it could not be started. A worker that is silent for longer than silence_seconds is killed
// by its id.
int RunProcess(const std::string& program, const std::vector<std::string>& args,
               const std::string& preload, double silence_seconds,
               const std::function<void(const std::string& line)>& on_line);

}  // namespace kist::bench
