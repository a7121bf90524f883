// Target: where backups are kept: named objects that are written once, whole or not at all, and
// never changed. Everything else (what the objects mean, sharing, chains, retries) is above it, so
// a new kind of target is these four calls.
//
// Contract
//  1. Put creates: kExists where the name is taken, whoever took it; two that race have one winner.
//     When it returns the object survives a power cut; when it fails, or the process dies, there is
//     all of it or nothing.
//  2. What Put made is what Get reads and List shows, at once; List may show what a Put has made
//     that failed, or has not returned: ListDurable makes sure of it.
// Names are made of [0-9A-Za-z.-] and '/'. Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vfs/vfs.h"

namespace kist {

// The bytes of an object to be put; may be read more than once, from any offset.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  virtual uint64_t bytes() const = 0;
  // All n bytes from offset, or an error.
  virtual Status Read(uint64_t offset, char* buf, size_t n) = 0;
};

class StringSource final : public ObjectSource {
 public:
  explicit StringSource(Slice bytes) : bytes_(bytes) {}
  uint64_t bytes() const override { return bytes_.size(); }
  Status Read(uint64_t offset, char* buf, size_t n) override;

 private:
  const Slice bytes_;
};

struct ObjectInfo {
  std::string name;
  uint64_t bytes = 0;
};

class Target {
 public:
  virtual ~Target() = default;
  virtual Status Put(const std::string& name, ObjectSource* source) = 0;
  // Up to n bytes from offset, fewer only at the object's end. kMissing where there is none.
  virtual Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) = 0;
  // All whose names begin with prefix, by name.
  virtual Result<std::vector<ObjectInfo>> List(const std::string& prefix) = 0;
  // As List, and what it shows survives a power cut: for who relies on it, whoever made it.
  virtual Result<std::vector<ObjectInfo>> ListDurable(const std::string& prefix) {
    return List(prefix);
  }
  // Durable when it returns. kMissing where there is none, of a kind of target that can tell.
  virtual Status Delete(const std::string& name) = 0;
  const std::string& url() const { return url_; }
  // Asked now and then by a call that takes long, on its thread: an error ends the call with it.
  // Set before the first call.
  void set_poll(std::function<Status()> poll) { poll_ = std::move(poll); }
  // For messages.
  std::string NameOf(const std::string& object) const { return url_ + "/" + object; }

 protected:
  explicit Target(std::string url) : url_(std::move(url)) {}
  Status Poll() const { return poll_ ? poll_() : Status(); }

 private:
  const std::string url_;
  std::function<Status()> poll_;
};

// "file:///path" or a path: a directory; "s3://bucket/prefix": see s3_settings.h.
// create: for writing; makes the directory (not its parents), else kMissing where there is none.
Result<std::unique_ptr<Target>> OpenTarget(Vfs* vfs, const std::string& url, bool create);

// The whole of a small object. kCorrupt where it is larger than `limit`.
Result<std::string> GetAll(Target* target, const std::string& name, uint64_t limit);
// Put of bytes that this writer alone can have made: one that is there already with the same bytes
// (an answer was lost, or a step is repeated) is as good. kConflict where it holds others.
Status PutOnce(Target* target, const std::string& name, Slice bytes);

}  // namespace kist
