// The one file that knows libcurl. Handles keep their connections and wait in a list for the next
// request.
// Threads: see http_client.h.
#include "backup/http_client.h"

#ifndef KIST_S3

namespace kist {

Result<std::unique_ptr<HttpClient>> HttpClient::Open(Vfs*, const S3Settings& settings) {
  return Status::Error(Code::kUnsupported,
                       settings.url + ": this build has no S3 targets (CMake option KIST_S3)");
}

}  // namespace kist

#else

#include <curl/curl.h>

#include <algorithm>

#include "vfs/process.h"

namespace kist {
namespace {

constexpr unsigned kVersionLeast = 0x075800;  // 7.88.0
constexpr size_t kTextBytesMax = size_t{16} << 20;
constexpr uint64_t kPollUs = 100000;
constexpr long kStallBytesPerSecond = 1024;
constexpr long kExpectMs = 200;
constexpr long kTransferBufferBytes = 256 << 10;

#define KIST_CURL_FUNCTIONS(X) \
  X(global_init)               \
  X(version_info)              \
  X(easy_init)                 \
  X(easy_setopt)               \
  X(easy_perform)              \
  X(easy_getinfo)              \
  X(easy_cleanup)              \
  X(easy_reset)                \
  X(easy_strerror)             \
  X(slist_append)              \
  X(slist_free_all)

struct Curl {
#define X(name) decltype(&::curl_##name) name = nullptr;
  KIST_CURL_FUNCTIONS(X)
#undef X
};

Status LoadCurl(Curl* curl) {
  static const char* const kNames[] = {"libcurl.so.4", "libcurl-gnutls.so.4", nullptr};
  auto library = SharedLibrary::Load(kNames);
  if (!library.ok()) return library.status().Prefixed("S3 targets need libcurl");
  bool whole = true;
#define X(name)                                                                      \
  curl->name = reinterpret_cast<decltype(curl->name)>(library->Find("curl_" #name)); \
  whole = whole && curl->name != nullptr;
  KIST_CURL_FUNCTIONS(X)
#undef X
  if (!whole) return Status::Error(Code::kUnsupported, "libcurl.so.4 is not libcurl");
  const curl_version_info_data* const v = curl->version_info(CURLVERSION_NOW);
  if (v->version_num < kVersionLeast || (v->features & CURL_VERSION_THREADSAFE) == 0)
    return Status::Error(
        Code::kUnsupported,
        std::string("S3 targets need libcurl 7.88 or newer, thread-safe; here is ") + v->version);
  if (curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Status::Bare(Code::kNoMem);
  return Status();
}

// One request on its way: what the callbacks share.
struct Exchange {
  Vfs* vfs;
  const HttpRequest* request;
  HttpReply reply;
  uint64_t sent = 0;
  uint64_t polled_us = 0;
  bool overflow = false;
  Status error;  // that a callback ended the request with
};

void TakeHeader(Slice line, std::map<std::string, std::string>* headers) {
  const size_t colon = line.find(':');
  if (line.substr(0, 5) == "HTTP/") return headers->clear();  // of an interim answer
  if (colon == Slice::npos) return;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  Slice value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && static_cast<unsigned char>(value.back()) <= ' ') value.remove_suffix(1);
  (*headers)[name] = value;
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(Vfs* vfs, const S3Settings& s, const Curl& curl)
      : vfs_(vfs),
        curl_(curl),
        ca_bundle_(s.ca_bundle),
        connect_timeout_ms_(static_cast<long>(s.connect_timeout_ms)),
        stall_s_(static_cast<long>(s.stall_s)) {}
  ~CurlClient() override {
    MutexLock lock(&mutex_);
    for (CURL* handle : idle_) curl_.easy_cleanup(handle);
  }
  Result<HttpReply> Do(const HttpRequest& request, const HttpSigner& signer,
                       bool* passing) override;

 private:
  CURL* Take();
  void Give(CURL* handle);
  Status SetUp(CURL* handle, char* error, curl_slist* headers, const HttpSigner& signer,
               Exchange* exchange) const;
  void SetCallbacks(CURL* handle, Exchange* exchange) const;

  Vfs* const vfs_;
  const Curl curl_;
  const std::string ca_bundle_;
  const long connect_timeout_ms_;
  const long stall_s_;
  Mutex mutex_;
  std::vector<CURL*> idle_ KIST_GUARDED_BY(mutex_);
};

// ---- callbacks: 0, or a short count, ends the request; nothing is thrown through libcurl

size_t OnRead(char* buf, size_t size, size_t count, void* user) {
  Exchange* const x = static_cast<Exchange*>(user);
  const HttpRequest& r = *x->request;
  const size_t n = static_cast<size_t>(std::min<uint64_t>(size * count, r.body_bytes - x->sent));
  try {
    if (n != 0) x->error = r.body->Read(r.body_offset + x->sent, buf, n);
  } catch (...) {
    x->error = Status::Bare(Code::kNoMem);
  }
  if (!x->error.ok()) return CURL_READFUNC_ABORT;
  x->sent += n;
  return n;
}

int OnSeek(void* user, curl_off_t offset, int origin) {
  Exchange* const x = static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
  x->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t OnWrite(char* data, size_t size, size_t count, void* user) {
  Exchange* const x = static_cast<Exchange*>(user);
  const size_t n = size * count;
  const bool good = x->reply.code >= 200 && x->reply.code < 300;
  if (good && x->request->out != nullptr) {
    if (n > x->request->out_bytes - x->reply.out_bytes) {
      x->overflow = true;
      return 0;
    }
    std::copy_n(data, n, x->request->out + x->reply.out_bytes);
    x->reply.out_bytes += n;
    return n;
  }
  if (n > kTextBytesMax - x->reply.text.size()) {
    x->overflow = true;
    return 0;
  }
  try {
    x->reply.text.append(data, n);
  } catch (...) {
    x->error = Status::Bare(Code::kNoMem);
    return 0;
  }
  return n;
}

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  Exchange* const x = static_cast<Exchange*>(user);
  const Slice line(data, size * count);
  try {
    if (line.substr(0, 5) == "HTTP/") {
      const size_t space = line.find(' ');
      x->reply.code = 0;
      for (size_t i = space + 1; space != Slice::npos && i < line.size() && i < space + 4; ++i)
        x->reply.code = x->reply.code * 10 + (line[i] - '0');
    }
    TakeHeader(line, &x->reply.headers);
  } catch (...) {
    x->error = Status::Bare(Code::kNoMem);
    return 0;
  }
  return line.size();
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  Exchange* const x = static_cast<Exchange*>(user);
  const uint64_t now = x->vfs->MonotonicUs();
  if (!x->request->poll || now - x->polled_us < kPollUs) return 0;
  x->polled_us = now;
  try {
    Status s = x->request->poll();
    if (s.ok()) return 0;
    x->error = std::move(s);
  } catch (...) {
    x->error = Status::Bare(Code::kNoMem);
  }
  return 1;
}

curl_socket_t OnSocket(void*, curlsocktype, curl_sockaddr* address) {
  const int fd = OpenSocket(address->family, address->socktype, address->protocol);
  return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

// Errors that the next try would meet too.
bool IsLasting(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_OUT_OF_MEMORY:
      return true;
    default:
      return false;
  }
}

// ---- one request

CURL* CurlClient::Take() {
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      CURL* const handle = idle_.back();
      idle_.pop_back();
      return handle;
    }
  }
  return curl_.easy_init();
}

void CurlClient::Give(CURL* handle) {
  curl_.easy_reset(handle);
  MutexLock lock(&mutex_);
  idle_.push_back(handle);
}

void CurlClient::SetCallbacks(CURL* handle, Exchange* x) const {
  curl_.easy_setopt(handle, CURLOPT_READFUNCTION, OnRead);
  curl_.easy_setopt(handle, CURLOPT_READDATA, x);
  curl_.easy_setopt(handle, CURLOPT_SEEKFUNCTION, OnSeek);
  curl_.easy_setopt(handle, CURLOPT_SEEKDATA, x);
  curl_.easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnWrite);
  curl_.easy_setopt(handle, CURLOPT_WRITEDATA, x);
  curl_.easy_setopt(handle, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_.easy_setopt(handle, CURLOPT_HEADERDATA, x);
  curl_.easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_.easy_setopt(handle, CURLOPT_XFERINFODATA, x);
  curl_.easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_.easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, OnSocket);
}

Status CurlClient::SetUp(CURL* handle, char* error, curl_slist* headers, const HttpSigner& signer,
                         Exchange* x) const {
  const HttpRequest& r = *x->request;
  SetCallbacks(handle, x);
  curl_.easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
  curl_.easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_.easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_.easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_.easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_.easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_.easy_setopt(handle, CURLOPT_BUFFERSIZE, kTransferBufferBytes);
  curl_.easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, kTransferBufferBytes);
  curl_.easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms_);
  curl_.easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_.easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, stall_s_);
  curl_.easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  if (r.method == "HEAD") curl_.easy_setopt(handle, CURLOPT_NOBODY, 1L);
  if (r.body != nullptr) {
    // Large bodies wait this long for the storage to say no first. To forbid that by an empty
    // "Expect:" is no way: libcurl would sign a header that it does not send.
    curl_.easy_setopt(handle, CURLOPT_EXPECT_100_TIMEOUT_MS, kExpectMs);
    curl_.easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_.easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(r.body_bytes));
  }
  // What may fail for want of memory, or for a libcurl that was built without it.
  const std::string sign = "aws:amz:" + signer.region + ":s3";
  CURLcode code = curl_.easy_setopt(handle, CURLOPT_URL, r.url.c_str());
  const auto set = [&](CURLoption option, const char* value) {
    if (code == CURLE_OK) code = curl_.easy_setopt(handle, option, value);
  };
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  if (r.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, r.method.c_str());
  if (!ca_bundle_.empty()) set(CURLOPT_CAINFO, ca_bundle_.c_str());
  set(CURLOPT_USERNAME, signer.credentials.key.c_str());
  set(CURLOPT_PASSWORD, signer.credentials.secret.c_str());
  set(CURLOPT_AWS_SIGV4, sign.c_str());
  if (code == CURLE_OK) return Status();
  if (code == CURLE_OUT_OF_MEMORY) return Status::Bare(Code::kNoMem);
  return Status::Error(Code::kUnsupported,
                       std::string("libcurl cannot do this: ") + curl_.easy_strerror(code));
}

Result<HttpReply> CurlClient::Do(const HttpRequest& request, const HttpSigner& signer,
                                 bool* passing) {
  *passing = false;
  Exchange x{vfs_, &request, {}, 0, vfs_->MonotonicUs(), false, {}};
  curl_slist* headers = nullptr;
  bool room = true;
  const auto add = [&](const std::string& header) {
    curl_slist* const longer = curl_.slist_append(headers, header.c_str());
    room = room && longer != nullptr;
    if (longer != nullptr) headers = longer;
  };
  for (const std::string& header : request.headers) add(header);
  if (!signer.credentials.token.empty()) add("x-amz-security-token: " + signer.credentials.token);
  CURL* const handle = room ? Take() : nullptr;
  if (handle == nullptr) {
    curl_.slist_free_all(headers);
    return Status::Bare(Code::kNoMem);
  }
  char error[CURL_ERROR_SIZE] = "";
  Status s = SetUp(handle, error, headers, signer, &x);
  CURLcode code = CURLE_OK;
  if (s.ok()) code = curl_.easy_perform(handle);
  Give(handle);
  curl_.slist_free_all(headers);
  KIST_TRY(std::move(s));
  if (!x.error.ok()) return x.error;
  if (code == CURLE_OK) return std::move(x.reply);
  if (code == CURLE_OUT_OF_MEMORY) return Status::Bare(Code::kNoMem);
  if (x.overflow)
    return Status::Error(Code::kIo, "the storage answers with more bytes than were asked for");
  *passing = !IsLasting(code);
  return Status::Error(Code::kIo, *error != '\0' ? error : curl_.easy_strerror(code));
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::Open(Vfs* vfs, const S3Settings& settings) {
  Curl curl;
  Status s = LoadCurl(&curl);
  if (!s.ok()) return s.Prefixed(settings.url);
  return std::unique_ptr<HttpClient>(std::make_unique<CurlClient>(vfs, settings, curl));
}

}  // namespace kist

#endif  // KIST_S3
