// The manifest. From 128 on the first byte makes checksums fit. Mode 0: any bytes as the file that
// CURRENT names are refused or read; what is read can be written and read again; with 2 in that
// byte a call fails first, with 4 CURRENT names something else. Mode 1: edits that decode are
// appended to a manifest, which is damaged; what is read is the state after some number of them.
#include <vector>

#include "fuzz_input.h"
#include "key/file_name.h"
#include "repair.h"
#include "tests/unit/record/failing_vfs.h"

using namespace kist;

namespace {

constexpr char kDir[] = "/db";

std::string Text(const ManifestState& state) { return EncodeEdit(state.Snapshot()); }

void AnyBytes(Vfs* vfs, fuzz::FuzzInput* input, uint8_t mode) {
  const uint64_t fails = (mode & 2) != 0 ? 1 + input->Byte() % 64 : 0;
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
  test::FailingVfs failing(vfs, fails);
  static_cast<void>(ReadManifest(&failing, kDir).ok());
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

void Damaged(Vfs* vfs, fuzz::FuzzInput* input) {
  ManifestState state;
  state.database_id = 9;
  Edit first;
  first.next_file = 2;
  first.keyspaces.push_back({0, 0, "default", ""});
  MUST(state.Apply(first).ok());
  auto created = Manifest::Create(vfs, kDir, 1, &state);
  MUST(created.ok());
  std::vector<std::string> texts = {Text(state)};
  for (int n = input->Byte() % 8; n > 0; --n) {
    const auto edit = DecodeEdit(input->Bytes(input->Byte()));
    ManifestState next = state;
    if (!edit.ok() || EncodeEdit(*edit).empty() || !next.Apply(*edit).ok()) continue;
    MUST((*created)->Append(*edit).ok());
    state = next;
    texts.push_back(Text(state));
  }
  created->reset();
  const std::string file = input->Byte() % 4 == 0 ? kCurrentFileName : ManifestFileName(1);
  const bool damaged = input->Byte() % 4 != 0 && fuzz::Damage(vfs, JoinPath(kDir, file), input);
  const auto read = ReadManifest(vfs, kDir);
  if (!damaged) MUST(read.ok() && Text(*read) == texts.back());
  if (!read.ok()) return;
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
  if (mode % 2 == 0) {
    AnyBytes(vfs.get(), &input, mode);
  } else {
    Damaged(vfs.get(), &input);
  }
  return 0;
}
