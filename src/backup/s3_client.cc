// The loop of tries around one request, and the meaning of answers.
// Retrying lives here alone: what is above sees an answer or an error that lasts.
// Threads: see s3_client.h.
#include "backup/s3_client.h"

#include <algorithm>

#include "util/alloc.h"
#include "util/sha256.h"

namespace kist {
namespace {

constexpr size_t kHashBytes = size_t{256} << 10;
constexpr uint64_t kSliceUs = 50000;  // of a pause between two looks at the poll
constexpr uint64_t kRetryAfterMaxS = 30;
constexpr int kTriesOfCleaning = 2;
constexpr size_t kMessageBytesMax = 100;

bool OneOf(const std::string& code, std::initializer_list<const char*> list) {
  return std::any_of(list.begin(), list.end(), [&](const char* c) { return code == c; });
}

bool MayPass(const S3Reply& r) {
  if (r.code == 429 || r.code == 408) return true;
  if (r.code >= 500) return r.code != 501 && r.code != 505 && r.code != 507;
  // Without a word of S3's: of something in between, or of a body that came as another.
  if (r.code == 400 && r.error.code.empty()) return true;
  return OneOf(r.error.code,
               {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException",
                "RequestLimitExceeded", "TooManyRequests", "OperationAborted",
                "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch",
                "XAmzContentChecksumMismatch", "IncompleteBody", "InternalError"});
}

// One line of a server's words.
std::string Plain(const std::string& text) {
  std::string out = text.substr(0, kMessageBytesMax);
  for (char& c : out) {
    if (c < ' ' || c > '~') c = ' ';
  }
  return out;
}

Result<std::string> HashOf(const S3Call& call) {
  Sha256 hash;
  if (call.body == nullptr) return hash.FinishHex();
  Buffer buffer = AllocateBuffer(kHashBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  for (uint64_t at = 0; at < call.body_bytes;) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(kHashBytes, call.body_bytes - at));
    KIST_TRY(call.body->Read(call.body_offset + at, buffer.get(), n));
    hash.Add(buffer.get(), n);
    at += n;
  }
  return hash.FinishHex();
}

// Amazon's endpoint of a region, without its scheme.
std::string AmazonHost(const std::string& region) {
  return "s3." + region +
         (region.compare(0, 3, "cn-") == 0 ? ".amazonaws.com.cn" : ".amazonaws.com");
}

Code CodeOf(const S3Reply& r) {
  if (r.code == 412) return Code::kExists;
  if (r.code == 404) return Code::kMissing;
  if (r.code == 507 || OneOf(r.error.code, {"QuotaExceeded", "InsufficientStorage"}))
    return Code::kNoSpace;
  if (r.error.code == "RequestTimeTooSkewed") return Code::kIo;
  if (r.code == 401 || r.code == 403) return Code::kPermission;
  if (r.code == 405 || r.code == 501) return Code::kUnsupported;
  return Code::kIo;
}

// What a person can do about it.
std::string Advice(const S3Reply& r, const std::string& region) {
  const auto header = [&](const char* name) {
    const auto found = r.http.headers.find(name);
    return found != r.http.headers.end() ? Plain(found->second) : std::string("unknown");
  };
  if (r.error.code == "RequestTimeTooSkewed")
    return "; this machine's clock differs from the server's, whose time is " + header("date");
  if (r.error.code == "NoSuchBucket") return "; make the bucket first";
  if (r.error.code == "SignatureDoesNotMatch")
    return "; is the secret key right, and region " + region + "?";
  if (r.code >= 300 && r.code < 400)
    return "; it redirects to " + header("location") + ": give the endpoint or the region of there";
  return std::string();
}

}  // namespace

std::string S3Encode(Slice text, bool path) {
  static const char* const kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       Slice("-._~").find(c) != Slice::npos || (path && c == '/');
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Result<std::unique_ptr<S3Client>> S3Client::Open(Vfs* vfs, S3Settings settings,
                                                 EnvironmentReader env) {
  KIST_TRY_ASSIGN(auto http, HttpClient::Open(vfs, settings));
  Status s = CompleteS3Settings(vfs, env, &settings);
  if (!s.ok()) return s.Prefixed(settings.url);
  return std::make_unique<S3Client>(vfs, std::move(settings), std::move(env), std::move(http));
}

std::string S3Client::Where(const S3Call& call) const {
  return call.object.empty() ? settings_.url : settings_.url + "/" + call.object;
}

std::string S3Client::Address(const S3Call& call, const std::string& region) const {
  const std::string endpoint =
      settings_.endpoint.empty() ? "https://" + AmazonHost(region) : settings_.endpoint;
  const size_t host = endpoint.find("://") + 3;
  std::string url = endpoint.substr(0, host);
  if (!settings_.path_style) url += settings_.bucket + ".";
  url += endpoint.substr(host) + "/";
  if (settings_.path_style) url += settings_.bucket + (call.whole_bucket ? "" : "/");
  if (!call.whole_bucket) url += S3Encode(settings_.prefix + call.object, true);
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    url += separator + name + "=" + S3Encode(value, false);
    separator = '&';
  }
  return url;
}

HttpSigner S3Client::Signer() {
  MutexLock lock(&mutex_);
  return {region_, credentials_};
}

// A bucket of another region says which one: the next try is signed for that.
bool S3Client::ChangeRegion(const S3Reply& r, const std::string& used) {
  const bool elsewhere = r.code == 301 || r.code == 302 || r.code == 307 || r.code == 308 ||
                         r.error.code == "AuthorizationHeaderMalformed";
  if (!elsewhere) return false;
  const auto header = r.http.headers.find("x-amz-bucket-region");
  const std::string hint = header != r.http.headers.end() ? header->second : r.error.region;
  if (!IsS3Region(hint) || hint == used) return false;
  MutexLock lock(&mutex_);
  region_ = hint;
  return true;
}

// Credentials of a session expire; their file has newer ones by then.
bool S3Client::RenewCredentials(const S3Reply& r, const S3Credentials& used) {
  if (!OneOf(r.error.code, {"ExpiredToken", "ExpiredTokenException", "InvalidToken",
                            "RequestExpired", "InvalidAccessKeyId"}))
    return false;
  auto found = FindS3Credentials(vfs_, env_);
  if (!found.ok() || *found == used) return false;
  MutexLock lock(&mutex_);
  credentials_ = found.Take();
  return true;
}

Status S3Client::Pause(int tries, const S3Reply& r, const std::function<Status()>& poll) {
  uint64_t us = settings_.first_pause_us;
  for (int i = 1; i < tries && us < settings_.pause_max_us; ++i) us *= 2;
  us = std::min(us, settings_.pause_max_us);
  uint64_t random = 0;
  vfs_->Random(&random, sizeof random);
  us = us / 2 + random % (us / 2 + 1);  // so that many clients do not come back together
  const auto after = r.http.headers.find("retry-after");
  if (after != r.http.headers.end() && after->second.size() < 4) {
    uint64_t seconds = 0;
    for (const char c : after->second) {
      if (c >= '0' && c <= '9') seconds = seconds * 10 + static_cast<uint64_t>(c - '0');
    }
    us = std::max(us, std::min(seconds, kRetryAfterMaxS) * 1000000);
  }
  const uint64_t until = vfs_->MonotonicUs() + us;
  for (uint64_t now = until - us; now < until; now = vfs_->MonotonicUs()) {
    if (poll) KIST_TRY(poll());
    vfs_->SleepUs(std::min(kSliceUs, until - now));
  }
  return Status();
}

Result<S3Reply> S3Client::Do(const S3Call& call) {
  HttpRequest request;
  request.method = call.method;
  request.headers = call.headers;
  KIST_TRY_ASSIGN(const std::string hash, HashOf(call));
  request.headers.push_back("x-amz-content-sha256: " + hash);
  request.body = call.body;
  request.body_offset = call.body_offset;
  request.body_bytes = call.body_bytes;
  request.out = call.out;
  request.out_bytes = call.out_bytes;
  // A call that begins after the poll said no cleans up, as removing a mark does: it goes on.
  const bool unasked = call.unasked || !poll_ || !poll_().ok();
  if (!unasked) request.poll = poll_;
  bool corrected = false;  // region or credentials: once a call
  const int most = unasked && poll_ ? kTriesOfCleaning : settings_.tries;
  for (int tries = 1;; ++tries) {
    const HttpSigner signer = Signer();
    request.url = Address(call, signer.region);
    S3Reply r;
    bool passing = false;
    auto got = http_->Do(request, signer, &passing);
    if (got.ok()) {
      r.http = got.Take();
      r.code = r.http.code;
      if (!r.ok()) r.error = ParseS3Error(r.http.text);
      if (!corrected &&
          (ChangeRegion(r, signer.region) || RenewCredentials(r, signer.credentials))) {
        corrected = true;
        continue;
      }
      if (!MayPass(r)) return r;
    } else if (!passing) {
      if (!got.status().Is(Code::kIo)) return std::move(got).status();
      return got.status().Prefixed(Where(call) + ": " + call.method);
    }
    if (tries >= most) {
      const std::string after = " (tried " + std::to_string(tries) + " times)";
      const Status last =
          got.ok() ? ErrorOf(call, r) : got.status().Prefixed(Where(call) + ": " + call.method);
      return Status::Error(Code::kIo, last.message() + after);
    }
    KIST_TRY(Pause(tries, r, request.poll));
  }
}

Status S3Client::ErrorOf(const S3Call& call, const S3Reply& r) const {
  std::string text = Where(call) + ": " + call.method + ": " + std::to_string(r.code);
  if (!r.error.code.empty()) text += " " + Plain(r.error.code);
  if (!r.error.message.empty()) text += ": " + Plain(r.error.message);
  return Status::Error(CodeOf(r), text + Advice(r, settings_.region));
}

}  // namespace kist
