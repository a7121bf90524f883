// What S3 answers in XML: errors, listings, multipart uploads.
// Invariant: any bytes are refused or give plain values; depth and count of elements are bounded.
// Attributes, comments and name spaces are passed over; a document type is refused.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "backup/target.h"
#include "util/status.h"

namespace kist {

struct XmlElement {
  std::string name;  // without its name space
  std::string text;  // of its own, without that of its children
  std::vector<XmlElement> children;

  const XmlElement* Child(Slice child) const;
  std::string TextOf(Slice child) const;  // empty where there is none
};
Result<XmlElement> ParseXml(Slice text);

struct S3Error {
  std::string code, message, region;
};
S3Error ParseS3Error(Slice text);  // empty where it is none

struct S3Page {
  std::vector<ObjectInfo> objects;
  std::string next;  // continuation token; empty: it was the last page
};
// A page of ListObjectsV2 that was asked for with encoding-type=url.
Result<S3Page> ParseS3Page(Slice text);

struct S3Upload {
  std::string key, id, initiated;  // initiated: "2026-11-20T10:00:00.000Z"
};
Result<std::vector<S3Upload>> ParseS3Uploads(Slice text);

int HexDigit(char c);  // -1 where it is none
// The bytes that %XX and + stand for; what is no escape stays.
std::string UrlDecode(Slice text);

}  // namespace kist
