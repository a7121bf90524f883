// What replaying the log has gathered so far: the memtable being filled, tables already written,
// keyspaces that came and went, and the chain's verdict.
// Threads: the opener's.
#pragma once

#include "db/db_impl.h"
#include "record/chain.h"

namespace kist {

struct DbImpl::Recovery {
  RefPtr<Memtable> memtable;
  ChainResult chain;
  Outcome outcome;        // tables written on the way, keyspaces created and dropped
  int64_t newest_ms = 0;  // latest commit time in the log
};

// kCorrupt where the directory holds files of a database although CURRENT is missing.
Status CheckNoDatabase(const std::string& dir, const std::vector<std::string>& names);

}  // namespace kist
