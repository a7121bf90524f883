// fork, exec, a pipe and poll; the contract stands in process.h.
#include "process.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace kist::bench {

namespace {

[[noreturn]] void Child(const std::string& program, const std::vector<std::string>& args,
                        const std::string& preload, int out) {
  dup2(out, STDOUT_FILENO);
  if (!preload.empty()) setenv("LD_PRELOAD", preload.c_str(), 1);
  std::vector<char*> argv;
  argv.push_back(const_cast<char*>(program.c_str()));
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

}  // namespace

int RunProcess(const std::string& program, const std::vector<std::string>& args,
               const std::string& preload, double silence_seconds,
               const std::function<void(const std::string& line)>& on_line) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t pid = fork();
  if (pid < 0) return -1;
  if (pid == 0) {
    close(ends[0]);
    Child(program, args, preload, ends[1]);
  }
  close(ends[1]);
  std::string pending;
  char buffer[4096];
  for (;;) {
    pollfd wait{ends[0], POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(silence_seconds * 1000));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) kill(pid, SIGKILL);
    const ssize_t n = read(ends[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    pending.append(buffer, static_cast<size_t>(n));
    for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      on_line(pending.substr(0, end));
    }
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace kist::bench
