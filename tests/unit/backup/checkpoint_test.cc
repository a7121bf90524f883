// Checkpoints: what the copy holds, beside a running load, over both ways of copying, and what is
// left where one fails.
#include "backup/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "db/retain.h"
#include "key/file_name.h"
#include "record/segment.h"
#include "support/commit_history.h"
#include "support/fault_vfs.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kOptions[] = "memory_budget=4MiB; sync=never";

std::unique_ptr<Db> OpenDb(Vfs* vfs, const std::string& path, const std::string& text = kOptions) {
  OptionSet options;
  ASSERT_OK(options.Parse(text));
  auto db = Db::Open(path, options, LogSink(), vfs);
  ASSERT_OK(db.status());
  return db.Take();
}

void checkpoint__is_the_newest_state_with_its_number(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("checkpoint"));
  history.Use(db.get());
  for (int i = 0; i < 30; ++i) {
    const std::string path = "/copy" + std::to_string(i);
    Sequence seq = 0, opened_at = 0;
    ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), path, &seq));
    assert_int_equal(seq, history.last());
    ASSERT_SLICE(DumpAt(vfs.get(), path, &opened_at), history.At(seq));
    assert_int_equal(opened_at, seq);
    history.Steps(static_cast<int>(history.rng().Below(40)));
  }
  ASSERT_OK(db->Close());
}

void checkpoint__and_the_original_go_their_own_ways(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(Seed("ways"));
  history.Use(db.get());
  history.Steps(200);
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/copy", nullptr));
  CommitHistory other = history;
  auto copy = OpenDb(vfs.get(), "/copy");
  other.Use(copy.get());
  for (int i = 0; i < 10; ++i) {
    history.Steps(30);
    other.Steps(20);
  }
  ASSERT_SLICE(Dump(db.get()), history.At(history.last()));
  ASSERT_SLICE(Dump(copy.get()), other.At(other.last()));
  ASSERT_OK(copy->Close());
  ASSERT_OK(db->Close());
  ASSERT_SLICE(DumpAt(vfs.get(), "/db"), history.At(history.last()));
  ASSERT_SLICE(DumpAt(vfs.get(), "/copy"), other.At(other.last()));
}

void checkpoint__links_tables_and_copies_where_it_cannot(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  ASSERT_OK(db->Put(db->DefaultKeyspace().get(), Durability::kOs, "k", "v", 0, nullptr));
  ASSERT_OK(db->Flush());
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/linked", nullptr));
  FaultVfs without(vfs.get());
  without.Fail({kFaultLink, 1, EXDEV, true});
  // Another file system object is another file system.
  ASSERT_OK(MakeCheckpoint(db.get(), &without, "/copied", nullptr));
  auto elsewhere = NewMemoryVfs();
  ASSERT_OK(MakeCheckpoint(db.get(), elsewhere.get(), "/elsewhere", nullptr));
  const auto inode_of = [](Vfs* v, const std::string& dir) {
    auto names = v->List(dir);
    ASSERT_OK(names.status());
    for (const std::string& name : *names) {
      if (name.find(".kst") != std::string::npos) return v->Stat(JoinPath(dir, name))->inode;
    }
    return uint64_t{0};
  };
  assert_int_equal(inode_of(vfs.get(), "/linked"), inode_of(vfs.get(), "/db"));
  assert_int_not_equal(inode_of(vfs.get(), "/copied"), inode_of(vfs.get(), "/db"));
  const std::string want = Dump(db.get());
  ASSERT_SLICE(DumpAt(vfs.get(), "/linked"), want);
  ASSERT_SLICE(DumpAt(vfs.get(), "/copied"), want);
  ASSERT_SLICE(DumpAt(elsewhere.get(), "/elsewhere"), want);
  ASSERT_OK(db->Close());
}

std::string BytesOf(Vfs* vfs, const std::string& path) {
  auto file = vfs->Open(path, OpenMode::kRead);
  ASSERT_OK(file.status());
  auto size = (*file)->Size();
  ASSERT_OK(size.status());
  std::string bytes(*size, '\0');
  auto n = (*file)->Read(0, bytes.data(), bytes.size());
  ASSERT_OK(n.status());
  assert_int_equal(*n, bytes.size());
  return bytes;
}

// A log that is long begins a new segment, so that little is copied; a short one does not.
void checkpoint__of_a_long_log_begins_a_segment(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "memory_budget=16MiB; sync=never; write_buffer_size=256KiB");
  auto hold = db->HoldLog();
  ASSERT_OK(hold.status());
  const auto put = [&](size_t bytes) {
    ASSERT_OK(db->Put(db->DefaultKeyspace().get(), Durability::kOs, "k", std::string(bytes, 'v'), 0,
                      nullptr));
  };
  put(1000);
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/short", nullptr));
  assert_int_equal(db->LogExtents().size(), 1);
  put(60000);
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/long", nullptr));
  const std::vector<LogExtent> extents = db->LogExtents();
  assert_int_equal(extents.size(), 2);
  const std::string full = JoinPath("/db", LogFileName(extents[0].number));
  assert_true((*SegmentReader::Open(vfs.get(), full, SegmentType::kLog))->sealed());
  ASSERT_SLICE(DumpAt(vfs.get(), "/long"), Dump(db.get()));
  hold->reset();
  ASSERT_OK(db->Close());
}

// Full segments of the log are linked, unless the flush is done with them by then. The copy never
// writes to them.
void checkpoint__links_the_log_too(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db", "memory_budget=16MiB; sync=never; write_buffer_size=256KiB");
  size_t linked = 0;
  for (int i = 0; linked < 3; ++i) {
    assert_true(i < 5000);
    const std::string path = "/copy" + std::to_string(i);
    const std::string want(60000, static_cast<char>('a' + i % 26));
    ASSERT_OK(db->Put(db->DefaultKeyspace().get(), Durability::kOs, "long", want, 0, nullptr));
    Sequence seq = 0;
    ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), path, &seq));
    assert_int_equal(seq, db->last_seq());
    std::map<std::string, std::string> before;
    const std::vector<std::string> names = *vfs->List(path);
    for (const std::string& name : names) {
      const auto there = vfs->Stat(JoinPath("/db", name)), here = vfs->Stat(JoinPath(path, name));
      const bool log = name.find(".log") != std::string::npos;
      if (log && there.ok() && there->inode == here->inode)
        before[name] = BytesOf(vfs.get(), JoinPath(path, name));
    }
    linked += before.size();
    for (int opens = 0; opens < 2; ++opens) {
      auto copy = OpenDb(vfs.get(), path);
      const RefPtr<Keyspace> ks = copy->DefaultKeyspace();
      ASSERT_OK(copy->Put(ks.get(), Durability::kSync, "own", "1", 0, nullptr));
      {
        ReadFound found;
        Epoch::Guard guard(copy->epoch());
        ASSERT_OK(copy->Get(ks.get(), nullptr, "long", true, &found));
        assert_true(found.found);
        ASSERT_SLICE(found.value, want);
      }
      for (const auto& [name, bytes] : before) {
        if (vfs->Stat(JoinPath(path, name)).ok())
          ASSERT_SLICE(BytesOf(vfs.get(), JoinPath(path, name)), bytes);
      }
      ASSERT_OK(copy->Verify({}));
      ASSERT_OK(copy->Close());
    }
  }
  ASSERT_OK(db->Verify({}));
  ASSERT_OK(db->Close());
}

void checkpoint__beside_a_load_is_a_prefix(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db",
                   "memory_budget=4MiB; sync=never; write_buffer_size=64KiB; "
                   "target_file_size=64KiB");
  auto ks = db->DefaultKeyspace();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t i = 0; !stop.load() && i < 400000; ++i) {
      const std::string value = std::to_string(i) + std::string(200, 'x');
      // Two keys a commit: a copy that splits one shows it.
      BatchBuilder batch(kRecordHeaderMax);
      if (!batch.Put(0, "key" + std::to_string(i % 3000), value, 0).ok() ||
          !batch.Put(0, "newest", std::to_string(i), 0).ok())
        std::abort();
      WriteRequest request;
      request.batch = batch.mutable_data();
      request.batch_bytes = batch.data().size();
      request.has_headroom = true;
      request.summary = batch.summary();
      if (!db->Write(&request, nullptr).ok()) std::abort();
    }
  });
  for (int i = 0; i < 8; ++i) {
    const std::string path = "/copy" + std::to_string(i);
    const Sequence before = db->last_seq();
    Sequence seq = 0;
    ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), path, &seq));
    assert_true(seq >= before);
    auto copy = OpenDb(vfs.get(), path);
    assert_int_equal(copy->last_seq(), seq);
    for (uint64_t k = seq < 3000 ? 0 : seq - 3000; k < seq; ++k) {
      Epoch::Guard guard(copy->epoch());
      ReadFound found;
      ASSERT_OK(copy->Get(copy->DefaultKeyspace().get(), nullptr, "key" + std::to_string(k % 3000),
                          true, &found));
      assert_true(found.found);
      ASSERT_SLICE(found.value, std::to_string(k) + std::string(200, 'x'));
    }
    ASSERT_OK(copy->Verify({}));
    ASSERT_OK(copy->Close());
  }
  stop.store(true);
  writer.join();
  ks = RefPtr<Keyspace>();
  ASSERT_OK(db->Close());
}

void checkpoint__takes_only_a_missing_or_empty_directory(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "/db", nullptr), Code::kExists);
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "/no/parent", nullptr), Code::kMissing);
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "", nullptr), Code::kInvalid);
  ASSERT_OK(vfs->MakeDir("/empty"));
  ASSERT_OK(MakeCheckpoint(db.get(), vfs.get(), "/empty", nullptr));
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "/empty", nullptr), Code::kExists);
  ASSERT_OK(vfs->MakeDir("/foreign"));
  ASSERT_OK(vfs->Open("/foreign/note.txt", OpenMode::kCreateNew).status());
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "/foreign", nullptr), Code::kExists);
  assert_int_equal(vfs->List("/foreign")->size(), 1);
  ASSERT_OK(vfs->Open("/file", OpenMode::kCreateNew).status());
  ASSERT_CODE(MakeCheckpoint(db.get(), vfs.get(), "/file", nullptr), Code::kExists);
  ASSERT_OK(db->Close());
  auto reader = OpenDb(vfs.get(), "/db", "read_only=true");
  ASSERT_CODE(MakeCheckpoint(reader.get(), vfs.get(), "/ro", nullptr), Code::kReadOnly);
  ASSERT_OK(reader->Close());
}

// A failed one leaves no directory, the original works on, and the next one succeeds.
void checkpoint__fails_cleanly_at_every_call(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  CommitHistory history(7);
  history.Use(db.get());
  history.Steps(150);
  ASSERT_OK(db->Sync());
  uint64_t failed = 0;
  for (uint64_t n = 1;; ++n) {
    FaultVfs to(vfs.get());
    to.Fail({kFaultAll, n, n % 2 == 0 ? ENOSPC : EIO});
    Status s = MakeCheckpoint(db.get(), &to, "/copy", nullptr);
    if (to.failures() == 0) {
      ASSERT_OK(s);
      break;
    }
    ++failed;
    if (s.ok()) {  // a cleaning step, or a lock
      ASSERT_SLICE(DumpAt(vfs.get(), "/copy"), history.At(history.last()));
      ASSERT_OK(DestroyDb("/copy", vfs.get()));
    }
    Result<std::vector<std::string>> left = vfs->List("/copy");
    if (left.ok() && !left->empty()) fail_msg("call %d left files", static_cast<int>(n));
    if (left.ok()) ASSERT_OK(vfs->RemoveDir("/copy"));
  }
  assert_true(failed > 20);
  ASSERT_SLICE(DumpAt(vfs.get(), "/copy"), history.At(history.last()));
  history.Steps(50);
  ASSERT_SLICE(Dump(db.get()), history.At(history.last()));
  ASSERT_OK(db->Close());
}

// Segments that a hold keeps go when it is released, and their ends are durable.
void checkpoint__holds_give_the_log_back(void**) {
  auto vfs = NewMemoryVfs();
  auto db = OpenDb(vfs.get(), "/db");
  const auto logs = [&] {
    const auto names = vfs->List("/db");
    return std::count_if(names->begin(), names->end(), [](const std::string& n) {
      return n.size() > 4 && n.substr(n.size() - 4) == ".log";
    });
  };
  const auto fill = [&] {
    for (int i = 0; i < 10; ++i) {
      ASSERT_OK(db->Put(db->DefaultKeyspace().get(), Durability::kOs, "k", "v", 0, nullptr));
      ASSERT_OK(db->Flush());
    }
    ASSERT_OK(db->WaitIdle(-1));
  };
  {
    auto hold = db->HoldLog();
    ASSERT_OK(hold.status());
    fill();
    assert_true(logs() >= 10);
    assert_true(db->LogExtents().size() >= 10);
    (*hold)->Advance(db->LogExtents()[5].number);
    assert_true(logs() < 10);
    ASSERT_OK(db->Sync());
  }
  assert_true(logs() <= 2);
  assert_int_equal(db->LogExtents().size(), 1);
  fill();
  assert_true(logs() <= 2);
  ASSERT_OK(db->Close());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(checkpoint__is_the_newest_state_with_its_number),
      cmocka_unit_test(checkpoint__and_the_original_go_their_own_ways),
      cmocka_unit_test(checkpoint__links_tables_and_copies_where_it_cannot),
      cmocka_unit_test(checkpoint__of_a_long_log_begins_a_segment),
      cmocka_unit_test(checkpoint__links_the_log_too),
      cmocka_unit_test(checkpoint__beside_a_load_is_a_prefix),
      cmocka_unit_test(checkpoint__takes_only_a_missing_or_empty_directory),
      cmocka_unit_test(checkpoint__fails_cleanly_at_every_call),
      cmocka_unit_test(checkpoint__holds_give_the_log_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
