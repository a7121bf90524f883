// The life of a database behind its handles: children, the three ways to close, fork children.
//
// Closing for good (CloseEngine) runs once: `closed` is stored, running calls are waited for (the
// epoch for point reads, the gate for the rest, the state word for each iterator), then the engine
// closes. STRICT and REVOKE do it in kist_close, DEFER leaves it to the free of the last child.
// After that the engine object only waits for its children to go.
// In a fork child nothing here locks, waits or touches the engine: handles are freed, the engine is
// left alone.
// Threads: any.
#pragma once

#include "capi/error.h"
#include "capi/handle.h"

namespace kist::capi {

inline bool InForkChild(const kist_db* db) { return db->fork->InChild(); }

// The handle of an open engine, which it takes. Tests give it one over a file system and clock of
// theirs.
kist_rc MakeDb(std::unique_ptr<Db> engine, std::shared_ptr<LoggerOwner> logger, kist_db** db_out,
               kist_err* err);

// Adds a child that is complete. KIST_E_CLOSED where the database was closed meanwhile.
kist_rc Register(kist_db* db, Link* link, kist_err* err);
// Takes a child out, runs the deferred closing if it was the last one, and drops its reference. The
// caller has destroyed what belongs to the engine, and not the link.
void Unregister(Link* link) noexcept;

kist_rc CloseDb(kist_db* db, uint32_t mode, kist_err* err);

}  // namespace kist::capi
