// S3Target: a prefix of a bucket in S3-compatible storage. An object of the target is an object
// there; one PUT (or the completion of a multipart upload, for objects above part_bytes) with
// "If-None-Match: *" makes it, so that of two writers one gets kExists.
//
// Invariants
//  1. Nothing is written before it is known that the storage honours the condition: the object
//     "create-once" is created twice, and the second must be refused. It stays, so that later
//     writers ask once. Storage that ignores or lacks the condition is kUnsupported; with
//     one_writer a name is looked up before it is created instead, and the user keeps other writers
//     away.
//  2. An upload in parts that fails is aborted; those that a dead writer left, more than a day old,
//     are when the next one begins. Parts are no objects: no reader sees them.
//  3. A listing is complete, or an error: pages are followed to the last.
// Delete of a name that is not there is success: S3 does not tell. Threads: any, concurrently.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/s3_client.h"
#include "backup/target.h"
#include "util/mutex.h"

namespace kist {

class S3Target final : public Target {
 public:
  // Reads the environment and the AWS files; nothing is sent.
  static Result<std::unique_ptr<Target>> Open(Vfs* vfs, const std::string& url);
  explicit S3Target(std::unique_ptr<S3Client> client)
      : Target(client->settings().url), client_(std::move(client)) {
    client_->set_poll([this] { return Poll(); });
  }

  Status Put(const std::string& name, ObjectSource* source) override;
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override;
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;

 private:
  Status PrepareToWrite();
  Status CheckConditions();
  void AbortLeftovers();
  Status PutWhole(const std::string& name, ObjectSource* source, S3Reply* reply);
  Status PutInParts(const std::string& name, ObjectSource* source);
  Status PutParts(const std::string& name, const std::string& id, ObjectSource* source,
                  std::string* completion);
  Status Complete(const std::string& name, const std::string& id, const std::string& completion);
  Status Abort(const std::string& name, const std::string& id);
  Result<bool> Exists(const std::string& name);
  Status Taken(const std::string& name) const;

  const std::unique_ptr<S3Client> client_;
  Mutex mutex_;  // held while the first writer prepares
  bool prepared_ KIST_GUARDED_BY(mutex_) = false;
};

}  // namespace kist
