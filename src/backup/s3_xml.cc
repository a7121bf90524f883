// A parser for the part of XML that S3 answers with, and what is taken out of the tree.
// Text is taken from the front as it is understood; what stands nowhere in S3 is refused.
// Threads: pure functions.
#include "backup/s3_xml.h"

#include <algorithm>

namespace kist {
namespace {

constexpr int kDepthMax = 16;
constexpr size_t kElementsMax = 100000;

Status Bad(const char* why) {
  return Status::Error(Code::kIo, std::string("the storage's answer is not understood: ") + why);
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void AppendUtf8(std::string* out, uint32_t c) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xc0 | c >> 6);
    *out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out += static_cast<char>(0xe0 | c >> 12);
    *out += static_cast<char>(0x80 | (c >> 6 & 63));
    *out += static_cast<char>(0x80 | (c & 63));
  } else {
    *out += static_cast<char>(0xf0 | c >> 18);
    *out += static_cast<char>(0x80 | (c >> 12 & 63));
    *out += static_cast<char>(0x80 | (c >> 6 & 63));
    *out += static_cast<char>(0x80 | (c & 63));
  }
}

// What stands between & and ;.
bool AppendEntity(Slice name, std::string* out) {
  static const struct {
    const char* name;
    char byte;
  } kNamed[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& named : kNamed) {
    if (name != named.name) continue;
    *out += named.byte;
    return true;
  }
  if (name.size() < 2 || name[0] != '#') return false;
  const bool hex = name[1] == 'x';
  const Slice digits = name.substr(hex ? 2 : 1);
  if (digits.empty() || digits.size() > 7) return false;
  uint32_t c = 0;
  for (const char d : digits) {
    const char low = static_cast<char>(d | 0x20);
    if (d >= '0' && d <= '9') {
      c = c * (hex ? 16 : 10) + static_cast<uint32_t>(d - '0');
    } else if (hex && low >= 'a' && low <= 'f') {
      c = c * 16 + static_cast<uint32_t>(low - 'a' + 10);
    } else {
      return false;
    }
  }
  if (c == 0 || c > 0x10ffff) return false;
  AppendUtf8(out, c);
  return true;
}

class Parser {
 public:
  explicit Parser(Slice text) : rest_(text) {}

  Result<XmlElement> Document() {
    XmlElement outside, root;
    KIST_TRY(Content(&outside, 0));
    if (!rest_.empty()) return Bad("an end without a beginning");
    if (outside.children.size() != 1) return Bad("not one XML element");
    return std::move(outside.children[0]);
  }

 private:
  // Up to the end tag of `parent`, which stays, or the end of the text at depth 0.
  Status Content(XmlElement* parent, int depth) {
    while (!rest_.empty()) {
      if (rest_[0] != '<') {
        KIST_TRY(Text(parent));
      } else if (Skip("<?", "?>") || Skip("<!--", "-->")) {
        continue;
      } else if (rest_.substr(0, 9) == "<![CDATA[") {
        const size_t end = rest_.find("]]>");
        if (end == Slice::npos) return Bad("CDATA without an end");
        parent->text.append(rest_.substr(9, end - 9));
        rest_.remove_prefix(end + 3);
      } else if (rest_.substr(0, 2) == "<!") {
        return Bad("a document type");
      } else if (rest_.substr(0, 2) == "</") {
        return Status();
      } else {
        if (depth == kDepthMax || ++elements_ > kElementsMax) return Bad("too much of it");
        parent->children.emplace_back();
        KIST_TRY(Element(&parent->children.back(), depth));
      }
    }
    return depth == 0 ? Status() : Bad("cut short");
  }

  Status Text(XmlElement* parent) {
    const size_t end = std::min(rest_.find('<'), rest_.size());
    Slice text = rest_.substr(0, end);
    rest_.remove_prefix(end);
    while (!text.empty()) {
      const size_t entity = std::min(text.find('&'), text.size());
      parent->text.append(text.substr(0, entity));
      text.remove_prefix(entity);
      if (text.empty()) break;
      const size_t semicolon = text.find(';');
      if (semicolon == Slice::npos || !AppendEntity(text.substr(1, semicolon - 1), &parent->text))
        return Bad("an unknown entity");
      text.remove_prefix(semicolon + 1);
    }
    return Status();
  }

  Status Element(XmlElement* element, int depth) {
    rest_.remove_prefix(1);
    const Slice full = TakeName();
    if (full.empty()) return Bad("an element without a name");
    const size_t colon = full.find(':');
    element->name = full.substr(colon == Slice::npos ? 0 : colon + 1);
    bool closed = false;
    KIST_TRY(Attributes(&closed));
    if (closed) return Status();
    KIST_TRY(Content(element, depth + 1));
    rest_.remove_prefix(2);
    if (TakeName() != full) return Bad("an end tag of another element");
    while (!rest_.empty() && IsBlank(rest_[0])) rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] != '>') return Bad("an end tag that does not end");
    rest_.remove_prefix(1);
    return Status();
  }

  // Past the > of a start tag; closed: it was />.
  Status Attributes(bool* closed) {
    char quote = 0;
    for (size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '<') {
        break;
      } else if (c == '>') {
        *closed = i > 0 && rest_[i - 1] == '/';
        rest_.remove_prefix(i + 1);
        return Status();
      }
    }
    return Bad("a tag that does not end");
  }

  Slice TakeName() {
    size_t n = 0;
    while (n < rest_.size() && !IsBlank(rest_[n]) && Slice("/>=<").find(rest_[n]) == Slice::npos)
      ++n;
    const Slice name = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return name;
  }

  bool Skip(Slice begin, Slice end) {
    if (rest_.substr(0, begin.size()) != begin) return false;
    const size_t at = rest_.find(end);
    rest_.remove_prefix(at == Slice::npos ? rest_.size() : at + end.size());
    return true;
  }

  Slice rest_;
  size_t elements_ = 0;
};

bool ParseNumber(const std::string& text, uint64_t* number) {
  if (text.empty() || text.size() > 19) return false;
  *number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    *number = *number * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

}  // namespace

const XmlElement* XmlElement::Child(Slice child) const {
  for (const XmlElement& e : children) {
    if (e.name == child) return &e;
  }
  return nullptr;
}

std::string XmlElement::TextOf(Slice child) const {
  const XmlElement* const e = Child(child);
  return e != nullptr ? e->text : std::string();
}

Result<XmlElement> ParseXml(Slice text) { return Parser(text).Document(); }

S3Error ParseS3Error(Slice text) {
  S3Error error;
  const auto root = ParseXml(text);
  if (!root.ok()) return error;
  const XmlElement* e = &*root;
  if (e->name == "ErrorResponse" && e->Child("Error") != nullptr) e = e->Child("Error");
  if (e->name != "Error") return error;
  error.code = e->TextOf("Code");
  error.message = e->TextOf("Message");
  error.region = e->TextOf("Region");
  return error;
}

Result<S3Page> ParseS3Page(Slice text) {
  KIST_TRY_ASSIGN(const XmlElement root, ParseXml(text));
  if (root.name != "ListBucketResult") return Bad("not a listing");
  const bool encoded = root.TextOf("EncodingType") == "url";
  S3Page page;
  for (const XmlElement& e : root.children) {
    if (e.name != "Contents") continue;
    ObjectInfo object;
    object.name = encoded ? UrlDecode(e.TextOf("Key")) : e.TextOf("Key");
    if (object.name.empty() || !ParseNumber(e.TextOf("Size"), &object.bytes))
      return Bad("an object without a name or a size");
    page.objects.push_back(std::move(object));
  }
  page.next = root.TextOf("NextContinuationToken");
  const std::string truncated = root.TextOf("IsTruncated");
  if (truncated != "true" && truncated != "false") return Bad("a listing that may go on or not");
  if ((truncated == "true") == page.next.empty()) {
    if (page.next.empty()) return Bad("a listing that goes on without saying where");
    page.next.clear();
  }
  return page;
}

Result<std::vector<S3Upload>> ParseS3Uploads(Slice text) {
  KIST_TRY_ASSIGN(const XmlElement root, ParseXml(text));
  if (root.name != "ListMultipartUploadsResult") return Bad("not a listing of uploads");
  std::vector<S3Upload> uploads;
  for (const XmlElement& e : root.children) {
    if (e.name == "Upload")
      uploads.push_back({e.TextOf("Key"), e.TextOf("UploadId"), e.TextOf("Initiated")});
  }
  return uploads;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string UrlDecode(Slice text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
                        HexDigit(text[i + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace kist
