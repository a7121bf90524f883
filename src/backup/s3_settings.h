// S3Settings: where an S3 target is and who asks, from its URL, the environment and the AWS files.
//   s3://bucket[/prefix][?name=value[&name=value]...]
//     endpoint=https://host[:port]   else AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, endpoint_url of
//                                    the profile, Amazon's of the region
//     region=name                    else AWS_REGION, AWS_DEFAULT_REGION, region of the profile,
//                                    us-east-1
//     style=path|host                else host at Amazon's endpoint, path at any other
//     writers=one                    storage need not honour If-None-Match: see target_s3.h
// Credentials: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile
// (AWS_PROFILE, "default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), else of
// AWS_CONFIG_FILE (~/.aws/config). AWS_CA_BUNDLE: the certificates to trust.
// Invariant: nothing that is secret stands in a URL, and so in no message. Threads: any.
#pragma once

#include <functional>
#include <string>

#include "util/status.h"
#include "vfs/vfs.h"

namespace kist {

struct S3Credentials {
  std::string key, secret, token;
  bool operator==(const S3Credentials& o) const {
    return key == o.key && secret == o.secret && token == o.token;
  }
};

struct S3Settings {
  std::string bucket;
  std::string prefix;    // of all names: empty, or ends with a slash
  std::string endpoint;  // "https://host:port"; empty: Amazon's of the region
  std::string region;
  bool path_style = false;
  bool style_given = false;
  bool one_writer = false;
  std::string ca_bundle;  // path, or empty
  S3Credentials credentials;
  std::string url;  // "s3://bucket/prefix": for messages

  // Patience. A request that fails in a way that may pass is tried again after pauses that double.
  int tries = 7;
  uint64_t first_pause_us = 100000;
  uint64_t pause_max_us = 5000000;
  uint64_t connect_timeout_ms = 10000;
  uint64_t stall_s = 30;  // that a transfer may stand still (below 1 KiB/s)
  // A larger object goes up in parts of this size; more where that would be more than 10,000.
  uint64_t part_bytes = uint64_t{32} << 20;
};

// Empty text for a variable that is not set.
using EnvironmentReader = std::function<std::string(const char* name)>;

// Without credentials. Unknown parameters are refused by name.
Result<S3Settings> ParseS3Url(const std::string& url);
// What the URL leaves open, and the credentials.
Status CompleteS3Settings(Vfs* vfs, const EnvironmentReader& env, S3Settings* settings);
// Read anew, as an expired session token is replaced in its file.
Result<S3Credentials> FindS3Credentials(Vfs* vfs, const EnvironmentReader& env);

// The value of `name` in a section of an AWS file; empty where there is none.
std::string IniValue(Slice text, const std::string& section, const std::string& name);
bool IsS3Region(Slice text);

}  // namespace kist
