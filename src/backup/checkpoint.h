// Checkpoint: an openable copy of an open database as it is now. Tables and sealed segments of the
// log are immutable, so they are hard links where the file system allows, copies elsewhere; the
// log's tail is copied up to its durable end, record by record; manifest and CURRENT are written
// anew, last.
//
// Invariants
//  1. The copy holds every commit that was acknowledged before the call, and is the state after
//     exactly one commit.
//  2. CURRENT appears when everything it leads to is durable.
//  3. The original's files are never written through the copy: what an open writes to (the log's
//     last segment, manifests) is never shared.
// Threads: any, beside everything else.
#pragma once

#include <string>

#include "db/db.h"

namespace kist {

// `to` is the file system of the copy. kExists where path is something else than a missing or empty
// directory. seq, where not nullptr, receives the copy's last commit.
Status MakeCheckpoint(Db* db, Vfs* to, const std::string& path, Sequence* seq);

}  // namespace kist
