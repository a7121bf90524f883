// The reading of options. Rules: "--name value", "--name=value", "-n value", "-nvalue", flags of
// one letter may be joined ("-qx"), "--" ends the options, a lone "-" is an operand. No
// abbreviations: a script that works today must not become ambiguous when an option is added.
#include "cli/args.h"

#include "cli/suggest.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kDatabaseOptions[] = {
    {"keyspace", 'k', "NAME", "Work in this keyspace instead of the default one."},
    {"option", 'o', "TEXT",
     "Open the database with these options: \"name=value; ...\". `kist options` lists them."},
};
constexpr OptionSpec kBytesOptions[] = {
    {"escape", 'e', nullptr,
     "Keys and values given as words hold escapes: \\t \\n \\r \\0 \\\\ \\xNN."},
    {"hex", 'x', nullptr, "Keys and values given as words are hexadecimal: 6b6579."},
};
constexpr OptionSpec kProgressOptions[] = {
    {"progress", 0, nullptr, "Show progress even where standard error is no terminal."},
    {"no-progress", 0, nullptr, "Show no progress."},
};
constexpr OptionSpec kRangeOptions[] = {
    {"prefix", 'p', "KEY", "Only keys that start with this."},
    {"from", 0, "KEY", "Only keys from this one on, itself included."},
    {"to", 0, "KEY", "Only keys before this one."},
};
constexpr OptionSpec kSyncOptions[] = {
    {"sync", 0, "POLICY",
     "When commits reach stable storage: every_write, every_n:N, interval:T, hybrid:N:T, never."},
};
constexpr OptionSpec kCreateOptions[] = {
    {"create", 0, nullptr, "Create the database (and the keyspace) where there is none."},
};
constexpr OptionSpec kNoCreateOptions[] = {
    {"no-create", 0, nullptr, "Fail where the database or the keyspace does not exist yet."},
};
constexpr OptionSpec kCommonOptions[] = {
    {"quiet", 'q', nullptr, "Say nothing but errors."},
    {"help", 'h', nullptr, "Show this page."},
};

template <size_t N>
constexpr OptionList ListOf(const OptionSpec (&options)[N]) {
  return {options, N};
}

const OptionSpec* FindLong(const Command& command, std::string_view name) {
  const OptionSpec* found = nullptr;
  ForEachOption(command, [&](const OptionSpec& spec) {
    if (name == spec.name) found = &spec;
  });
  return found;
}

const OptionSpec* FindLetter(const Command& command, char letter) {
  const OptionSpec* found = nullptr;
  ForEachOption(command, [&](const OptionSpec& spec) {
    if (spec.letter == letter) found = &spec;
  });
  return found;
}

std::string UnknownOption(const Command& command, std::string_view name) {
  std::vector<std::string_view> names;
  ForEachOption(command, [&](const OptionSpec& spec) { names.push_back(spec.name); });
  std::string text = "unknown option --" + std::string(name);
  const std::string_view nearest = Nearest(name, names);
  if (!nearest.empty()) text += "; did you mean --" + std::string(nearest) + "?";
  return text;
}

}  // namespace

OptionList SharedOptions(Share share) {
  switch (share) {
    case kShareDatabase:
      return ListOf(kDatabaseOptions);
    case kShareBytes:
      return ListOf(kBytesOptions);
    case kShareProgress:
      return ListOf(kProgressOptions);
    case kShareRange:
      return ListOf(kRangeOptions);
    case kShareSync:
      return ListOf(kSyncOptions);
    case kShareCreate:
      return ListOf(kCreateOptions);
    case kShareNoCreate:
      return ListOf(kNoCreateOptions);
  }
  return {nullptr, 0};
}

OptionList CommonOptions() { return ListOf(kCommonOptions); }

std::optional<std::string_view> Args::Get(std::string_view name) const {
  for (size_t i = options_.size(); i > 0; --i) {
    if (options_[i - 1].first == name) return options_[i - 1].second;
  }
  return std::nullopt;
}

std::vector<std::string_view> Args::All(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& option : options_) {
    if (option.first == name) values.push_back(option.second);
  }
  return values;
}

bool Args::ParseLong(const Command& command, const std::vector<std::string>& words, size_t* index,
                     std::string* error) {
  const std::string_view word = std::string_view(words[*index]).substr(2);
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const OptionSpec* spec = FindLong(command, name);
  if (spec == nullptr) {
    *error = UnknownOption(command, name);
    return false;
  }
  if (spec->value == nullptr) {
    if (equals != std::string_view::npos) {
      *error = "option --" + std::string(name) + " takes no value";
      return false;
    }
    options_.emplace_back(spec->name, "");
    return true;
  }
  if (equals != std::string_view::npos) {
    options_.emplace_back(spec->name, word.substr(equals + 1));
    return true;
  }
  if (*index + 1 >= words.size()) {
    *error = "option --" + std::string(name) + " needs a value: --" + std::string(name) + " " +
             spec->value;
    return false;
  }
  options_.emplace_back(spec->name, words[++*index]);
  return true;
}

bool Args::ParseLetters(const Command& command, const std::vector<std::string>& words,
                        size_t* index, std::string* error) {
  const std::string& word = words[*index];
  for (size_t at = 1; at < word.size(); ++at) {
    const OptionSpec* spec = FindLetter(command, word[at]);
    if (spec == nullptr) {
      *error = "unknown option -" + std::string(1, word[at]) + " in '" + word +
               "'; put -- before an argument that begins with '-'";
      return false;
    }
    if (spec->value == nullptr) {
      options_.emplace_back(spec->name, "");
      continue;
    }
    if (at + 1 < word.size()) {
      options_.emplace_back(spec->name, word.substr(at + 1));
    } else if (*index + 1 < words.size()) {
      options_.emplace_back(spec->name, words[++*index]);
    } else {
      *error = "option -" + std::string(1, word[at]) + " needs a value: --" + spec->name + " " +
               spec->value;
      return false;
    }
    return true;
  }
  return true;
}

bool Args::Parse(const Command& command, const std::vector<std::string>& words,
                 std::string* error) {
  bool options_end = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (options_end || word.size() < 2 || word[0] != '-') {
      operands_.push_back(word);
    } else if (word == "--") {
      options_end = true;
    } else if (word[1] == '-') {
      if (!ParseLong(command, words, &i, error)) return false;
    } else if (!ParseLetters(command, words, &i, error)) {
      return false;
    }
  }
  return true;
}

}  // namespace kist::cli
