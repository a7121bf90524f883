// Backup: one finished copy of an open database in a target, beside everything else that the
// database does. It is a generation of its own: a base copy of the tables, and the log after them
// up to the last commit before the call; its listing, written last, makes it visible.
//
// What an interrupted backup has uploaded is found by name and shared by the next one.
// Threads: any.
#pragma once

#include "backup/target.h"
#include "db/db.h"

namespace kist {

// seq receives the newest commit that the backup holds.
Status MakeBackup(Db* db, Target* target, const JobControl& job, Sequence* seq);

}  // namespace kist
