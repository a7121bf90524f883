// kist help, kist version, and the pages behind --help.
//
// A command's page is made from its Command: what the parser accepts is what the page shows. Lines
// stay within 90 columns, so that a page fits beside an editor.
#include <kist/kist.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/shell_input.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr size_t kColumns = 90;
constexpr size_t kOptionColumn = 26;

constexpr char kOverview[] =
    "kist - an embedded, ordered, crash-safe key-value store\n"
    "\n"
    "usage: kist COMMAND [options] DB [arguments]\n"
    "\n"
    "DB is a directory. `put` and `load` create it; every other command fails with a message\n"
    "where it does not exist. Commands that only read work beside a running writer.\n"
    "\n"
    "  kist put /tmp/db greeting 'hello, world'          store\n"
    "  kist get /tmp/db greeting                         print\n"
    "  kist load /tmp/words words.tsv                    key TAB value, a million lines or more\n"
    "  kist scan --prefix lib /tmp/words | head          in key order, from anywhere\n"
    "  kist shell /tmp/words                             look around\n"
    "\n"
    "commands:\n";

constexpr char kOverviewEnd[] =
    "\n"
    "`kist COMMAND --help` explains a command, with all its options and examples;\n"
    "`kist help formats` explains tsv, csv, jsonl and stanza; `kist help exit-codes` what\n"
    "scripts may rely on.\n";

constexpr char kFormats[] =
    "Formats of load, scan, dump and get\n"
    "\n"
    "tsv     key TAB value, one record a line. Bytes that would not be plain text are escaped:\n"
    "          \\t \\n \\r \\0 \\\\    tab, line feed, carriage return, NUL, backslash\n"
    "          \\xNN               any other byte, two hexadecimal digits\n"
    "          \\e                 nothing: stands for a lone empty column\n"
    "        so a line is always valid UTF-8, and every byte string comes back exactly. Empty\n"
    "        lines are skipped. --raw reads and writes backslashes as they are.\n"
    "csv     RFC 4180: comma-separated, fields with comma, quote or line end in quotes. Lines\n"
    "        end with LF (CRLF is read too). Bytes stand as they are. --delimiter ';' changes\n"
    "        the comma.\n"
    "jsonl   one object a line: {\"key\":\"k\",\"value\":\"v\"}. Bytes that are not UTF-8 stand "
    "in\n"
    "        base64 as \"key_b64\", \"value_b64\". When reading, a value that is no string stands\n"
    "        for its own JSON text. Also called json-lines, ndjson, json.\n"
    "stanza  records of \"Field: text\" lines, parted by blank lines, as in Debian's control\n"
    "        files; lines that begin with a space continue a field. Needs --key FIELD when\n"
    "        reading; writes values alone. Also called deb822.\n"
    "\n"
    "Choosing fields when loading (--key, --value, --ttl-field):\n"
    "  3             the third column (tsv, csv)\n"
    "  name          the column of that name (tsv, csv with --header), the member (jsonl) or\n"
    "                the field (stanza) of that name\n"
    "  /user/id      a member inside members (jsonl)\n"
    "  @record       the whole record as it stands, without its line end\n"
    "  @empty        the empty string (--value)\n"
    "Without --key the key is the first column (member \"key\") and the value the second\n"
    "(member \"value\"); with --key alone the value is the whole record.\n"
    "\n"
    "Keys and values as words of a command line are taken as they are; with --escape they\n"
    "hold the escapes of tsv, with --hex they are hexadecimal digits. An argument that begins\n"
    "with '-' needs -- before it.\n";

constexpr char kExitCodes[] =
    "Exit codes\n"
    "\n"
    "    0  done\n"
    "    1  a key was not there (get, exists, ttl, delete --must-exist)\n"
    "    2  the command line was wrong; nothing was done\n"
    "    3  a record of the input was wrong; the message says what was loaded\n"
    "    4  the database refused or failed: see the KIST_E_ name in the message\n"
    "    5  stored bytes are damaged (KIST_E_CORRUPT)\n"
    "    6  another process has the database open for writing (KIST_E_LOCKED)\n"
    "    7  there is no such database or keyspace (KIST_E_MISSING)\n"
    "    8  a file, standard input or standard output failed\n"
    "  130  ended by Ctrl-C (128 + the signal's number); the message says what was done\n"
    "\n"
    "Messages go to standard error, one line each: `kist: COMMAND: WHAT: MESSAGE`. Standard\n"
    "output holds data alone.\n";

struct Topic {
  const char* name;
  const char* text;
};
constexpr Topic kTopics[] = {{"formats", kFormats}, {"exit-codes", kExitCodes}};

void AppendOption(const OptionSpec& spec, std::string* out) {
  std::string head = spec.letter != 0 ? std::string("  -") + spec.letter + ", " : "      ";
  head += std::string("--") + spec.name;
  if (spec.value != nullptr) head += std::string(" ") + spec.value;
  if (head.size() + 2 > kOptionColumn) {
    head += "\n" + std::string(kOptionColumn, ' ');
  } else {
    head.resize(kOptionColumn, ' ');
  }
  *out += head;
  AppendWrapped(spec.text, kOptionColumn, out);
}

int Help(Context& context) {
  if (context.args.operands().empty()) return PrintHelp(OverviewText(), context.console);
  const std::string& name = context.args.operands()[0];
  if (const Command* const command = FindCommand(name)) {
    return PrintCommandHelp(*command, context.console);
  }
  for (const Topic& topic : kTopics) {
    if (name == topic.name) return PrintHelp(topic.text, context.console);
  }
  return context.Usage(UnknownCommand(name, false) + " Topics: formats, exit-codes");
}

int Version(Context& context) {
  Output output(context.console);
  if (context.console->quiet()) {
    output.Append(std::string("kist ") + kist_version_string() + "\n");
  } else {
    std::string info = kist_build_info();  // "kist 0.1.0; compiler ...; ..."
    for (size_t at = 0; (at = info.find("; ", at)) != std::string::npos;) info.replace(at, 2, "\n");
    output.Append(info + "\nline editor " + ShellInput::Editor() + "\n");
  }
  if (kist_version() != KIST_VERSION_NUMBER) {
    context.console->Note("built for another version of the library than the one that is loaded");
  }
  return output.Finish();
}

}  // namespace

void AppendWrapped(std::string_view text, size_t indent, std::string* out) {
  size_t column = indent;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + end > kColumns) {
      *out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      *out += ' ';
      ++column;
    }
    *out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  *out += '\n';
}

std::string OverviewText() {
  std::string text = kOverview;
  const Command* command = nullptr;
  for (size_t i = 0; (command = CommandAt(i)) != nullptr; ++i) {
    std::string name = std::string("  ") + command->name;
    name.resize(15, ' ');
    text += name + command->summary + "\n";
  }
  return text + kOverviewEnd;
}

std::string CommandHelpText(const Command& command) {
  std::string text = std::string("kist ") + command.name + " - " + command.summary +
                     "\n\nusage: kist " + command.name + " [options] " + command.operands + "\n\n" +
                     command.about + "\n\noptions:\n";
  ForEachOption(command, [&](const OptionSpec& spec) { AppendOption(spec, &text); });
  text += std::string("\nexamples:\n") + command.examples + "\n";
  return text;
}

int PrintHelp(const std::string& text, Console* console) {
  Output output(console);
  output.Append(text);
  return output.Finish();
}

int PrintCommandHelp(const Command& command, Console* console) {
  return PrintHelp(CommandHelpText(command), console);
}

const Command kHelpCommand = {
    "help",
    "[COMMAND | formats | exit-codes]",
    "explain a command, the formats or the exit codes",
    "Prints the overview, the page of a command, or a topic.",
    "  kist help load\n"
    "  kist help formats",
    nullptr,
    0,
    0,
    0,
    1,
    Help,
    true,
};

const Command kVersionCommand = {
    "version",
    "",
    "print the version of tool and library",
    "Prints the library's version, how it was built, and the formats on disk it reads and\n"
    "writes. With --quiet the version alone.",
    "  kist version",
    nullptr,
    0,
    0,
    0,
    0,
    Version,
    true,
};

}  // namespace kist::cli
