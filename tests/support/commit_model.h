// CommitModel: what a database must hold, kept as maps and a journal of commits and written from
// kist.h alone: values with the time at which they expire, the default TTLs of keyspaces, and each
// commit with its sequence number for the feed to be compared with. ParsePacked reads a packed
// batch by the layout in kist.h.
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kist/kist.h"

namespace kist::test {

enum ModelKind : uint8_t { kModelPut = 1, kModelDelete, kModelRange, kModelCreate, kModelDrop };

struct ModelOp {
  ModelKind kind = kModelPut;
  uint32_t keyspace = 0;
  std::string key;
  std::string value;      // or the end key
  int64_t ttl_ms = 0;     // as asked for; 0: the keyspace's default
  int64_t otherwise = 0;  // of the keyspace at the commit: what a TTL of 0 stands for
  // Never is KIST_TTL_NEVER, whoever says so.
  int64_t Ttl() const {
    if (ttl_ms != 0) return ttl_ms;
    return otherwise != 0 ? otherwise : KIST_TTL_NEVER;
  }
  bool Covers(const std::string& k) const {
    return kind == kModelRange && key <= k && (value.empty() || k < value);
  }
};

struct ModelEntry {
  std::string value;
  int64_t expires_ms = 0;  // 0: never
  bool SeenAt(int64_t now_ms) const { return expires_ms == 0 || expires_ms > now_ms; }
};

// Values that have expired stay in it: they hide nothing, because they took the older one's place.
using ModelState = std::map<std::string, ModelEntry>;
using ModelStates = std::map<uint32_t, ModelState>;  // by keyspace id

struct ModelCommit {
  uint64_t seq = 0;
  int64_t time_ms = 0;
  std::vector<ModelOp> ops;
};

inline const ModelEntry* Visible(const ModelState& state, const std::string& key, int64_t now_ms) {
  const auto it = state.find(key);
  return it != state.end() && it->second.SeenAt(now_ms) ? &it->second : nullptr;
}

// The entries that a reader at this time sees.
inline ModelState VisiblePart(const ModelState& state, int64_t now_ms) {
  ModelState seen;
  for (const auto& [key, entry] : state)
    if (entry.SeenAt(now_ms)) seen.emplace_hint(seen.end(), key, entry);
  return seen;
}

inline void Apply(const ModelOp& op, int64_t now_ms, ModelStates* states) {
  ModelState& state = (*states)[op.keyspace];
  if (op.kind == kModelPut) {
    const int64_t ttl = op.Ttl();
    const int64_t end = ttl > INT64_MAX - now_ms ? INT64_MAX : now_ms + ttl;
    state[op.key] = {op.value, ttl == KIST_TTL_NEVER ? 0 : end};
  } else if (op.kind == kModelDelete) {
    state.erase(op.key);
  } else if (op.kind == kModelRange) {
    state.erase(state.lower_bound(op.key),
                op.value.empty() ? state.end() : state.lower_bound(op.value));
  } else if (op.kind == kModelDrop) {
    states->erase(op.keyspace);
  }
}

// What is left of a commit's operations when those are gone that a later range delete of the same
// commit takes back: the feed need not give them.
inline std::vector<ModelOp> Lasting(const std::vector<ModelOp>& ops) {
  std::vector<ModelOp> lasting;
  for (size_t i = 0; i < ops.size(); ++i) {
    bool covered = false;
    for (size_t j = i + 1; j < ops.size(); ++j)
      covered |= ops[j].keyspace == ops[i].keyspace && ops[j].Covers(ops[i].key);
    if (!covered || ops[i].kind == kModelRange) lasting.push_back(ops[i]);
  }
  return lasting;
}

struct CommitModel {
  ModelStates states;
  std::map<uint32_t, int64_t> default_ttl_ms;
  std::vector<ModelCommit> journal;

  // A put with a TTL of 0 gets its keyspace's default.
  ModelOp Resolved(ModelOp op) const {
    const auto it = default_ttl_ms.find(op.keyspace);
    op.otherwise = it != default_ttl_ms.end() ? it->second : 0;
    return op;
  }
  void Commit(uint64_t seq, int64_t now_ms, std::vector<ModelOp> ops) {
    for (ModelOp& op : ops) {
      op = Resolved(std::move(op));
      Apply(op, now_ms, &states);
    }
    journal.push_back({seq, now_ms, std::move(ops)});
  }
};

// False where the bytes are not of the layout.
inline bool ParsePacked(const kist_slice& packed, std::vector<ModelOp>* ops) {
  const auto* p = static_cast<const unsigned char*>(packed.data);
  const unsigned char* const end = p + packed.len;
  const auto number = [](const unsigned char* at, int bytes) {
    uint64_t n = 0;
    while (bytes-- > 0) n = n << 8 | at[bytes];
    return n;
  };
  if (packed.len < 8 || std::string(p, p + 4) != std::string("KWB\1")) return false;
  uint64_t left = number(p + 4, 4);
  for (p += 8; left > 0; --left) {
    if (end - p < 16) return false;
    ModelOp op;
    op.kind = static_cast<ModelKind>(p[0]);
    const bool has_ttl = p[1] == 1;
    op.keyspace = static_cast<uint32_t>(number(p + 4, 4));
    const uint64_t key_len = number(p + 8, 4), val_len = number(p + 12, 4);
    p += 16;
    if (static_cast<uint64_t>(end - p) < key_len + val_len + (has_ttl ? 8 : 0)) return false;
    if (has_ttl) {
      op.ttl_ms = static_cast<int64_t>(number(p, 8));
      if (op.ttl_ms <= 0) return false;
      p += 8;
    }
    op.key.assign(p, p + key_len);
    op.value.assign(p + key_len, p + key_len + val_len);
    p += key_len + val_len;
    ops->push_back(std::move(op));
  }
  return p == end;
}

}  // namespace kist::test
