// The calls of a target as calls of S3.
// Reading first, then writing: whole objects, parts, and what makes sure of the condition.
// Threads: see target_s3.h.
#include "backup/target_s3.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "backup/objects.h"
#include "vfs/process.h"

namespace kist {
namespace {

constexpr char kOnceName[] = "create-once";
constexpr char kOnlyIfNew[] = "If-None-Match: *";
constexpr uint64_t kPartsMax = 10000;
constexpr int64_t kLeftoverMs = int64_t{24} * 3600 * 1000;
constexpr size_t kPagesMax = 1000000;

// Days of the civil calendar since 1970-01-01.
int64_t DaysOf(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// Unix milliseconds of "2026-11-20T10:00:00..."; INT64_MAX, which is never old, for anything else.
int64_t ParseTimeMs(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute,
                  &second) != 6)
    return INT64_MAX;
  const int64_t seconds = ((DaysOf(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  return seconds * 1000;
}

}  // namespace

Result<std::unique_ptr<Target>> S3Target::Open(Vfs* vfs, const std::string& url) {
  KIST_TRY_ASSIGN(S3Settings settings, ParseS3Url(url));
  KIST_TRY_ASSIGN(auto client, S3Client::Open(vfs, std::move(settings), [](const char* name) {
                    return EnvironmentText(name);
                  }));
  return std::unique_ptr<Target>(std::make_unique<S3Target>(std::move(client)));
}

// ---- reading

Result<size_t> S3Target::Get(const std::string& name, uint64_t offset, char* buf, size_t n) {
  if (n == 0) return size_t{0};
  S3Call call;
  call.object = name;
  call.headers = {"Range: bytes=" + std::to_string(offset) + "-" + std::to_string(offset + n - 1)};
  call.out = buf;
  call.out_bytes = n;
  KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
  if (reply.code == 416) return size_t{0};  // at or beyond the end
  const auto wrong = [&](const char* why) {
    return Status::Error(Code::kIo, NameOf(name) + ": GET: the storage answers " + why);
  };
  if (reply.code == 206) {
    const auto range = reply.http.headers.find("content-range");
    const std::string want = "bytes " + std::to_string(offset) + "-";
    if (range == reply.http.headers.end() || range->second.compare(0, want.size(), want) != 0)
      return wrong("with another range than was asked for");
    return reply.http.out_bytes;
  }
  if (reply.code == 200) {
    if (offset != 0) return wrong("with all of an object where a range was asked for");
    return reply.http.out_bytes;
  }
  return client_->ErrorOf(call, reply);
}

Result<std::vector<ObjectInfo>> S3Target::List(const std::string& prefix) {
  const std::string& own = client_->settings().prefix;
  std::vector<ObjectInfo> out;
  std::string next;
  for (size_t pages = 0; pages < kPagesMax; ++pages) {
    S3Call call;
    call.whole_bucket = true;
    if (pages != 0) call.query.emplace_back("continuation-token", next);
    call.query.emplace_back("encoding-type", "url");
    call.query.emplace_back("list-type", "2");
    call.query.emplace_back("prefix", own + prefix);
    KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
    if (!reply.ok()) return client_->ErrorOf(call, reply);
    auto page = ParseS3Page(reply.http.text);
    if (!page.ok()) return page.status().Prefixed(url() + ": GET");
    for (ObjectInfo& object : page->objects) {
      if (object.name.compare(0, own.size(), own) != 0) continue;
      object.name.erase(0, own.size());
      if (object.name.compare(0, prefix.size(), prefix) == 0) out.push_back(std::move(object));
    }
    if (page->next.empty()) {
      const auto less = [](const auto& a, const auto& b) { return a.name < b.name; };
      std::sort(out.begin(), out.end(), less);
      const auto same = [](const auto& a, const auto& b) { return a.name == b.name; };
      out.erase(std::unique(out.begin(), out.end(), same), out.end());
      return out;
    }
    if (page->next == next) break;
    next = std::move(page->next);
  }
  return Status::Error(Code::kIo, url() + ": GET: the storage's listing does not end");
}

Result<bool> S3Target::Exists(const std::string& name) {
  S3Call call;
  call.method = "HEAD";
  call.object = name;
  KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
  if (!reply.ok() && reply.code != 404) return client_->ErrorOf(call, reply);
  return reply.ok();
}

// ---- writing

Status S3Target::Taken(const std::string& name) const {
  return Status::Error(Code::kExists, NameOf(name) + ": there already");
}

Status S3Target::PrepareToWrite() {
  MutexLock lock(&mutex_);
  if (prepared_) return Status();
  if (!client_->settings().one_writer) KIST_TRY(CheckConditions());
  AbortLeftovers();
  prepared_ = true;
  return Status();
}

Status S3Target::CheckConditions() {
  StringSource source("Kist creates this object once, and again to see that it is refused.\n");
  for (int i = 0; i < 2; ++i) {
    S3Reply reply;
    Status s = PutWhole(kOnceName, &source, &reply);
    if (reply.code == 412) return Status();
    if (!s.ok() && !s.Is(Code::kUnsupported)) return s;
    if (!s.ok() || i == 1) break;
  }
  return Status::Error(Code::kUnsupported,
                       url() +
                           ": this storage does not honour If-None-Match: *, which keeps "
                           "writers apart; writers=one in the URL says that there is but one");
}

// What cannot be listed or aborted now is the next writer's.
void S3Target::AbortLeftovers() {
  const std::string& own = client_->settings().prefix;
  S3Call call;
  call.whole_bucket = true;
  call.query = {{"prefix", own}, {"uploads", ""}};
  auto reply = client_->Do(call);
  if (!reply.ok() || !reply->ok()) return;
  auto uploads = ParseS3Uploads(reply->http.text);
  if (!uploads.ok()) return;
  const int64_t now_ms = client_->vfs()->WallMs();
  for (const S3Upload& upload : *uploads) {
    if (upload.key.compare(0, own.size(), own) != 0) continue;
    const std::string name = upload.key.substr(own.size());
    if (!ParseObjectName(name) || ParseTimeMs(upload.initiated) > now_ms - kLeftoverMs) continue;
    static_cast<void>(Abort(name, upload.id).ok());
  }
}

Status S3Target::PutWhole(const std::string& name, ObjectSource* source, S3Reply* reply) {
  S3Call call;
  call.method = "PUT";
  call.object = name;
  if (!client_->settings().one_writer) call.headers = {kOnlyIfNew};
  call.body = source;
  call.body_bytes = source->bytes();
  KIST_TRY_ASSIGN(*reply, client_->Do(call));
  if (reply->ok()) return Status();
  if (reply->code == 412) return Taken(name);
  return client_->ErrorOf(call, *reply);
}

Status S3Target::Put(const std::string& name, ObjectSource* source) {
  KIST_TRY(PrepareToWrite());
  if (client_->settings().one_writer) {
    KIST_TRY_ASSIGN(const bool there, Exists(name));
    if (there) return Taken(name);
  }
  if (source->bytes() > client_->settings().part_bytes) return PutInParts(name, source);
  S3Reply reply;
  return PutWhole(name, source, &reply);
}

Status S3Target::PutInParts(const std::string& name, ObjectSource* source) {
  S3Call call;
  call.method = "POST";
  call.object = name;
  call.query = {{"uploads", ""}};
  KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
  if (!reply.ok()) return client_->ErrorOf(call, reply);
  KIST_TRY_ASSIGN(const XmlElement root, ParseXml(reply.http.text));
  const std::string id = root.TextOf("UploadId");
  if (id.empty())
    return Status::Error(Code::kIo, NameOf(name) + ": POST: the storage names no upload");
  std::string completion;
  Status s = PutParts(name, id, source, &completion);
  if (s.ok()) s = Complete(name, id, completion);
  if (!s.ok()) static_cast<void>(Abort(name, id).ok());
  return s;
}

Status S3Target::PutParts(const std::string& name, const std::string& id, ObjectSource* source,
                          std::string* completion) {
  const uint64_t bytes = source->bytes();
  const uint64_t step = std::max(client_->settings().part_bytes, bytes / kPartsMax + 1);
  *completion = "<CompleteMultipartUpload>";
  uint64_t number = 1;
  for (uint64_t at = 0; at < bytes; at += step, ++number) {
    S3Call call;
    call.method = "PUT";
    call.object = name;
    call.query = {{"partNumber", std::to_string(number)}, {"uploadId", id}};
    call.body = source;
    call.body_offset = at;
    call.body_bytes = std::min(step, bytes - at);
    KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
    if (!reply.ok()) return client_->ErrorOf(call, reply);
    const auto tag = reply.http.headers.find("etag");
    if (tag == reply.http.headers.end() || tag->second.find_first_of("<>&") != std::string::npos)
      return Status::Error(Code::kIo, NameOf(name) + ": PUT: the storage gives a part no tag");
    *completion += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" +
                   tag->second + "</ETag></Part>";
  }
  *completion += "</CompleteMultipartUpload>";
  return Status();
}

Status S3Target::Complete(const std::string& name, const std::string& id,
                          const std::string& completion) {
  StringSource source(completion);
  S3Call call;
  call.method = "POST";
  call.object = name;
  call.query = {{"uploadId", id}};
  call.headers = {"Content-Type: application/xml"};
  if (!client_->settings().one_writer) call.headers.push_back(kOnlyIfNew);
  call.body = &source;
  call.body_bytes = source.bytes();
  KIST_TRY_ASSIGN(S3Reply reply, client_->Do(call));
  if (reply.ok()) reply.error = ParseS3Error(reply.http.text);  // it may fail after its 200
  if (reply.ok() && reply.error.code.empty()) return Status();
  if (reply.code == 412 || reply.error.code == "PreconditionFailed") return Taken(name);
  if (reply.code == 404) {  // no such upload: an earlier try, whose answer was lost, completed it
    KIST_TRY_ASSIGN(const bool there, Exists(name));
    if (there) return Taken(name);
  }
  Status s = client_->ErrorOf(call, reply);
  return s.Is(Code::kMissing) ? s.WithCode(Code::kIo) : s;
}

// After a cancellation too.
Status S3Target::Abort(const std::string& name, const std::string& id) {
  S3Call call;
  call.method = "DELETE";
  call.object = name;
  call.query = {{"uploadId", id}};
  call.unasked = true;
  KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
  return reply.ok() ? Status() : client_->ErrorOf(call, reply);
}

Status S3Target::Delete(const std::string& name) {
  S3Call call;
  call.method = "DELETE";
  call.object = name;
  KIST_TRY_ASSIGN(const S3Reply reply, client_->Do(call));
  return reply.ok() ? Status() : client_->ErrorOf(call, reply);
}

}  // namespace kist
