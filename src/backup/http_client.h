// HttpClient: requests to S3-compatible storage through libcurl, signed by it (SigV4).
//
// libcurl is loaded when the first client is made, and not linked: it brings some thirty libraries,
// TLS among them, which a program that never asks for S3 shall neither load nor need installed.
// Invariants
//  1. Whatever libcurl was told, no request lasts without progress: connecting and standing still
//     have limits, and `poll` is asked about every second.
//  2. libcurl's global state is made once and never taken down: other users may have it too.
//     Version 7.88 or newer, which signs as S3 wants it and whose global initialisation may be
//     called from any thread; older ones are kUnsupported.
//  3. Sockets are closed on exec; signals are not used; proxies are those of the environment.
// Threads: any, concurrently; a connection in use has one user.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backup/s3_settings.h"
#include "backup/target.h"
#include "util/mutex.h"

namespace kist {

struct HttpRequest {
  std::string method;  // GET, PUT, POST, DELETE, HEAD
  std::string url;
  std::vector<std::string> headers;  // "name: value"
  // The body; nullptr: none.
  ObjectSource* body = nullptr;
  uint64_t body_offset = 0;
  uint64_t body_bytes = 0;
  // Where a 2xx answer goes; nullptr: into HttpReply::text.
  char* out = nullptr;
  size_t out_bytes = 0;
  std::function<Status()> poll;  // may be empty; an error ends the request
};

struct HttpReply {
  long code = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string text;
  size_t out_bytes = 0;  // that were written to HttpRequest::out
};

struct HttpSigner {
  std::string region;
  S3Credentials credentials;
};

class HttpClient {
 public:
  // kUnsupported where this build or this machine has no libcurl that will do.
  static Result<std::unique_ptr<HttpClient>> Open(Vfs* vfs, const S3Settings& settings);
  virtual ~HttpClient() = default;
  // An error where no answer came whole; *passing: another try may succeed.
  virtual Result<HttpReply> Do(const HttpRequest& request, const HttpSigner& signer,
                               bool* passing) = 0;
};

}  // namespace kist
