// Helpers over any Vfs: paths, whole files. The order of calls in ReplaceFile is the durability
// rule of CURRENT and its like: the new file is durable before the name moves, the move is durable
// before ReplaceFile returns. Threads: any; two ReplaceFiles of one path must not overlap, they
// share its temporary file.
#include "vfs/vfs.h"

#include <new>

#include "util/planted.h"

namespace kist {

std::string JoinPath(const std::string& dir, const std::string& name) {
  if (dir.empty()) return name;
  if (dir.back() == '/') return dir + name;
  return dir + "/" + name;
}

std::string ParentDir(const std::string& path) {
  size_t end = path.size();
  while (end > 1 && path[end - 1] == '/') --end;
  const size_t slash = path.rfind('/', end == 0 ? 0 : end - 1);
  if (slash == std::string::npos || end == 0) return ".";
  size_t parent_end = slash;
  while (parent_end > 1 && path[parent_end - 1] == '/') --parent_end;
  return parent_end == 0 ? "/" : path.substr(0, parent_end);
}

Result<std::string> ReadFile(Vfs* vfs, const std::string& path, uint64_t limit) {
  KIST_TRY_ASSIGN(auto file, vfs->Open(path, OpenMode::kRead));
  KIST_TRY_ASSIGN(const uint64_t size, file->Size());
  if (size > limit) {
    return Status::Error(Code::kNoMem, "read " + path + ": " + std::to_string(size) +
                                           " bytes, the limit is " + std::to_string(limit));
  }
  std::string data;
  try {
    data.resize(size);
  } catch (const std::bad_alloc&) {
    return Status::Bare(Code::kNoMem);
  }
  KIST_TRY_ASSIGN(const size_t n, file->Read(0, data.data(), data.size()));
  data.resize(n);
  return data;
}

Status ReplaceFile(Vfs* vfs, const std::string& path, Slice data, bool* in_doubt) {
  const std::string temporary = path + ".tmp";
  {
    auto opened = vfs->Open(temporary, OpenMode::kCreateOrTruncate);
    if (opened.status().Is(Code::kCorrupt)) {  // no file: it goes, like one of somebody who died
      Status gone = vfs->Remove(temporary);
      if (!gone.ok()) return opened.status().WithCode(Code::kIo);
      opened = vfs->Open(temporary, OpenMode::kCreateOrTruncate);
    }
    KIST_TRY_ASSIGN(auto file, std::move(opened));
    Status s = file->Write(0, data);
    if (s.ok() && !Planted(Bug::kNoSyncOfCurrent)) s = file->Sync();
    if (!s.ok()) {
      file.reset();
      static_cast<void>(
          vfs->Remove(temporary));  // best effort: what failed is reported, a rest is overwritten
      return s;
    }
  }
  if (in_doubt != nullptr) *in_doubt = true;
  Status s = vfs->Rename(temporary, path);
  if (!s.ok()) {
    static_cast<void>(vfs->Remove(temporary));
    return s;
  }
  return Planted(Bug::kNoDirSyncOfCurrent) ? Status() : vfs->SyncDir(ParentDir(path));
}

}  // namespace kist
