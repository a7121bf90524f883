// What S3 storage answers and what a user writes about it: any bytes are refused or give plain
// values. XML as each kind of answer (from 128 on in the first byte as often as the last one says,
// within an element), URLs of targets, AWS files.
#include "backup/s3_settings.h"
#include "backup/s3_xml.h"
#include "fuzz_input.h"

using namespace kist;

namespace {

std::string Repeated(const std::string& text) {
  std::string all = "<ListBucketResult>";
  const size_t least = text.empty() ? 0 : size_t{static_cast<uint8_t>(text.back())} * 2048;
  while (text.size() > 1 && all.size() < least) all.append(text, 0, text.size() - 1);
  return all + "</ListBucketResult>";
}

void CheckXml(const std::string& text) {
  const auto page = ParseS3Page(text);
  if (page.ok()) {
    for (const ObjectInfo& object : page->objects) MUST(!object.name.empty());
  }
  (void)ParseS3Uploads(text);
  const S3Error error = ParseS3Error(text);
  MUST(error.code.size() <= text.size());
}

void CheckUrl(const std::string& text) {
  const auto settings = ParseS3Url("s3://" + text);
  if (!settings.ok()) return;
  MUST(settings->bucket.size() >= 3);
  MUST(settings->prefix.empty() || settings->prefix.back() == '/');
  // What messages show is a target of its own: the same place, without what was said about it.
  const auto again = ParseS3Url(settings->url);
  MUST(again.ok());
  MUST(again->bucket == settings->bucket && again->prefix == settings->prefix);
  MUST(again->endpoint.empty() && again->region.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4) {
    case 0:
      CheckXml(data[0] < 128 ? text : Repeated(text));
      break;
    case 1:
      CheckUrl(text);
      break;
    case 2:
      MUST(IniValue(text, "default", "aws_secret_access_key").size() <= text.size());
      break;
    default:
      MUST(UrlDecode(text).size() <= text.size());
  }
  return 0;
}
