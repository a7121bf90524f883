// kist_options: a checked set of name = value pairs and a logger. The registry is db/options.h;
// here stand the C side and the details of its errors.
// Threads: an options object has one user at a time.
#include <cstring>

#include "capi/args.h"

namespace kist::capi {
namespace {

// What an option error was about: its name or its value.
int32_t DetailOf(Slice name) {
  if (!name.empty() && name.front() == '?') name.remove_prefix(1);
  return FindOption(name) != nullptr ? KIST_D_VALUE : KIST_D_NAME;
}

kist_rc OptionsNew(kist_options** options_out) {
  if (options_out == nullptr) return KIST_E_INVALID;
  *options_out = nullptr;
  *options_out = new kist_options();
  return KIST_OK;
}

void OptionsFree(kist_options* options) {
  if (!Is(options, kOptionsMagic)) return;
  Use use(&options->state, nullptr);
  if (use.rc() != KIST_OK) return;  // in use: lost rather than torn from under its user
  use.Keep();
  delete options;
}

kist_rc OptionsSet(kist_options* options, const char* name, const char* value, kist_err* err) {
  if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
  Use use(&options->state, err);
  KIST_CHECKED(use.rc());
  if (name == nullptr) return FailNull(err, "name");
  if (value == nullptr) return FailNull(err, "value");
  const Status s = options->set.Set(name, value);
  return s.ok() ? KIST_OK : FailWith(err, s, DetailOf(name));
}

kist_rc OptionsSetU64(kist_options* options, const char* name, uint64_t value, kist_err* err) {
  if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
  Use use(&options->state, err);
  KIST_CHECKED(use.rc());
  if (name == nullptr) return FailNull(err, "name");
  const Status s = options->set.SetU64(name, value);
  return s.ok() ? KIST_OK : FailWith(err, s, DetailOf(name));
}

kist_rc OptionsParse(kist_options* options, const char* text, kist_err* err) {
  if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
  Use use(&options->state, err);
  KIST_CHECKED(use.rc());
  if (text == nullptr) return FailNull(err, "text");
  Slice name;
  const Status s = options->set.Parse(text, &name);
  if (s.ok()) return KIST_OK;
  return FailWith(err, s, name.empty() ? KIST_D_VALUE : DetailOf(name));
}

kist_rc OptionsGet(const kist_options* options, const char* name, char* buf, size_t cap,
                   size_t* len_out, kist_err* err) {
  SetOut<size_t>(len_out, 0);
  if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
  Use use(&const_cast<kist_options*>(options)->state, err);
  KIST_CHECKED(use.rc());
  if (name == nullptr) return FailNull(err, "name");
  if (buf == nullptr && cap != 0) return FailNull(err, "buf");
  const Result<std::string> text = options->set.Get(name);
  if (!text.ok()) return FailWith(err, text.status(), KIST_D_NAME);
  return CopyText(*text, buf, cap, len_out);
}

kist_rc OptionDescribe(size_t index, kist_option_info* info_out) {
  if (info_out == nullptr || info_out->size < sizeof info_out->size) return KIST_E_INVALID;
  kist_option_info info{};
  info.size = info_out->size;
  const OptionInfo* option = DescribeOption(index);
  if (option != nullptr) {
    info.flags = (option->database ? KIST_OPTION_DATABASE : 0) |
                 (option->keyspace ? KIST_OPTION_KEYSPACE : 0) |
                 (option->live ? KIST_OPTION_LIVE : 0);
    info.name = option->name;
    info.type = option->type;
    info.standard = option->standard;
    info.bounds = option->bounds;
    info.text = option->text;
  }
  KIST_CHECKED(FillStruct(&info, sizeof info, info_out));
  return option != nullptr ? KIST_OK : KIST_DONE;
}

kist_rc OptionsSetLogger(kist_options* options, int32_t level, kist_log_fn log, void* ctx,
                         void (*drop)(void*)) {
  if (!Is(options, kOptionsMagic)) return KIST_E_MISUSE;
  Use use(&options->state, nullptr);
  KIST_CHECKED(use.rc());
  if (level < KIST_LOG_DEBUG || level > KIST_LOG_ERROR) return KIST_E_INVALID;
  if (log == nullptr && (ctx != nullptr || drop != nullptr)) return KIST_E_INVALID;
  std::shared_ptr<LoggerOwner> owner;
  if (log != nullptr) {
    owner = std::make_shared<LoggerOwner>();
    owner->sink = LogSink{level, log, ctx};
    owner->drop = drop;  // last: from here on the owner drops
  }
  options->logger = std::move(owner);
  return KIST_OK;
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_options_new(kist_options** options_out) {
  return Guard(nullptr, [&] { return OptionsNew(options_out); });
}

void kist_options_free(kist_options* options) {
  GuardVoid([&] { OptionsFree(options); });
}

kist_rc kist_options_set(kist_options* options, const char* name, const char* value,
                         kist_err* err) {
  return Guard(err, [&] { return OptionsSet(options, name, value, err); });
}

kist_rc kist_options_set_u64(kist_options* options, const char* name, uint64_t value,
                             kist_err* err) {
  return Guard(err, [&] { return OptionsSetU64(options, name, value, err); });
}

kist_rc kist_options_parse(kist_options* options, const char* text, kist_err* err) {
  return Guard(err, [&] { return OptionsParse(options, text, err); });
}

kist_rc kist_options_get(const kist_options* options, const char* name, char* buf, size_t cap,
                         size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return OptionsGet(options, name, buf, cap, len_out, err); });
}

kist_rc kist_option_describe(size_t index, kist_option_info* info_out) {
  return Guard(nullptr, [&] { return OptionDescribe(index, info_out); });
}

kist_rc kist_options_set_logger(kist_options* options, int32_t level, kist_log_fn log, void* ctx,
                                void (*drop)(void*)) {
  return Guard(nullptr, [&] { return OptionsSetLogger(options, level, log, ctx, drop); });
}

}  // extern "C"
