// XML answers: what they give, and that nothing else is taken for one.
#include "backup/s3_xml.h"

#include "support/unit_test.h"

namespace kist::test {
namespace {

constexpr char kPage[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://x/\"><Name>b</Name><!-- a > b --><Prefix/>"
    "<IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
    "<Contents><Key>p/a%2Bb+c</Key><Size>12</Size><Owner><ID>1</ID></Owner></Contents>\n"
    "<Contents><Size>0</Size><Key>p/d</Key></Contents>"
    "<NextContinuationToken>t&amp;&#x41;&#66;</NextContinuationToken></ListBucketResult>\n";

void s3_xml__a_page(void**) {
  const auto page = ParseS3Page(kPage);
  ASSERT_OK(page);
  assert_int_equal(page->objects.size(), 2);
  ASSERT_SLICE(page->objects[0].name, "p/a+b c");
  assert_int_equal(page->objects[0].bytes, 12);
  ASSERT_SLICE(page->objects[1].name, "p/d");
  ASSERT_SLICE(page->next, "t&AB");
  const auto last = ParseS3Page(
      "<s3:ListBucketResult><s3:IsTruncated>false</s3:IsTruncated></s3:ListBucketResult>");
  ASSERT_OK(last);
  assert_true(last->objects.empty() && last->next.empty());
}

// A page that was cut anywhere is no page: it would read as objects that are missing.
void s3_xml__a_page_cut_anywhere_is_refused(void**) {
  const std::string whole(kPage);
  for (size_t n = 0; n + 2 < whole.size(); ++n)
    ASSERT_CODE(ParseS3Page(whole.substr(0, n)), Code::kIo);
}

void s3_xml__refuses(void**) {
  const char* const bad[] = {
      "",
      "plain",
      "<a>",
      "<a></b>",
      "<a></a><b></b>",
      "</a>",
      "<a>&unknown;</a>",
      "<a>&#0;</a>",
      "<a>&#xffffffff;</a>",
      "<a b=\"</a>",
      "<!DOCTYPE a><a></a>",
      "<a><![CDATA[x</a>",
      "<></>",
  };
  for (const char* text : bad) {
    if (ParseXml(text).ok()) fail_msg("taken: %s", text);
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  ASSERT_CODE(ParseXml(deep), Code::kIo);
  const char* const pages[] = {
      "<Other><IsTruncated>false</IsTruncated></Other>",
      "<ListBucketResult></ListBucketResult>",
      "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"
      "</ListBucketResult>",
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size>"
      "</Contents></ListBucketResult>",
  };
  for (const char* text : pages) {
    if (ParseS3Page(text).ok()) fail_msg("taken: %s", text);
  }
}

void s3_xml__errors_and_uploads(void**) {
  S3Error e =
      ParseS3Error("<Error><Code>A</Code><Message>b &lt; c</Message><Region>r</Region></Error>");
  ASSERT_SLICE(e.code, "A");
  ASSERT_SLICE(e.message, "b < c");
  ASSERT_SLICE(e.region, "r");
  e = ParseS3Error("<ErrorResponse><Error><Code>B</Code></Error></ErrorResponse>");
  ASSERT_SLICE(e.code, "B");
  ASSERT_SLICE(ParseS3Error("<html><body>Bad Gateway").code, "");
  const auto uploads = ParseS3Uploads(
      "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>i</UploadId><Initiated>2026"
      "</Initiated></Upload></ListMultipartUploadsResult>");
  ASSERT_OK(uploads);
  assert_int_equal(uploads->size(), 1);
  ASSERT_SLICE((*uploads)[0].key + (*uploads)[0].id + (*uploads)[0].initiated, "ki2026");
  const auto text = ParseXml("<a>x<![CDATA[<&>]]>y<b/>z</a>");
  ASSERT_OK(text);
  ASSERT_SLICE(text->text, "x<&>yz");
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(s3_xml__a_page),
      cmocka_unit_test(s3_xml__a_page_cut_anywhere_is_refused),
      cmocka_unit_test(s3_xml__refuses),
      cmocka_unit_test(s3_xml__errors_and_uploads),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
