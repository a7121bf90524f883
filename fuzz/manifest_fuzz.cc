// The manifest. From 128 on the first byte makes checksums fit. Mode 0: any bytes as the file that
// CURRENT names are refused or read; what is read can be written and read again; with 2 in that
// byte a call fails first (with 8 the file changes its length instead), with 4 CURRENT names
// something else. Mode 1: edits that decode are appended to a manifest, which is damaged; what is
// read is the state after some number of them; with 4 in that byte edits are made up, of which a
// state may take none. In both, with 64 memory runs out.
#include <vector>

#include "failing_memory.h"
#include "fuzz_input.h"
#include "key/file_name.h"
#include "odd_vfs.h"
#include "repair.h"

using namespace kist;

namespace {

constexpr char kDir[] = "/db";

std::string Text(const ManifestState& state) { return EncodeEdit(state.Snapshot()); }

void AnyBytes(Vfs* vfs, fuzz::FuzzInput* input, uint8_t mode, uint8_t memory) {
  fuzz::Oddity odd;
  odd.nth = (mode & 2) != 0 ? 1 + input->Byte() % 64 : 0;
  if ((mode & 8) != 0) odd = fuzz::TakeOddity(odd.nth, input);
  const uint8_t other = (mode & 4) != 0 ? input->Byte() : 0;
  std::string bytes(input->rest());
  if (mode >= 128) fuzz::RepairSegment(&bytes);
  CurrentFile current;
  current.manifest_number = bytes.size() >= 40 ? Load64(bytes.data() + 16) : 1;
  current.database_id = bytes.size() >= 40 ? Load64(bytes.data() + 32) : 1;
  const uint64_t named = current.manifest_number + (other & 1);
  fuzz::PutFile(vfs, JoinPath(kDir, ManifestFileName(named)), bytes);
  if ((other & 2) != 0) current.manifest_number = named;
  if ((other & 4) != 0) ++current.database_id;
  fuzz::PutFile(vfs, JoinPath(kDir, kCurrentFileName), EncodeCurrent(current));
  fuzz::OddVfs failing(vfs, odd);
  fuzz::WithFailingMemory(memory, [&] { static_cast<void>(ReadManifest(&failing, kDir).ok()); });
  auto state = ReadManifest(vfs, kDir);
  if (!state.ok()) return;
  MUST(other == 0 || named == current.manifest_number);
  MUST(state->manifest_bytes <= bytes.size());
  const std::string text = Text(*state);
  if (text.empty() || current.manifest_number == UINT64_MAX) return;
  auto rolled = Manifest::Create(vfs, kDir, current.manifest_number + 1, &*state);
  if (!rolled.ok()) return;
  auto again = ReadManifest(vfs, kDir);
  MUST(again.ok() && Text(*again) == text);
}

// About few keyspaces and tables, so that edits meet.
Edit MadeUp(fuzz::FuzzInput* input) {
  Edit e;
  for (int n = 1 + input->Byte() % 3; n > 0; --n) {
    const uint8_t what = input->Byte();
    const uint32_t id = what >> 4 & 3;
    const uint64_t number = what >> 6;
    switch (what % 16) {
      case 0:
      case 1:
        e.keyspaces.push_back({id, number, std::string(input->Bytes(number)), ""});
        break;
      case 2:
        e.keyspace_options.emplace_back(id, input->Bytes(number));
        break;
      case 3:
      case 4:
      case 5:
        e.added.push_back({id, static_cast<int>(number & 1), number, TableProperties()});
        break;
      case 6:
      case 7:
        e.removed.push_back({id, static_cast<int>(number & 1), number});
        break;
      case 8:
        e.dropped.push_back(id);
        break;
      case 9:
        e.log_number = number;
        break;
      case 10:
        e.next_file = number;
        break;
      case 11:
        e.flushed_lsn = number;
        break;
      case 12:
        e.last_lsn = number;
        break;
      case 13:
        e.time_floor_ms = static_cast<int64_t>(number);
        break;
      case 14:
        e.newest_log = number;
        break;
      default:
        e.next_keyspace = what;
    }
  }
  return e;
}

void Damaged(Vfs* vfs, fuzz::FuzzInput* input, uint8_t mode, uint8_t memory) {
  ManifestState state;
  state.database_id = 9;
  Edit first;
  first.next_file = 2;
  first.keyspaces.push_back({0, 0, "default", ""});
  MUST(state.Apply(first).ok());
  auto created = Manifest::Create(vfs, kDir, 1, &state);
  MUST(created.ok());
  std::vector<std::string> texts = {Text(state)};
  bool refused = false;  // an edit that the state before it does not take
  for (int n = input->Byte() % 8; n > 0 && !refused; --n) {
    const bool made_up = (mode & 4) != 0;
    const auto edit =
        made_up ? Result<Edit>(MadeUp(input)) : DecodeEdit(input->Bytes(input->Byte()));
    ManifestState next = state;
    if (!edit.ok() || EncodeEdit(*edit).empty()) continue;
    refused = !next.Apply(*edit).ok();
    if (refused && !(made_up && input->Byte() % 2 == 1)) {
      refused = false;
      continue;
    }
    MUST((*created)->Append(*edit).ok());
    if (refused) break;
    state = next;
    texts.push_back(Text(state));
  }
  created->reset();
  const std::string file = input->Byte() % 4 == 0 ? kCurrentFileName : ManifestFileName(1);
  const bool damaged = input->Byte() % 4 != 0 && fuzz::Damage(vfs, JoinPath(kDir, file), input);
  if (mode >= 128) {
    const std::string path = JoinPath(kDir, ManifestFileName(1));
    std::string bytes = ReadFile(vfs, path).Take();
    fuzz::RepairSegment(&bytes);
    fuzz::PutFile(vfs, path, bytes);
  }
  fuzz::WithFailingMemory(memory, [&] { static_cast<void>(ReadManifest(vfs, kDir).ok()); });
  const auto read = ReadManifest(vfs, kDir);
  if (!damaged)
    MUST(refused ? read.status().Is(Code::kCorrupt) : read.ok() && Text(*read) == texts.back());
  if (!read.ok() || mode >= 128) return;
  bool known = false;
  for (const std::string& text : texts) known |= text == Text(*read);
  MUST(known);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  MUST(vfs->MakeDir(kDir).ok());
  const uint8_t mode = input.Byte();
  const uint8_t memory = (mode & 64) != 0 ? input.Last() : 0;
  if (mode % 2 == 0) {
    AnyBytes(vfs.get(), &input, mode, memory);
  } else {
    Damaged(vfs.get(), &input, mode, memory);
  }
  return 0;
}
