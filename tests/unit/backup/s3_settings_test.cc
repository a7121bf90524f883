// Where an S3 target is and who asks: URLs, the environment, the AWS files, in their order.
#include "backup/s3_settings.h"

#include <map>

#include "support/unit_test.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

using Variables = std::map<std::string, std::string>;

EnvironmentReader Reader(const Variables& variables) {
  return [&variables](const char* name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second : std::string();
  };
}

void Write(Vfs* vfs, const std::string& path, const std::string& text) {
  ASSERT_OK(ReplaceFile(vfs, path, text));
}

S3Settings Complete(Vfs* vfs, const std::string& url, const Variables& variables) {
  auto s = ParseS3Url(url);
  ASSERT_OK(s);
  ASSERT_OK(CompleteS3Settings(vfs, Reader(variables), &*s));
  return s.Take();
}

const Variables kKeys = {{"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "hidden"}};

void s3_settings__urls(void**) {
  auto s =
      ParseS3Url("s3://my-bucket/a/b?endpoint=https%3A%2F%2Fh:9000&region=eu-west-1&style=path");
  ASSERT_OK(s);
  ASSERT_SLICE(s->bucket, "my-bucket");
  ASSERT_SLICE(s->prefix, "a/b/");
  ASSERT_SLICE(s->endpoint, "https://h:9000");
  ASSERT_SLICE(s->region, "eu-west-1");
  assert_true(s->path_style);
  ASSERT_SLICE(s->url, "s3://my-bucket/a/b");
  assert_false(s->one_writer);
  assert_true(ParseS3Url("s3://bucket?writers=one")->one_writer);
  s = ParseS3Url("s3://bucket");
  ASSERT_OK(s);
  ASSERT_SLICE(s->prefix, "");
  ASSERT_SLICE(s->url, "s3://bucket");
  ASSERT_SLICE(ParseS3Url("s3://bucket/")->url, "s3://bucket");
  ASSERT_SLICE(ParseS3Url("s3://bucket/p//?")->prefix, "p/");
  ASSERT_SLICE(ParseS3Url("s3://bucket?endpoint=http://[::1]:80/")->endpoint, "http://[::1]:80");
}

// Each refusal names what is wrong, and nothing that stood behind a name.
void s3_settings__refuses_by_name(void**) {
  const struct {
    const char* url;
    const char* says;
  } cases[] = {
      {"s3://", "name of a bucket"},
      {"s3:///prefix", "name of a bucket"},
      {"s3://ab", "name of a bucket"},
      {"s3://key:hunter2@bucket/p", "name of a bucket"},
      {"s3://-bucket", "name of a bucket"},
      {"s3://bucket/a//b", "empty, . or .."},
      {"s3://bucket/../b", "empty, . or .."},
      {"s3://bucket/a b", "a prefix has"},
      {"s3://bucket/a%20b", "a prefix has"},
      {"s3://bucket?secret_key=hunter2", "unknown parameter secret_key"},
      {"s3://bucket?hun@ter2", "unknown parameter ..."},
      {"s3://bucket?Region=x", "unknown parameter Region"},
      {"s3://bucket?region=", "region has no value"},
      {"s3://bucket?region", "region has no value"},
      {"s3://bucket?region=a/b", "region: not the name"},
      {"s3://bucket?style=virtual", "style: path or host"},
      {"s3://bucket?writers=two", "writers: one"},
      {"s3://bucket?endpoint=minio:9000", "begins with https:// or http://"},
      {"s3://bucket?endpoint=ftp://h", "begins with https:// or http://"},
      {"s3://bucket?endpoint=https://u:hunter2@h", "no user and no password"},
      {"s3://bucket?endpoint=https://h/path", "https://host:port"},
      {"s3://bucket?endpoint=https://", "https://host:port"},
      {"s3://bucket?endpoint=https://h%2", "bad % escape"},
  };
  for (const auto& c : cases) {
    const auto s = ParseS3Url(c.url);
    ASSERT_CODE(s, Code::kInvalid);
    if (s.status().message().find(c.says) == std::string::npos)
      fail_msg("%s: no '%s' in: %s", c.url, c.says, s.status().message().c_str());
    if (s.status().message().find("hun") != std::string::npos)
      fail_msg("a secret in: %s", s.status().message().c_str());
  }
}

void s3_settings__what_is_left_open(void**) {
  auto vfs = NewMemoryVfs();
  S3Settings s = Complete(vfs.get(), "s3://bucket/p", kKeys);
  ASSERT_SLICE(s.endpoint, "");
  ASSERT_SLICE(s.region, "us-east-1");
  assert_false(s.path_style);
  assert_true(Complete(vfs.get(), "s3://with.dots/p", kKeys).path_style);
  assert_false(Complete(vfs.get(), "s3://with.dots/p?style=host", kKeys).path_style);
  Variables v = kKeys;
  v["AWS_DEFAULT_REGION"] = "r-1";
  ASSERT_SLICE(Complete(vfs.get(), "s3://bucket", v).region, "r-1");
  v["AWS_REGION"] = "r-2";
  ASSERT_SLICE(Complete(vfs.get(), "s3://bucket", v).region, "r-2");
  ASSERT_SLICE(Complete(vfs.get(), "s3://bucket?region=r-3", v).region, "r-3");
  v["AWS_ENDPOINT_URL"] = "http://one:1";
  s = Complete(vfs.get(), "s3://bucket", v);
  ASSERT_SLICE(s.endpoint, "http://one:1");
  assert_true(s.path_style);
  assert_false(Complete(vfs.get(), "s3://bucket?style=host", v).path_style);
  v["AWS_ENDPOINT_URL_S3"] = "http://two:2/";
  v["AWS_CA_BUNDLE"] = "/ca.pem";
  s = Complete(vfs.get(), "s3://bucket", v);
  ASSERT_SLICE(s.endpoint, "http://two:2");
  ASSERT_SLICE(s.ca_bundle, "/ca.pem");
  ASSERT_SLICE(Complete(vfs.get(), "s3://bucket?endpoint=http://three", v).endpoint,
               "http://three");
  v["AWS_ENDPOINT_URL_S3"] = "two";
  auto bad = ParseS3Url("s3://bucket");
  ASSERT_CODE(CompleteS3Settings(vfs.get(), Reader(v), &*bad), Code::kInvalid);
}

void s3_settings__credentials_of_the_environment(void**) {
  auto vfs = NewMemoryVfs();
  Variables v = kKeys;
  v["AWS_SESSION_TOKEN"] = "token";
  const auto c = FindS3Credentials(vfs.get(), Reader(v));
  ASSERT_OK(c);
  assert_true(*c == (S3Credentials{"id", "hidden", "token"}));
  v.erase("AWS_SECRET_ACCESS_KEY");
  ASSERT_CODE(FindS3Credentials(vfs.get(), Reader(v)), Code::kPermission);
  const auto none = FindS3Credentials(vfs.get(), Reader({}));
  ASSERT_CODE(none, Code::kPermission);
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"})
    assert_non_null(std::strstr(none.status().message().c_str(), name));
}

void s3_settings__credentials_of_the_files(void**) {
  auto vfs = NewMemoryVfs();
  ASSERT_OK(vfs->MakeDir("/home"));
  ASSERT_OK(vfs->MakeDir("/home/.aws"));
  Write(vfs.get(), "/home/.aws/credentials",
        "# comment\r\n[default]\r\naws_access_key_id = one\r\naws_secret_access_key=a=b\r\n"
        "[ other ]\n aws_access_key_id = nested\naws_access_key_id = two\n"
        "aws_secret_access_key = s2\naws_session_token = t2\n");
  Write(vfs.get(), "/home/.aws/config",
        "[default]\nregion = r-default\n[profile other]\nregion=r-other\n"
        "endpoint_url = http://of.profile:1\n[profile third]\naws_access_key_id=three\n"
        "aws_secret_access_key=s3\ns3 =\n  region = nested\n");
  Variables v = {{"HOME", "/home"}};
  S3Settings s = Complete(vfs.get(), "s3://bucket", v);
  assert_true(s.credentials == (S3Credentials{"one", "a=b", ""}));
  ASSERT_SLICE(s.region, "r-default");
  v["AWS_PROFILE"] = "other";
  s = Complete(vfs.get(), "s3://bucket", v);
  assert_true(s.credentials == (S3Credentials{"two", "s2", "t2"}));
  ASSERT_SLICE(s.region, "r-other");
  ASSERT_SLICE(s.endpoint, "http://of.profile:1");
  v["AWS_PROFILE"] = "third";
  s = Complete(vfs.get(), "s3://bucket", v);
  assert_true(s.credentials == (S3Credentials{"three", "s3", ""}));
  ASSERT_SLICE(s.region, "us-east-1");
  v["AWS_PROFILE"] = "absent";
  auto none = FindS3Credentials(vfs.get(), Reader(v));
  ASSERT_CODE(none, Code::kPermission);
  assert_non_null(std::strstr(none.status().message().c_str(), "profile absent"));
  v["AWS_PROFILE"] = "";
  Write(vfs.get(), "/keys", "[default]\naws_access_key_id=x\naws_secret_access_key=y");
  v["AWS_SHARED_CREDENTIALS_FILE"] = "/keys";
  assert_true(*FindS3Credentials(vfs.get(), Reader(v)) == (S3Credentials{"x", "y", ""}));
  v["AWS_ACCESS_KEY_ID"] = "env";
  v["AWS_SECRET_ACCESS_KEY"] = "first";
  assert_true(*FindS3Credentials(vfs.get(), Reader(v)) == (S3Credentials{"env", "first", ""}));
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(s3_settings__urls),
      cmocka_unit_test(s3_settings__refuses_by_name),
      cmocka_unit_test(s3_settings__what_is_left_open),
      cmocka_unit_test(s3_settings__credentials_of_the_environment),
      cmocka_unit_test(s3_settings__credentials_of_the_files),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
