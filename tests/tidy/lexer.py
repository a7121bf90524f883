"""Just enough C++ to judge a file without compiling it: code without comments and strings, and function bodies."""
import re

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def _blank(match):
    text = match.group(0)
    # Digit separators (1'000'000) look like characters; a quote after a digit or letter is one.
    if text[0] == "'" and match.start() and match.string[match.start() - 1].isalnum():
        return text
    if text[0] == '"':
        return '"' + re.sub(r"[^\n]", " ", text[1:-1]) + '"'
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """The same text, line for line and column for column, with comments and the inside of strings blanked."""
    return _TOKEN.sub(_blank, text)


def opening_comment(text):
    """How many lines the comment has that a file opens with; 0 where it opens with something else."""
    if text.startswith("/*"):
        return text[: text.find("*/")].count("\n") + 1
    count = 0
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        count += 1
    return count


_TEMPLATE = re.compile(r"template\s*<[^{}]*?>\s*(?=\w|\[|~)")
_SCOPE = re.compile(r"^(?:\[\[[^]]*\]\]\s*|typedef\s+|inline\s+)*(?:namespace|class|struct|union|enum|extern\s*\")\b|"
                    r"^extern\s*\"")
_IN_INITIALIZERS = re.compile(r"\)\s*(?:noexcept\s*)?(?<!:):(?!:).*[\w>]\s*$", re.DOTALL)


def functions_of(text):
    """(name, first line, last line) of every function with a body, lambdas inside counted with their function."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  code_of(text), flags=re.MULTILINE)
    found, stack, start = [], [], 0
    for at, char in enumerate(code):
        if char == "{":
            header = code[start:at]
            bare = _TEMPLATE.sub("", header).strip()
            if any(kind != "scope" for kind, _, _ in stack):
                kind = "inner"
            elif _IN_INITIALIZERS.search(header):
                kind = "member"
            elif _SCOPE.match(bare):
                kind = "scope"
            else:
                kind = "function" if "(" in bare else "other"
            line = code.count("\n", 0, start + len(header) - len(header.lstrip())) + 1
            name = re.search(r"(operator\s*\S+?|~?\w+(?:::~?\w+)*)\s*\(", bare)
            stack.append((kind, name.group(1) if name else "", line))
            if kind == "scope":
                start = at + 1
        elif char == "}" and stack:
            kind, name, line = stack.pop()
            if kind == "function":
                found.append((name, line, code.count("\n", 0, at) + 1))
            if kind in ("scope", "function", "other"):
                start = at + 1
        elif char in ";" and all(kind == "scope" for kind, _, _ in stack):
            start = at + 1
        elif char == ":" and code[max(0, at - 10):at].split()[-1:] in (["public"], ["private"], ["protected"]):
            start = at + 1
    return found
