// What the process and its system lend to the S3 target: environment variables, a shared library
// that is loaded at first use, and sockets that children do not inherit.
// Threads: any; EnvironmentText not beside a thread that changes the environment.
#pragma once

#include <string>

#include "util/status.h"

namespace kist {

// Empty where it is not set.
std::string EnvironmentText(const char* name);

// A library that stays loaded until the process ends: what it registered (thread-exit hooks, exit
// handlers) may outlive any user.
class SharedLibrary {
 public:
  // The first of the names, which end with nullptr, that can be loaded. kUnsupported where none
  // can.
  static Result<SharedLibrary> Load(const char* const* names);
  void* Find(const char* symbol) const;  // nullptr where it has none

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

// socket(2), closed on exec; -1 where that fails.
int OpenSocket(int family, int type, int protocol);

}  // namespace kist
