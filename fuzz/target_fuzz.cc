// Restores from a target that somebody tampered with: objects dropped, renamed, copied over others,
// taken from a twin whose history went another way or from another database, damaged. A restore
// is refused, or gives exactly the state of one of the histories after the commit that it names.
// Where damage had its checksum made to fit anything may come out, but nothing may break.
#include "backup/backup.h"
#include "backup/catalog.h"
#include "backup/checkpoint.h"
#include "backup/restore.h"
#include "db_ops.h"
#include "repair.h"
#include "vfs/memory_vfs.h"

using namespace kist;
using fuzz::Model;

namespace {

using Objects = std::map<std::string, std::string>;

class MapTarget final : public Target {
 public:
  explicit MapTarget(Objects objects) : Target("map"), objects_(std::move(objects)) {}
  Status Put(const std::string& name, ObjectSource* source) override {
    std::string bytes(source->bytes(), '\0');
    KIST_TRY(source->Read(0, bytes.data(), bytes.size()));
    MutexLock lock(&mutex_);
    return objects_.emplace(name, std::move(bytes)).second ? Status() : Status::Bare(Code::kExists);
  }
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override {
    MutexLock lock(&mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return Status::Error(Code::kMissing, NameOf(name));
    if (offset >= found->second.size()) return size_t{0};
    return found->second.copy(buf, n, offset);
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override {
    MutexLock lock(&mutex_);
    std::vector<ObjectInfo> out;
    for (const auto& [name, bytes] : objects_) {
      if (name.compare(0, prefix.size(), prefix) == 0) out.push_back({name, bytes.size()});
    }
    return out;
  }
  Status Delete(const std::string& name) override {
    MutexLock lock(&mutex_);
    return objects_.erase(name) != 0 ? Status() : Status::Bare(Code::kMissing);
  }
  Objects objects() {
    MutexLock lock(&mutex_);
    return objects_;
  }

 private:
  Mutex mutex_;
  Objects objects_ KIST_GUARDED_BY(mutex_);
};

// One database's history, and the target that it was backed up to on the way.
struct History {
  std::map<Sequence, Model> states;
  Objects objects;
};

void Commits(Db* db, char letter, int n, History* history) {
  Model model = history->states.empty() ? Model() : history->states.rbegin()->second;
  for (int i = 0; i < n; ++i) {
    const std::string key = "k" + std::to_string(i % 5), value(20 + i, letter);
    Sequence seq = 0;
    MUST(db->Put(db->DefaultKeyspace().get(), Durability::kOs, key, value, 0, &seq).ok());
    model[key] = value;
    history->states[seq] = model;
  }
}

// Backups, with flushes between some of them.
void BackUp(Db* db, char letter, History* history) {
  MapTarget target(history->objects);
  for (int i = 0; i < 3; ++i) {
    Commits(db, static_cast<char>(letter + i), 6, history);
    if (i == 1) MUST(db->Flush().ok());
    Commits(db, static_cast<char>(letter + i), 4, history);
    MUST(MakeBackup(db, &target, JobControl(), nullptr).ok());
  }
  history->objects = target.objects();
}

struct Scene {
  History own, twin, stranger;
  std::vector<std::pair<std::string, std::string>> pool;  // every object of all three

  Scene() {
    auto memory = NewMemoryVfs();
    fuzz::SeededVfs vfs(memory.get());
    Status status;
    auto db = fuzz::OpenDb(&vfs, "sync=never", &status);
    MUST(status.ok());
    Commits(db.get(), '0', 3, &own);
    MUST(MakeCheckpoint(db.get(), &vfs, "/twin", nullptr).ok());
    twin.states = own.states;
    BackUp(db.get(), 'a', &own);
    MUST(db->Close().ok());
    OptionSet options;
    MUST(options.Parse("memory_budget=4MiB; sync=never").ok());
    for (auto& [path, letter, history] :
         {std::make_tuple("/twin", 'l', &twin), std::make_tuple("/stranger", 's', &stranger)}) {
      auto other = Db::Open(path, options, LogSink(), &vfs);
      MUST(other.ok());
      BackUp(other->get(), letter, history);
      MUST((*other)->Close().ok());
    }
    for (const History* h : {&own, &twin, &stranger})
      pool.insert(pool.end(), h->objects.begin(), h->objects.end());
  }
};

void Repair(std::string* bytes) {
  if (bytes->size() < 8) return;
  const bool range = bytes->compare(0, 7, "KISTRNG") == 0;
  if (range && bytes->size() < kRangeHeaderBytes) return;
  if (range) {
    const Slice payload(bytes->data() + kRangeHeaderBytes, bytes->size() - kRangeHeaderBytes);
    Store32(bytes->data() + kRangeHeaderBytes - 12, crc32c::Value(payload));
    fuzz::RepairPrefix(bytes, 40);
  }
  const size_t end = range ? kRangeHeaderBytes : bytes->size();
  Store32(bytes->data() + end - 4, crc32c::Value(bytes->data(), end - 4));
}

// One act of tampering; *forged: a checksum was made to fit.
void Tamper(const Scene& scene, fuzz::FuzzInput* input, Objects* objects, bool* forged) {
  const auto pick = [&] {
    return std::next(objects->begin(), input->Below(static_cast<uint32_t>(objects->size())));
  };
  const uint8_t how = input->Byte() % 8;
  const auto victim = pick();
  if (how == 0) {
    objects->erase(victim);
  } else if (how == 1) {  // its bytes under the name of another
    pick()->second = std::string(victim->second);
  } else if (how == 2) {
    std::swap(victim->second, pick()->second);
  } else if (how == 3) {  // some other target's bytes under its name
    victim->second = scene.pool[input->Below(static_cast<uint32_t>(scene.pool.size()))].second;
  } else if (how == 4) {  // an object that others have, under its own name
    const auto& other = scene.pool[input->Below(static_cast<uint32_t>(scene.pool.size()))];
    (*objects)[other.first] = other.second;
  } else if (!victim->second.empty()) {
    std::string& bytes = victim->second;
    const size_t at = input->Below(65536) % bytes.size();
    if (how == 5) bytes.resize(at);
    if (how >= 6) bytes[at] = static_cast<char>(bytes[at] ^ input->Byte());
    if (how == 7) {
      Repair(&bytes);
      *forged = true;
    }
  }
}

void Check(const Scene& scene, Vfs* vfs, Sequence seq) {
  OptionSet options;
  MUST(options.Parse("memory_budget=4MiB; create_if_missing=false").ok());
  auto db = Db::Open("/copy", options, LogSink(), vfs);
  MUST(db.ok());
  MUST((*db)->last_seq() == seq);
  Status status;
  const Model held = fuzz::Scan(db->get(), nullptr, true, &status);
  MUST(status.ok());
  bool known = false;
  for (const History* h : {&scene.own, &scene.twin, &scene.stranger}) {
    const auto at = h->states.upper_bound(seq);
    known |= held == (at == h->states.begin() ? Model() : std::prev(at)->second);
  }
  MUST(known);
  MUST((*db)->Close().ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Scene* const scene = new Scene();
  fuzz::FuzzInput input(data, size);
  RestorePoint point;
  const uint8_t to = input.Byte();
  if (to % 2 != 0) point.seq = to / 2;
  Objects objects = scene->own.objects;
  bool forged = false;
  for (int acts = 0; acts < 8 && !input.empty() && !objects.empty(); ++acts)
    Tamper(*scene, &input, &objects, &forged);
  MapTarget target(std::move(objects));
  auto vfs = NewMemoryVfs();
  Sequence seq = 0;
  const Status s = RestoreBackup(&target, vfs.get(), "/copy", point, JobControl(), &seq);
  if (!s.ok()) MUST(!vfs->Stat("/copy").ok());
  if (s.ok() && !forged) {
    MUST(point.seq == 0 || seq == point.seq);
    Check(*scene, vfs.get(), seq);
  }
  return 0;
}
