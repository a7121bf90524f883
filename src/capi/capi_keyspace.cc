// Keyspace handles: open, free, drop, list.
// Invariant: the default handle is part of kist_db and never a child; every other one is a child.
// Threads: any, concurrently.
#include <string>

#include "capi/args.h"

namespace kist::capi {
namespace {

constexpr char kDefaultName[] = "default";

kist_rc KeyspaceOptionsOf(const kist_options* options, OptionSet* set, kist_err* err) {
  if (!Is(options, kOptionsMagic)) return FailHandle(err, "options");
  Use use(&const_cast<kist_options*>(options)->state, err);
  KIST_CHECKED(use.rc());
  const OptionInfo* stray =
      options->set.FirstSet([](const OptionInfo& info) { return !info.keyspace; });
  if (stray != nullptr) {
    return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "option %s is not one of keyspaces",
                stray->name);
  }
  *set = options->set;
  return KIST_OK;
}

kist_rc KeyspaceOpen(kist_db* db, const char* name, uint32_t mode, const kist_options* options,
                     kist_keyspace** ks_out, kist_err* err) {
  SetOut<kist_keyspace*>(ks_out, nullptr);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckName(name, err));
  if (mode > KIST_KEYSPACE_CREATE_NEW)
    return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown mode %u", mode);
  if (ks_out == nullptr) return FailNull(err, "ks_out");
  OptionSet set;
  if (options != nullptr) KIST_CHECKED(KeyspaceOptionsOf(options, &set, err));
  auto handle = std::make_unique<kist_keyspace>();
  auto opened = db->engine->OpenKeyspace(name, static_cast<KeyspaceMode>(mode),
                                         options != nullptr ? &set : nullptr);
  if (!opened.ok()) return FailWith(err, opened.status());
  handle->keyspace = opened.Take();
  KIST_CHECKED(Register(db, &handle->link, err));
  *ks_out = handle.release();
  return KIST_OK;
}

void KeyspaceFree(kist_keyspace* ks) {
  if (!Is(ks, kKeyspaceMagic) || ks == &ks->link.db->default_keyspace) return;
  if (InForkChild(ks->link.db)) static_cast<void>(ks->keyspace.Release());
  ks->keyspace = {};
  Unregister(&ks->link);
  delete ks;
}

kist_rc KeyspaceDrop(kist_db* db, const char* name, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckName(name, err));
  if (Slice(name) == kDefaultName) {
    return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "the default keyspace cannot be dropped");
  }
  return Finish(err, db->engine->DropKeyspace(name));
}

kist_rc KeyspaceList(kist_db* db, char* buf, size_t cap, size_t* len_out, kist_err* err) {
  SetOut<size_t>(len_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  if (buf == nullptr && cap != 0) return FailNull(err, "buf");
  std::string names;
  for (const std::string& name : db->engine->ListKeyspaces())
    names.append(name.c_str(), name.size() + 1);
  return CopyBytes(names, buf, cap, len_out);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_keyspace* kist_default(kist_db* db) {
  return Is(db, kDbMagic) ? &db->default_keyspace : nullptr;
}

kist_rc kist_keyspace_open(kist_db* db, const char* name, uint32_t mode,
                           const kist_options* options, kist_keyspace** ks_out, kist_err* err) {
  return Guard(err, [&] { return KeyspaceOpen(db, name, mode, options, ks_out, err); });
}

void kist_keyspace_free(kist_keyspace* ks) {
  GuardVoid([&] { KeyspaceFree(ks); });
}

kist_rc kist_keyspace_drop(kist_db* db, const char* name, kist_err* err) {
  return Guard(err, [&] { return KeyspaceDrop(db, name, err); });
}

kist_rc kist_keyspace_list(kist_db* db, char* buf, size_t cap, size_t* len_out, kist_err* err) {
  return Guard(err, [&] { return KeyspaceList(db, buf, cap, len_out, err); });
}

uint32_t kist_keyspace_id(const kist_keyspace* ks) {
  return Is(ks, kKeyspaceMagic) ? ks->keyspace->id() : 0;
}

}  // extern "C"
