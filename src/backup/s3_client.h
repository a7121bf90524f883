// S3Client: one call of the S3 interface after another: addresses, checksums, tries, redirects to
// the right region, and errors that say what is wrong with what.
//
// Invariants
//  1. A call that may pass (5xx, 429, throttling, a damaged body, a broken connection) is tried
//     again after a pause that doubles, with jitter; an answer that says no is not. A caller whose
//     call is not idempotent must expect that: a try whose answer was lost may have succeeded, and
//     libcurl itself tries again where a connection that it kept turns out to be dead.
//  2. Every body is signed with its SHA-256, so that storage refuses a damaged one.
//  3. No message holds a credential.
// Threads: any, concurrently.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backup/http_client.h"
#include "backup/s3_xml.h"
#include "util/mutex.h"

namespace kist {

struct S3Call {
  const char* method = "GET";
  std::string object;  // without the prefix; for `whole_bucket` calls only named in messages
  bool whole_bucket = false;
  std::vector<std::pair<std::string, std::string>> query = {};  // sorted by name
  std::vector<std::string> headers = {};
  ObjectSource* body = nullptr;
  uint64_t body_offset = 0;
  uint64_t body_bytes = 0;
  char* out = nullptr;
  size_t out_bytes = 0;
  bool unasked = false;  // goes on though the poll says no, but tries less: cleaning up
};

struct S3Reply {
  long code = 0;
  HttpReply http;
  S3Error error;  // of a code that is not 2xx
  bool ok() const { return code >= 200 && code < 300; }
};

class S3Client {
 public:
  static Result<std::unique_ptr<S3Client>> Open(Vfs* vfs, S3Settings settings,
                                                EnvironmentReader env);
  S3Client(Vfs* vfs, S3Settings settings, EnvironmentReader env, std::unique_ptr<HttpClient> http)
      : vfs_(vfs),
        settings_(std::move(settings)),
        env_(std::move(env)),
        http_(std::move(http)),
        region_(settings_.region),
        credentials_(settings_.credentials) {}

  // An error where no answer could be had, or the last one was to come again; else the answer,
  // whatever its code.
  Result<S3Reply> Do(const S3Call& call);
  // What an answer that is not the wished one means.
  Status ErrorOf(const S3Call& call, const S3Reply& reply) const;

  const S3Settings& settings() const { return settings_; }
  Vfs* vfs() const { return vfs_; }
  void set_poll(std::function<Status()> poll) { poll_ = std::move(poll); }

 private:
  std::string Address(const S3Call& call, const std::string& region) const;
  HttpSigner Signer();
  bool ChangeRegion(const S3Reply& reply, const std::string& used);
  bool RenewCredentials(const S3Reply& reply, const S3Credentials& used);
  Status Pause(int tries, const S3Reply& reply, const std::function<Status()>& poll);
  std::string Where(const S3Call& call) const;

  Vfs* const vfs_;
  const S3Settings settings_;
  const EnvironmentReader env_;
  const std::unique_ptr<HttpClient> http_;
  std::function<Status()> poll_;  // set before the first call
  Mutex mutex_;
  std::string region_ KIST_GUARDED_BY(mutex_);
  S3Credentials credentials_ KIST_GUARDED_BY(mutex_);
};

// As an address holds it: all but unreserved characters as %XX; slashes stay where `path`.
std::string S3Encode(Slice text, bool path);

}  // namespace kist
