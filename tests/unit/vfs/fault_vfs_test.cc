// The fault-injecting Vfs itself: what it counts, fails, loses and heals.
#include "support/fault_vfs.h"

#include "support/unit_test.h"
#include "vfs/memory_vfs.h"

using namespace kist;
using namespace kist::test;

static std::string Contents(Vfs* vfs, const std::string& path) {
  auto data = ReadFile(vfs, path);
  ASSERT_OK(data);
  return data.Take();
}

static void fault_vfs__counts_by_class_and_fails_the_nth_once(void**) {
  MemoryVfs memory;
  FaultVfs vfs(&memory);
  auto file = vfs.Open("/a", OpenMode::kCreateNew);
  ASSERT_OK(file);
  vfs.Fail({kFaultWrite, 2, ENOSPC});
  ASSERT_OK((*file)->Write(0, "one"));
  ASSERT_CODE((*file)->Write(3, "two"), Code::kNoSpace);
  ASSERT_OK((*file)->Write(3, "TWO"));
  ASSERT_SLICE(Contents(&memory, "/a"), "oneTWO");
  assert_int_equal(vfs.Count(kFaultWrite), 3);
  assert_int_equal(vfs.Count(kFaultCreate), 1);
  assert_int_equal(vfs.Count(kFaultOpen), 0);
  assert_int_equal(vfs.Count(kFaultSpace), 4);
  assert_int_equal(vfs.failures(), 1);
}

static void fault_vfs__for_ever_until_healed_and_by_path(void**) {
  MemoryVfs memory;
  FaultVfs vfs(&memory);
  Fault fault;
  fault.calls = kFaultCreate | kFaultMakeDir;
  fault.for_ever = true;
  fault.error = EMFILE;
  fault.path_contains = ".kst";
  vfs.Fail(fault);
  ASSERT_OK(vfs.Open("/a.log", OpenMode::kCreateNew));
  ASSERT_CODE(vfs.Open("/a.kst", OpenMode::kCreateNew), Code::kIo);
  ASSERT_CODE(vfs.MakeDir("/b.kst"), Code::kIo);
  vfs.Heal();
  ASSERT_OK(vfs.Open("/a.kst", OpenMode::kCreateNew));
}

static void fault_vfs__partial_write(void**) {
  MemoryVfs memory;
  FaultVfs vfs(&memory);
  auto file = vfs.Open("/a", OpenMode::kCreateNew);
  Fault fault;
  fault.calls = kFaultWrite;
  fault.error = EIO;
  fault.partial_bytes = 5;
  vfs.Fail(fault);
  const Slice parts[] = {"abc", "defg", "hij"};
  ASSERT_CODE((*file)->WriteV(0, parts, 3), Code::kIo);
  ASSERT_SLICE(Contents(&memory, "/a"), "abcde");
}

static void fault_vfs__failed_sync_keeps_or_loses(void**) {
  MemoryVfs memory;
  FaultVfs vfs(&memory, true);
  auto file = vfs.Open("/a", OpenMode::kCreateNew);
  ASSERT_OK((*file)->Write(0, "durable"));
  ASSERT_OK((*file)->Sync());
  ASSERT_OK((*file)->Write(3, "XX"));
  ASSERT_OK((*file)->Write(4, "YYYYYY"));
  Fault fault;
  fault.calls = kFaultSync;
  fault.error = ENOSPC;
  vfs.Fail(fault);
  const Status kept = (*file)->Sync();
  ASSERT_CODE(kept, Code::kIo);
  assert_int_equal(kept.sys_errno(), ENOSPC);
  ASSERT_SLICE(Contents(&memory, "/a"), "durXYYYYYY");
  ASSERT_OK((*file)->Write(0, "lost?"));
  ASSERT_OK((*file)->Write(8, "beyond"));
  fault.data_lost = true;
  vfs.Fail(fault);
  ASSERT_CODE((*file)->Sync(), Code::kIo);
  ASSERT_SLICE(Contents(&memory, "/a"), std::string("durXYYYYYY\0\0\0\0", 14));
  ASSERT_OK((*file)->Sync());  // says nothing of what was lost
}

static void fault_vfs__every_call_can_fail(void**) {
  MemoryVfs memory;
  ASSERT_OK(memory.MakeDir("/d"));
  FaultVfs vfs(&memory);
  auto file = vfs.Open("/d/a", OpenMode::kCreateNew);
  Fault fault;
  fault.for_ever = true;
  vfs.Fail(fault);
  char c;
  ASSERT_CODE((*file)->Read(0, &c, 1), Code::kIo);
  ASSERT_CODE((*file)->Truncate(1), Code::kIo);
  ASSERT_CODE((*file)->Preallocate(1), Code::kIo);
  ASSERT_CODE((*file)->Sync(), Code::kIo);
  ASSERT_CODE(vfs.Open("/d/a", OpenMode::kRead), Code::kIo);
  ASSERT_CODE(vfs.Rename("/d/a", "/d/b"), Code::kIo);
  ASSERT_CODE(vfs.Remove("/d/a"), Code::kIo);
  ASSERT_CODE(vfs.RemoveDir("/d"), Code::kIo);
  ASSERT_CODE(vfs.Link("/d/a", "/d/b"), Code::kIo);
  ASSERT_CODE(vfs.SyncDir("/d"), Code::kIo);
  ASSERT_CODE(vfs.List("/d"), Code::kIo);
  ASSERT_CODE(vfs.Stat("/d"), Code::kIo);
  ASSERT_CODE(vfs.Lock("/d/LOCK"), Code::kIo);
  ASSERT_CODE(vfs.Start("t", [] {}), Code::kIo);
  ASSERT_CODE(vfs.MakeForkGuard(), Code::kIo);
  vfs.Heal();
  fault.error = EOPNOTSUPP;
  vfs.Fail(fault);
  ASSERT_CODE((*file)->Preallocate(1), Code::kUnsupported);
  assert_int_equal((*memory.List("/d")).size(), 1);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(fault_vfs__counts_by_class_and_fails_the_nth_once),
      cmocka_unit_test(fault_vfs__for_ever_until_healed_and_by_path),
      cmocka_unit_test(fault_vfs__partial_write),
      cmocka_unit_test(fault_vfs__failed_sync_keeps_or_loses),
      cmocka_unit_test(fault_vfs__every_call_can_fail),
  };
  return cmocka_run_group_tests_name("fault_vfs", tests, nullptr, nullptr);
}
