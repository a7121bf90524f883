// RecordingVfs out of line. See recording_vfs.h.
#include "support/recording_vfs.h"

namespace kist::test {

namespace {

std::string LastPart(const std::string& path) {
  size_t end = path.size();
  while (end > 0 && path[end - 1] == '/') --end;
  const size_t slash = path.rfind('/', end == 0 ? 0 : end - 1);
  return slash == std::string::npos ? path.substr(0, end) : path.substr(slash + 1, end - slash - 1);
}

}  // namespace

class RecordingFile : public WrapFile {
 public:
  RecordingFile(RecordingVfs* vfs, std::unique_ptr<File> base, uint64_t node)
      : WrapFile(std::move(base)), vfs_(vfs), node_(node) {}

  Status Write(uint64_t offset, Slice data) override { return WriteV(offset, &data, 1); }
  Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
    TraceOp op;
    op.kind = TraceOp::Kind::kWrite;
    op.node = node_;
    op.offset = offset;
    for (size_t i = 0; i < count; ++i) op.data.append(parts[i]);
    MutexLock lock(&vfs_->mutex_);
    KIST_TRY(base_->Write(offset, op.data));
    if (!op.data.empty()) vfs_->ops_.push_back(std::move(op));
    return Status();
  }
  Status Sync() override {
    TraceOp op;
    op.kind = TraceOp::Kind::kSync;
    op.node = node_;
    MutexLock lock(&vfs_->mutex_);
    KIST_TRY(base_->Sync());
    vfs_->ops_.push_back(std::move(op));
    return Status();
  }
  Status Truncate(uint64_t size) override {
    MutexLock lock(&vfs_->mutex_);
    KIST_TRY(base_->Truncate(size));
    Resized(TraceOp::Kind::kResize, size);
    return Status();
  }
  Status Preallocate(uint64_t size) override {
    MutexLock lock(&vfs_->mutex_);
    KIST_TRY(base_->Preallocate(size));
    Resized(TraceOp::Kind::kReserve, size);
    return Status();
  }

 private:
  void Resized(TraceOp::Kind kind, uint64_t size) KIST_REQUIRES(vfs_->mutex_) {
    TraceOp op;
    op.kind = kind;
    op.node = node_;
    op.size = size;
    vfs_->ops_.push_back(std::move(op));
  }

  RecordingVfs* const vfs_;
  const uint64_t node_;
};

std::string TraceOp::ToString() const {
  const std::string file = "#" + std::to_string(node);
  switch (kind) {
    case Kind::kCreate:
      return "create " + name + " " + file;
    case Kind::kMakeDir:
      return "mkdir " + name + " " + file;
    case Kind::kLink:
      return "link " + name + " " + file;
    case Kind::kRemove:
      return "remove " + name;
    case Kind::kRename:
      return "rename " + name + " " + to_name + " " + file;
    case Kind::kWrite:
      return "write " + file + " at " + std::to_string(offset) + " +" + std::to_string(data.size());
    case Kind::kResize:
      return "resize " + file + " to " + std::to_string(size);
    case Kind::kReserve:
      return "reserve " + file + " to " + std::to_string(size);
    case Kind::kSync:
      return "sync " + file;
    case Kind::kSyncDir:
      return "syncdir " + file;
    case Kind::kMark:
      return "mark " + std::to_string(mark_kind) + ": " + std::to_string(mark);
  }
  return "";
}

RecordingVfs::RecordingVfs() : WrapVfs(&memory_), base_image_(memory_.Image()) {}

RecordingVfs::RecordingVfs(const std::shared_ptr<MemoryNode>& image)
    : WrapVfs(&memory_), memory_(image), base_image_(memory_.Image()) {}

void RecordingVfs::Mark(uint64_t mark, int kind) {
  TraceOp op;
  op.mark = mark;
  op.mark_kind = kind;
  MutexLock lock(&mutex_);
  ops_.push_back(std::move(op));
  ++marks_;
}

Trace RecordingVfs::GetTrace() const {
  MutexLock lock(&mutex_);
  return {base_image_, ops_};
}

size_t RecordingVfs::op_count() const {
  MutexLock lock(&mutex_);
  return ops_.size();
}

size_t RecordingVfs::changes() const {
  MutexLock lock(&mutex_);
  return ops_.size() - marks_;
}

Result<uint64_t> RecordingVfs::Inode(const std::string& path) {
  KIST_TRY_ASSIGN(const FileInfo info, memory_.Stat(path));
  return info.inode;
}

Status RecordingVfs::Locate(const std::string& path, uint64_t* dir, std::string* name) {
  const std::string parent = ParentDir(path);
  KIST_TRY_ASSIGN(*dir, Inode(parent));
  *name = LastPart(path);
  return Status();
}

// Records a name that now exists.
Status RecordingVfs::RecordName(TraceOp::Kind kind, const std::string& path) {
  TraceOp op;
  op.kind = kind;
  KIST_TRY(Locate(path, &op.dir, &op.name));
  KIST_TRY_ASSIGN(op.node, Inode(path));
  ops_.push_back(std::move(op));
  return Status();
}

Result<std::unique_ptr<File>> RecordingVfs::Open(const std::string& path, OpenMode mode) {
  MutexLock lock(&mutex_);
  const Result<FileInfo> before = memory_.Stat(path);
  KIST_TRY_ASSIGN(auto file, memory_.Open(path, mode));
  KIST_TRY_ASSIGN(const uint64_t node, Inode(path));
  if (!before.ok()) {
    KIST_TRY(RecordName(TraceOp::Kind::kCreate, path));
  } else if (mode == OpenMode::kCreateOrTruncate && before->bytes > 0) {
    TraceOp op;
    op.kind = TraceOp::Kind::kResize;
    op.node = node;
    ops_.push_back(std::move(op));
  }
  return std::unique_ptr<File>(std::make_unique<RecordingFile>(this, std::move(file), node));
}

Status RecordingVfs::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  TraceOp op;
  op.kind = TraceOp::Kind::kRename;
  const Result<uint64_t> node = Inode(from);
  const Result<uint64_t> replaced = Inode(to);
  KIST_TRY(memory_.Rename(from, to));
  if (replaced.ok() && *replaced == *node)
    return Status();  // two names of one file: nothing happens
  op.node = *node;
  KIST_TRY(Locate(from, &op.dir, &op.name));
  KIST_TRY(Locate(to, &op.to_dir, &op.to_name));
  ops_.push_back(std::move(op));
  return Status();
}

Status RecordingVfs::Remove(const std::string& path) {
  MutexLock lock(&mutex_);
  TraceOp op;
  op.kind = TraceOp::Kind::kRemove;
  KIST_TRY(memory_.Remove(path));
  KIST_TRY(Locate(path, &op.dir, &op.name));
  ops_.push_back(std::move(op));
  return Status();
}

Status RecordingVfs::RemoveDir(const std::string& path) {
  MutexLock lock(&mutex_);
  TraceOp op;
  op.kind = TraceOp::Kind::kRemove;
  KIST_TRY(memory_.RemoveDir(path));
  KIST_TRY(Locate(path, &op.dir, &op.name));
  ops_.push_back(std::move(op));
  return Status();
}

Status RecordingVfs::Link(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  KIST_TRY(memory_.Link(from, to));
  return RecordName(TraceOp::Kind::kLink, to);
}

Status RecordingVfs::MakeDir(const std::string& path) {
  MutexLock lock(&mutex_);
  KIST_TRY(memory_.MakeDir(path));
  return RecordName(TraceOp::Kind::kMakeDir, path);
}

Status RecordingVfs::SyncDir(const std::string& dir) {
  MutexLock lock(&mutex_);
  KIST_TRY(memory_.SyncDir(dir));
  TraceOp op;
  op.kind = TraceOp::Kind::kSyncDir;
  KIST_TRY_ASSIGN(op.node, Inode(dir));
  ops_.push_back(std::move(op));
  return Status();
}

Result<std::unique_ptr<FileLock>> RecordingVfs::Lock(const std::string& path) {
  MutexLock lock(&mutex_);
  const bool existed = memory_.Stat(path).ok();
  KIST_TRY_ASSIGN(auto held, memory_.Lock(path));
  if (!existed) KIST_TRY(RecordName(TraceOp::Kind::kCreate, path));
  return held;
}

}  // namespace kist::test
