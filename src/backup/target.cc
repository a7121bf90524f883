// Which target a URL means, and what is the same for all of them: small objects read whole, and put
// in a way that may be repeated.
// Threads: any.
#include "backup/target.h"

#include <cstring>

#include "backup/target_directory.h"
#include "backup/target_s3.h"

namespace kist {

Status StringSource::Read(uint64_t offset, char* buf, size_t n) {
  if (offset > bytes_.size() || n > bytes_.size() - offset)
    return Status::Error(Code::kInternal, "an object is read beyond its end");
  std::memcpy(buf, bytes_.data() + offset, n);
  return Status();
}

Result<std::unique_ptr<Target>> OpenTarget(Vfs* vfs, const std::string& url, bool create) {
  const size_t scheme = url.find("://");
  if (url.empty()) return Status::Invalid("the target must not be empty");
  if (scheme == std::string::npos) return DirectoryTarget::Open(vfs, url, url, create);
  const std::string rest = url.substr(scheme + 3);
  if (url.compare(0, scheme, "file") == 0) {
    if (rest.empty() || rest[0] != '/')
      return Status::Invalid(url + ": a file target is file:///absolute/path");
    return DirectoryTarget::Open(vfs, url, rest, create);
  }
  if (url.compare(0, scheme, "s3") == 0) return S3Target::Open(vfs, url);
  return Status::Invalid(url + ": unknown kind of target; there are directories and s3://");
}

Result<std::string> GetAll(Target* target, const std::string& name, uint64_t limit) {
  std::string bytes;
  constexpr size_t kStep = size_t{256} << 10;
  for (;;) {
    const size_t have = bytes.size();
    if (have > limit)
      return Status::Corrupt(target->NameOf(name), limit, "longer than such an object can be");
    bytes.resize(have + kStep);
    KIST_TRY_ASSIGN(const size_t n, target->Get(name, have, bytes.data() + have, kStep));
    bytes.resize(have + n);
    if (n < kStep) return bytes;
  }
}

Status PutOnce(Target* target, const std::string& name, Slice bytes) {
  StringSource source(bytes);
  Status s = target->Put(name, &source);
  if (!s.Is(Code::kExists)) return s;
  KIST_TRY_ASSIGN(const std::string there, GetAll(target, name, bytes.size()));
  if (Slice(there) == bytes) return Status();
  return Status::Error(Code::kConflict,
                       target->NameOf(name) + " was made by another writer to the same target");
}

}  // namespace kist
