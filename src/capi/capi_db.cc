// Databases: open, close, live options, removal, maintenance, statistics. Closing itself stands in
// lifecycle.cc.
// Threads: any, concurrently.
#include <string>

#include "capi/args.h"

namespace kist::capi {
// Everything of a handle that can fail is made before it is handed out; what the engine made is
// undone by its destructor.
kist_rc MakeDb(std::unique_ptr<Db> engine, std::shared_ptr<LoggerOwner> logger, kist_db** db_out,
               kist_err* err) {
  auto db = std::make_unique<kist_db>();
  auto fork = engine->vfs()->MakeForkGuard();
  if (!fork.ok()) {
    static_cast<void>(engine->Close());
    return FailWith(err, fork.status());
  }
  db->fork = fork.Take();
  db->logger = std::move(logger);
  db->engine = std::move(engine);
  db->epoch = &db->engine->epoch();
  db->ops = db->engine->ops();
  db->max_key = db->engine->limits().max_key_bytes;
  db->max_value = db->engine->limits().max_value_bytes;
  while (db->id == 0) db->engine->vfs()->Random(&db->id, sizeof db->id);
  db->default_keyspace.link.db = db.get();
  db->default_keyspace.keyspace = db->engine->DefaultKeyspace();
  *db_out = db.release();
  return KIST_OK;
}

namespace {

// An engine's refusal as invalid is of the values of options: those that do not fit each other.
kist_rc FinishOption(kist_err* err, const Status& s) {
  return s.ok() ? KIST_OK : FailWith(err, s, s.Is(Code::kInvalid) ? KIST_D_VALUE : KIST_D_NONE);
}

kist_rc Open(const char* path, const kist_options* options, kist_db** db_out, kist_err* err) {
  SetOut<kist_db*>(db_out, nullptr);
  OptionSet set;
  std::shared_ptr<LoggerOwner> logger;
  if (options != nullptr) {
    if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
    Use use(&const_cast<kist_options*>(options)->state, err);
    KIST_CHECKED(use.rc());
    set = options->set;
    logger = options->logger;
  }
  if (path == nullptr) return FailNull(err, "path");
  if (db_out == nullptr) return FailNull(err, "db_out");
  if (*path == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "the path is empty");
  Result<std::unique_ptr<Db>> engine =
      Db::Open(path, set, logger != nullptr ? logger->sink : LogSink(), nullptr);
  if (!engine.ok()) return FinishOption(err, engine.status());
  return MakeDb(engine.Take(), std::move(logger), db_out, err);
}

kist_rc Close(kist_db* db, uint32_t mode, kist_err* err) {
  if (db == nullptr) return KIST_OK;
  if (!Is(db, kDbMagic)) return FailHandle(err, "database");
  return CloseDb(db, mode, err);
}

kist_rc SetOption(kist_db* db, const char* name, const char* value, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (name == nullptr) return FailNull(err, "name");
  if (value == nullptr) return FailNull(err, "value");
  // The registry judges name and value first, so that a bad value of an unknown or fixed option is
  // never half seen.
  OptionSet checked;
  const bool forgiving = *name == '?';
  const OptionInfo* info = FindOption(forgiving ? name + 1 : name);
  const Status s = checked.Set(name, value);
  if (!s.ok()) return FailWith(err, s, info != nullptr ? KIST_D_VALUE : KIST_D_NAME);
  if (info == nullptr) return KIST_OK;
  if (!info->live) {
    return Fail(err, KIST_E_INVALID, {KIST_D_NAME},
                "option %s cannot change while the database is open", info->name);
  }
  return FinishOption(err, db->engine->SetOption(info->name, value));
}

kist_rc Destroy(const char* path, kist_err* err) {
  if (path == nullptr) return FailNull(err, "path");
  if (*path == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "the path is empty");
  return Finish(err, DestroyDb(path, PosixVfs()));
}

// ---- maintenance

kist_rc Flush(kist_db* db, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  return Finish(err, db->engine->Flush());
}

kist_rc Compact(kist_keyspace* ks, const void* begin, size_t begin_len, const void* end,
                size_t end_len, const kist_job* job, kist_err* err) {
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  KIST_CHECKED(CheckRange(db, begin, begin_len, end, end_len, err));
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  return Finish(err, db->engine->Compact(ks->keyspace.get(), Bytes(begin, begin_len),
                                         Bytes(end, end_len), control));
}

kist_rc WaitIdle(kist_db* db, int64_t timeout_ms, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  return Finish(err, db->engine->WaitIdle(timeout_ms));
}

kist_rc Verify(kist_db* db, const kist_job* job, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  return Finish(err, db->engine->Verify(control));
}

kist_rc ApproximateSize(kist_keyspace* ks, const void* begin, size_t begin_len, const void* end,
                        size_t end_len, uint64_t* bytes_out, kist_err* err) {
  SetOut<uint64_t>(bytes_out, 0);
  Call call(ks, err);
  KIST_CHECKED(call.rc());
  kist_db* db = ks->link.db;
  KIST_CHECKED(CheckRange(db, begin, begin_len, end, end_len, err));
  if (bytes_out == nullptr) return FailNull(err, "bytes_out");
  uint64_t bytes = 0;
  const Status s = db->engine->ApproximateSize(ks->keyspace.get(), Bytes(begin, begin_len),
                                               Bytes(end, end_len), &bytes);
  if (s.ok()) *bytes_out = bytes;
  return Finish(err, s);
}

// ---- statistics

kist_rc Stat(kist_db* db, const char* name, uint64_t* value_out, kist_err* err) {
  SetOut<uint64_t>(value_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (name == nullptr) return FailNull(err, "name");
  if (value_out == nullptr) return FailNull(err, "value_out");
  const std::optional<uint64_t> value = db->engine->Stat(name);
  if (!value.has_value())
    return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "unknown statistic '%s'", name);
  *value_out = *value;
  return KIST_OK;
}

kist_rc Stats(kist_db* db, int32_t format, char* buf, size_t cap, size_t* len_out, kist_err* err) {
  SetOut<size_t>(len_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (format < KIST_STATS_TEXT || format > KIST_STATS_PROMETHEUS) {
    return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown format %d", format);
  }
  if (buf == nullptr && cap != 0) return FailNull(err, "buf");
  return CopyText(db->engine->Stats(static_cast<Db::StatsFormat>(format)), buf, cap, len_out);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_open(const char* path, const kist_options* options, kist_db** db_out, kist_err* err) {
  return Guard(err, [&] { return Open(path, options, db_out, err); });
}

kist_rc kist_close(kist_db* db, uint32_t mode, kist_err* err) {
  return Guard(err, [&] { return Close(db, mode, err); });
}

kist_rc kist_set_option(kist_db* db, const char* name, const char* value, kist_err* err) {
  return Guard(err, [&] { return SetOption(db, name, value, err); });
}

kist_rc kist_destroy(const char* path, kist_err* err) {
  return Guard(err, [&] { return Destroy(path, err); });
}

kist_rc kist_flush(kist_db* db, kist_err* err) {
  return Guard(err, [&] { return Flush(db, err); });
}

kist_rc kist_compact(kist_keyspace* ks, const void* begin, size_t begin_len, const void* end,
                     size_t end_len, const kist_job* job, kist_err* err) {
  return Guard(err, [&] { return Compact(ks, begin, begin_len, end, end_len, job, err); });
}

kist_rc kist_wait_idle(kist_db* db, int64_t timeout_ms, kist_err* err) {
  return Guard(err, [&] { return WaitIdle(db, timeout_ms, err); });
}

kist_rc kist_verify(kist_db* db, const kist_job* job, kist_err* err) {
  return Guard(err, [&] { return Verify(db, job, err); });
}

kist_rc kist_approximate_size(kist_keyspace* ks, const void* begin, size_t begin_len,
                              const void* end, size_t end_len, uint64_t* bytes_out, kist_err* err) {
  return Guard(err,
               [&] { return ApproximateSize(ks, begin, begin_len, end, end_len, bytes_out, err); });
}

kist_rc kist_stat(kist_db* db, const char* name, uint64_t* value_out, kist_err* err) {
  return Guard(err, [&] { return Stat(db, name, value_out, err); });
}

kist_rc kist_stats(kist_db* db, int32_t format, char* buf, size_t cap, size_t* len_out,
                   kist_err* err) {
  return Guard(err, [&] { return Stats(db, format, buf, cap, len_out, err); });
}

}  // extern "C"
