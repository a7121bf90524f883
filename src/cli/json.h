// JsonObject: a reader of JSON objects, for lines of input.
//
// It checks the whole text, decodes the names of the object's members and leaves their values as
// slices of the text, which the caller keeps alive.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kist::cli {

class JsonObject {
 public:
  enum class Type { kString, kNumber, kLiteral, kObject, kArray };
  struct Member {
    std::string name;
    Type type;
    std::string_view text;  // as it stands, a string with its quotes
  };

  // `text` is borrowed. False with the reason and byte position in *error.
  [[nodiscard]] bool Parse(std::string_view text, std::string* error);
  const std::vector<Member>& members() const { return members_; }
  const Member* Find(std::string_view name) const;  // the last one of that name

 private:
  bool Fail(const char* reason);
  void SkipSpace();
  bool Peek(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool ParseValue(Type* type, int depth);
  bool ParseString();
  bool ParseNumber();
  bool ParseLiteral(std::string_view word);
  bool ParseMembers(int depth);
  bool ParseElements(int depth);

  std::string_view text_;
  size_t at_ = 0;
  std::string* error_ = nullptr;
  std::vector<Member> members_;
};

// `text`: a JSON string with its quotes that Parse has accepted. Replaces *out with its characters
// in UTF-8; false where a \u escape is half a surrogate pair.
[[nodiscard]] bool DecodeJsonString(std::string_view text, std::string* out, std::string* error);

}  // namespace kist::cli
