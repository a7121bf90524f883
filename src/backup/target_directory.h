// DirectoryTarget: objects as files below a directory. An object is written under tmp/, synced, and
// then linked to its name, which fails where the name is taken; where the file system has no links
// it is renamed after a look. What a crash leaves under tmp/ the next writer removes.
// Threads: any.
#pragma once

#include <set>

#include "backup/target.h"
#include "util/mutex.h"

namespace kist {

class DirectoryTarget final : public Target {
 public:
  static Result<std::unique_ptr<Target>> Open(Vfs* vfs, const std::string& url,
                                              const std::string& path, bool create);
  Status Put(const std::string& name, ObjectSource* source) override;
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override;
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override;
  Result<std::vector<ObjectInfo>> ListDurable(const std::string& prefix) override;
  Status Delete(const std::string& name) override;

 private:
  DirectoryTarget(Vfs* vfs, const std::string& url, std::string root)
      : Target(url), vfs_(vfs), root_(std::move(root)) {}
  std::string Path(const std::string& name) const { return JoinPath(root_, name); }
  void RemoveLeftovers();
  Status MakeDirs(const std::string& name);
  Status WriteTemporary(const std::string& path, ObjectSource* source);
  Status Publish(const std::string& from, const std::string& to);
  // dirs: receives those that were looked into.
  Result<std::vector<ObjectInfo>> ListIn(const std::string& prefix, std::vector<std::string>* dirs);
  Status Walk(const std::string& dir, const std::string& prefix, std::vector<ObjectInfo>* out,
              std::vector<std::string>* dirs);

  Vfs* const vfs_;
  const std::string root_;
  Mutex mutex_;
  std::set<std::string> made_ KIST_GUARDED_BY(mutex_);  // directories known to be there
};

}  // namespace kist
