// Stream: keeps a target up to date while the database is written. One thread ships the log as
// ranges, another makes base copies, so that a base in the making never holds the log up. A turn
// of the shipper: be sure of a generation (go on with the newest one where the log follows its last
// range exactly, else begin one), sync the log, ship what is durable. Nothing that the database
// could still lose is shipped, so the target is never ahead of it. What goes wrong:
//  1. The target cannot be reached, or is slow: turns are repeated with growing pauses, the log is
//     held; the database lets go of more than log_bytes_max (db/retain.h), even while a call to the
//     target hangs, and then a generation is begun. Writers never wait for any of this.
//  2. Another writer took the next range, objects were removed, the log does not follow: a new
//     generation.
//  3. The database is poisoned, its log or the target's mark damaged, or the target another
//     database's: the stream has failed, for good.
// Threads: any; Abandon and the destructor not while another thread is inside.
#pragma once

#include <memory>
#include <string>

#include "backup/generation.h"
#include "backup/log_tail.h"
#include "backup/target.h"
#include "db/db.h"
#include "db/retain.h"
#include "util/mutex.h"

namespace kist {

class Stream {
 public:
  enum class State { kRunning, kRetrying, kFailed };
  struct Info {
    State state = State::kRunning;
    Sequence shipped_seq = 0;
    uint64_t lag_bytes = 0;
    int64_t lag_ms = 0;
    uint64_t shipped_bytes = 0;
    uint64_t errors = 0;
  };
  // Reads the target once; fails where that fails. The database outlives the stream.
  static Result<std::unique_ptr<Stream>> Start(Db* db, std::unique_ptr<Target> target,
                                               const StreamOptions& options);
  ~Stream();  // Abandon

  Info GetInfo();
  std::string Trouble();  // what is being retried and why; empty: all is well
  // Until everything up to seq can be restored. kTimeout; kInvalid beyond last_seq; the error of a
  // stream that has failed.
  // turns: from TurnsAfterNow, where the log's end itself is to be shipped too (a segment that
  // holds no commit yet), so that a later stream can go on from it.
  Status Wait(Sequence seq, int64_t timeout_ms, uint64_t turns = 0);
  uint64_t TurnsAfterNow();
  // Ends both threads where they are; what is not shipped is not.
  void Abandon();

 private:
  struct WantedBase {
    std::unique_ptr<PinnedState> pin;  // nullptr: none is wanted
    int64_t captured_ms = 0;
  };

  Stream(Db* db, std::unique_ptr<Target> target, const StreamOptions& options);
  void ShipperThread();
  void BaseThread();
  // ---- the shipper's
  Status Turn();
  Status FindGeneration();
  Status Resume(const Catalog& catalog, uint64_t log_number, bool* resumed);
  Status BeginGeneration(const Catalog& catalog);
  void AskForBase();
  void LeaveGeneration();
  Status CheckGeneration(GenerationWriter* writer);
  void AfterTurn(const Status& s, uint64_t* pause_us);
  // ---- any
  Status MakeBase(GenerationWriter* writer, const WantedBase& wanted);
  void Fail(const Status& s) KIST_REQUIRES(mutex_);
  uint64_t LagBytes(const LogPlace& place);
  Sequence Restorable() KIST_REQUIRES(mutex_);

  Db* const db_;
  const std::unique_ptr<Target> target_;
  const StreamOptions options_;

  // The shipper's.
  std::unique_ptr<LogHold> hold_;
  std::unique_ptr<LogTail> tail_;
  Sequence base_asked_ = 0;  // the commit of the newest base asked for in this generation
  uint64_t since_base_ = 0;  // bytes of log shipped since then
  uint64_t ranges_since_base_ = 0;
  uint64_t last_base_bytes_ = 0;
  int64_t captured_ms_ = 0;  // of the newest capture that was shipped whole; 0: none was

  std::atomic<bool> ending_{false};
  Mutex mutex_;
  CondVar ship_cond_;  // a turn is wanted now, or the end
  CondVar base_cond_;  // a base is wanted, shipped further, or the end
  CondVar done_cond_;  // progress, failure
  bool kicked_ KIST_GUARDED_BY(mutex_) = false;
  std::shared_ptr<GenerationWriter> writer_ KIST_GUARDED_BY(mutex_);  // nullptr: none yet
  WantedBase wanted_ KIST_GUARDED_BY(mutex_);
  bool base_running_ KIST_GUARDED_BY(mutex_) = false;
  bool lost_ KIST_GUARDED_BY(mutex_) = false;  // writer_'s generation is not what it was
  LogPlace place_ KIST_GUARDED_BY(mutex_);     // shipped up to here
  State state_ KIST_GUARDED_BY(mutex_) = State::kRunning;
  Status error_ KIST_GUARDED_BY(mutex_);        // of a failed stream
  Status turn_error_ KIST_GUARDED_BY(mutex_);   // of the last turn, where it failed
  Status base_error_ KIST_GUARDED_BY(mutex_);   // of writer_'s last base, where it failed
  uint64_t turns_ KIST_GUARDED_BY(mutex_) = 0;  // that succeeded
  Sequence restorable_ KIST_GUARDED_BY(mutex_) = 0;
  uint64_t shipped_before_ KIST_GUARDED_BY(mutex_) = 0;  // bytes of earlier generations' writers
  uint64_t errors_ KIST_GUARDED_BY(mutex_) = 0;
  uint64_t covered_us_ KIST_GUARDED_BY(mutex_) = 0;  // commits made before then are shipped
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace kist
