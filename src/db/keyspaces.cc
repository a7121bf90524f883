// Creating, dropping and listing keyspaces, and what a commit that does so changes in memory. The
// commit in the log is the truth; the manifest learns of it with the flush of its memtable.
// Threads: any.
#include <algorithm>

#include "db/db_impl.h"

namespace kist {
namespace {

constexpr size_t kNameBytesMax = 255;
constexpr char kDefaultName[] = "default";

Status CheckName(const std::string& name) {
  if (name.empty()) return Status::Invalid("a keyspace's name must not be empty");
  if (name.size() > kNameBytesMax) {
    return Status::Error(
        Code::kLimit,
        "a keyspace's name of " + std::to_string(name.size()) + " bytes; the limit is 255",
        kNameBytesMax);
  }
  if (name.find('\0') != std::string::npos)
    return Status::Invalid("a keyspace's name must not hold a NUL byte");
  return Status();
}

}  // namespace

RefPtr<Keyspace> DbImpl::DefaultKeyspace() {
  auto ks = registry_.Find(0);
  return RefPtr<Keyspace>::Adopt(ks.Release());
}

Result<RefPtr<Keyspace>> DbImpl::OpenKeyspace(const std::string& name, KeyspaceMode mode,
                                              const OptionSet* options) {
  KIST_TRY(CheckName(name));
  MutexLock lock(&keyspace_mutex_);
  if (auto ks = registry_.FindName(name)) {
    if (mode == KeyspaceMode::kCreateNew)
      return Status::Error(Code::kExists, "keyspace '" + name + "' exists");
    if (options != nullptr) KIST_TRY(ChangeKeyspaceOptions(ks, *options));
    return RefPtr<Keyspace>::Adopt(ks.Release());
  }
  if (mode == KeyspaceMode::kOpen)
    return Status::Error(Code::kMissing, "no keyspace '" + name + "'");
  if (options_.read_only)
    return Status::Error(Code::kReadOnly,
                         "cannot create keyspace '" + name + "': the database is open read-only");
  const uint32_t id = next_keyspace_;
  const KeyspaceOptions values =
      options != nullptr ? options->KeyspaceOver(options_.keyspace) : options_.keyspace;
  BatchBuilder batch(kRecordHeaderMax);
  KIST_TRY(batch.EngineOp(OpKind::kCreateKeyspace, id, name, EncodeKeyspaceOptions(values)));
  ++next_keyspace_;  // used up even where the commit fails: it may be on disk
  WriteRequest request;
  request.durability = Durability::kSync;
  request.batch = batch.mutable_data();
  request.batch_bytes = batch.data().size();
  request.has_headroom = true;
  request.summary = batch.summary();
  KIST_TRY(Write(&request, nullptr));
  auto ks = registry_.Find(id);
  if (!ks) return Status::Error(Code::kInternal, "a keyspace that was just created is missing");
  return RefPtr<Keyspace>::Adopt(ks.Release());
}

// Those that are set take the place of what it has, for the tables and values to come. The manifest
// keeps them; a creation that is in the log alone is brought there first.
Status DbImpl::ChangeKeyspaceOptions(const RefPtr<KeyspaceImpl>& ks, const OptionSet& options) {
  const KeyspaceOptions values = options.KeyspaceOver(ks->options());
  const std::string encoded = EncodeKeyspaceOptions(values);
  if (options_.read_only || encoded == EncodeKeyspaceOptions(ks->options())) return Status();
  const bool listed = [&] {
    MutexLock lock(&manifest_mutex_);
    return manifest_state_.keyspaces.count(ks->id()) != 0;
  }();
  if (!listed) KIST_TRY(Flush());
  Outcome outcome;
  outcome.edit.keyspace_options.emplace_back(ks->id(), encoded);
  KIST_TRY(Install(&outcome));
  registry_.SetOptions(ks.get(), values);
  return Status();
}

// Starts a flush of what is in memory, where none is under way.
Status DbImpl::FlushSoon() {
  WriteQueue::Token token(&queue_);
  if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
  {
    MutexLock lock(&mutex_);
    if (slots_.size() > kMaxFullMemtables) return Status();
  }
  return SwitchMemtable();
}

Status DbImpl::DropKeyspace(const std::string& name) {
  if (name == kDefaultName) return Status::Invalid("the default keyspace cannot be dropped");
  KIST_TRY(CheckName(name));
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  MutexLock lock(&keyspace_mutex_);
  auto ks = registry_.FindName(name);
  if (!ks) return Status::Error(Code::kMissing, "no keyspace '" + name + "'");
  BatchBuilder batch(kRecordHeaderMax);
  KIST_TRY(batch.EngineOp(OpKind::kDropKeyspace, ks->id(), name, Slice()));
  WriteRequest request;
  request.durability = Durability::kSync;
  request.batch = batch.mutable_data();
  request.batch_bytes = batch.data().size();
  request.has_headroom = true;
  request.summary = batch.summary();
  KIST_TRY(Write(&request, nullptr));
  // The manifest lets go of its tables with the flush of this commit, which should not have to wait
  // for a memtable to fill.
  const bool has_tables = [&] {
    MutexLock lock(&mutex_);
    return version_->Find(ks->slot(), ks->id()) != nullptr;
  }();
  if (has_tables) static_cast<void>(FlushSoon().ok());  // the drop itself has succeeded
  return Status();
}

// Whether every keyspace that a batch names is there.
Status DbImpl::CheckKeyspaces(Slice batch, const BatchSummary& summary) {
  if (summary.one_keyspace && summary.first_keyspace == 0) return Status();
  BatchWalker walker(batch);
  Op op;
  uint32_t known = 0, i = 0;
  for (; walker.Next(&op); ++i) {
    if (op.keyspace == known) continue;
    if (!registry_.Contains(op.keyspace)) {
      return Status::Error(Code::kInvalid, "operation " + std::to_string(i) +
                                               " names keyspace id " + std::to_string(op.keyspace) +
                                               ", which does not exist");
    }
    known = op.keyspace;
  }
  return Status();
}

std::vector<std::string> DbImpl::ListKeyspaces() {
  std::vector<std::string> names;
  for (const auto& ks : registry_.All()) names.push_back(ks->name());
  std::sort(names.begin(), names.end());
  return names;
}

// The token holder, after the commit is in log and memtable; and recovery. Memory that runs out
// here poisons: the commit is in the log.
void DbImpl::ApplyKeyspaceOps(Slice batch, Sequence seq) {
  BatchWalker walker(batch);
  for (Op op; walker.Next(&op);) {
    if (op.kind == OpKind::kCreateKeyspace) {
      Result<KeyspaceOptions> options = DecodeKeyspaceOptions(op.value);
      registry_.Add(op.keyspace, std::string(op.key), options.ok() ? *options : KeyspaceOptions());
      next_keyspace_ = std::max(next_keyspace_, op.keyspace + 1);
      MutexLock lock(&mutex_);
      slots_.back().created.push_back(
          {op.keyspace, seq, std::string(op.key), std::string(op.value)});
    } else if (op.kind == OpKind::kDropKeyspace) {
      MutexLock lock(&mutex_);
      slots_.back().dropped.push_back(op.keyspace);
      if (auto ks = registry_.Find(op.keyspace)) slots_.back().freed_slots.push_back(ks->slot());
      registry_.Remove(op.keyspace);
    }
  }
}

}  // namespace kist
