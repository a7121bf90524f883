// Opening. What the tool needs (read_only, create_if_missing) is set after the user's -o, which may
// not turn a reading command into a writing one.
//
// Keyspaces are opened after the database; one that a writing command creates is durable by itself.
#include "cli/database.h"

#include "cli/number.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

uint64_t OptionBytes(const kist_options* options, const char* name, uint64_t standard) {
  char buffer[64];
  size_t len = 0;
  uint64_t value = 0;
  if (kist_options_get(options, name, buffer, sizeof(buffer), &len, nullptr) != KIST_OK) {
    return standard;
  }
  return ParseCount(std::string_view(buffer, len), &value) ? value : standard;
}

}  // namespace

Database::~Database() {
  if (keyspace_owned_) kist_keyspace_free(keyspace_);
  if (db_owned_) kist_close(db_, KIST_CLOSE_REVOKE, nullptr);
}

int Database::Open(Context& context, Mode mode) {
  if (context.session != nullptr) return Borrow(context);
  return OpenPath(context, context.Path(), mode);
}

int Database::Borrow(Context& context) {
  const Database& session = *context.session;
  if (context.args.Has("option") || context.args.Has("sync")) {
    return context.Usage("--option and --sync belong to the opening of a database");
  }
  db_ = session.db_;
  path_ = session.path_;
  read_only_ = session.read_only_;
  key_bytes_max_ = session.key_bytes_max_;
  value_bytes_max_ = session.value_bytes_max_;
  const auto name = context.args.Get("keyspace");
  if (name.has_value()) return Use(context, std::string(*name), context.args.Has("create"));
  keyspace_ = session.keyspace_;
  keyspace_name_ = session.keyspace_name_;
  return kExitOk;
}

int Database::OpenPath(Context& context, const std::string& path, Mode mode) {
  path_ = path;
  OwnedOptions options;
  const kist_rc rc = kist_options_new(options.out());
  if (rc != KIST_OK) return context.Fail(path, rc, KIST_ERR_INIT);
  const int code = SetOptions(context, options.get(), mode);
  return code != kExitOk ? code : OpenWithOptions(context, options.get(), mode);
}

int Database::SetOptions(Context& context, kist_options* options, Mode mode) {
  kist_err err = KIST_ERR_INIT;
  for (const std::string_view text : context.args.All("option")) {
    const kist_rc rc = kist_options_parse(options, std::string(text).c_str(), &err);
    if (rc != KIST_OK) {
      context.Fail("-o " + Quoted(text), rc, err);
      return kExitUsage;
    }
  }
  const auto sync = context.args.Get("sync");
  if (sync.has_value()) {
    const kist_rc rc = kist_options_set(options, "sync", std::string(*sync).c_str(), &err);
    if (rc != KIST_OK) {
      context.Fail("--sync " + Quoted(*sync), rc, err);
      return kExitUsage;
    }
  }
  read_only_ = mode == Mode::kRead;
  const bool create =
      context.args.Has("create") || (mode == Mode::kCreate && !context.args.Has("no-create"));
  kist_rc rc = KIST_OK;
  if (read_only_) rc = kist_options_set(options, "read_only", "true", &err);
  if (rc == KIST_OK) {
    rc = kist_options_set(options, "create_if_missing", create && !read_only_ ? "true" : "false",
                          &err);
  }
  if (rc != KIST_OK) return context.Fail("options", rc, err);
  key_bytes_max_ = OptionBytes(options, "max_key_size", key_bytes_max_);
  value_bytes_max_ = OptionBytes(options, "max_value_size", value_bytes_max_);
  return kExitOk;
}

int Database::OpenWithOptions(Context& context, kist_options* options, Mode mode) {
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_open(path_.c_str(), options, &db_, &err);
  if (rc != KIST_OK) {
    db_ = nullptr;
    const int code = context.Fail(path_, rc, err);
    if (rc == KIST_E_MISSING && context.args.Has("no-create")) {
      context.console->Note("--no-create forbids creating it");
    } else if (rc == KIST_E_MISSING && (context.command->shares & kShareCreate) != 0 &&
               mode != Mode::kRead && !context.args.Has("create")) {
      context.console->Note("--create makes a new one");
    }
    return code;
  }
  db_owned_ = true;
  const auto name = context.args.Get("keyspace");
  if (name.has_value()) {
    const bool create =
        context.args.Has("create") || (mode == Mode::kCreate && !context.args.Has("no-create"));
    return Use(context, std::string(*name), create);
  }
  keyspace_ = kist_default(db_);
  return kExitOk;
}

int Database::Use(Context& context, const std::string& name, bool create) {
  kist_err err = KIST_ERR_INIT;
  kist_keyspace* opened = nullptr;
  const uint32_t mode = create ? KIST_KEYSPACE_CREATE : KIST_KEYSPACE_OPEN;
  const kist_rc rc = kist_keyspace_open(db_, name.c_str(), mode, nullptr, &opened, &err);
  if (rc != KIST_OK) return context.Fail(path_ + ": keyspace " + Quoted(name), rc, err);
  if (keyspace_owned_) kist_keyspace_free(keyspace_);
  keyspace_ = opened;
  keyspace_owned_ = true;
  keyspace_name_ = name;
  return kExitOk;
}

int Database::Close(Context& context) {
  if (keyspace_owned_) kist_keyspace_free(keyspace_);
  keyspace_owned_ = false;
  keyspace_ = nullptr;
  kist_db* const db = db_;
  db_ = nullptr;
  if (!db_owned_) return kExitOk;
  db_owned_ = false;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_close(db, KIST_CLOSE_STRICT, &err);
  if (rc == KIST_OK) return kExitOk;
  const int code = context.Fail("closing " + path_, rc, err);
  if (rc == KIST_E_BUSY) kist_close(db, KIST_CLOSE_REVOKE, nullptr);
  return code;
}

bool Database::KeyspaceNames(Context& context, std::vector<std::string>* names) {
  std::string text(4096, '\0');
  kist_err err = KIST_ERR_INIT;
  size_t len = 0;
  kist_rc rc = kist_keyspace_list(db_, text.data(), text.size(), &len, &err);
  while (rc == KIST_TRUNCATED) {
    text.resize(len);
    rc = kist_keyspace_list(db_, text.data(), text.size(), &len, &err);
  }
  if (rc != KIST_OK) {
    context.Fail(path_ + ": keyspaces", rc, err);
    return false;
  }
  names->clear();
  for (size_t begin = 0; begin < len;) {
    const size_t end = std::min(text.find('\0', begin), len);
    names->push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return true;
}

}  // namespace kist::cli
