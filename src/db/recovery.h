// What replaying the log has gathered so far: the memtable being filled, tables already written,
// keyspaces that came and went, and the chain's verdict.
// Threads: the opener's.
#pragma once

#include <algorithm>

#include "db/db_impl.h"
#include "record/chain.h"

namespace kist {

struct DbImpl::Recovery {
  RefPtr<Memtable> memtable;
  // Of the commits in it: the last one, and the keyspaces that they created and dropped.
  Sequence last_seq = 0;
  std::vector<NewKeyspace> created;
  std::vector<uint32_t> dropped;
  std::vector<uint32_t> freed_slots;
  bool no_space = false;     // for its table: it goes on growing and is flushed later
  Sequence flushed_lsn = 0;  // commits up to here are in outcome's tables
  ChainResult chain;
  Outcome outcome;        // tables written on the way, keyspaces created and dropped
  int64_t newest_ms = 0;  // latest commit time in the log

  bool Dropped(uint32_t keyspace) const {
    const auto holds = [keyspace](const std::vector<uint32_t>& ids) {
      return std::find(ids.begin(), ids.end(), keyspace) != ids.end();
    };
    return holds(dropped) || holds(outcome.edit.dropped);
  }
};

// kCorrupt where the directory holds files of a database although CURRENT is missing.
Status CheckNoDatabase(const std::string& dir, const std::vector<std::string>& names);

}  // namespace kist
