// S3Fake: tests/support/s3_fake.py in a process of its own, which ends when this object does.
// Threads: one.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace kist::test {

class S3Fake {
 public:
  explicit S3Fake(const std::vector<std::string>& arguments = {}) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    const std::string script = std::string(KIST_TEST_DATA) + "/../support/s3_fake.py";
    std::vector<char*> argv = {const_cast<char*>("python3"), const_cast<char*>(script.c_str())};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    if (posix_spawnp(&process_, "python3", &actions, nullptr, argv.data(), environ) != 0)
      process_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    FILE* const lines = fdopen(out[0], "r");
    if (std::fscanf(lines, "%d", &port_) != 1) port_ = 0;
    std::fclose(lines);
  }
  ~S3Fake() {
    if (input_ >= 0) close(input_);
    if (process_ > 0) waitpid(process_, nullptr, 0);
  }
  S3Fake(const S3Fake&) = delete;
  S3Fake& operator=(const S3Fake&) = delete;
  bool ok() const { return port_ != 0; }
  std::string Address(const char* host = "127.0.0.1") const {
    return std::string(host) + ":" + std::to_string(port_);
  }

 private:
  pid_t process_ = -1;
  int input_ = -1;
  int port_ = 0;
};

}  // namespace kist::test
