// The option registry: one table of every option, strict parsing of values, canonical text back.
// Invariants 1 to 3 stand in options.h. Every value is a number inside (a choice is its index, a
// duration microseconds); the sync policy alone has a parser of its own.
#include "db/options.h"

#include <algorithm>
#include <iterator>

namespace kist {
namespace {

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kMs = 1000;
constexpr uint64_t kSecond = 1000 * kMs;
constexpr uint64_t kHour = 3600 * kSecond;
constexpr uint64_t kSyncCommitsMax = 1000000;
constexpr uint64_t kSyncIntervalMin = kMs;
constexpr uint64_t kSyncIntervalMax = kHour;

struct Unit {
  const char* name;
  uint64_t scale;
};
// Ascending; canonical text takes the largest that divides.
constexpr Unit kSizeUnits[] = {{"KiB", kKiB}, {"MiB", kMiB}, {"GiB", kGiB}};
constexpr Unit kTimeUnits[] = {{"us", 1}, {"ms", kMs}, {"s", kSecond}, {"h", kHour}};

enum class Kind { kBytes, kDuration, kCount, kBool, kChoice, kSync };

// Of numbers: low..high, and 0 below it where `zero`; a multiple of step.
struct Range {
  uint64_t low = 0;
  uint64_t high = 1;
  bool zero = false;
  uint64_t step = 1;
};
constexpr Range kNoRange{};

struct Option {
  OptionInfo info;
  Kind kind;
  Range range;
  void (*set)(DbOptions*, uint64_t);
  uint64_t (*get)(const DbOptions&);
};

#define KIST_FIELD(field)                                                          \
  [](DbOptions* o, uint64_t v) { o->field = static_cast<decltype(o->field)>(v); }, \
      [](const DbOptions& o) -> uint64_t { return static_cast<uint64_t>(o.field); }
#define KIST_DATABASE true, false, false
#define KIST_DATABASE_LIVE true, false, true
#define KIST_KEYSPACE true, true, false

constexpr char kSyncBounds[] =
    "every_write|every_n:N|interval:T|hybrid:N:T|never, N 1..1000000, T 1ms..1h";

constexpr Option kOptions[] = {
    {{"create_if_missing", "bool", "true", "true|false",
      "Creates the database directory where there is none.", KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(create_if_missing)},
    {{"error_if_exists", "bool", "false", "true|false",
      "Refuses to open a database that exists already.", KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(error_if_exists)},
    {{"read_only", "bool", "false", "true|false",
      "Opens without a lock and without changing a byte on disk; writes return KIST_E_READONLY.",
      KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(read_only)},
    {{"sync", "sync", "every_write", kSyncBounds,
      "When commits of the default durability reach stable storage.", KIST_DATABASE_LIVE},
     Kind::kSync,
     kNoRange,
     nullptr,
     nullptr},
    {{"write_back", "bool", "false", "true|false",
      "Commits of the default durability stay in memory until write_back_size or "
      "write_back_interval drains them.",
      KIST_DATABASE_LIVE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(write_back)},
    {{"write_back_size", "bytes", "4MiB", "4KiB..1GiB",
      "Buffered commits are handed to the operating system when they hold so many bytes.",
      KIST_DATABASE_LIVE},
     Kind::kBytes,
     Range{4 * kKiB, kGiB},
     KIST_FIELD(write_back_size)},
    {{"write_back_interval", "duration", "100ms", "1ms..1h",
      "Buffered commits are handed to the operating system so long after the first of them.",
      KIST_DATABASE_LIVE},
     Kind::kDuration,
     Range{kMs, kHour},
     KIST_FIELD(write_back_interval_us)},
    {{"memory_budget", "bytes", "256MiB", "4MiB..16384GiB",
      "Memory for memtables, cache, indexes, filters, iterators, pins and transactions together; "
      "sizes that are not set derive from it.",
      KIST_DATABASE_LIVE},
     Kind::kBytes,
     Range{4 * kMiB, 16384 * kGiB},
     KIST_FIELD(memory_budget)},
    {{"cache_size", "bytes", "0", "0|64KiB..16384GiB",
      "The most memory for cached table blocks; 0 takes all that the rest of memory_budget leaves.",
      KIST_DATABASE_LIVE},
     Kind::kBytes,
     Range{64 * kKiB, 16384 * kGiB, true},
     KIST_FIELD(cache_size)},
    {{"write_buffer_size", "bytes", "0", "0|64KiB..4GiB",
      "Memory that takes writes before it is flushed to a table, three of which fit memory_budget; "
      "0 takes a sixteenth of it, 64MiB at most.",
      KIST_DATABASE_LIVE},
     Kind::kBytes,
     Range{64 * kKiB, 4 * kGiB, true},
     KIST_FIELD(write_buffer_size)},
    {{"memtable_preallocate", "bool", "false", "true|false",
      "Reserves and touches the write buffer's memory before it is used.", KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(memtable_preallocate)},
    {{"wal_preallocate", "bool", "true", "true|false",
      "Reserves the disk blocks of a log segment when it is created.", KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(wal_preallocate)},
    {{"wal_timestamps", "bool", "true", "true|false",
      "Keeps the time of each commit in the log, which a restore to a point in time needs.",
      KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(wal_timestamps)},
    {{"wal_compression", "choice", "none", "none|snappy",
      "Compresses the log records that shrink by it.", KIST_DATABASE},
     Kind::kChoice,
     kNoRange,
     KIST_FIELD(wal_compression)},
    {{"compaction", "choice", "auto", "auto|manual",
      "Compacts in the background, or only when kist_compact asks.", KIST_DATABASE_LIVE},
     Kind::kChoice,
     kNoRange,
     KIST_FIELD(compaction_manual)},
    {{"compaction_threads", "count", "1", "1..64", "Background threads that compact.",
      KIST_DATABASE},
     Kind::kCount,
     Range{1, 64},
     KIST_FIELD(compaction_threads)},
    {{"max_open_files", "count", "4000", "16..1000000",
      "Table files that are kept open at the same time; a read-only database keeps all.",
      KIST_DATABASE_LIVE},
     Kind::kCount,
     Range{16, 1000000},
     KIST_FIELD(max_open_files)},
    {{"max_key_size", "bytes", "65535", "1..65535", "The longest key.", KIST_DATABASE},
     Kind::kBytes,
     Range{1, 65535},
     KIST_FIELD(max_key_size)},
    {{"max_value_size", "bytes", "1GiB", "1..1GiB", "The longest value.", KIST_DATABASE},
     Kind::kBytes,
     Range{1, kGiB},
     KIST_FIELD(max_value_size)},
    {{"log_retention", "bytes", "0", "0..16384GiB",
      "The most log, in whole segments, that is kept for feeds alone.", KIST_DATABASE_LIVE},
     Kind::kBytes,
     Range{0, 16384 * kGiB},
     KIST_FIELD(log_retention)},
    {{"stream_interval", "duration", "250ms", "10ms..1h",
      "How often a stream ships what was committed.", KIST_DATABASE},
     Kind::kDuration,
     Range{10 * kMs, kHour},
     KIST_FIELD(stream.interval_us)},
    {{"stream_log_max", "bytes", "1GiB", "1MiB..16384GiB",
      "Log that a stream keeps while its target cannot be reached; beyond it a new generation "
      "begins.",
      KIST_DATABASE},
     Kind::kBytes,
     Range{kMiB, 16384 * kGiB},
     KIST_FIELD(stream.log_bytes_max)},
    {{"stream_base_percent", "count", "100", "1..10000",
      "A stream makes a new base copy when the log since the last one reaches this share of its "
      "size, and 64MiB.",
      KIST_DATABASE},
     Kind::kCount,
     Range{1, 10000},
     KIST_FIELD(stream.base_percent)},
    {{"mmap_reads", "bool", "false", "true|false",
      "Reads tables through a memory mapping; uncompressed ones without the cache.", KIST_DATABASE},
     Kind::kBool,
     kNoRange,
     KIST_FIELD(mmap_reads)},
    {{"verify_on_open", "choice", "files", "files|all",
      "What kist_open checks of tables before it changes anything: that each is there with its "
      "size, or every checksum too.",
      KIST_DATABASE},
     Kind::kChoice,
     kNoRange,
     KIST_FIELD(verify_on_open)},
    {{"retry_interval", "duration", "200ms", "10ms..1h",
      "How long after a flush or compaction that found no space or memory it is tried again.",
      KIST_DATABASE_LIVE},
     Kind::kDuration,
     Range{10 * kMs, kHour},
     KIST_FIELD(retry_interval_us)},
    {{"latency_sampling", "count", "64", "0..1000000",
      "One in so many gets, single writes and seeks is timed for statistics; 0 times nothing.",
      KIST_DATABASE_LIVE},
     Kind::kCount,
     Range{0, 1000000},
     KIST_FIELD(latency_sampling)},
    {{"compression", "choice", "adaptive", "none|snappy|adaptive",
      "Compression of table blocks; adaptive stores a block raw where it would not shrink by an "
      "eighth.",
      KIST_KEYSPACE},
     Kind::kChoice,
     kNoRange,
     KIST_FIELD(keyspace.compression)},
    {{"filter_bits", "count", "10", "0..20",
      "Bits per key of the filter that answers for absent keys; 0 for none.", KIST_KEYSPACE},
     Kind::kCount,
     Range{0, 20},
     KIST_FIELD(keyspace.filter_bits)},
    {{"block_size", "bytes", "4KiB", "1KiB..1MiB", "Size of a table block before compression.",
      KIST_KEYSPACE},
     Kind::kBytes,
     Range{kKiB, kMiB},
     KIST_FIELD(keyspace.block_size)},
    {{"default_ttl", "duration", "0", "0|1ms..1000000h",
      "How long after its commit a value without a TTL of its own expires; 0 for never.",
      KIST_KEYSPACE},
     Kind::kDuration,
     Range{kMs, 1000000 * kHour, true, kMs},
     [](DbOptions* o, uint64_t v) { o->keyspace.default_ttl_ms = static_cast<int64_t>(v / kMs); },
     [](const DbOptions& o) { return static_cast<uint64_t>(o.keyspace.default_ttl_ms) * kMs; }},
    {{"target_file_size", "bytes", "32MiB", "64KiB..1GiB",
      "The size at which compaction begins a new table file.", KIST_KEYSPACE},
     Kind::kBytes,
     Range{64 * kKiB, kGiB},
     KIST_FIELD(keyspace.target_file_size)},
};
#undef KIST_FIELD
#undef KIST_DATABASE
#undef KIST_DATABASE_LIVE
#undef KIST_KEYSPACE

constexpr size_t kOptionCount = std::size(kOptions);
static_assert(kOptionCount < 35, "the whole list stays below 35: which one can go?");
static_assert(kOptionCount <= 64, "OptionSet marks what was set in 64 bits");
// A choice is its field's value: these orders are the order of the texts in the table.
static_assert(static_cast<int>(Compression::kNone) == 0 &&
              static_cast<int>(Compression::kSnappy) == 1 &&
              static_cast<int>(Compression::kAdaptive) == 2);

const Option* Find(Slice name) {
  for (const Option& option : kOptions) {
    if (name == option.info.name) return &option;
  }
  return nullptr;
}

// Takes digits off the front of *in; false where there are none or the number overflows.
bool TakeNumber(Slice* in, uint64_t* out) {
  uint64_t v = 0;
  size_t i = 0;
  for (; i < in->size() && (*in)[i] >= '0' && (*in)[i] <= '9'; ++i) {
    const uint64_t digit = static_cast<uint64_t>((*in)[i] - '0');
    if (v > (UINT64_MAX - digit) / 10) return false;
    v = v * 10 + digit;
  }
  if (i == 0) return false;
  in->remove_prefix(i);
  *out = v;
  return true;
}

bool Scale(uint64_t v, Slice unit, const Unit* begin, const Unit* end, uint64_t* out) {
  for (const Unit* u = begin; u != end; ++u) {
    if (unit != u->name) continue;
    if (v > UINT64_MAX / u->scale) return false;
    *out = v * u->scale;
    return true;
  }
  return false;
}

bool ParseBytes(Slice text, uint64_t* out) {
  uint64_t v = 0;
  if (!TakeNumber(&text, &v)) return false;
  if (text.empty()) return *out = v, true;
  return Scale(v, text, std::begin(kSizeUnits), std::end(kSizeUnits), out);
}

// A duration needs its unit, except for 0.
bool ParseDuration(Slice text, uint64_t* out) {
  uint64_t v = 0;
  if (!TakeNumber(&text, &v)) return false;
  if (text.empty()) return *out = 0, v == 0;
  return Scale(v, text, std::begin(kTimeUnits), std::end(kTimeUnits), out);
}

bool ParseChoice(const char* bounds, Slice text, uint64_t* out) {
  Slice rest = bounds;
  for (uint64_t i = 0;; ++i) {
    const size_t bar = rest.find('|');
    if (text == rest.substr(0, bar)) return *out = i, true;
    if (bar == Slice::npos) return false;
    rest.remove_prefix(bar + 1);
  }
}

bool ParseCommits(Slice text, uint64_t* out) {
  return TakeNumber(&text, out) && text.empty() && *out >= 1 && *out <= kSyncCommitsMax;
}

bool ParseInterval(Slice text, uint64_t* out) {
  return ParseDuration(text, out) && *out >= kSyncIntervalMin && *out <= kSyncIntervalMax;
}

bool ParseSync(Slice text, SyncPolicy* out) {
  const size_t colon = text.find(':');
  const Slice name = text.substr(0, colon);
  const bool has_rest = colon != Slice::npos;
  const Slice rest = has_rest ? text.substr(colon + 1) : Slice();
  SyncPolicy policy;
  bool good = false;
  if (name == "every_write" || name == "never") {
    policy.kind = name == "never" ? SyncPolicy::Kind::kNever : SyncPolicy::Kind::kEveryWrite;
    good = !has_rest;
  } else if (name == "every_n") {
    policy.kind = SyncPolicy::Kind::kEveryN;
    good = has_rest && ParseCommits(rest, &policy.commits);
  } else if (name == "interval") {
    policy.kind = SyncPolicy::Kind::kInterval;
    good = has_rest && ParseInterval(rest, &policy.interval_us);
  } else if (name == "hybrid") {
    policy.kind = SyncPolicy::Kind::kHybrid;
    const size_t second = rest.find(':');
    good = second != Slice::npos && ParseCommits(rest.substr(0, second), &policy.commits) &&
           ParseInterval(rest.substr(second + 1), &policy.interval_us);
  }
  if (good) *out = policy;
  return good;
}

bool InBounds(const Option& option, uint64_t v) {
  if (option.kind == Kind::kChoice) return true;
  const Range& range = option.range;
  if (v == 0 && range.zero) return true;
  return v >= range.low && v <= range.high && v % range.step == 0;
}

bool ParseValue(const Option& option, Slice text, uint64_t* out) {
  switch (option.kind) {
    case Kind::kBytes:
      return ParseBytes(text, out);
    case Kind::kDuration:
      return ParseDuration(text, out);
    case Kind::kCount:
      return TakeNumber(&text, out) && text.empty();
    case Kind::kBool:
      *out = text == "true" ? 1 : 0;
      return text == "true" || text == "false";
    case Kind::kChoice:
      return ParseChoice(option.info.bounds, text, out);
    case Kind::kSync:
      break;
  }
  return false;
}

std::string WithUnit(uint64_t v, const Unit* begin, const Unit* end) {
  for (const Unit* u = end; v != 0 && u != begin;) {
    --u;
    if (v % u->scale == 0) return std::to_string(v / u->scale) + u->name;
  }
  return std::to_string(v);
}

std::string DurationText(uint64_t us) {
  return WithUnit(us, std::begin(kTimeUnits), std::end(kTimeUnits));
}

std::string SyncText(const SyncPolicy& policy) {
  switch (policy.kind) {
    case SyncPolicy::Kind::kEveryWrite:
      return "every_write";
    case SyncPolicy::Kind::kEveryN:
      return "every_n:" + std::to_string(policy.commits);
    case SyncPolicy::Kind::kInterval:
      return "interval:" + DurationText(policy.interval_us);
    case SyncPolicy::Kind::kHybrid:
      return "hybrid:" + std::to_string(policy.commits) + ":" + DurationText(policy.interval_us);
    case SyncPolicy::Kind::kNever:
      return "never";
  }
  return "";
}

std::string ChoiceText(const char* bounds, uint64_t index) {
  Slice rest = bounds;
  for (; index > 0; --index) rest.remove_prefix(rest.find('|') + 1);
  return std::string(rest.substr(0, rest.find('|')));
}

std::string ValueText(const Option& option, const DbOptions& values) {
  switch (option.kind) {
    case Kind::kBytes:
      return WithUnit(option.get(values), std::begin(kSizeUnits), std::end(kSizeUnits));
    case Kind::kDuration:
      return DurationText(option.get(values));
    case Kind::kCount:
      return std::to_string(option.get(values));
    case Kind::kBool:
      return option.get(values) != 0 ? "true" : "false";
    case Kind::kChoice:
      return ChoiceText(option.info.bounds, option.get(values));
    case Kind::kSync:
      return SyncText(values.sync);
  }
  return "";
}

// What a person typed, cut to what fits a one-line message, with control bytes replaced.
std::string Quoted(Slice text) {
  constexpr size_t kShown = 60;
  std::string out = "'";
  for (char c : text.substr(0, kShown)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return out + (text.size() > kShown ? "...'" : "'");
}

Status UnknownOption(Slice name) { return Status::Invalid("unknown option " + Quoted(name)); }

Status BadValue(const Option& option, const std::string& value) {
  return Status::Invalid(std::string("option ") + option.info.name + ": bad " + option.info.type +
                         " " + value + "; give " + option.info.bounds);
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

Slice Trim(Slice s) {
  while (!s.empty() && IsBlank(s.front())) s.remove_prefix(1);
  while (!s.empty() && IsBlank(s.back())) s.remove_suffix(1);
  return s;
}

}  // namespace

const OptionInfo* DescribeOption(size_t index) {
  return index < kOptionCount ? &kOptions[index].info : nullptr;
}

const OptionInfo* FindOption(Slice name) {
  const Option* option = Find(name);
  return option != nullptr ? &option->info : nullptr;
}

Status OptionSet::Set(Slice name, Slice value) {
  const bool forgiving = !name.empty() && name.front() == '?';
  if (forgiving) name.remove_prefix(1);
  const Option* option = Find(name);
  if (option == nullptr) return forgiving ? Status() : UnknownOption(name);
  if (option->kind == Kind::kSync) {
    if (!ParseSync(value, &values_.sync)) return BadValue(*option, Quoted(value));
  } else {
    uint64_t v = 0;
    if (!ParseValue(*option, value, &v) || !InBounds(*option, v)) {
      return BadValue(*option, Quoted(value));
    }
    option->set(&values_, v);
  }
  set_ |= uint64_t{1} << (option - kOptions);
  return Status();
}

Status OptionSet::SetU64(Slice name, uint64_t value) {
  const bool forgiving = !name.empty() && name.front() == '?';
  if (forgiving) name.remove_prefix(1);
  const Option* option = Find(name);
  if (option == nullptr) return forgiving ? Status() : UnknownOption(name);
  if (option->kind == Kind::kSync || option->kind == Kind::kChoice || !InBounds(*option, value)) {
    return BadValue(*option, std::to_string(value));
  }
  option->set(&values_, value);
  set_ |= uint64_t{1} << (option - kOptions);
  return Status();
}

Status OptionSet::Parse(Slice text, Slice* failed_name) {
  OptionSet parsed = *this;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    const Slice pair = text.substr(at, end - at);
    const bool last = end == text.size();
    const std::string where = "at byte " + std::to_string(at);
    at = end + 1;
    if (Trim(pair).empty() && last) break;  // "a=1;" ends with a separator
    const size_t equals = pair.find('=');
    if (equals == Slice::npos) {
      return Status::Invalid(where + ": expected name=value, found " + Quoted(Trim(pair)));
    }
    const Slice name = Trim(pair.substr(0, equals));
    Status s = parsed.Set(name, Trim(pair.substr(equals + 1)));
    if (!s.ok() && failed_name != nullptr) *failed_name = name;
    if (!s.ok()) return s.Prefixed(where);
  }
  *this = parsed;
  return Status();
}

Result<std::string> OptionSet::Get(Slice name) const {
  const Option* option = Find(name);
  if (option == nullptr) return UnknownOption(name);
  return ValueText(*option, values_);
}

bool OptionSet::IsSet(Slice name) const {
  const Option* option = Find(name);
  return option != nullptr && (set_ >> (option - kOptions) & 1) != 0;
}

KeyspaceOptions OptionSet::KeyspaceOver(const KeyspaceOptions& base) const {
  DbOptions merged;
  merged.keyspace = base;
  for (size_t i = 0; i < kOptionCount; ++i) {
    const Option& option = kOptions[i];
    if (option.info.keyspace && (set_ >> i & 1) != 0) option.set(&merged, option.get(values_));
  }
  return merged.keyspace;
}

void OptionSet::ApplyTo(DbOptions* values) const {
  for (size_t i = 0; i < kOptionCount; ++i) {
    const Option& option = kOptions[i];
    if ((set_ >> i & 1) == 0) continue;
    if (option.kind == Kind::kSync) {
      values->sync = values_.sync;
    } else {
      option.set(values, option.get(values_));
    }
  }
}

const OptionInfo* OptionSet::FirstSet(bool (*refuse)(const OptionInfo&)) const {
  for (size_t i = 0; i < kOptionCount; ++i) {
    if ((set_ >> i & 1) != 0 && refuse(kOptions[i].info)) return &kOptions[i].info;
  }
  return nullptr;
}

// A sixteenth of the budget each for the memtable that is written and two that wait for their
// flush; the cache takes what these and all other parts leave (util/memory_budget.h).
uint64_t DbOptions::CacheBytes() const { return cache_size != 0 ? cache_size : memory_budget; }

uint64_t DbOptions::WriteBufferBytes() const {
  if (write_buffer_size != 0) return write_buffer_size;
  return std::min(memory_budget / 16, 64 * kMiB);
}

Status DbOptions::CheckSizes() const {
  if (write_buffer_size <= memory_budget / 3) return Status();
  return Status::Invalid("option write_buffer_size: three times " +
                         WithUnit(write_buffer_size, std::begin(kSizeUnits), std::end(kSizeUnits)) +
                         " do not fit memory_budget, " +
                         WithUnit(memory_budget, std::begin(kSizeUnits), std::end(kSizeUnits)));
}

std::string EncodeKeyspaceOptions(const KeyspaceOptions& options) {
  DbOptions values;
  values.keyspace = options;
  std::string text;
  for (const Option& option : kOptions) {
    if (!option.info.keyspace) continue;
    if (!text.empty()) text += "; ";
    text += std::string(option.info.name) + "=" + ValueText(option, values);
  }
  return text;
}

Result<KeyspaceOptions> DecodeKeyspaceOptions(Slice text) {
  OptionSet set;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const Slice pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = pair.find('=');
    if (equals == Slice::npos) return Status::Invalid("keyspace options without a value");
    const Slice name = Trim(pair.substr(0, equals));
    const OptionInfo* info = FindOption(name);
    if (info == nullptr) continue;
    if (!info->keyspace) return Status::Invalid("not a keyspace option: " + Quoted(name));
    KIST_TRY(set.Set(name, Trim(pair.substr(equals + 1))));
  }
  return set.values().keyspace;
}

}  // namespace kist
