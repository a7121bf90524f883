// A main for fuzz targets where there is no libFuzzer: runs every file of the directories named,
// and mutations of each by a fixed random sequence, a thousand or so in all (KIST_MUTATIONS). So
// any compiler replays the corpora.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::string Mutated(std::string bytes, std::mt19937* random) {
  for (unsigned edits = 1 + (*random)() % 6; edits > 0; --edits) {
    const size_t at = (*random)() % (bytes.size() + 1);
    switch ((*random)() % 4) {
      case 0:
        bytes.insert(at, 1 + (*random)() % 16, static_cast<char>((*random)()));
        break;
      case 1:
        bytes.erase(at, (*random)() % 16);
        break;
      default:
        if (at < bytes.size()) bytes[at] = static_cast<char>((*random)());
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  const char* wanted = std::getenv("KIST_MUTATIONS");  // over all files
  const size_t all_mutations = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1000;
  std::mt19937 random(1);
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      files.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
    }
  }
  std::sort(files.begin(), files.end());  // the directory's order is nobody's
  size_t inputs = 0;
  for (const std::string& bytes : files) {
    Run(bytes);
    const size_t mutations = (all_mutations + files.size() - 1) / files.size();
    for (size_t n = 0; n < mutations; ++n) Run(Mutated(bytes, &random));
    inputs += 1 + mutations;
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
