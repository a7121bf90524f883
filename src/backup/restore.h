// Restore: builds a database from a target, exactly as it was after one commit.
//
// Invariants
//  1. The directory was missing or empty; where anything fails it is left so again.
//  2. Every byte is checked on its way: tables against the checksum that the listing names, ranges
//     against theirs, and each range against the one before. Then the database is opened, which
//     replays the log, and verified.
//  3. The restored database starts a log of its own that names no predecessor: nothing ever goes on
//     from where its original's copies ended, so histories that part are told apart.
// Threads: any; works with several threads of its own.
#pragma once

#include <string>

#include "backup/plan.h"
#include "db/db.h"

namespace kist {

Status RestoreBackup(Target* target, Vfs* vfs, const std::string& path, const RestorePoint& point,
                     const JobControl& job, Sequence* seq);

}  // namespace kist
