// Tests of the option registry: names, strict parsing, canonical text, derived sizes, keyspace
// texts.
#include "db/options.h"

#include <algorithm>
#include <string>

#include "support/unit_test.h"

using kist::Code;
using kist::Compression;
using kist::DbOptions;
using kist::KeyspaceOptions;
using kist::OptionInfo;
using kist::OptionSet;
using kist::Slice;
using kist::Status;
using kist::SyncPolicy;

namespace {

void AssertRefused(const char* name, const char* value) {
  OptionSet set;
  const std::string before = *set.Get(name);
  const Status s = set.Set(name, value);
  assert_int_equal(s.rc(), static_cast<int>(Code::kInvalid));
  assert_non_null(std::strstr(s.message().c_str(), name));
  assert_non_null(std::strstr(s.message().c_str(), kist::FindOption(name)->bounds));
  assert_string_equal((*set.Get(name)).c_str(), before.c_str());
  assert_false(set.IsSet(name));
}

void AssertReads(const char* name, const char* value, const char* canonical) {
  OptionSet set;
  assert_true(set.Set(name, value).ok());
  assert_string_equal((*set.Get(name)).c_str(), canonical);
  assert_true(set.IsSet(name));
  OptionSet again;
  assert_true(again.Set(name, canonical).ok());
  assert_string_equal((*again.Get(name)).c_str(), canonical);
}

void options__every_standard_value_is_canonical(void**) {
  OptionSet set;
  size_t count = 0;
  for (; kist::DescribeOption(count) != nullptr; ++count) {
    const OptionInfo* info = kist::DescribeOption(count);
    assert_string_equal((*set.Get(info->name)).c_str(), info->standard);
    assert_false(set.IsSet(info->name));
    assert_ptr_equal(kist::FindOption(info->name), info);
    assert_true(set.Set(info->name, info->standard).ok());
    assert_string_equal((*set.Get(info->name)).c_str(), info->standard);
    assert_true(info->database || info->keyspace);
    assert_true(info->text[std::strlen(info->text) - 1] == '.');
  }
  assert_true(count > 20 && count < 35);
  assert_null(kist::DescribeOption(count));
  assert_null(kist::FindOption("nothing"));
  assert_null(kist::FindOption(""));
}

void options__names_are_unique(void**) {
  for (size_t i = 0; kist::DescribeOption(i) != nullptr; ++i) {
    for (size_t j = 0; j < i; ++j) {
      assert_string_not_equal(kist::DescribeOption(i)->name, kist::DescribeOption(j)->name);
    }
  }
}

void options__sizes(void**) {
  AssertReads("cache_size", "65536", "64KiB");
  AssertReads("cache_size", "64KiB", "64KiB");
  AssertReads("cache_size", "1024KiB", "1MiB");
  AssertReads("cache_size", "3GiB", "3GiB");
  AssertReads("cache_size", "65537", "65537");
  AssertReads("cache_size", "0", "0");
  AssertReads("max_key_size", "65535", "65535");
  for (const char* bad : {"",
                          " ",
                          "KiB",
                          "-1",
                          "+65536",
                          " 65536",
                          "65536 ",
                          "1.5MiB",
                          "64kib",
                          "64KB",
                          "64 KiB",
                          "64KiBx",
                          "0x10000",
                          "65535",
                          "16385GiB",
                          "18446744073709551616",
                          "18446744073709551615GiB",
                          "1e9",
                          "64K",
                          "64KiBKiB"}) {
    AssertRefused("cache_size", bad);
  }
  AssertRefused("max_key_size", "0");
  AssertRefused("max_key_size", "65536");
  AssertRefused("max_value_size", "1073741825");
  AssertReads("max_value_size", "1073741824", "1GiB");
}

void options__durations(void**) {
  AssertReads("write_back_interval", "1ms", "1ms");
  AssertReads("write_back_interval", "1000us", "1ms");
  AssertReads("write_back_interval", "1500us", "1500us");
  AssertReads("write_back_interval", "60s", "60s");
  AssertReads("write_back_interval", "3600s", "1h");
  for (const char* bad :
       {"", "1", "100", "ms", "0", "0ms", "999us", "2h", "3601s", "1m", "1min", "1 ms", "-1ms",
        "1msx", "1Ms", "18446744073709551615h", "99999999999999999999us"}) {
    AssertRefused("write_back_interval", bad);
  }
  AssertReads("default_ttl", "0", "0");
  AssertReads("default_ttl", "0s", "0");
  AssertReads("default_ttl", "24h", "24h");
  AssertRefused("default_ttl", "500us");
  AssertRefused("default_ttl", "1500us");
  AssertRefused("default_ttl", "1000001h");
  OptionSet set;
  assert_true(set.Set("default_ttl", "2s").ok());
  assert_int_equal(set.values().keyspace.default_ttl_ms, 2000);
}

void options__counts_bools_choices(void**) {
  AssertReads("compaction_threads", "64", "64");
  for (const char* bad : {"", "0", "65", "-1", "1 ", " 1", "one", "1KiB", "18446744073709551617"}) {
    AssertRefused("compaction_threads", bad);
  }
  AssertReads("read_only", "true", "true");
  for (const char* bad : {"", "1", "0", "yes", "True", "true ", "on", "tru"})
    AssertRefused("read_only", bad);
  AssertReads("compression", "snappy", "snappy");
  for (const char* bad : {"", "Snappy", "zstd", "snapp", "none|snappy", "snappy|", "|"})
    AssertRefused("compression", bad);
  OptionSet set;
  assert_true(set.Parse("compression=none; wal_compression=snappy; compaction=manual").ok());
  assert_true(set.values().keyspace.compression == Compression::kNone);
  assert_true(set.values().wal_compression == Compression::kSnappy);
  assert_true(set.values().compaction_manual);
}

void options__sync_policies(void**) {
  AssertReads("sync", "every_write", "every_write");
  AssertReads("sync", "never", "never");
  AssertReads("sync", "every_n:100", "every_n:100");
  AssertReads("sync", "interval:50ms", "interval:50ms");
  AssertReads("sync", "interval:1000ms", "interval:1s");
  AssertReads("sync", "hybrid:1000:20ms", "hybrid:1000:20ms");
  for (const char* bad : {"",
                          "always",
                          "every_write:1",
                          "never:",
                          "every_n",
                          "every_n:",
                          "every_n:0",
                          "every_n:1000001",
                          "every_n:-1",
                          "every_n:1:1",
                          "every_n: 1",
                          "interval",
                          "interval:",
                          "interval:5",
                          "interval:0",
                          "interval:2h",
                          "interval:50ms:3",
                          "hybrid",
                          "hybrid:",
                          "hybrid:1",
                          "hybrid:1:",
                          "hybrid::1ms",
                          "hybrid:1ms:1",
                          "hybrid:1:1ms:",
                          "every_n:99999999999999999999"}) {
    AssertRefused("sync", bad);
  }
  OptionSet set;
  assert_true(set.Set("sync", "hybrid:7:9ms").ok());
  assert_true(set.values().sync.kind == SyncPolicy::Kind::kHybrid);
  assert_int_equal(set.values().sync.commits, 7);
  assert_int_equal(set.values().sync.interval_us, 9000);
  assert_int_equal(set.SetU64("sync", 1).rc(), static_cast<int>(Code::kInvalid));
}

void options__bounds_are_exact(void**) {
  struct Bound {
    const char* name;
    uint64_t low, high;
  };
  const uint64_t kib = 1024, mib = kib * kib, gib = kib * mib, hour = 3600000000;
  const Bound bounds[] = {{"write_back_size", 4 * kib, gib},
                          {"write_back_interval", 1000, hour},
                          {"memory_budget", 4 * mib, 16384 * gib},
                          {"cache_size", 64 * kib, 16384 * gib},
                          {"write_buffer_size", 64 * kib, 4 * gib},
                          {"compaction_threads", 1, 64},
                          {"max_open_files", 16, 1000000},
                          {"max_key_size", 1, 65535},
                          {"max_value_size", 1, gib},
                          {"log_retention", 0, 16384 * gib},
                          {"stream_interval", 10000, hour},
                          {"stream_log_max", mib, 16384 * gib},
                          {"stream_base_percent", 1, 10000},
                          {"filter_bits", 0, 20},
                          {"block_size", kib, mib},
                          {"default_ttl", 1000, 1000000 * hour},
                          {"target_file_size", 64 * kib, gib},
                          {"retry_interval", 10000, hour},
                          {"latency_sampling", 0, 1000000}};
  for (const Bound& b : bounds) {
    for (uint64_t v : {b.low, b.high}) {
      OptionSet set;
      assert_true(set.SetU64(b.name, v).ok());
      OptionSet copy;
      assert_true(copy.Set(b.name, *set.Get(b.name)).ok());
      assert_string_equal((*copy.Get(b.name)).c_str(), (*set.Get(b.name)).c_str());
    }
    OptionSet set;
    assert_false(set.SetU64(b.name, b.high + 1).ok());
    if (b.low > 1) assert_false(set.SetU64(b.name, b.low - 1).ok());
  }
  for (size_t i = 0; kist::DescribeOption(i) != nullptr; ++i) {  // none is missing above
    const OptionInfo* info = kist::DescribeOption(i);
    const std::string type = info->type;
    if (type != "bytes" && type != "duration" && type != "count") continue;
    assert_true(std::any_of(std::begin(bounds), std::end(bounds),
                            [&](const Bound& b) { return info->name == std::string(b.name); }));
  }
}

void options__unknown_names(void**) {
  OptionSet set;
  assert_int_equal(set.Set("cash_size", "1").rc(), static_cast<int>(Code::kInvalid));
  assert_int_equal(set.Set("", "1").rc(), static_cast<int>(Code::kInvalid));
  assert_true(set.Set("?cash_size", "anything at all").ok());
  assert_true(set.Set("?", "").ok());
  assert_true(set.Set("?cache_size", "1MiB").ok());
  assert_int_equal(set.values().cache_size, 1 << 20);
  assert_int_equal(set.Set("?cache_size", "1MB").rc(), static_cast<int>(Code::kInvalid));
  assert_int_equal(set.Set("??cache_size", "1MiB").rc(), static_cast<int>(Code::kOk));
  assert_int_equal(set.Get("cash_size").status().rc(), static_cast<int>(Code::kInvalid));
  assert_true(set.SetU64("?cash_size", 1).ok());
  assert_false(set.SetU64("cash_size", 1).ok());
  const Status s = set.Set(std::string(500, 'x') + "\n", "1");
  assert_true(s.message().size() < 232);
  assert_true(s.message().find('\n') == std::string::npos);
}

void options__parse_is_all_or_nothing(void**) {
  OptionSet set;
  assert_true(set.Parse("").ok());
  assert_true(set.Parse("  ").ok());
  assert_true(set.Parse(" cache_size = 1MiB ;\n sync=interval:50ms; ").ok());
  assert_string_equal((*set.Get("sync")).c_str(), "interval:50ms");
  const Status s = set.Parse("cache_size=2MiB; read_only=maybe");
  assert_int_equal(s.rc(), static_cast<int>(Code::kInvalid));
  assert_non_null(std::strstr(s.message().c_str(), "at byte 16"));
  assert_string_equal((*set.Get("cache_size")).c_str(), "1MiB");
  for (const char* bad :
       {";", "a=1", "cache_size", "=1", "cache_size=", "cache_size=1MiB;;",
        "cache_size=1MiB;;read_only=true", "cache_size 1MiB", "cache_size==1MiB"}) {
    assert_int_equal(set.Parse(bad).rc(), static_cast<int>(Code::kInvalid));
    assert_string_equal((*set.Get("cache_size")).c_str(), "1MiB");
  }
  assert_true(set.Parse("cache_size=2MiB;cache_size=3MiB").ok());
  assert_string_equal((*set.Get("cache_size")).c_str(), "3MiB");
  assert_true(set.Parse("?new_thing=whatever; cache_size=4MiB").ok());
  assert_string_equal((*set.Get("cache_size")).c_str(), "4MiB");
}

void options__numbers(void**) {
  OptionSet set;
  assert_true(set.SetU64("cache_size", 1 << 20).ok());
  assert_string_equal((*set.Get("cache_size")).c_str(), "1MiB");
  assert_true(set.SetU64("write_back_interval", 2500).ok());
  assert_string_equal((*set.Get("write_back_interval")).c_str(), "2500us");
  assert_true(set.SetU64("read_only", 1).ok());
  assert_false(set.SetU64("read_only", 2).ok());
  assert_false(set.SetU64("compression", 1).ok());
  assert_false(set.SetU64("default_ttl", 1001).ok());
  assert_false(set.SetU64("cache_size", UINT64_MAX).ok());
}

void options__derived_sizes(void**) {
  DbOptions options;
  assert_int_equal(options.CacheBytes(), 256 << 20);  // and no more than the rest leaves
  assert_int_equal(options.WriteBufferBytes(), 16 << 20);
  options.memory_budget = uint64_t{64} << 20;
  assert_int_equal(options.CacheBytes(), 64 << 20);
  assert_int_equal(options.WriteBufferBytes(), 4 << 20);
  options.memory_budget = uint64_t{64} << 30;
  assert_int_equal(options.WriteBufferBytes(), 64 << 20);
  assert_true(options.CheckSizes().ok());
  options.cache_size = 65536;
  options.write_buffer_size = 65536;
  assert_int_equal(options.CacheBytes(), 65536);
  assert_int_equal(options.WriteBufferBytes(), 65536);
  options.memory_budget = uint64_t{12} << 20;
  options.write_buffer_size = uint64_t{4} << 20;
  assert_true(options.CheckSizes().ok());
  ++options.write_buffer_size;
  const Status s = options.CheckSizes();
  assert_true(s.Is(Code::kInvalid));
  assert_non_null(std::strstr(s.message().c_str(), "write_buffer_size"));
  assert_non_null(std::strstr(s.message().c_str(), "memory_budget, 12MiB"));
}

void options__keyspace_options_travel_as_text(void**) {
  KeyspaceOptions options;
  options.compression = Compression::kSnappy;
  options.filter_bits = 0;
  options.block_size = 16384;
  options.default_ttl_ms = 1500;
  options.target_file_size = 65536;
  const std::string text = kist::EncodeKeyspaceOptions(options);
  auto back = kist::DecodeKeyspaceOptions(text);
  assert_true(back.ok());
  assert_true(back->compression == Compression::kSnappy);
  assert_int_equal(back->filter_bits, 0);
  assert_int_equal(back->block_size, 16384);
  assert_int_equal(back->default_ttl_ms, 1500);
  assert_int_equal(back->target_file_size, 65536);
  assert_true(kist::DecodeKeyspaceOptions("").ok());
  assert_true(kist::DecodeKeyspaceOptions("from_the_future=3; block_size=8KiB").ok());
  assert_false(kist::DecodeKeyspaceOptions("block_size=8KB").ok());
  assert_false(kist::DecodeKeyspaceOptions("block_size").ok());
  assert_false(kist::DecodeKeyspaceOptions("cache_size=1MiB").ok());
}

void options__first_set_finds_what_does_not_belong(void**) {
  OptionSet set;
  const auto refuse = [](const OptionInfo& info) { return !info.keyspace; };
  assert_null(set.FirstSet(refuse));
  assert_true(set.Set("block_size", "8KiB").ok());
  assert_null(set.FirstSet(refuse));
  assert_true(set.Set("cache_size", "1MiB").ok());
  assert_string_equal(set.FirstSet(refuse)->name, "cache_size");
}

void options__keyspace_over_changes_what_was_set(void**) {
  KeyspaceOptions base;
  base.block_size = 16384;
  base.filter_bits = 3;
  OptionSet set;
  assert_int_equal(set.KeyspaceOver(base).block_size, 16384);
  assert_true(set.Set("filter_bits", "20").ok());
  assert_true(set.Set("default_ttl", "3s").ok());
  const KeyspaceOptions merged = set.KeyspaceOver(base);
  assert_int_equal(merged.block_size, 16384);
  assert_int_equal(merged.filter_bits, 20);
  assert_int_equal(merged.default_ttl_ms, 3000);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(options__every_standard_value_is_canonical),
      cmocka_unit_test(options__names_are_unique),
      cmocka_unit_test(options__sizes),
      cmocka_unit_test(options__durations),
      cmocka_unit_test(options__counts_bools_choices),
      cmocka_unit_test(options__sync_policies),
      cmocka_unit_test(options__bounds_are_exact),
      cmocka_unit_test(options__unknown_names),
      cmocka_unit_test(options__parse_is_all_or_nothing),
      cmocka_unit_test(options__numbers),
      cmocka_unit_test(options__derived_sizes),
      cmocka_unit_test(options__keyspace_options_travel_as_text),
      cmocka_unit_test(options__first_set_finds_what_does_not_belong),
      cmocka_unit_test(options__keyspace_over_changes_what_was_set),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
