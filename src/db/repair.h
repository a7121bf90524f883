// Repair: what a damaged directory still holds, written into a database that opens.
//
// Every version that undamaged blocks of tables and records of the log hold is merged, by its
// sequence as in a compaction, so that the newest one that is left of each key counts. The outcome
// is new tables and a new manifest beside the old files; when all of it is durable CURRENT is
// pointed at it, and only then the old files are removed. Until then the original is as it was.
// Threads: any; the directory's lock is held.
#pragma once

#include <string>

#include "db/db.h"

namespace kist {

// *report: a line for each loss, then one with the counts; also where the repair fails. kMissing
// where the directory holds nothing of a database.
Status RepairDb(const std::string& path, Vfs* vfs, const JobControl& job, std::string* report);

}  // namespace kist
