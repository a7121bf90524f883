"""Just enough C++ to judge a file without compiling it: code without comments, and functions."""
import re

_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def _spaces(text):
    return re.sub(r"[^\n]", " ", text)


def _blank(match):
    text = match.group(0)
    # A quote after a digit or letter separates digits (1'000'000) and begins no character.
    if text[0] == "'" and match.start() and match.string[match.start() - 1].isalnum():
        return text
    if text[0] == '"':
        return '"' + _spaces(text[1:-1]) + '"'
    return _spaces(text)


def code_of(text):
    """The same text, line for line and column for column; comments and strings are blanked."""
    return _TOKEN.sub(_blank, text)


def opening_comment(text):
    """How many lines the comment has that a file opens with; 0 where it opens otherwise."""
    if text.startswith("/*"):
        return text[: text.find("*/")].count("\n") + 1
    count = 0
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        count += 1
    return count


_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_TEMPLATE = re.compile(r"template\s*<[^{}]*?>\s*(?=\w|\[|~)")
_SCOPE = re.compile(
    r"^(?:\[\[[^]]*\]\]\s*|typedef\s+|inline\s+)*"
    r'(?:namespace\b|class\b|struct\b|union\b|enum\b|extern\s*")'
)
# ") : a_(1), b_" before a brace: a constructor's initializer, not its body.
_INITIALIZER = re.compile(r"\)\s*(?:noexcept\s*)?(?<!:):(?!:).*[\w>]\s*$", re.DOTALL)
_NAME = re.compile(r"(operator\s*\S+?|~?\w+(?:::~?\w+)*)\s*\(")
_ACCESS = re.compile(r"\b(public|private|protected)\s*$")


def _kind(header, bare, stack):
    """What a brace opens, from the text before it and the braces around it."""
    if any(kind != "scope" for kind, _, _ in stack):
        return "inner"
    if _INITIALIZER.search(header):
        return "initializer"
    if _SCOPE.match(bare):
        return "scope"
    return "function" if "(" in bare else "data"


def functions_of(text):
    """(name, first line, last line) of each function with a body; lambdas belong to it."""
    code = _DIRECTIVE.sub(lambda match: _spaces(match.group(0)), code_of(text))
    found, stack, start = [], [], 0  # start: where the text before the next brace begins
    for at, char in enumerate(code):
        if char == "{":
            header = code[start:at]
            bare = _TEMPLATE.sub("", header).strip()
            name = _NAME.search(bare)
            line = code.count("\n", 0, start + len(header) - len(header.lstrip())) + 1
            stack.append((_kind(header, bare, stack), name.group(1) if name else "", line))
            if stack[-1][0] == "scope":
                start = at + 1
        elif char == "}" and stack:
            kind, name, line = stack.pop()
            if kind == "function":
                found.append((name, line, code.count("\n", 0, at) + 1))
            if kind in ("scope", "function", "data"):
                start = at + 1
        elif all(kind == "scope" for kind, _, _ in stack) and (
            char == ";" or char == ":" and _ACCESS.search(code, max(0, at - 12), at)
        ):
            start = at + 1
    return found
