// Parsing of the URL, and the order in which the environment and the AWS files are asked.
// Nothing here knows how requests are made; the environment is a function, so that tests have one.
// Threads: any.
#include "backup/s3_settings.h"

#include <algorithm>
#include <optional>

#include "backup/s3_xml.h"

namespace kist {
namespace {

constexpr uint64_t kIniBytesMax = uint64_t{1} << 20;
constexpr size_t kPrefixBytesMax = 512;

bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool AllOf(Slice text, Slice more) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return IsAlnum(c) || more.find(c) != Slice::npos; });
}

Slice Trim(Slice s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

std::optional<std::string> PercentDecode(Slice text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// "http[s]://host[:port]", without a path, a user or a password.
Status TakeEndpoint(const std::string& text, const std::string& from, std::string* endpoint) {
  const auto bad = [&](const char* why) { return Status::Invalid(from + ": " + why); };
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos ||
      (text.compare(0, scheme, "https") != 0 && text.compare(0, scheme, "http") != 0))
    return bad("an endpoint begins with https:// or http://");
  std::string host = text.substr(scheme + 3);
  if (!host.empty() && host.back() == '/') host.pop_back();
  if (host.find('@') != std::string::npos)
    return bad("an endpoint holds no user and no password; credentials come from the environment");
  if (host.empty() || !AllOf(host, ".-_:[]"))
    return bad("an endpoint is https://host or https://host:port");
  *endpoint = text.substr(0, scheme + 3) + host;
  return Status();
}

Status TakeParameter(Slice name, const std::string& value, S3Settings* s) {
  const std::string where = s->url + ": " + std::string(name);
  if (value.empty()) return Status::Invalid(where + " has no value");
  if (name == "endpoint") return TakeEndpoint(value, where, &s->endpoint);
  if (name == "region") {
    if (!IsS3Region(value)) return Status::Invalid(where + ": not the name of a region");
    s->region = value;
    return Status();
  }
  if (name == "writers") {
    if (value != "one") return Status::Invalid(where + ": one");
    s->one_writer = true;
    return Status();
  }
  if (value != "path" && value != "host") return Status::Invalid(where + ": path or host");
  s->style_given = true;
  s->path_style = value == "path";
  return Status();
}

bool IsBucket(const std::string& bucket) {
  return bucket.size() >= 3 && bucket.size() <= 255 && IsAlnum(bucket.front()) &&
         IsAlnum(bucket.back()) && AllOf(bucket, ".-_");
}

struct AwsFiles {
  std::string credentials, config, profile;
};

// A file that is not there is an empty one.
Status ReadAwsFiles(Vfs* vfs, const EnvironmentReader& env, AwsFiles* out) {
  const auto read = [&](const char* variable, const char* usual, std::string* text) {
    std::string path = env(variable);
    if (path.empty()) {
      const std::string home = env("HOME");
      if (home.empty()) return Status();
      path = JoinPath(home, usual);
    }
    auto got = ReadFile(vfs, path, kIniBytesMax);
    if (got.ok()) *text = got.Take();
    return got.ok() || got.status().Is(Code::kMissing) ? Status() : got.status();
  };
  KIST_TRY(read("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", &out->credentials));
  KIST_TRY(read("AWS_CONFIG_FILE", ".aws/config", &out->config));
  out->profile = env("AWS_PROFILE");
  if (out->profile.empty()) out->profile = "default";
  return Status();
}

// In the config file a profile other than the default one stands under "profile NAME".
std::string ConfigValue(const AwsFiles& files, const std::string& name) {
  std::string value = IniValue(files.config, "profile " + files.profile, name);
  if (value.empty() && files.profile == "default") value = IniValue(files.config, "default", name);
  return value;
}

}  // namespace

bool IsS3Region(Slice text) { return !text.empty() && text.size() <= 64 && AllOf(text, "-"); }

std::string IniValue(Slice text, const std::string& section, const std::string& name) {
  bool inside = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Slice line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool nested = !line.empty() && (line[0] == ' ' || line[0] == '\t');
    const Slice words = Trim(line);
    if (words.empty() || words[0] == '#' || words[0] == ';' || nested) continue;
    if (words.front() == '[' && words.back() == ']') {
      inside = Trim(words.substr(1, words.size() - 2)) == section;
      continue;
    }
    const size_t equals = words.find('=');
    if (!inside || equals == Slice::npos || Trim(words.substr(0, equals)) != name) continue;
    return std::string(Trim(words.substr(equals + 1)));
  }
  return std::string();
}

Result<S3Settings> ParseS3Url(const std::string& url) {
  S3Settings s;
  const std::string scheme = "s3://";
  if (url.compare(0, scheme.size(), scheme) != 0)
    return Status::Invalid("an S3 target is s3://bucket/prefix");
  const size_t question = std::min(url.find('?'), url.size());
  const std::string place = url.substr(scheme.size(), question - scheme.size());
  const size_t slash = std::min(place.find('/'), place.size());
  s.bucket = place.substr(0, slash);
  // A user and a password may stand where the bucket is sought.
  s.url = scheme + (AllOf(s.bucket, ".-_") ? place : "...");
  const auto bad = [&](const char* why) { return Status::Invalid(s.url + ": " + why); };
  if (!IsBucket(s.bucket)) return bad("the name of a bucket has 3 to 255 letters, digits and .-_");
  s.prefix = place.substr(std::min(slash + 1, place.size()));
  while (!s.prefix.empty() && s.prefix.back() == '/') s.prefix.pop_back();
  const std::string framed = "/" + s.prefix + "/";
  if (!s.prefix.empty() &&
      (framed.find("//") != std::string::npos || framed.find("/./") != std::string::npos ||
       framed.find("/../") != std::string::npos))
    return bad("a part of the prefix is empty, . or ..");
  if (!AllOf(s.prefix, "/.-_!*'()=+@,:~") || s.prefix.size() > kPrefixBytesMax)
    return bad("a prefix has at most 512 letters, digits and /.-_!*'()=+@,:~");
  s.url = scheme + s.bucket + (s.prefix.empty() ? "" : "/" + s.prefix);
  if (!s.prefix.empty()) s.prefix += '/';
  Slice rest = question < url.size() ? Slice(url).substr(question + 1) : Slice();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const Slice one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equals = std::min(one.find('='), one.size());
    const Slice name = one.substr(0, equals);
    if (name != "endpoint" && name != "region" && name != "style" && name != "writers") {
      // The name alone: someone may have put a secret behind it.
      const std::string known = AllOf(name, "-_") ? std::string(name) : "...";
      return Status::Invalid(
          s.url + ": unknown parameter " + known +
          "; there are endpoint, region, style and writers; no secrets stand here");
    }
    const auto value = PercentDecode(one.substr(std::min(equals + 1, one.size())));
    if (!value) return Status::Invalid(s.url + ": " + std::string(name) + ": a bad % escape");
    KIST_TRY(TakeParameter(name, *value, &s));
  }
  return s;
}

Result<S3Credentials> FindS3Credentials(Vfs* vfs, const EnvironmentReader& env) {
  S3Credentials c;
  c.key = env("AWS_ACCESS_KEY_ID");
  c.secret = env("AWS_SECRET_ACCESS_KEY");
  c.token = env("AWS_SESSION_TOKEN");
  if (!c.key.empty() && !c.secret.empty()) return c;
  if (!c.key.empty() || !c.secret.empty())
    return Status::Error(Code::kPermission,
                         "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set both");
  AwsFiles files;
  KIST_TRY(ReadAwsFiles(vfs, env, &files));
  const auto from = [&](const std::function<std::string(const char*)>& value) {
    c.key = value("aws_access_key_id");
    c.secret = value("aws_secret_access_key");
    c.token = value("aws_session_token");
    return !c.key.empty() && !c.secret.empty();
  };
  if (from([&](const char* n) { return IniValue(files.credentials, files.profile, n); })) return c;
  if (from([&](const char* n) { return ConfigValue(files, n); })) return c;
  return Status::Error(Code::kPermission,
                       "no S3 credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor in "
                       "profile " +
                           files.profile +
                           " (AWS_PROFILE) of "
                           "AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE");
}

Status CompleteS3Settings(Vfs* vfs, const EnvironmentReader& env, S3Settings* s) {
  AwsFiles files;
  KIST_TRY(ReadAwsFiles(vfs, env, &files));
  for (const char* variable : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    const std::string value = env(variable);
    if (s->endpoint.empty() && !value.empty())
      KIST_TRY(TakeEndpoint(value, variable, &s->endpoint));
  }
  const std::string configured = ConfigValue(files, "endpoint_url");
  if (s->endpoint.empty() && !configured.empty())
    KIST_TRY(TakeEndpoint(configured, "endpoint_url of the AWS config file", &s->endpoint));
  for (const std::string& region : {env("AWS_REGION"), env("AWS_DEFAULT_REGION"),
                                    ConfigValue(files, "region"), std::string("us-east-1")}) {
    if (!s->region.empty() || region.empty()) continue;
    if (!IsS3Region(region)) return Status::Invalid("AWS_REGION: not the name of a region");
    s->region = region;
  }
  // A certificate for *.host does not cover a bucket with a dot.
  if (!s->style_given)
    s->path_style = !s->endpoint.empty() || s->bucket.find('.') != std::string::npos;
  s->ca_bundle = env("AWS_CA_BUNDLE");
  KIST_TRY_ASSIGN(s->credentials, FindS3Credentials(vfs, env));
  return Status();
}

}  // namespace kist
