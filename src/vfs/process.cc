// dlopen, getenv and socket; see process.h.
// What libcurl opens and reads by itself stays libcurl's.
// Threads: any.
#include "vfs/process.h"

#include <dlfcn.h>
#include <sys/socket.h>

#include <cstdlib>

namespace kist {

std::string EnvironmentText(const char* name) {
  const char* const text = std::getenv(name);
  return text != nullptr ? text : "";
}

Result<SharedLibrary> SharedLibrary::Load(const char* const* names) {
  std::string reason;
  for (; *names != nullptr; ++names) {
    void* const handle = dlopen(*names, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle != nullptr) return SharedLibrary(handle);
    const char* const text = dlerror();
    if (reason.empty() && text != nullptr) reason = text;
  }
  return Status::Error(Code::kUnsupported, reason);
}

void* SharedLibrary::Find(const char* symbol) const { return dlsym(handle_, symbol); }

int OpenSocket(int family, int type, int protocol) {
  return socket(family, type | SOCK_CLOEXEC, protocol);
}

}  // namespace kist
