// The help pages: the overview, one page a command, and the topics formats and exit-codes.
//
// Texts are made when they are asked for and go to standard output, so that `kist load --help |
// less` works.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/console.h"

namespace kist::cli {

// Appends words of `text`, broken into lines that begin at `indent` and end within 90 columns.
void AppendWrapped(std::string_view text, size_t indent, std::string* out);

std::string OverviewText();
std::string CommandHelpText(const Command& command);
// Prints to standard output and returns the exit code.
int PrintHelp(const std::string& text, Console* console);
int PrintCommandHelp(const Command& command, Console* console);

}  // namespace kist::cli
