// Args: the words after a command's name, sorted into options and operands by the command's own
// list. Options may stand anywhere before "--"; a value follows its option or is joined to it by
// '='.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace kist::cli {

class Args {
 public:
  // False with a sentence in *error that names the word at fault. The strings of `words` are
  // copied.
  [[nodiscard]] bool Parse(const Command& command, const std::vector<std::string>& words,
                           std::string* error);

  bool Has(std::string_view name) const { return Get(name).has_value(); }
  std::optional<std::string_view> Get(std::string_view name) const;  // the last one given
  std::vector<std::string_view> All(std::string_view name) const;
  const std::vector<std::string>& operands() const { return operands_; }
  void InsertOperand(std::string operand) {
    operands_.insert(operands_.begin(), std::move(operand));
  }

 private:
  bool ParseLong(const Command& command, const std::vector<std::string>& words, size_t* index,
                 std::string* error);
  bool ParseLetters(const Command& command, const std::vector<std::string>& words, size_t* index,
                    std::string* error);

  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<std::string> operands_;
};

// The options of one group, in the order of the help page.
struct OptionList {
  const OptionSpec* options;
  size_t count;
};
OptionList SharedOptions(Share share);
OptionList CommonOptions();  // -q, -h: of every command

// Calls visit(spec) for every option the command takes, its own ones first.
template <typename Visit>
void ForEachOption(const Command& command, Visit visit) {
  for (size_t i = 0; i < command.option_count; ++i) visit(command.options[i]);
  for (uint32_t bit = 1; bit <= kShareNoCreate; bit <<= 1) {
    if ((command.shares & bit) == 0) continue;
    const OptionList list = SharedOptions(static_cast<Share>(bit));
    for (size_t i = 0; i < list.count; ++i) visit(list.options[i]);
  }
  const OptionList common = CommonOptions();
  for (size_t i = 0; i < common.count; ++i) visit(common.options[i]);
}

}  // namespace kist::cli
