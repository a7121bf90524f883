// The in-memory file system: names, locks, open files. See memory_vfs.h.
//
// One mutex orders all changes of names, as a kernel's does for the tests' purposes; bytes are
// guarded for each file by a reader-writer lock, so that readers of one table do not wait for each
// other.
#include "vfs/memory_vfs.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace kist {

namespace {

class MemoryFile : public File {
 public:
  MemoryFile(std::shared_ptr<MemoryNode> node, std::string path, bool writable)
      : node_(std::move(node)), path_(std::move(path)), writable_(writable) {}

  Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
    std::shared_lock<std::shared_mutex> lock(node_->mutex);
    return node_->content.Read(offset, buf, n);
  }
  Status Write(uint64_t offset, Slice data) override {
    if (!writable_) return Refused("write");
    std::unique_lock<std::shared_mutex> lock(node_->mutex);
    return node_->content.Write(offset, data);
  }
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
    if (!writable_) return Refused("write");
    std::unique_lock<std::shared_mutex> lock(node_->mutex);
    for (size_t i = 0; i < count; ++i) {
      KIST_TRY(node_->content.Write(offset, parts[i]));
      offset += parts[i].size();
    }
    return Status();
  }
  Status Sync() override { return Status(); }
  void StartWriteback(uint64_t, uint64_t) override {}
  Status Truncate(uint64_t size) override {
    if (!writable_) return Refused("truncate");
    std::unique_lock<std::shared_mutex> lock(node_->mutex);
    return node_->content.Resize(size);
  }
  Status Preallocate(uint64_t size) override {
    if (!writable_) return Refused("preallocate");
    std::unique_lock<std::shared_mutex> lock(node_->mutex);
    return size > node_->content.size() ? node_->content.Resize(size) : Status();
  }
  Result<uint64_t> Size() override {
    std::shared_lock<std::shared_mutex> lock(node_->mutex);
    return node_->content.size();
  }
  Result<uint64_t> NextData(uint64_t offset) override {
    std::shared_lock<std::shared_mutex> lock(node_->mutex);
    return node_->content.NextData(offset);
  }
  void ReadAhead(uint64_t, uint64_t) override {}
  const char* Map(uint64_t) override { return nullptr; }

 private:
  Status Refused(const char* doing) const { return Status::FromErrno(EBADF, doing, path_); }

  const std::shared_ptr<MemoryNode> node_;
  const std::string path_;
  const bool writable_;
};

// Calls fn for each part of the path that names something.
template <typename Fn>
void EachPart(const std::string& path, const Fn& fn) {
  size_t at = 0;
  while (at < path.size()) {
    size_t end = path.find('/', at);
    if (end == std::string::npos) end = path.size();
    const std::string part = path.substr(at, end - at);
    if (!part.empty() && part != ".") fn(part);
    at = end + 1;
  }
}

uint64_t HighestInode(const MemoryNode& node) {
  uint64_t highest = node.inode;
  for (const auto& child : node.children) highest = std::max(highest, HighestInode(*child.second));
  return highest;
}

}  // namespace

struct MemoryVfs::Locks {
  Mutex mutex;
  std::set<uint64_t> inodes KIST_GUARDED_BY(mutex);
};

class MemoryVfs::LockHandle : public FileLock {
 public:
  LockHandle(std::shared_ptr<Locks> locks, uint64_t inode)
      : locks_(std::move(locks)), inode_(inode) {}
  ~LockHandle() override {
    MutexLock lock(&locks_->mutex);
    locks_->inodes.erase(inode_);
  }

 private:
  const std::shared_ptr<Locks> locks_;
  const uint64_t inode_;
};

MemoryVfs::MemoryVfs() : locks_(std::make_shared<Locks>()) {
  MutexLock lock(&mutex_);
  root_ = NewNode(true);
}

MemoryVfs::MemoryVfs(std::shared_ptr<MemoryNode> root)
    : root_(std::move(root)),
      next_inode_(HighestInode(*root_) + 1),
      locks_(std::make_shared<Locks>()) {}

std::shared_ptr<MemoryNode> MemoryVfs::NewNode(bool is_directory) {
  auto node = std::make_shared<MemoryNode>();
  node->inode = next_inode_++;
  node->is_directory = is_directory;
  return node;
}

namespace {

using NodeCopies = std::map<const MemoryNode*, std::shared_ptr<MemoryNode>>;

std::shared_ptr<MemoryNode> CopyTree(const MemoryNode& node, NodeCopies* copies) {
  std::shared_ptr<MemoryNode>& copy = (*copies)[&node];
  if (copy != nullptr) return copy;  // a second name of the same file
  copy = std::make_shared<MemoryNode>();
  copy->inode = node.inode;
  copy->is_directory = node.is_directory;
  {
    std::shared_lock<std::shared_mutex> lock(node.mutex);
    copy->content = node.content;
  }
  const std::shared_ptr<MemoryNode> result = copy;
  for (const auto& child : node.children) {
    result->children[child.first] = CopyTree(*child.second, copies);
  }
  return result;
}

}  // namespace

std::shared_ptr<MemoryNode> MemoryVfs::Image() const {
  MutexLock lock(&mutex_);
  NodeCopies copies;
  return CopyTree(*root_, &copies);
}

MemoryVfs::Place MemoryVfs::Find(const std::string& path) const {
  Place place;
  place.node = root_;
  EachPart(path, [&place](const std::string& part) {
    place.parent = place.node != nullptr && place.node->is_directory ? place.node.get() : nullptr;
    place.name = part;
    place.node = nullptr;
    if (place.parent == nullptr) return;
    const auto child = place.parent->children.find(part);
    if (child != place.parent->children.end()) place.node = child->second;
  });
  return place;
}

Result<std::unique_ptr<File>> MemoryVfs::Open(const std::string& path, OpenMode mode) {
  MutexLock lock(&mutex_);
  Place place = Find(path);
  const bool create = mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrTruncate;
  const char* doing = create ? "create" : "open";
  if (place.node != nullptr) {
    if (mode == OpenMode::kCreateNew) return Status::FromErrno(EEXIST, doing, path);
    if (place.node->is_directory) return Status::FromErrno(EISDIR, doing, path);
    if (mode == OpenMode::kCreateOrTruncate) {
      std::unique_lock<std::shared_mutex> content_lock(place.node->mutex);
      place.node->content = MemoryContent();
    }
  } else {
    if (!create || place.parent == nullptr) return Status::FromErrno(ENOENT, doing, path);
    place.node = NewNode(false);
    place.parent->children[place.name] = place.node;
  }
  return std::unique_ptr<File>(
      std::make_unique<MemoryFile>(place.node, path, mode != OpenMode::kRead));
}

Status MemoryVfs::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  const Place source = Find(from);
  const Place target = Find(to);
  if (source.node == nullptr || source.parent == nullptr || target.parent == nullptr) {
    return Status::FromErrno(ENOENT, "rename", from);
  }
  if (target.node == source.node) return Status();
  if (target.node != nullptr) {
    if (target.node->is_directory != source.node->is_directory) {
      return Status::FromErrno(target.node->is_directory ? EISDIR : ENOTDIR, "rename", from);
    }
    if (!target.node->children.empty()) return Status::FromErrno(ENOTEMPTY, "rename", from);
  }
  target.parent->children[target.name] = source.node;
  source.parent->children.erase(source.name);
  return Status();
}

Status MemoryVfs::Remove(const std::string& path) {
  MutexLock lock(&mutex_);
  const Place place = Find(path);
  if (place.node == nullptr || place.parent == nullptr)
    return Status::FromErrno(ENOENT, "remove", path);
  if (place.node->is_directory) return Status::FromErrno(EISDIR, "remove", path);
  place.parent->children.erase(place.name);
  return Status();
}

Status MemoryVfs::Link(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  const Place source = Find(from);
  const Place target = Find(to);
  if (source.node == nullptr || target.parent == nullptr)
    return Status::FromErrno(ENOENT, "link", to);
  if (target.node != nullptr) return Status::FromErrno(EEXIST, "link", to);
  if (source.node->is_directory)
    return Status::FromErrno(EPERM, "link", to).WithCode(Code::kUnsupported);
  target.parent->children[target.name] = source.node;
  return Status();
}

Status MemoryVfs::MakeDir(const std::string& path) {
  MutexLock lock(&mutex_);
  const Place place = Find(path);
  if (place.node != nullptr) return Status::FromErrno(EEXIST, "create directory", path);
  if (place.parent == nullptr) return Status::FromErrno(ENOENT, "create directory", path);
  place.parent->children[place.name] = NewNode(true);
  return Status();
}

Status MemoryVfs::RemoveDir(const std::string& path) {
  MutexLock lock(&mutex_);
  const Place place = Find(path);
  if (place.node == nullptr || place.parent == nullptr) {
    return Status::FromErrno(ENOENT, "remove directory", path);
  }
  if (!place.node->is_directory) return Status::FromErrno(ENOTDIR, "remove directory", path);
  if (!place.node->children.empty()) return Status::FromErrno(ENOTEMPTY, "remove directory", path);
  place.parent->children.erase(place.name);
  return Status();
}

Result<std::vector<std::string>> MemoryVfs::List(const std::string& dir) {
  MutexLock lock(&mutex_);
  const Place place = Find(dir);
  if (place.node == nullptr) return Status::FromErrno(ENOENT, "list", dir);
  if (!place.node->is_directory) return Status::FromErrno(ENOTDIR, "list", dir);
  std::vector<std::string> names;
  for (const auto& child : place.node->children) names.push_back(child.first);
  return names;
}

Result<FileInfo> MemoryVfs::Stat(const std::string& path) {
  MutexLock lock(&mutex_);
  const Place place = Find(path);
  if (place.node == nullptr) return Status::FromErrno(ENOENT, "stat", path);
  FileInfo info;
  info.is_directory = place.node->is_directory;
  info.is_file = !info.is_directory;
  info.device = reinterpret_cast<uintptr_t>(locks_.get());
  info.inode = place.node->inode;
  std::shared_lock<std::shared_mutex> content_lock(place.node->mutex);
  info.bytes = place.node->content.size();
  return info;
}

Status MemoryVfs::SyncDir(const std::string& dir) {
  MutexLock lock(&mutex_);
  const Place place = Find(dir);
  if (place.node == nullptr) return Status::FromErrno(ENOENT, "sync directory", dir);
  if (!place.node->is_directory)
    return Status::FromErrno(ENOTDIR, "sync directory", dir).WithCode(Code::kIo);
  return Status();
}

Result<std::unique_ptr<FileLock>> MemoryVfs::Lock(const std::string& path) {
  MutexLock lock(&mutex_);
  Place place = Find(path);
  if (place.node == nullptr) {
    if (place.parent == nullptr) return Status::FromErrno(ENOENT, "lock", path);
    place.node = NewNode(false);
    place.parent->children[place.name] = place.node;
  }
  bool taken;
  {
    MutexLock locks_lock(&locks_->mutex);
    taken = locks_->inodes.insert(place.node->inode).second;
  }
  if (!taken) {
    return Status::Error(Code::kLocked, "lock " + path + ": another handle has it", 0, EWOULDBLOCK);
  }
  std::unique_ptr<FileLock> handle(new (std::nothrow) LockHandle(locks_, place.node->inode));
  if (handle == nullptr) {
    MutexLock locks_lock(&locks_->mutex);
    locks_->inodes.erase(place.node->inode);
    return Status::Bare(Code::kNoMem);
  }
  return handle;
}

Result<std::unique_ptr<Thread>> MemoryVfs::Start(const char* name, std::function<void()> fn) {
  return PosixVfs()->Start(name, std::move(fn));
}

Result<std::unique_ptr<ForkGuard>> MemoryVfs::MakeForkGuard() {
  return PosixVfs()->MakeForkGuard();
}

std::unique_ptr<Vfs> NewMemoryVfs() { return std::make_unique<MemoryVfs>(); }

}  // namespace kist
