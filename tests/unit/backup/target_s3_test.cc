// The S3 target against a store that checks every signature and fails on demand (s3_fake.py): what
// a target promises, which faults heal, which are told and how, and what two writers do.
#include "backup/target_s3.h"

#include <atomic>
#include <cerrno>
#include <thread>

#include "backup/backup.h"
#include "backup/restore.h"
#include "support/commit_history.h"
#include "support/s3_server.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kSecret[] = "secret/with+odd=chars";

S3Fake* fake = nullptr;
bool usable = false;  // there is a libcurl, and python3

#define NEEDS_S3() \
  if (!usable) print_message("needs libcurl and python3\n"), skip()

S3Settings Settings(const std::string& bucket, const std::string& prefix) {
  S3Settings s;
  s.bucket = bucket;
  s.prefix = prefix.empty() ? "" : prefix + "/";
  s.url = "s3://" + bucket + "/" + prefix;
  s.endpoint = "http://" + fake->Address();
  s.region = "us-east-1";
  s.path_style = true;
  s.credentials = {"AKIATEST", kSecret, ""};
  s.tries = 4;
  s.first_pause_us = 1000;
  s.pause_max_us = 4000;
  return s;
}

std::unique_ptr<Target> Open(const S3Settings& s, EnvironmentReader env = nullptr) {
  auto http = HttpClient::Open(PosixVfs(), s);
  ASSERT_OK(http);
  if (!env) env = [](const char*) { return std::string(); };
  return std::make_unique<S3Target>(
      std::make_unique<S3Client>(PosixVfs(), s, std::move(env), http.Take()));
}

std::unique_ptr<Target> Open(const std::string& bucket, const std::string& prefix) {
  return Open(Settings(bucket, prefix));
}

Status PutText(Target* target, const std::string& name, const std::string& text) {
  StringSource source(text);
  return target->Put(name, &source);
}

std::string Text(Target* target, const std::string& name) {
  auto got = GetAll(target, name, 1 << 26);
  ASSERT_OK(got);
  return got.Take();
}

std::string Names(Target* target, const std::string& prefix) {
  auto list = target->List(prefix);
  ASSERT_OK(list);
  std::string out;
  for (const ObjectInfo& o : *list) out += o.name + ":" + std::to_string(o.bytes) + " ";
  return out;
}

// A number that the fake tells about itself.
int Admin(const std::string& path) {
  auto http = HttpClient::Open(PosixVfs(), Settings("any", ""));
  ASSERT_OK(http);
  HttpRequest request;
  request.method = "GET";
  request.url = "http://" + fake->Address() + path;
  bool passing = false;
  auto reply = (*http)->Do(request, {"us-east-1", {"AKIATEST", kSecret, ""}}, &passing);
  ASSERT_OK(reply);
  return std::atoi(reply->text.c_str());
}

void target_s3__keeps_the_contract(void**) {
  NEEDS_S3();
  auto target = Open("bucket", "con+tract/~a=b");
  auto other = Open("bucket", "con+tract/~a=b2");
  ASSERT_OK(PutText(target.get(), "tables/1", "one"));
  ASSERT_OK(PutText(target.get(), "empty", ""));
  ASSERT_OK(PutText(target.get(), "tables/2", std::string(100000, 'x')));
  ASSERT_CODE(PutText(target.get(), "tables/1", "two"), Code::kExists);
  ASSERT_OK(PutText(other.get(), "tables/1", "else"));
  ASSERT_SLICE(Text(target.get(), "tables/1"), "one");
  ASSERT_SLICE(Text(target.get(), "empty"), "");
  ASSERT_SLICE(Text(target.get(), "tables/2"), std::string(100000, 'x'));
  char buf[8];
  auto got = target->Get("tables/1", 1, buf, 8);
  ASSERT_OK(got);
  ASSERT_SLICE(std::string(buf, *got), "ne");
  got = target->Get("tables/1", 1, buf, 1);
  ASSERT_OK(got);
  ASSERT_SLICE(std::string(buf, *got), "n");
  for (const uint64_t offset : {3, 4, 1000000}) {
    got = target->Get("tables/1", offset, buf, 8);
    ASSERT_OK(got);
    assert_int_equal(*got, 0);
  }
  ASSERT_CODE(target->Get("tables/3", 0, buf, 8), Code::kMissing);
  ASSERT_SLICE(Names(target.get(), ""), "create-once:68 empty:0 tables/1:3 tables/2:100000 ");
  ASSERT_SLICE(Names(target.get(), "tables/"), "tables/1:3 tables/2:100000 ");
  ASSERT_SLICE(Names(target.get(), "x"), "");
  ASSERT_OK(target->Delete("tables/1"));
  ASSERT_OK(target->Delete("tables/1"));
  ASSERT_CODE(target->Get("tables/1", 0, buf, 8), Code::kMissing);
  ASSERT_OK(PutText(target.get(), "tables/1", "again"));
  ASSERT_SLICE(Text(other.get(), "tables/1"), "else");
}

void target_s3__follows_pages(void**) {
  NEEDS_S3();
  auto target = Open("paged", "p");
  std::string want = "create-once:68 ";
  for (int i = 10; i < 21; ++i) {
    ASSERT_OK(PutText(target.get(), "n+" + std::to_string(i), "x"));
    want += "n+" + std::to_string(i) + ":1 ";
  }
  ASSERT_SLICE(Names(target.get(), ""), want);
}

void target_s3__puts_large_objects_in_parts(void**) {
  NEEDS_S3();
  S3Settings s = Settings("bucket", "put:503:1:partNumber=2,put:flip:1:partNumber=1");
  s.part_bytes = 1000;
  auto target = Open(s);
  Rng rng(Seed("parts"));
  for (const size_t n : {999, 1000, 1001, 2000, 2001, 5500}) {
    const std::string bytes = rng.Bytes(n), name = "n" + std::to_string(n);
    ASSERT_OK(PutText(target.get(), name, bytes));
    ASSERT_SLICE(Text(target.get(), name), bytes);
    ASSERT_CODE(PutText(target.get(), name, bytes), Code::kExists);
  }
  assert_int_equal(Admin("/_uploads"), 0);
}

// Whatever part of an upload in parts fails for good, nothing stays behind and nothing is seen.
void target_s3__a_failed_upload_leaves_nothing(void**) {
  NEEDS_S3();
  const struct {
    const char* fault;
    Code code;
  } cases[] = {
      {"post:denied:9:uploads=", Code::kPermission},    {"post:badxml:9:uploads=", Code::kIo},
      {"put:denied:9:partNumber=2", Code::kPermission}, {"put:507:9:partNumber=2", Code::kNoSpace},
      {"put:notag:9:partNumber=2", Code::kIo},          {"put:flip:9:partNumber=2", Code::kIo},
      {"post:denied:9:uploadId", Code::kPermission},    {"post:error200:9:uploadId", Code::kIo},
  };
  for (const auto& c : cases) {
    const int before = Admin("/_uploads");
    S3Settings s = Settings("bucket", c.fault);
    s.part_bytes = 1000;
    auto target = Open(s);
    Status status = PutText(target.get(), "x", std::string(2500, 'x'));
    if (!status.Is(c.code)) fail_msg("%s: %s", c.fault, status.ToString().c_str());
    // What was completed, or begun under a name that was lost, is the exception.
    const bool lost = std::strstr(c.fault, "badxml") != nullptr;
    assert_int_equal(Admin("/_uploads"), before + lost);
    char byte = 0;
    if (std::strstr(c.fault, "error200") == nullptr)
      ASSERT_CODE(target->Get("x", 0, &byte, 1), Code::kMissing);
  }
}

// The upload of a writer that died long ago goes; a young one, and what is not ours, stays.
void target_s3__aborts_what_dead_writers_left(void**) {
  NEEDS_S3();
  const int before = Admin("/_all-uploads");
  ASSERT_OK(PutText(Open("old-upload", "left").get(), "x", "y"));
  assert_int_equal(Admin("/_all-uploads"), before - 1);
}

void target_s3__faults_that_heal(void**) {
  NEEDS_S3();
  for (const char* kind :
       {"500", "502", "503", "429", "wordless", "cut", "flip", "slow", "lost", "twice"}) {
    const std::string put = std::string("put:") + kind + ":2:object";
    auto target = Open("bucket", put);
    const std::string bytes = std::string(70000, 'a') + kind;
    ASSERT_OK(PutOnce(target.get(), "object", bytes));  // an answer that was lost: kExists
    ASSERT_SLICE(Text(target.get(), "object"), bytes);
  }
  for (const char* kind : {"500", "502", "503", "429", "cut", "slow", "lost", "twice", "badxml"}) {
    const bool xml = std::strcmp(kind, "badxml") == 0;
    auto target = Open("bucket", std::string("get:") + kind + ":2");
    ASSERT_OK(PutText(target.get(), "object", std::string(70000, 'b')));
    if (xml) continue;
    ASSERT_SLICE(Text(target.get(), "object"), std::string(70000, 'b'));
    auto list = Open("bucket", std::string("get:") + kind + ":2:list-type");
    ASSERT_OK(PutText(list.get(), "object", "x"));
    ASSERT_SLICE(Names(list.get(), ""), "create-once:68 object:1 ");
    auto gone = Open("bucket", std::string("delete:") + kind + ":2");
    ASSERT_OK(PutText(gone.get(), "object", "x"));
    ASSERT_OK(gone->Delete("object"));
    ASSERT_SLICE(Names(gone.get(), ""), "create-once:68 ");
  }
  S3Settings s = Settings("bucket", "post:lost:1:uploadId");
  s.part_bytes = 1000;
  auto target = Open(s);
  ASSERT_CODE(PutText(target.get(), "x", std::string(2500, 'x')), Code::kExists);
  ASSERT_SLICE(Text(target.get(), "x"), std::string(2500, 'x'));
}

// An object that arrives after the next try for it: either order leaves the same.
void target_s3__late_arrivals_change_nothing(void**) {
  NEEDS_S3();
  auto target = Open("bucket", "put:late:3:object");
  for (int i = 0; i < 3; ++i) {
    const std::string name = "object-" + std::to_string(i);
    ASSERT_OK(PutOnce(target.get(), name, "same " + name));
    ASSERT_SLICE(Text(target.get(), name), "same " + name);
  }
}

void target_s3__faults_that_do_not_heal_are_told(void**) {
  NEEDS_S3();
  const struct {
    const char* fault;
    Code code;
    const char* says;
  } cases[] = {
      {"put:503:99:object", Code::kIo, "503 SlowDown"},
      {"put:503:99:object", Code::kIo, "(tried 4 times)"},
      {"put:flip:99:object", Code::kIo, "XAmzContentSHA256Mismatch"},
      {"put:denied:99:object", Code::kPermission, "403 AccessDenied: Access Denied"},
      {"put:skew:99:object", Code::kIo, "clock differs from the server's"},
      {"put:507:99:object", Code::kNoSpace, "507"},
      {"put:redirect:99:object", Code::kIo, "http://there.invalid/"},
      {"put:cut:99:object", Code::kIo, "PUT: "},
      {"get:500:99:object", Code::kIo, "GET: 500"},
      {"get:cut:99:object", Code::kIo, "GET: "},
      {"get:denied:99:object", Code::kPermission, "AccessDenied"},
      {"get:range:99:object", Code::kIo, "another range"},
      {"get:whole:99:object", Code::kIo, "all of an object"},
      {"get:badxml:99:list-type", Code::kIo, "not understood"},
      {"get:endless:99:list-type", Code::kIo, "does not end"},
  };
  for (const auto& c : cases) {
    auto target = Open("bucket", c.fault);
    Status s = PutText(target.get(), "object", "some bytes");
    char buf[4];
    if (s.ok()) s = target->Get("object", 2, buf, sizeof buf).status();
    if (s.ok()) s = target->List("").status();
    if (!s.Is(c.code) || s.message().find(c.says) == std::string::npos)
      fail_msg("%s: %s", c.fault, s.ToString().c_str());
    const bool names = s.message().find(std::string("s3://bucket/") + c.fault) == 0;
    if (!names) fail_msg("%s: which object? %s", c.fault, s.ToString().c_str());
    if (s.message().find(kSecret) != std::string::npos) fail_msg("a secret in a message");
  }
  auto absent = Open("absent", "p");
  const Status s = absent->List("").status();
  ASSERT_CODE(s, Code::kMissing);
  assert_non_null(std::strstr(s.message().c_str(), "NoSuchBucket"));
}

void target_s3__an_endpoint_that_is_not_there(void**) {
  NEEDS_S3();
  S3Settings s = Settings("bucket", "p");
  s.endpoint = "http://127.0.0.1:1";
  Status status = Open(s)->List("").status();
  ASSERT_CODE(status, Code::kIo);
  assert_non_null(std::strstr(status.message().c_str(), "tried 4 times"));
}

void target_s3__two_writers_never_mix(void**) {
  NEEDS_S3();
  constexpr int kWriters = 4, kObjects = 10;
  std::atomic<int> won{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      auto target = Open("bucket", "race");
      for (int i = 0; i < kObjects; ++i) {
        const Status s = PutText(target.get(), "o" + std::to_string(i), "w" + std::to_string(w));
        if (s.ok()) ++won;
        if (!s.ok()) ASSERT_CODE(s, Code::kExists);
      }
    });
  }
  for (std::thread& w : writers) w.join();
  assert_int_equal(won, kObjects);
}

// Storage that takes the second of two that create the same is refused before anything is written.
void target_s3__refuses_storage_without_conditions(void**) {
  NEEDS_S3();
  for (const char* bucket : {"careless", "simple"}) {
    auto target = Open(bucket, "p");
    const Status s = PutText(target.get(), "object", "x");
    ASSERT_CODE(s, Code::kUnsupported);
    assert_non_null(std::strstr(s.message().c_str(), "If-None-Match"));
    char byte = 0;
    ASSERT_CODE(target->Get("object", 0, &byte, 1), Code::kMissing);
    S3Settings one = Settings(bucket, "one");
    one.one_writer = true;
    one.part_bytes = 1000;
    target = Open(one);
    for (const size_t n : {10, 2500}) {
      const std::string name = "object" + std::to_string(n);
      ASSERT_OK(PutText(target.get(), name, std::string(n, 'x')));
      ASSERT_CODE(PutText(target.get(), name, "y"), Code::kExists);
      ASSERT_SLICE(Text(target.get(), name), std::string(n, 'x'));
    }
  }
}

void target_s3__finds_the_region(void**) {
  NEEDS_S3();
  for (const char* bucket : {"elsewhere", "malformed"}) {
    auto target = Open(bucket, "p");
    ASSERT_OK(PutText(target.get(), "object", "x"));
    ASSERT_SLICE(Text(target.get(), "object"), "x");
  }
}

void target_s3__addresses_buckets_by_host(void**) {
  NEEDS_S3();
  S3Settings s = Settings("by-host", "a/b");
  s.endpoint = "http://" + fake->Address("localhost");
  s.path_style = false;
  auto target = Open(s);
  ASSERT_OK(PutText(target.get(), "object", "x"));
  ASSERT_SLICE(Names(target.get(), ""), "create-once:68 object:1 ");
  assert_true(Admin("/_count/PUT%20by-host.localhost") > 0);
}

void target_s3__credentials(void**) {
  NEEDS_S3();
  S3Settings s = Settings("bucket", "credentials");
  s.credentials = {"ASIATEST", "second secret", "token/of+a=session=="};
  ASSERT_OK(PutText(Open(s).get(), "object", "x"));
  s.credentials.secret = "wrong";
  Status status = Open(s)->List("").status();
  ASSERT_CODE(status, Code::kPermission);
  assert_non_null(std::strstr(status.message().c_str(), "SignatureDoesNotMatch"));
  s.credentials = {"NOBODY", "x", ""};
  status = Open(s)->List("").status();
  ASSERT_CODE(status, Code::kPermission);
  assert_non_null(std::strstr(status.message().c_str(), "InvalidAccessKeyId"));
  // An expired session: its file has newer credentials, or the error stands.
  s.credentials = {"ASIAOLD", "old secret", "old token"};
  TempDir dir;
  const std::string file = dir.File("credentials");
  const EnvironmentReader env = [&](const char* name) {
    return std::strcmp(name, "AWS_SHARED_CREDENTIALS_FILE") == 0 ? file : std::string();
  };
  auto target = Open(s, env);
  status = target->List("").status();
  ASSERT_CODE(status, Code::kIo);
  assert_non_null(std::strstr(status.message().c_str(), "ExpiredToken"));
  ASSERT_OK(ReplaceFile(PosixVfs(), file,
                        std::string("[default]\naws_access_key_id=AKIATEST\n"
                                    "aws_secret_access_key=") +
                            kSecret + "\n"));
  ASSERT_OK(target->List(""));
}

class FailingSource final : public ObjectSource {
 public:
  explicit FailingSource(uint64_t bytes, int reads) : bytes_(bytes), reads_(reads) {}
  uint64_t bytes() const override { return bytes_; }
  Status Read(uint64_t, char* buf, size_t n) override {
    if (--reads_ < 0) return Status::Bare(Code::kCancelled);
    std::fill_n(buf, n, 'x');
    return Status();
  }

 private:
  const uint64_t bytes_;
  int reads_;
};

void target_s3__a_source_that_fails_ends_the_call_as_it_says(void**) {
  NEEDS_S3();
  S3Settings s = Settings("bucket", "source");
  s.part_bytes = 1 << 20;
  auto target = Open(s);
  for (int reads = 0; reads < 40; ++reads) {
    FailingSource source(reads < 20 ? 1 << 20 : 3 << 20, reads % 20);
    const Status status = target->Put("object", &source);
    if (status.ok()) break;  // it was read to its end
    ASSERT_CODE(status, Code::kCancelled);
    char byte = 0;
    ASSERT_CODE(target->Get("object", 0, &byte, 1), Code::kMissing);
  }
}

// A cancellation ends a call that stands still, and one that pauses between tries.
void target_s3__can_be_cancelled(void**) {
  NEEDS_S3();
  for (const char* fault : {"get:stall:99:object", "get:503:9999:object"}) {
    S3Settings s = Settings("bucket", fault);
    s.tries = 9999;
    auto target = Open(s);
    ASSERT_OK(PutText(target.get(), "object", "x"));
    std::atomic<int> asked{0};
    target->set_poll([&] { return ++asked > 2 ? Status::Bare(Code::kCancelled) : Status(); });
    char byte = 0;
    ASSERT_CODE(target->Get("object", 0, &byte, 1), Code::kCancelled);
  }
}

void target_s3__a_transfer_that_stands_still_is_tried_again(void**) {
  NEEDS_S3();
  S3Settings s = Settings("bucket", "get:stall:1:object");
  ASSERT_OK(PutText(Open(s).get(), "object", "x"));
  s.stall_s = 1;
  s.tries = 30;  // a busy machine may stand still for a second by itself
  auto target = Open(s);
  ASSERT_SLICE(Text(target.get(), "object"), "x");
}

void target_s3__speaks_tls(void**) {
  NEEDS_S3();
  TempDir dir;
  const std::string cert = dir.File("cert.pem"), key = dir.File("key.pem");
  const std::string make =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
      "-subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2 -keyout " +
      key + " -out " + cert + " >/dev/null 2>&1";
  if (std::system(make.c_str()) != 0) {
    print_message("openssl cannot make a certificate here\n");
    skip();
  }
  S3Fake secure({"--tls", cert, key});
  assert_true(secure.ok());
  S3Settings s = Settings("bucket", "tls");
  s.endpoint = "https://" + secure.Address("localhost");
  Status status = Open(s)->List("").status();
  ASSERT_CODE(status, Code::kIo);
  assert_non_null(std::strstr(status.message().c_str(), "certificate"));
  assert_null(std::strstr(status.message().c_str(), "tried"));
  s.ca_bundle = cert;
  auto target = Open(s);
  ASSERT_OK(PutText(target.get(), "object", std::string(300000, 'x')));
  ASSERT_SLICE(Text(target.get(), "object"), std::string(300000, 'x'));
  s.endpoint = "https://" + secure.Address("127.0.0.1");  // another name than the certificate's
  ASSERT_CODE(Open(s)->List(""), Code::kIo);
}

// A backup through a bad network restores to exactly what the database held.
void target_s3__backup_and_restore_through_faults(void**) {
  NEEDS_S3();
  const char* const kFaults =
      "put:503:3,put:lost:3:range,put:lost:2:tables,put:cut:3:tables,put:flip:2,get:cut:9,"
      "get:503:9:list-type,put:late:2:start,delete:lost:5";
  S3Settings s = Settings("bucket", kFaults);
  s.tries = 20;
  auto vfs = NewMemoryVfs();
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; sync=never; write_buffer_size=64KiB"));
  auto db = Db::Open("/db", options, LogSink(), vfs.get());
  ASSERT_OK(db.status());
  CommitHistory history(Seed("through faults"));
  history.Use(db->get());
  for (int round = 0; round < 3; ++round) {
    history.Steps(60);
    Sequence seq = 0;
    ASSERT_OK(MakeBackup(db->get(), Open(s).get(), {}, &seq));
    Sequence restored = 0;
    ASSERT_OK(RestoreBackup(Open(s).get(), vfs.get(), "/back", {}, {}, &restored));
    assert_int_equal(restored, seq);
    ASSERT_SLICE(DumpAt(vfs.get(), "/back"), history.At(seq));
    ASSERT_OK(DestroyDb("/back", vfs.get()));
  }
  ASSERT_OK((*db)->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  S3Fake server;
  fake = &server;
  const auto http = kist::HttpClient::Open(kist::PosixVfs(), Settings("any", ""));
  if (!http.ok()) std::printf("%s\n", http.status().message().c_str());
  if (!server.ok()) std::printf("no python3 here\n");
  usable = server.ok() && http.ok();
  const CMUnitTest tests[] = {
      cmocka_unit_test(target_s3__keeps_the_contract),
      cmocka_unit_test(target_s3__follows_pages),
      cmocka_unit_test(target_s3__puts_large_objects_in_parts),
      cmocka_unit_test(target_s3__a_failed_upload_leaves_nothing),
      cmocka_unit_test(target_s3__aborts_what_dead_writers_left),
      cmocka_unit_test(target_s3__faults_that_heal),
      cmocka_unit_test(target_s3__late_arrivals_change_nothing),
      cmocka_unit_test(target_s3__faults_that_do_not_heal_are_told),
      cmocka_unit_test(target_s3__an_endpoint_that_is_not_there),
      cmocka_unit_test(target_s3__two_writers_never_mix),
      cmocka_unit_test(target_s3__refuses_storage_without_conditions),
      cmocka_unit_test(target_s3__finds_the_region),
      cmocka_unit_test(target_s3__addresses_buckets_by_host),
      cmocka_unit_test(target_s3__credentials),
      cmocka_unit_test(target_s3__a_source_that_fails_ends_the_call_as_it_says),
      cmocka_unit_test(target_s3__can_be_cancelled),
      cmocka_unit_test(target_s3__a_transfer_that_stands_still_is_tried_again),
      cmocka_unit_test(target_s3__speaks_tls),
      cmocka_unit_test(target_s3__backup_and_restore_through_faults),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
